"""``lex simulate``: the simulator on a port, until it is interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulate"]

_LIMITS = "Limits, for each key and model"
_MODEL = "Model"
_SERVER = "Server"


def simulate(
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", rich_help_panel=_SERVER)] = 0,
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on.", rich_help_panel=_SERVER)
    ] = "127.0.0.1",
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Accept this key only; may be repeated.", rich_help_panel=_SERVER),
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option("--requests-per-minute", min=1, metavar="N", rich_help_panel=_LIMITS)
    ] = None,
    tokens_per_minute: Annotated[
        int | None, typer.Option("--tokens-per-minute", min=1, metavar="N", rich_help_panel=_LIMITS)
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            "--script",
            metavar="FILE",
            help="What is answered: JSON or YAML. Plain made-up words without.",
            exists=True,
            dir_okay=False,
            rich_help_panel=_MODEL,
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What chance hangs on.", rich_help_panel=_MODEL)] = 0,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A model that exists; may be repeated. Every name does without.", rich_help_panel=_MODEL
        ),
    ] = None,
    latency: Annotated[
        float,
        typer.Option(
            "--latency", min=0, metavar="SECONDS", help="Median until the first token.", rich_help_panel=_MODEL
        ),
    ] = 0.0,
    token_latency: Annotated[
        float,
        typer.Option(
            "--token-latency", min=0, metavar="SECONDS", help="Median between two tokens.", rich_help_panel=_MODEL
        ),
    ] = 0.0,
    faults: Annotated[
        float,
        typer.Option(
            "--faults",
            min=0,
            max=1,
            metavar="SHARE",
            help="The part of the requests that goes wrong.",
            rich_help_panel=_MODEL,
        ),
    ] = 0.0,
) -> None:
    """Answer as the vendors do, on a port of this machine: from a script, or with made-up words. Ctrl-C ends it."""
    from lexigram.testing.simulator._run import Settings, run

    code = run(
        Settings(
            host=host,
            port=port,
            keys=tuple(key) if key else None,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            script=script,
            seed=seed,
            models=tuple(model) if model else None,
            latency=latency,
            token_latency=token_latency,
            faults=faults,
        )
    )
    if code:
        raise typer.Exit(code)
