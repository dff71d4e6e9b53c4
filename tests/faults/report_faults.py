"""The tables of docs/faults.md: every row through the whole stack, next to what other clients did on it."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from fault_row import Row, Shown
from report_transport import Played

BEGIN: Final = "<!-- tables: written by tests/faults/report.py -->"
END: Final = "<!-- end of the tables -->"
OTHERS: Final[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "others.toml").read_text())
LIBRARIES: Final = {"openai": "openai", "anthropic": "anthropic", "litellm": "litellm", "pydantic_ai": "pydantic-ai"}

SECTIONS: Final = (
    ("Connections", 1, 16),
    ("Head and status", 17, 50),
    ("Bodies", 51, 62),
    ("Streams", 63, 94),
    ("Retries, limits, breaker", 95, 103),
    ("Cancellation and processes", 104, 113),
    ("Keys and headers", 114, 114),
)

ARGUED: Final = {
    "105": ("cancelled in a cache write, or while a tool runs", "no cache, and no tool is run in this version"),
    "107": ("SIGINT and SIGTERM in a batch", "there are no batches in this version: no files, nothing to resume"),
    "108": (
        "kill -9 in a batch, then resume",
        "no batches; what a killed worker held of shared limits runs out by itself",
    ),
    "109": ("disk full, EIO, read-only", "a call writes no file: no cache, no log and no batch of its own"),
    "112": ("200 identical misses at once", "there is no cache in this version, so every call asks for itself"),
}
"""Rows that cannot be played, each with the reason."""


def lines(rows: Sequence[Row], played: Played) -> list[str]:
    """Return everything between the marks."""
    text = summary(rows, played)
    for title, first, last in SECTIONS:
        text += ["", f"## {title}", "", *_section(rows, played, first, last)]
    return [*text, "", *drills(rows, played)]


def summary(rows: Sequence[Row], played: Played) -> list[str]:
    """Return the counts of right and wrong outcomes."""
    here = [all(s.passed for s in played[row.number]["full"]) for row in rows]
    counts = [("**Lexigram**", sum(here), len(here) - sum(here))]
    for key, name in LIBRARIES.items():
        verdicts = Counter(row[key][0] for row in OTHERS["rows"].values() if key in row)
        counts.append((f"{name} {OTHERS['versions'][key]}", verdicts["✓"], verdicts["✗"]))
    head = ["| client | faults tried | right | wrong |", "|---|---|---|---|"]
    table = [*head, *(f"| {name} | {right + wrong} | {right} | {wrong} |" for name, right, wrong in counts)]
    return [*table, "", f"{len(ARGUED)} rows of the list cannot be played and say why."]


def _section(rows: Iterable[Row], played: Played, first: int, last: int) -> list[str]:
    names = " | ".join(LIBRARIES.values())
    table = [f"| row | fault | Lexigram | {names} |", "|---|---|---|---|---|---|---|"]
    made = [(row.sort, _line(row, played[row.number]["full"])) for row in rows if first <= row.sort[0] <= last]
    made += [
        ((int(n), ""), f"| {n} | {what} | – {why} | | | | |")
        for n, (what, why) in ARGUED.items()
        if first <= int(n) <= last
    ]
    table += [line for _, line in sorted(made)]
    notes: dict[str, list[str]] = {}
    for row in rows:
        if first <= row.sort[0] <= last and row.note:
            notes.setdefault(row.note, []).append(row.number)
    argued = [f"- **{', '.join(numbers)}**: {note}." for note, numbers in notes.items()]
    return table + (["", *argued] if argued else [])


def _line(row: Row, shown: list[Shown]) -> str:
    others = OTHERS["rows"].get(row.number, {})
    played = " ".join(f"`{name}`" for name in (*row.play, *filter(None, [row.always])))
    fault = f"{row.fault}<br>{played}" if played else row.fault
    cells = [row.number, fault, here(shown), *(others.get(key, "").replace("✗", "**✗**") for key in LIBRARIES)]
    return "| " + " | ".join(cells) + " |"


def here(shown: list[Shown]) -> str:
    """Return verdict, outcome, tries and time of a row."""
    verdict = "✓" if all(s.passed for s in shown) else "**✗**"
    parts = [f"{verdict} " + "<br>".join(dict.fromkeys(s.outcome.replace("\\", "\\\\") for s in shown))]
    tries = max((s.tries or 1) for s in shown) if shown[0].row.tries is not None else 1
    seconds = max(s.seconds for s in shown)
    more = [f"{tries} tries"] if tries > 1 else []
    more += [f"{seconds:.1f} s"] if seconds >= 0.25 else []
    figures = dict.fromkeys(s.notes["figure"] for s in shown if "figure" in s.notes)
    more += ["; ".join(figures)] if figures else []
    broken = dict.fromkeys(text.splitlines()[0] for s in shown for text in s.broken)
    return "<br>".join([*parts, *([", ".join(more)] if more else []), *broken])


def drills(rows: Sequence[Row], played: Played) -> list[str]:
    """Return the figures of the drills: hints, and how retries spread."""
    text = [
        "## A provider that says when",
        "",
        "| hint of a 429 | pause before the next try | outcome |",
        "|---|---|---|",
    ]
    for row in rows:
        if 29 <= row.sort[0] <= 35 and row.number != "29":
            shown = played[row.number]["full"][0]
            waits = shown.notes["waits"][1:]
            pause = f"{waits[0]:.2f} s" if waits else "none: given up at once"
            text.append(f"| {row.fault.removeprefix('429, ')} | {pause} | `{shown.outcome}` |")
    text += ["", "## A hundred clients that fail together", ""]
    (retries,) = [played[row.number]["full"][0].notes["retries"] for row in rows if row.number == "97"]
    text += ["Retries after the first failure of all, in steps of 100 ms:", "", "```text"]
    buckets = Counter(int(at * 10) for at in retries)
    text += [f"{n / 10:.1f} s  {'█' * buckets[n]} {buckets[n]}".rstrip() for n in range(max(buckets) + 1)]
    return [*text, "```"]
