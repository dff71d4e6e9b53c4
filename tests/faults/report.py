"""Play every row and write docs/faults.md and the table of docs/transport.md: ``python tests/faults/report.py``.

With row numbers it shows those rows only, and with ``--sweep`` the cancellation sweep step by step; then nothing is
written.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import report_faults
import report_transport
from fault_row import Row, Shown, run_row
from fault_rows_streams import FRESH
from fault_world import QUESTION, Ground, Mode, Road, open_world
from test_rows import ROWS

from lexigram.contracts.ai.request import Timeouts
from lexigram.testing.invariants import until
from lexigram.testing.stepping import step

DOCS = Path(__file__).parents[2] / "docs"
ROADS: tuple[Road, ...] = ("full", "ours", "httpx")


def prepared() -> Ground:
    """Make the ground in an environment without settings, keys and proxies."""
    for name in list(os.environ):
        if name.startswith("LEX_") or name.endswith(("_API_KEY", "_proxy", "_PROXY")):
            del os.environ[name]
    folder = tempfile.mkdtemp()
    ground = Ground()
    ground.authority.cert_pem.write_to_path(f"{folder}/ca.pem")
    os.environ.update(SSL_CERT_FILE=f"{folder}/ca.pem", HOME=folder)
    return ground


def play(ground: Ground, row: Row) -> dict[Road, list[Shown]]:
    """Play a row on all its roads."""
    return {road: [asyncio.run(run_row(ground, row, mode, road)) for mode in row.modes] for road in row.roads}


async def sweep_on(ground: Ground, road: Road, mode: Mode, again: int | None) -> str:
    """Cancel at every turn, each time with a fresh client, and tell after which the client was dead."""
    dead: list[int] = []
    for turns in range(400):
        ground.server.reset()
        async with open_world(ground, road, limits=FRESH, timeouts=Timeouts(total=30)) as world:
            ask = world.client.complete(QUESTION) if mode == "complete" else None
            stream = None if ask is not None else world.client.stream_chat(QUESTION).completion()
            found = await step(lambda work=ask or stream: work, turns, again)  # type: ignore[misc]
            alive = await until(lambda w=world: w.slots() == 0, 0.5)  # type: ignore[misc]
            if not alive:
                dead.append(turns)
        if found.finished:
            break
    name = f"{road}, {mode}, {'single' if again is None else f'double (+{again})'}"
    return f"{name}: {turns} steps, slots lost at {dead or 'none'}"


def main(arguments: list[str]) -> int:
    """Run."""
    ground = prepared()
    if "--sweep" in arguments:
        for road in ROADS:
            for mode in ("complete", "stream"):
                for again in (None, 0, 1):
                    print(asyncio.run(sweep_on(ground, road, mode, again)), flush=True)
        return 0
    chosen = sorted((row for row in ROWS if not arguments or row.number in arguments), key=lambda row: row.sort)
    played: dict[str, dict[Road, list[Shown]]] = {}
    for row in chosen:
        played[row.number] = play(ground, row)
        cells = [report_transport.cell(played[row.number].get(road, [])) for road in ROADS]
        print(row.number, " / ".join(cells), flush=True)
    ground.server.stop()
    if not arguments:
        for name, report in (("faults.md", report_faults), ("transport.md", report_transport)):
            page = DOCS / name
            text = report_transport.between(page.read_text(), report.BEGIN, report.END, report.lines(chosen, played))
            page.write_text(text)
    mine = [shown for found in played.values() for road in ("full", "ours") for shown in found.get(road, [])]
    return 0 if all(shown.passed for shown in mine) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
