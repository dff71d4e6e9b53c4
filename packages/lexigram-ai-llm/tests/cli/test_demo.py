"""``lex demo``: all three steps from a real server, as a process in a pipe."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

from typer.testing import Result


def test_it_shows_a_completion_a_stream_and_a_validated_answer(start: Callable[..., subprocess.Popen[str]]) -> None:
    # A client that is configured for somebody else changes nothing.
    process = start("demo", LEX_AI_LLM__PROVIDER="openai", LEX_AI_LLM__MODEL="gpt-4o", LEX_AI_LLM__API_KEY="sk-canary")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err == ""
    for text in ("1. A completion", "2. A stream", "3. JSON", "talks nonsense", "llama.cpp started", "OPENAI_API_KEY"):
        assert text in out
    assert "self.llm.complete([" in out
    assert "self.llm.stream_chat([" in out
    assert "StructuredExtractor(self.llm).extract(report, Ticket)" in out
    assert re.search(r"→ Ticket\(title=.*, urgent=(True|False)\)", out)
    assert len(re.findall(r"\d+ tokens in.*, \d+ out.* · \d+\.\d+ s", out)) == 3
    assert "\x1b" not in out
    assert "sk-canary" not in out


def test_a_failure_is_said_without_a_traceback(invoke: Callable[..., Result]) -> None:
    result = invoke("demo", XDG_CACHE_HOME="/proc/no-such-folder")
    assert result.exit_code == 2
    assert "error: llamacpp: the tiny model cannot be written" in result.stderr
    assert "hint: " in result.stderr
    assert "Traceback" not in result.stderr
