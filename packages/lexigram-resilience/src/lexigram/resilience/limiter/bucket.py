"""One bucket: how much may go at once, beside the window that says how much within a span. Pure; the time is given.

Providers that refuse a whole minute's requests at once keep a bucket, which holds a burst and refills at a steady rate.
This one mirrors theirs, a little smaller and a little slower: requests arrive later than they are admitted, and not
all equally late, so that what was sent evenly arrives bunched up.
"""

from __future__ import annotations

from typing import Final

from lexigram.contracts.ai.completion import RateUnit
from lexigram.resilience.limiter.window import SLACK

__all__ = ["MARGIN", "Bucket"]

MARGIN: Final = 0.1
"""The part of a burst that is left alone: requests may arrive bunched up by so much of the time it takes to refill."""

_ROUNDING: Final = 1e-6


class Bucket:
    """A level that is taken from and refills.

    Args:
        unit: what is counted.
        limit: how much the provider's bucket holds.
        seconds: how long an empty one takes to refill.
        level: what is in it; None is all that it holds.
        now: the time.

    Attributes:
        total: everything ever taken, for telling what was taken since a moment.
    """

    __slots__ = ("_at", "_holds", "_level", "_rate", "limit", "seconds", "total", "unit")

    def __init__(
        self, unit: RateUnit, limit: float, seconds: float, *, level: float | None = None, now: float = 0.0
    ) -> None:
        self.unit: RateUnit = unit
        self.total = 0
        self._at = now
        self.resize(limit, seconds)
        self._level = self._holds if level is None else min(level, self._holds)

    def resize(self, limit: float, seconds: float) -> None:
        """Change how much it holds and how fast it refills; what was taken stays taken."""
        self.limit = limit
        self.seconds = seconds
        self._holds = max(limit * (1.0 - MARGIN), 1.0)
        self._rate = limit / (seconds * (1.0 + SLACK))

    def left(self, now: float) -> float:
        """Return what is in it; below 0 where more was taken than there was."""
        if now > self._at:
            self._level = min(self._level + (now - self._at) * self._rate, self._holds)
            self._at = now
        return self._level

    def delay(self, cost: int, now: float) -> float:
        """Return the seconds until ``cost`` may be taken; what costs more than it holds goes when it is full."""
        missing = min(cost, self._holds) - self.left(now)
        return missing / self._rate if missing > _ROUNDING else 0.0

    def take(self, cost: int, now: float) -> None:
        """Take ``cost``, whether there is enough or not."""
        self._level = self.left(now) - cost
        self.total += cost

    def settle(self, slot: None, reserved: int, used: int, now: float) -> None:
        """Count ``used`` in place of what was reserved."""
        self._level = min(self.left(now) + reserved - used, self._holds)

    def see(self, remaining: int, before: float, since: int, now: float) -> None:
        """Learn from a reply that ``remaining`` was left; see :meth:`SlidingWindow.see`."""
        foreign = int(before - since - remaining)
        if foreign > 0:
            self.take(foreign, now)
