"""What ``lex faults`` does: the names of the faults, a line for each request, and an orderly end."""

from __future__ import annotations

import time
from difflib import get_close_matches
from typing import Final, NoReturn

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lexigram.testing.faults import FaultServer, accepting, scenarios

__all__ = ["run"]

_FAILED: Final = 1
_MISUSED: Final = 2
_INTERRUPTED: Final = 130
_EVERY: Final = 0.1


def run(always: str, port: int) -> int:
    """Serve until interrupted; return the exit code."""
    out = Console(highlight=False, markup=False, emoji=False)
    err = Console(stderr=True, highlight=False, markup=False, emoji=False)
    name = always.partition("=")[0]
    known = [*scenarios, *(f"accept:{name}" for name in accepting)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        err.print(Text.assemble(("error: ", "bold red"), f"--always: there is no fault {name!r}{guess}"))
        return _MISUSED
    try:
        server = FaultServer(port=port)
    except OSError as error:
        err.print(Text.assemble(("error: ", "bold red"), f"port {port}: {error.strerror}"))
        return _FAILED
    with server:
        server.play_always(always)
        _introduce(server, always, out)
        try:
            _tell(server, out)
        except KeyboardInterrupt:
            journal = server.journal
            out.print(Text(f"{len(journal.requests):,} requests over {journal.connections:,} connections"))
    return _INTERRUPTED


def _introduce(server: FaultServer, always: str, out: Console) -> None:
    if not out.is_terminal:
        out.print(Text(server.url("")), soft_wrap=True)
        return
    out.print(Text("faults, each by its name in front of the path:\n", "dim"))
    out.print(Columns([Text(name) for name in scenarios], padding=(0, 2), column_first=True))
    shown = {"status=503": server.url("status=503"), "s_rst": server.url("s_rst"), f"else {always}": server.url()}
    shown |= {f"accept:{name}": server.url(port=name) for name in accepting}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("fault")
    table.add_column("base URL", style="cyan", no_wrap=True)
    for name, url in shown.items():
        table.add_row(name, url)
    out.print()
    out.print(table)
    out.print(Text("\nCtrl-C ends it\n", "dim"))


def _tell(server: FaultServer, out: Console) -> NoReturn:
    """Print a line for each request, for ever."""
    told = 0
    while True:
        for request in server.journal.requests[told:]:
            out.print(Text(f"#{request.connection} {request.method} {request.path}"), soft_wrap=True)
            told += 1
        time.sleep(_EVERY)
