"""One sliding window: never more than its limit within any of its spans. Pure; the time is an argument.

A bucket that refills while it is full allows twice its limit within one span (the full bucket, and what flowed in
meanwhile). Here everything that was taken counts until it is a whole span old.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from lexigram.contracts.ai.completion import RateUnit

__all__ = ["SlidingWindow", "Slot"]

GRAINS: Final = 600
SLACK: Final = 0.005
"""The part of a span that is added to it, for a request arrives later than it is admitted, and not all equally late."""


class Slot:
    """What was taken within one grain of time. It counts until its newest part is a whole span old."""

    __slots__ = ("first", "gone", "last", "taken")

    def __init__(self, now: float) -> None:
        self.first = now
        self.last = now
        self.taken = 0
        self.gone = False


class SlidingWindow:
    """Counts what was taken within a span.

    Args:
        unit: what is counted.
        limit: how much within a span.
        seconds: the span.

    Attributes:
        span: the seconds for which something counts.
        total: everything ever taken, for telling what was taken since a moment.
        used: what was taken here within the span that ended when it was last asked.
        foreign: how much others seem to have taken of the same limit; it wears off over a span.
    """

    __slots__ = ("_foreign_at", "_slots", "foreign", "limit", "seconds", "span", "total", "unit", "used")

    def __init__(self, unit: RateUnit, limit: int, seconds: float) -> None:
        self.unit: RateUnit = unit
        self.limit = limit
        self.seconds = seconds
        self.span = seconds * (1.0 + SLACK)
        self.total = 0
        self.foreign = 0.0
        self._foreign_at = 0.0
        self.used = 0
        self._slots: deque[Slot] = deque()

    def own(self, now: float) -> int:
        """Return what was taken here within the last span."""
        slots = self._slots
        while slots and slots[0].last + self.span <= now:
            slot = slots.popleft()
            slot.gone = True
            self.used -= slot.taken
        return self.used

    def others(self, now: float) -> float:
        """Return what others seem to have taken, as far as it has not worn off."""
        if self.foreign:
            worn = (now - self._foreign_at) * self.limit / self.seconds
            self.foreign = max(self.foreign - worn, 0.0)
        self._foreign_at = now
        return self.foreign

    def delay(self, cost: int, now: float) -> float:
        """Return the seconds until ``cost`` fits; 0 if it fits now. ``cost`` is at most the limit."""
        over: float = self.own(now) + cost - self.limit
        if self.foreign:
            over += self.others(now)
        if over <= 0:
            return 0.0
        rate = self.limit / self.seconds
        freed = 0
        for slot in self._slots:
            wait = slot.last + self.span - now
            if over - freed <= min(self.foreign, wait * rate):
                break
            freed += slot.taken
            if over - freed <= min(self.foreign, wait * rate):
                return wait
        return (over - freed) / rate

    def take(self, cost: int, now: float) -> Slot:
        """Take ``cost``, whether it fits or not, and return where it is counted."""
        slots = self._slots
        if slots and now - slots[-1].first < self.seconds / GRAINS:
            slot = slots[-1]
            slot.last = max(now, slot.last)
        else:
            slot = Slot(max(now, slots[-1].last) if slots else now)
            slots.append(slot)
        slot.taken += cost
        self.used += cost
        self.total += cost
        return slot

    def settle(self, slot: Slot, reserved: int, used: int, now: float) -> None:
        """Count ``used`` in place of what was reserved: what is less is free at once, what is more counts from now."""
        if used > reserved:
            self.take(used - reserved, now)
        elif not slot.gone:
            slot.taken -= reserved - used
            self.used -= reserved - used

    def see(self, remaining: int, before: float, since: int, now: float) -> None:
        """Learn from a reply that ``remaining`` was left.

        Args:
            remaining: what the provider says.
            before: what was left here, of the own use alone, when the request went out.
            since: what was taken here after that. It may be in ``remaining`` or not, so it is no sign of others.
            now: the time.
        """
        seen = float(before - since - remaining)
        self.foreign = min(max(self.others(now), seen), float(self.limit))
