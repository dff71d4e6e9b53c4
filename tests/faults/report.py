"""Run every row on both transports and write the table into docs/transport.md: ``python tests/faults/report.py``.

With ``--sweep`` it prints the cancellation sweep step by step instead; with row numbers it shows those rows only, and
writes nothing.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fault_rows_streams import FRESH
from fault_world import QUESTION, Ground, Mode, Road, Row, Shown, open_world, run_row
from test_rows import ROWS

from lexigram.contracts.ai.request import Timeouts
from lexigram.testing.invariants import until
from lexigram.testing.stepping import step

PAGE = Path(__file__).parents[2] / "docs" / "transport.md"
BEGIN, END = "<!-- table: written by tests/faults/report.py -->", "<!-- end of the table -->"
ROADS: tuple[Road, ...] = ("ours", "httpx")
NAMES: dict[Road, str] = {"ours": "lexigram-http", "httpx": "httpx"}


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


def cell(shown: list[Shown]) -> str:
    """Return outcome and verdict of a row on one transport."""
    if not shown:
        return "–"
    outcomes = dict.fromkeys(s.outcome for s in shown)
    broken = dict.fromkeys(_brief(text) for s in shown for text in s.broken if not text.startswith("expected"))
    verdict = "✓" if all(s.passed for s in shown) else "✗"
    text = f"{verdict} " + "; ".join(f"`{outcome}`" for outcome in outcomes)
    return "<br>".join([text, *broken]).replace("|", "\\|")


def _brief(text: str) -> str:
    text = text.splitlines()[0].removeprefix("next call")
    if text.startswith("the next call fails"):
        return "the next call fails"
    return text if len(text) < 90 else text[:87] + "…"


def table(results: list[tuple[Row, dict[Road, list[Shown]]]]) -> list[str]:
    """Return the table and its counts."""
    passed = {road: sum(all(s.passed for s in found[road]) for _, found in results if found[road]) for road in ROADS}
    run = {road: sum(bool(found[road]) for _, found in results) for road in ROADS}
    counts = ", ".join(f"{name} {passed[road]} of {run[road]}" for road, name in NAMES.items())
    lines = [
        f"{len(results)} faults; passed: {counts}.",
        "",
        "| row | fault | asked by | lexigram-http | httpx |",
        "|---|---|---|---|---|",
    ]
    for row, found in results:
        fault = row.fault + (f" ({row.note})" if row.note else "")
        lines.append(
            f"| {row.number} | {fault} | {', '.join(row.modes)} | {cell(found['ours'])} | {cell(found['httpx'])} |"
        )
    return lines


async def sweep_on(ground: Ground, road: Road, mode: Mode, again: int | None) -> str:
    """Cancel at every turn, each time with a fresh client, and tell after which the client was dead."""
    row = Row(number="104", fault="", want=(), limits=FRESH, timeouts=Timeouts(total=30))
    dead: list[int] = []
    for turns in range(400):
        ground.server.reset()
        async with open_world(ground, row, road) as world:
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
    chosen = [row for row in ROWS if not arguments or row.number in arguments]
    results: list[tuple[Row, dict[Road, list[Shown]]]] = []
    for row in sorted(chosen, key=lambda r: r.sort):
        found: dict[Road, list[Shown]] = {"ours": [], "httpx": []}
        for road in row.roads:
            for mode in row.modes:
                shown = asyncio.run(run_row(ground, row, mode, road))
                # httpx's own words hold port numbers, which would make every run differ.
                found[road].append(replace(shown, outcome=shown.outcome.split(" laddr=")[0]))
        results.append((row, found))
        print(row.number, cell(found["ours"]), "/", cell(found["httpx"]), flush=True)
    ground.server.stop()
    lines = table(results)
    print(lines[0])
    if not arguments:
        page = PAGE.read_text()
        before, rest = page.split(BEGIN)
        after = rest.split(END)[1]
        PAGE.write_text("\n".join([before + BEGIN, "", *lines, "", END]) + after)
    return 0 if all(s.passed for _, found in results for s in found["ours"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
