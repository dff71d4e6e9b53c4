"""The table of docs/transport.md: the rows that concern a transport, on ours and on httpx's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from fault_row import Row, Shown
from fault_world import Road

BEGIN: Final = "<!-- table: written by tests/faults/report.py -->"
END: Final = "<!-- end of the table -->"
NAMES: Final[dict[Road, str]] = {"ours": "lexigram-http", "httpx": "httpx"}

Played = Mapping[str, Mapping[Road, list[Shown]]]


def cell(shown: list[Shown]) -> str:
    """Return outcome and verdict of a row on one transport."""
    if not shown:
        return "–"
    # httpx's own words hold port numbers, which would make every run differ.
    clean = [replace(s, outcome=s.outcome.split(" laddr=")[0]) for s in shown]
    outcomes = dict.fromkeys(s.outcome for s in clean)
    broken = dict.fromkeys(_brief(text) for s in shown for text in s.broken if not text.startswith("expected"))
    verdict = "✓" if all(s.passed for s in shown) else "✗"
    text = f"{verdict} " + "; ".join(f"`{outcome}`" for outcome in outcomes)
    return "<br>".join([text, *broken]).replace("|", "\\|")


def _brief(text: str) -> str:
    text = text.splitlines()[0].removeprefix("next call")
    if text.startswith("the next call fails"):
        return "the next call fails"
    return text if len(text) < 90 else text[:87] + "…"


def lines(rows: Iterable[Row], played: Played) -> list[str]:
    """Return the table and its counts."""
    mine = [row for row in rows if "ours" in row.roads]
    found = {row.number: played[row.number] for row in mine}
    run = {road: [f[road] for f in found.values() if f.get(road)] for road in NAMES}
    passed = {road: sum(all(s.passed for s in shown) for shown in run[road]) for road in NAMES}
    counts = ", ".join(f"{name} {passed[road]} of {len(run[road])}" for road, name in NAMES.items())
    table = [
        f"{len(mine)} faults; passed: {counts}.",
        "",
        "| row | fault | asked by | lexigram-http | httpx |",
        "|---|---|---|---|---|",
    ]
    for row in mine:
        fault = row.fault + (f" ({said})" if (said := row.alone or row.note) else "")
        cells = " | ".join(cell(found[row.number].get(road, [])) for road in NAMES)
        table.append(f"| {row.number} | {fault} | {', '.join(row.modes)} | {cells} |")
    return table


def between(page: str, begin: str, end: str, written: list[str]) -> str:
    """Return the page with other lines between its two marks."""
    before, rest = page.split(begin)
    after = rest.split(end)[1]
    return "\n".join([before + begin, "", *written, "", end]) + after
