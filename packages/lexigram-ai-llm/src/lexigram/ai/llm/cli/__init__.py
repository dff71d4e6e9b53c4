"""The command ``lex``: a demonstration, questions from the shell, a chat, and what is installed and configured.

typer and rich come with the extra ``cli``; nothing outside this folder imports them.
"""

from __future__ import annotations

import io
import sys
from importlib.util import find_spec
from typing import Final

__all__ = ["main"]

_NEEDED: Final = ("typer", "rich")


def main() -> int:
    """Run ``lex`` with the process's arguments; does not return unless the extra ``cli`` is missing.

    Exit codes: 0 done; 1 the provider failed, or ``lex doctor`` found a failure; 2 a wrong option or setting; 130
    interrupted.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if any(find_spec(name) is None for name in _NEEDED):
        sys.stderr.write('lex needs typer and rich: pip install "lexigram-ai-llm[cli,local]"\n')
        return 1
    from lexigram.ai.llm.cli._app import app

    app(prog_name="lex")
    return 0
