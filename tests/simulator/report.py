"""Run every check of every client and write the table into docs/certified.md: ``python tests/simulator/report.py``."""

from __future__ import annotations

import sys
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from certified import CHECKS
from sdk_kit import ground

PAGE = Path(__file__).parents[2] / "docs" / "certified.md"
BEGIN, END = "<!-- table: written by tests/simulator/report.py -->", "<!-- end of the table -->"
OURS = "lexigram"


def table() -> str:
    """Return what is certified by whom: a row a feature, a column a wire."""
    wires = list(dict.fromkeys(check.wire for check in CHECKS if check.sdk != OURS))
    features = list(dict.fromkeys(check.feature for check in CHECKS))
    rows = [["", *(f"`{wire}`" for wire in wires)], ["---"] * (len(wires) + 1)]
    for feature in features:
        cells = [
            ", ".join(dict.fromkeys(c.sdk for c in CHECKS if (c.wire, c.feature) == (wire, feature))) for wire in wires
        ]
        rows.append([feature, *(cell or "–" for cell in cells)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def run() -> list[str]:
    """Run every function once and return what failed."""
    failed: list[str] = []
    with ground() as simulated:
        for function, check in {check.run: check for check in CHECKS}.items():
            try:
                function(simulated)
            except Exception:
                failed.append(f"{check.sdk} over {check.wire}: {function.__name__}\n{traceback.format_exc()}")
    return failed


def main() -> int:
    """Run, print, and write the page where nothing failed."""
    warnings.simplefilter("ignore")
    failed = run()
    print(table())
    sdks = sorted({check.sdk for check in CHECKS} - {OURS})
    print("\n" + ", ".join(f"{sdk} {version(sdk)}" for sdk in sdks))
    if failed:
        print("\n" + "\n".join(failed))
        return 1
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
