"""The picture of the documentation: bars on a log scale, written by hand as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from benchmarks.adapters import CLIENTS
from benchmarks.report import OURS, cell

PANELS = (
    ("CPU of a call", "call", "cpu_us_ratio", "{:.1f}×"),
    ("CPU of a streamed chunk", "stream", "cpu_us_ratio", "{:.1f}×"),
    ("Time to the first chunk", "first", "wall_us_ratio", "{:.1f}×"),
    ("CPU of a cold process to its first answer", "cold", "first_cpu_ms", "{:,.0f} ms"),
)
WIDTH, ROW, NAMES, BAR = 980, 24, 112, 300
STYLE = """
    text{font-family:system-ui,sans-serif;font-size:13px;fill:#454e5e;paint-order:stroke;stroke:#fff;stroke-width:3px}
    .title{font-weight:600;font-size:15px;fill:#1d2433}.ours{font-weight:600;fill:#1d2433}.small{font-size:11.5px}
    .bar{fill:#b9c3df}.us{fill:#3f51b5}.base{fill:#8a93a3}.tick{stroke:#d5dae4;stroke-width:1}"""


def panel(x: float, y: float, title: str, numbers: Mapping[str, float], form: str) -> str:
    """Return the bars of one measure, its numbers in the order of the clients."""
    low = min(1.0, *numbers.values()) if form.endswith("×") else 10 ** math.floor(math.log10(min(numbers.values())))
    low = 1.0 if form.endswith("×") and low > 0.9 else low
    high = 10 ** math.ceil(math.log10(max(numbers.values()) * 1.0001))
    scale = BAR / math.log10(high / low)
    bottom = y + 34 + ROW * len(numbers)
    out = [f'<text class="title" x="{x}" y="{y + 16}">{title}</text>']
    tick = low
    while tick <= high * 1.001:
        at = x + NAMES + math.log10(tick / low) * scale
        out.append(f'<line class="tick" x1="{at:.1f}" x2="{at:.1f}" y1="{y + 28}" y2="{bottom}"/>')
        said = f"{tick:,.0f}" + ("×" if form.endswith("×") else " ms")
        out.append(f'<text class="small" x="{at:.1f}" y="{bottom + 15}" text-anchor="middle">{said}</text>')
        tick *= 10
    for i, (client, number) in enumerate(numbers.items()):
        top = y + 32 + i * ROW
        length = max(2.0, math.log10(max(number, low) / low) * scale)
        kind = "us" if client == OURS else "base" if client == "floor" else "bar"
        bold = ' class="ours"' if client == OURS else ""
        out.append(f'<text{bold} x="{x + NAMES - 8}" y="{top + 14}" text-anchor="end">{client}</text>')
        out.append(f'<rect class="{kind}" x="{x + NAMES}" y="{top}" width="{length:.1f}" height="{ROW - 6}" rx="2"/>')
        out.append(f'<text{bold} x="{x + NAMES + length + 6:.1f}" y="{top + 14}">{form.format(number)}</text>')
    return "\n  ".join(out)


def draw(results: Mapping[str, Any]) -> str:
    """Return the picture."""
    panels = []
    for title, scenario, key, form in PANELS:
        found = results["scenarios"].get(scenario, {})
        numbers = {c: found[c][key] for c in CLIENTS if c in found and cell(found[c], key, form) != "–"}
        if numbers:
            panels.append((title, numbers, form))
    tall = 34 + ROW * max(len(numbers) for _, numbers, _ in panels) + 44
    height = 46 + tall * math.ceil(len(panels) / 2)
    body = [
        panel(24 + (i % 2) * (WIDTH / 2), 46 + (i // 2) * tall, *one)
        for i, one in enumerate(panels)
    ]  # fmt: skip
    head = "What a call costs: × is the ratio to a bare socket in the same run; log scale, shorter is better"
    return (
        "\n  ".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" aria-label="{head}">',
                f"<style>{STYLE}\n  </style>",
                f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
                f'<text x="24" y="26">{head}</text>',
                *body,
            ]
        )
        + "\n</svg>\n"
    )
