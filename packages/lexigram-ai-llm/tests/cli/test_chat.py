"""``lex chat``: piped, one line a turn; broken off and gone on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

from typer.testing import Result

Invoke = Callable[..., Result]


def test_each_line_is_a_turn_of_one_conversation(invoke: Invoke, provider: Any, at: list[str]) -> None:
    result = invoke("chat", "--system", "be brief", *at, input="one\n\ntwo\n/usage\n")
    assert (result.stdout, result.exit_code) == ("Blue sky\nBlue sky\n", 0)
    said = [(m["role"], m["content"]) for m in provider.asked[1]["messages"]]
    assert said == [("system", "be brief"), ("user", "one"), ("assistant", "Blue sky"), ("user", "two")]
    assert "(answers: 2; tokens: 14 in, 4 out)" in result.stderr


def test_its_commands(invoke: Invoke, provider: Any, at: list[str]) -> None:
    lines = ["one", "/clear", "/system be kind", "two", "/system", "/help", "/nonsense", "/quit", "three"]
    result = invoke("chat", "--quiet", *at, input="\n".join(lines))
    assert result.exit_code == 0
    assert len(provider.asked) == 2
    said = [(m["role"], m["content"]) for m in provider.asked[1]["messages"]]
    assert said == [("system", "be kind"), ("user", "two")]
    for text in ("forgotten", "(instructions: be kind)", "Ctrl-C", "there is no command /nonsense"):
        assert text in result.stderr


def test_a_failed_turn_is_said_and_not_kept(invoke: Invoke, provider: Any, at: list[str]) -> None:
    provider.status = 500
    result = invoke("chat", *at, input="one\ntwo\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("error: openai_compatible/m (HTTP 500)") == 2
    assert [m["content"] for m in provider.asked[1]["messages"]] == ["two"]


def test_a_real_server_talks(invoke: Invoke) -> None:
    result = invoke("chat", "--provider", "llamacpp", "--max-tokens", "8", input="hello\nand now?\n")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("llamacpp/tiny") == 2
    assert "\x1b" not in result.output


def test_ctrl_c_breaks_the_answer_off_and_keeps_the_conversation(
    start: Callable[..., subprocess.Popen[str]], provider: Any, at: list[str]
) -> None:
    provider.words, provider.pause = ["word "] * 200, 0.05
    process = start("chat", *at)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("one\n")
    process.stdin.flush()
    assert process.stdout.read(10) == "word word "
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "(broken off)\n"
    provider.words, provider.pause = ["done"], 0
    out, _ = process.communicate("two\n", timeout=10)
    assert process.returncode == 0
    assert out.endswith("\ndone\n")
    question, partial, again = provider.asked[1]["messages"]
    assert (question["content"], again["content"]) == ("one", "two")
    assert partial["content"].startswith("word word ")
