"""``lex doctor``: one row a check, each with what to do about it."""

from __future__ import annotations

import asyncio
from typing import Final

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lexigram.ai.llm.cli._checks import Check, Verdict, all_checks
from lexigram.ai.llm.cli._console import Screen, without_controls
from lexigram.ai.llm.cli._session import FAILED, INTERRUPTED

__all__ = ["doctor"]

_STYLES: Final[dict[Verdict, str]] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor() -> None:
    """Run the checks, print them, and leave with 1 if one failed."""
    screen = Screen()
    try:
        checks, settings = asyncio.run(all_checks())
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    if screen.out.is_terminal:
        _draw(screen, checks)
    else:
        for check in checks:
            cells = (check.verdict, check.name, check.said, check.todo)
            typer.echo("\t".join(" ".join(without_controls(cell).split()) for cell in cells).rstrip())
    if settings:
        screen.out.print()
        screen.out.print(Text("Settings", "bold"))
        for line in settings.splitlines():
            screen.out.print(Text(f"  {line}".rstrip(), "dim"), soft_wrap=True)
    failed = sum(check.verdict == "fail" for check in checks)
    warned = sum(check.verdict == "warn" for check in checks)
    screen.out.print()
    screen.out.print(Text(_verdict(failed, warned), "bold red" if failed else "yellow" if warned else "green"))
    raise typer.Exit(FAILED if failed else 0)


def _draw(screen: Screen, checks: list[Check]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        said = Text(without_controls(check.said))
        if check.todo:
            said.append(f"\n{without_controls(check.todo)}", "cyan" if check.verdict != "ok" else "dim")
        table.add_row(Text(check.verdict, _STYLES[check.verdict]), Text(check.name), said)
    screen.out.print(table)


def _verdict(failed: int, warned: int) -> str:
    if not failed and not warned:
        return "all is well"
    return ", ".join(f"{n} {word}" for n, word in ((failed, "failed"), (warned, "to look at")) if n)
