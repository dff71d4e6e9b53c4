"""``python -m benchmarks.budget``: counts that no machine changes, against those in budget.json.

Fails where a count has grown by more than the tolerance, with a table of what was and what is. ``--update`` writes
down what is. Counts hold for one minor version of Python, which calls itself differently in each.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BUDGET = HERE / "budget.json"
PROBE = HERE / "probe.py"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
TOLERANCE = 0.02


def installed(package: str, extra: str) -> int:
    """Return how many packages come with ``package[extra]``, itself among them, by the lock file."""
    with (HERE.parent / "uv.lock").open("rb") as file:
        locked = {p["name"]: p for p in tomllib.load(file)["package"]}
    pending: list[tuple[str, tuple[str, ...]]] = [(package, (extra,))]
    seen = set(pending)
    while pending:
        name, extras = pending.pop()
        found: list[dict[str, Any]] = list(locked[name].get("dependencies", ()))
        for wanted in extras:
            found += locked[name].get("optional-dependencies", {}).get(wanted, ())
        new = {(d["name"], tuple(d.get("extra", ()))) for d in found} - seen
        seen |= new
        pending += new
    return len({name for name, _ in seen})


def plain_environment() -> dict[str, str]:
    """Return the environment without settings, proxies and what changes how Python runs."""
    ours = ("LEX_", "PYTHON", "COVERAGE", "COV_")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours) and not k.lower().endswith("_proxy")}


def count() -> dict[str, int]:
    """Return every count."""
    counts = {"packages: lexigram-ai-llm[openai]": installed("lexigram-ai-llm", "openai")}
    for measure in ("modules", "functions", "memory"):
        done = subprocess.run(
            [sys.executable, str(PROBE), measure],
            env={**plain_environment(), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"the probe of {measure} failed:\n{done.stderr}")
        counts |= json.loads(done.stdout)
    return counts


def verdict(was: int | None, now: int) -> str:
    """Return what to say of a count."""
    if was is None:
        return "new"
    if now > was * (1 + TOLERANCE):
        return "WORSE"
    return "better" if now < was * (1 - TOLERANCE) else ""


def table(was: dict[str, int], now: dict[str, int]) -> str:
    """Return every count, what it was, and what to say of it."""
    width = max(map(len, now))
    rows = [f"{'count':<{width}}  {'was':>6}  {'is':>6}"]
    for name, value in now.items():
        before = was.get(name)
        shown = "–" if before is None else before
        rows.append(f"{name:<{width}}  {shown:>6}  {value:>6}  {verdict(before, value)}")
    return "\n".join(row.rstrip() for row in rows)


def main() -> int:
    """Count, compare, say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write down what is")
    update = parser.parse_args().update
    budget: dict[str, dict[str, int]] = json.loads(BUDGET.read_text()) if BUDGET.exists() else {}
    was, now = budget.get(PYTHON, {}), count()
    print(table(was, now))
    if update:
        budget[PYTHON] = now
        BUDGET.write_text(json.dumps(dict(sorted(budget.items())), indent=2) + "\n")
        return 0
    if not was:
        print(f"\nThere is no budget for Python {PYTHON}; --update writes one.")
        return 0
    gone = was.keys() - now.keys()
    worse = [name for name, value in now.items() if verdict(was.get(name), value) == "WORSE"]
    new = now.keys() - was.keys()
    if worse or gone or new:
        print(f"\nOver budget by more than {TOLERANCE:.0%}, or not in it: {', '.join([*worse, *sorted(new | gone)])}")
        print("If that is what you want, say why in the commit and run: python -m benchmarks.budget --update")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
