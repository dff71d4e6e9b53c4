"""Which behaviours a subject breaks: the kit has to notice every mutant, and to blame the right behaviour."""

from __future__ import annotations

from typing import Any

from lexigram.testing.conformance import Conformance


def failing(suite: type[Conformance], **changes: Any) -> set[str]:
    """Run everything that the suite claims, and return the names of what fails."""
    changed: type[Any] = type("Mutant", (suite,), changes)
    failed: set[str] = set()
    for claim in sorted(changed.claims):
        subject = changed()
        getattr(subject, "setup_method", lambda: None)()
        try:
            getattr(subject, f"test_{claim}")()
        except Exception:
            failed.add(claim)
        finally:
            getattr(subject, "teardown_method", lambda: None)()
    return failed
