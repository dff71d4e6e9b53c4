"""The command itself: help, version, what it imports, and how it looks without its packages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from typer.testing import Result

from lexigram.ai.llm.cli._console import usage_text, without_controls
from lexigram.contracts.ai.completion import Usage


def test_help_names_the_commands_and_the_exit_codes(invoke: Callable[..., Result]) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    for word in ("demo", "complete", "chat", "providers", "doctor", "Exit codes"):
        assert word in result.stdout


@pytest.mark.parametrize("command", ["demo", "complete", "chat", "providers", "doctor"])
def test_each_command_has_help(invoke: Callable[..., Result], command: str) -> None:
    assert invoke(command, "--help").exit_code == 0


def test_version(invoke: Callable[..., Result]) -> None:
    from importlib.metadata import version

    assert invoke("--version").stdout == f"lexigram-ai-llm {version('lexigram-ai-llm')}\n"


def test_help_loads_no_engine(env: dict[str, str]) -> None:
    code = (
        "import sys; sys.argv = ['lex', '--help']\n"
        "from lexigram.ai.llm.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'httpx', 'xllamacpp', 'pydantic', 'tiktoken', 'lexigram.ai.llm.client'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_packages_it_says_how_to_get_them(env: dict[str, str], missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['lex', 'demo']\n"
        "from lexigram.ai.llm.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == 'lex needs typer and rich: pip install "lexigram-ai-llm[cli,local]"\n'
    assert done.stdout == ""


def test_what_others_wrote_steers_no_terminal() -> None:
    assert without_controls("a\x1b[31mb\x07\r\n\tc\x9b1m\x7f") == "a[31mb\n\tc1m"


@pytest.mark.parametrize(
    ("usage", "text"),
    [
        (Usage(), "tokens unknown"),
        (Usage(3, 4, 7, source="reported"), "3 tokens in, 4 out"),
        (Usage(3, None, source="estimated"), "about 3 tokens in, ? out"),
        (Usage(9, 8, 17, 5, None, 6, "reported"), "9 tokens in (5 cached), 8 out (6 reasoning)"),
    ],
)
def test_tokens_in_words(usage: Usage, text: str) -> None:
    assert usage_text(usage) == text
