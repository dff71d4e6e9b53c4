"""Which behaviours a subject breaks: the kit has to notice every mutant, and to blame the right behaviour."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lexigram.testing.conformance import Conformance


def failing(suite: type[Conformance], only: Collection[str] | None = None, **changes: Any) -> set[str]:
    """Run everything that the suite claims, or ``only`` that, and return the names of what fails."""
    changed: type[Any] = type("Mutant", (suite,), changes)
    failed: set[str] = set()
    getattr(changed, "setup_class", lambda: None)()
    for claim in sorted(only or changed.claims):
        subject = changed()
        getattr(subject, "setup_method", lambda: None)()
        try:
            getattr(subject, f"test_{claim}")()
        except Exception:
            failed.add(claim)
    getattr(changed, "teardown_class", lambda: None)()
    return failed
