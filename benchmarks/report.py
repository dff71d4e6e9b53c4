"""From results to Markdown: every number for results.md, one table for the page of the documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.adapters import CLIENTS

OURS = "lexigram"


class Column(NamedTuple):
    """A column: its head, the scenario and number that it shows, and how."""

    head: str
    scenario: str
    key: str
    form: str


SUMMARY = (
    Column("call", "call", "cpu_us_ratio", "{:.1f}×"),
    Column("chunk", "stream", "cpu_us_ratio", "{:.1f}×"),
    Column("chunk, paced", "paced", "cpu_us_ratio", "{:.1f}×"),
    Column("first chunk", "first", "wall_us_ratio", "{:.1f}×"),
    Column("chunks/s, 100 streams", "streams100", "per_second", "{:,.0f}"),
    Column("calls/s, 64 at once", "concurrent64", "per_second", "{:,.0f}"),
    Column("calls/s, 1,000 at once", "concurrent1000", "per_second", "{:,.0f}"),
    Column("CPU of a cold start", "cold", "first_cpu_ms", "{:,.0f} ms"),
    Column("memory then", "cold", "rss_mb", "{:.0f} MB"),
)
DETAILS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "call": ("One call after the other", (
        Column("CPU per call", "", "cpu_us", "{:,.0f} µs"), Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"),
        Column("wall, median", "", "wall_us", "{:,.0f} µs"), Column("÷ floor", "", "wall_us_ratio", "{:.2f}"))),
    "stream": ("One stream of 5,000 chunks, as fast as it comes", (
        Column("CPU per chunk", "", "cpu_us", "{:,.2f} µs"), Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"),
        Column("chunks/s", "", "per_second", "{:,.0f}"))),
    "streams100": ("100 streams of 200 chunks at once", (
        Column("CPU per chunk", "", "cpu_us", "{:,.2f} µs"), Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"),
        Column("chunks/s", "", "per_second", "{:,.0f}"))),
    "paced": ("40 streams, an event every 10 ms, each its own read", (
        Column("CPU per chunk", "", "cpu_us", "{:,.1f} µs"), Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"))),
    "first": ("Time to the first chunk", (
        Column("wall, median", "", "wall_us", "{:,.0f} µs"), Column("÷ floor", "", "wall_us_ratio", "{:.2f}"))),
    "concurrent64": ("64 calls at once, 3,000 in all", (
        Column("calls/s", "", "per_second", "{:,.0f}"), Column("CPU per call", "", "cpu_us", "{:,.0f} µs"),
        Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"), Column("p99", "", "p99_ms", "{:,.1f} ms"),
        Column("failed", "", "failed", "{:.0f}"))),
    "concurrent1000": ("1,000 calls at once, 5,000 in all", (
        Column("calls/s", "", "per_second", "{:,.0f}"), Column("CPU per call", "", "cpu_us", "{:,.0f} µs"),
        Column("÷ floor", "", "cpu_us_ratio", "{:.2f}"), Column("p99", "", "p99_ms", "{:,.1f} ms"),
        Column("failed", "", "failed", "{:.0f}"))),
    "cold": ("A cold process: import, make a client, one answer", (
        Column("import", "", "import_ms", "{:,.0f} ms"), Column("its CPU", "", "import_cpu_ms", "{:,.0f} ms"),
        Column("to the first answer", "", "first_ms", "{:,.0f} ms"),
        Column("its CPU", "", "first_cpu_ms", "{:,.0f} ms"),
        Column("memory of bare Python", "", "bare_mb", "{:.1f} MB"), Column("memory", "", "rss_mb", "{:.1f} MB"))),
    "soak": ("10,000 calls through one client, 32 at once, after 1,000 to warm up", (
        Column("memory grown", "", "grown_mb", "{:+.2f} MB"), Column("sockets left", "", "sockets", "{:.0f}"),
        Column("tasks left", "", "tasks", "{:.0f}"), Column("CPU per call", "", "cpu_us", "{:,.0f} µs"))),
}  # fmt: skip


def label(client: str, results: Mapping[str, Any]) -> str:
    """Return a client's name with its version, ours in bold."""
    version = results["versions"].get(client)
    return f"**{client}**" if client == OURS else f"{client} {version}" if version else client


def cell(found: Any, key: str, form: str) -> str:
    """Return a number as text, a dash where there is none."""
    if not isinstance(found, dict) or "error" in found or key not in found:
        return "–"
    failed = found.get("failed", 0) if key == "per_second" else 0
    return form.format(found[key]) + (f" ({failed:.0f} failed)" if failed else "")


def rows(heads: list[str], lines: Mapping[str, list[str]]) -> str:
    """Return a table."""
    table = [f"| client | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    return "\n".join([*table, *(f"| {name} | {' | '.join(cells)} |" for name, cells in lines.items())])


def summary(results: Mapping[str, Any]) -> str:
    """Return the table of the documentation."""
    scenarios = results["scenarios"]
    columns = [c for c in SUMMARY if c.scenario in scenarios]
    lines = {
        label(client, results): [cell(scenarios[c.scenario].get(client), c.key, c.form) for c in columns]
        for client in CLIENTS
        if client in results["versions"]
    }
    return rows([c.head for c in columns], lines)


def machine(results: Mapping[str, Any]) -> str:
    """Return what the numbers were taken on."""
    return (
        f"Python {results['python']} on {results['system']}, a virtual machine with {results['cores']} noisy cores, "
        f"client and server on one each, loopback, medians of up to {results['repeats']} interleaved repeats"
    )


def details(results: Mapping[str, Any]) -> str:
    """Return every number."""
    out = ["# Results", f"Taken with `nox -s bench`: {machine(results)}. Only ratios carry over to other machines."]
    order: Callable[[str], int] = list(CLIENTS).index
    for name, (title, columns) in DETAILS.items():
        found = results["scenarios"].get(name)
        if found is None:
            continue
        lines = {
            label(client, results): [cell(found[client], c.key, c.form) for c in columns]
            for client in sorted(found, key=order)
        }
        out.append(f"## {title}")
        out.append(rows([c.head for c in columns], lines))
        errors = [f"{c}: {f['error']}" for c, f in found.items() if isinstance(f, dict) and "error" in f]
        errors += [
            f"{c}: {f['lost']:.0f} of the repeats" for c, f in found.items() if isinstance(f, dict) and "lost" in f
        ]
        out += ["Failed: " + "; ".join(errors)] if errors else []
    return "\n\n".join(out) + "\n"


def write(results: Mapping[str, Any], page: Path, docs: Path) -> None:
    """Write every number to ``page``, and the table into ``docs`` between its marks."""
    page.write_text(details(results))
    table = f"<!-- table -->\n\n{summary(results)}\n\n{machine(results)}.\n\n<!-- end of table -->"
    marked = re.compile(r"<!-- table -->.*<!-- end of table -->", re.DOTALL)
    docs.write_text(marked.sub(lambda _: table, docs.read_text()))
