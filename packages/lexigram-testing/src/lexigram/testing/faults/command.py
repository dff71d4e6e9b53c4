"""``lex faults``: the fault server on a port, until it is interrupted."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["faults"]


def faults(
    always: Annotated[
        str,
        typer.Option("--always", metavar="NAME", help="What happens to requests whose path names no fault."),
    ] = "ok",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65535)] = 0,
) -> None:
    """Misbehave by name: a base URL that begins with a fault's name gets it. Ctrl-C ends it."""
    from lexigram.testing.faults._run import run

    code = run(always, port)
    if code:
        raise typer.Exit(code)
