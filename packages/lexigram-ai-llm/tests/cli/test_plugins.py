"""Commands that other packages add to ``lex``."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest
from typer.testing import Result

from lexigram.ai.llm.cli import _plugins

Invoke = Callable[..., Result]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package with two commands, of which one is broken, and one that wants a name of ours."""
    module = types.ModuleType("acme_lex")

    def greet(name: str = "you") -> None:
        """Greet somebody."""
        print(f"hello {name}")

    module.greet = greet  # type: ignore[attr-defined]
    module.doctor = greet  # type: ignore[attr-defined]
    module.number = 7  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_lex", module)
    entries = {
        "greet": "acme_lex:greet",
        "doctor": "acme_lex:doctor",
        "lost": "acme_gone:x",
        "number": "acme_lex:number",
    }
    found = [EntryPoint(name, value, _plugins.COMMAND_GROUP) for name, value in entries.items()]
    monkeypatch.setattr(_plugins, "entry_points", lambda group: found if group == _plugins.COMMAND_GROUP else [])
    return module


def test_a_command_of_another_package_runs_and_is_listed(invoke: Invoke, package: types.ModuleType) -> None:
    assert "Greet somebody." in invoke("--help").stdout
    assert invoke("greet", "--name", "Ada").stdout == "hello Ada\n"
    assert "--name" in invoke("greet", "-h").stdout


def test_a_broken_one_says_what_is_wrong_and_takes_nothing_away(invoke: Invoke, package: types.ModuleType) -> None:
    listed = invoke("--help")
    assert listed.exit_code == 0
    assert "Broken" in listed.stdout
    for name, words in (("lost", "ModuleNotFoundError"), ("number", "acme_lex:number is no function")):
        result = invoke(name, "--any", "thing")
        assert result.exit_code == 1
        assert words in result.stderr
        assert "reinstall the package" in result.stderr


def test_our_own_names_cannot_be_taken(invoke: Invoke, package: types.ModuleType) -> None:
    assert "Greet" not in invoke("doctor", "--help").stdout


def test_other_commands_load_no_package(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, package: types.ModuleType
) -> None:
    def load(entry: EntryPoint) -> object:
        raise AssertionError(f"{entry.name} was loaded")

    monkeypatch.setattr(EntryPoint, "load", load)
    assert invoke("complete", "--help").exit_code == 0
