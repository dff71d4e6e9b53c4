"""``lex providers``: every row, where its key is, and never the key."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import Result

from lexigram.ai.llm import ProviderRegistry
from lexigram.ai.llm.cli.providers import _draw, rows
from lexigram.testing import Canary

Invoke = Callable[..., Result]


def _table(text: str) -> dict[str, dict[str, str]]:
    head, *lines = [line.split("\t") for line in text.splitlines()]
    return {line[0]: dict(zip(head, line, strict=True)) for line in lines}


def test_in_a_pipe_it_is_tab_separated_text_with_every_row(invoke: Invoke) -> None:
    result = invoke("providers")
    assert result.exit_code == 0
    table = _table(result.stdout)
    for vendor in ProviderRegistry():
        row = table[vendor.name]
        assert row["apis"] == ",".join(vendor.dialects)
        assert row["base_url"] == (vendor.base_url or "")
        assert row["docs_url"] == vendor.docs_url
        assert row["key"] == ("missing" if vendor.key_required else "not needed")


def test_json_has_the_same(invoke: Invoke) -> None:
    listed = {row["provider"]: row for row in json.loads(invoke("providers", "--json").stdout)}
    for vendor in ProviderRegistry():
        assert listed[vendor.name]["key_env"] == list(vendor.key_env)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_it_says_where_a_key_is_and_never_the_key(invoke: Invoke, tmp_path: Path, form: list[str]) -> None:
    canary = Canary()
    keys = tmp_path / ".lexigram" / "keys"
    keys.mkdir(parents=True)
    for name, mode in (("groq", 0o600), ("xai", 0o644)):
        (keys / name).write_text(canary.value)
        (keys / name).chmod(mode)
    result = invoke(
        "providers",
        *form,
        OPENAI_API_KEY=canary.value,
        LEX_AI_LLM__PROVIDER="mistral",
        LEX_AI_LLM__API_KEY=canary.value,
        LEX_AI_LLM__API_BASE="https://proxy.example/v1",
    )
    canary.assert_absent(result.output)
    if form:
        table = {row["provider"]: row for row in json.loads(result.stdout)}
    else:
        table = _table(result.stdout)
    assert table["openai"]["key"] == "env OPENAI_API_KEY"
    assert table["groq"]["key"] == "file ~/.lexigram/keys/groq"
    assert "may be read or written by others" in table["xai"]["key"]
    assert table["mistral"]["key"] == "env LEX_AI_LLM__API_KEY"
    assert table["mistral"]["base_url"] == "https://proxy.example/v1"
    assert table["together"]["key"] == "missing"


def test_settings_that_are_wrong_do_not_hide_the_table(invoke: Invoke) -> None:
    result = invoke("providers", LEX_AI_LLM__PROVIDR="x")
    assert "did you mean LEX_AI_LLM__PROVIDER?" in result.stderr
    assert "openai" in _table(result.stdout)


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_terminal_of_any_width_shows_whole_names_and_keys(width: int) -> None:
    out = StringIO()
    screen: Any = SimpleNamespace(out=Console(file=out, width=width, force_terminal=True, color_system=None))
    found = list(rows(ProviderRegistry(), None))
    _draw(screen, found)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for row in found:
        line = next(line for line in lines if line.startswith(f"{row.provider} "))
        assert "missing" in line or "not needed" in line or "env " in line
