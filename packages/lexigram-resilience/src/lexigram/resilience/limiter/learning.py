"""What the limits in replies' headers mean: for how long they are, and what they tell of a burst. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from lexigram.contracts.ai.completion import RateLimit, RateUnit
from lexigram.contracts.limits import MINUTE

__all__ = ["Learner", "Lesson", "window_of"]

_KNOWN_SPANS: Final = (1.0, 10.0, 60.0, 3600.0, 86400.0)
_NEAR: Final = 1.5
_FINEST_RESET: Final = 0.0015
"""A reset shorter than this is rounded too much to tell the span from (OpenAI writes whole milliseconds)."""
_AGREE: Final = 1.1
_RANGE: Final = 0.25
"""The part of a burst by which two replies must differ before they prove it."""
_BURST: Final = 0.9
"""A burst above this part of the limit is the limit."""


def window_of(said: RateLimit) -> float | None:
    """Return the seconds that a limit is for: what the headers say, else what limit, remaining and reset imply.

    Where all of it comes back at a steady rate, ``reset = span · (limit - remaining) / limit``. A span that is near
    none of the usual ones is not believed: a limit over a wrong span would do more harm than none.
    """
    if said.window is not None:
        return said.window
    span = _implied(said)
    if span is None:
        return None
    return next((known for known in _KNOWN_SPANS if known / _NEAR <= span <= known * _NEAR), None)


def _implied(said: RateLimit) -> float | None:
    if said.limit is None or said.remaining is None or said.reset is None or said.reset < _FINEST_RESET:
        return None
    missing = said.limit - said.remaining
    if missing <= 0 or said.remaining < 0:
        return None
    return said.reset * said.limit / missing


class Lesson(NamedTuple):
    """What one header teaches.

    Attributes:
        seconds: the span of its limit; None if that is not plain.
        burst: what the provider's bucket holds, where that is less than the limit and proven.
        freeze: seconds for which there is nothing left.
        pending: whether the next replies may prove a burst.
    """

    seconds: float | None
    burst: float | None = None
    freeze: float | None = None
    pending: bool = False


class Learner:
    """Learns from one reply after the other, for one key."""

    __slots__ = ("_bursts", "_long")

    def __init__(self) -> None:
        self._bursts: dict[RateUnit, _Burst] = {}
        self._long: dict[RateUnit, tuple[RateLimit, float, bool]] = {}

    def hear(self, said: RateLimit) -> Lesson:
        """Return what a header teaches, by itself and with those before."""
        burst = self._bursts.get(said.unit)
        if burst is None:
            burst = self._bursts[said.unit] = _Burst()
        burst.hear(said)
        proven = burst.holds if burst.proven else None
        if proven is not None and said.limit is not None and proven < said.limit * _BURST:
            return Lesson(MINUTE, proven)
        seconds = window_of(said)
        if seconds is not None and seconds > MINUTE and said.window is None and not self._is_long(said):
            seconds = None
        if said.remaining != 0 or said.reset is None:
            return Lesson(seconds, pending=seconds is None and burst.holds is not None)
        # What comes back piece by piece is all back after a whole span, and the first piece long before; what is nearer
        # comes back all at once.
        steady = seconds is not None and said.reset >= seconds / _NEAR
        return Lesson(seconds, freeze=None if steady else said.reset)

    def _is_long(self, said: RateLimit) -> bool:
        """Return whether replies that differ agree on a span beyond a minute.

        A window that starts anew on the minute, or lets each request back a minute after it came, looks like that too
        while little of it is used; and a limit for an hour in place of a minute would stop everything.
        """
        span = _implied(said)
        if span is None or said.limit is None or said.remaining is None:
            return False
        first, seen, proven = self._long.get(said.unit, (said, span, False))
        if first.limit != said.limit or first.remaining is None or not 1 / _AGREE <= span / seen <= _AGREE:
            first, seen, proven = said, span, False
        elif abs(first.remaining - said.remaining) * 2 >= said.limit - max(first.remaining, said.remaining):
            proven = proven or first.remaining != said.remaining
        self._long[said.unit] = (first, seen, proven)
        return proven


class _Burst:
    """How much a bucket holds when it is full, if it refills at ``limit`` a minute: ``remaining + reset · rate``.

    Proven when replies with different ``remaining`` agree.
    """

    __slots__ = ("_high", "_low", "holds")

    def __init__(self) -> None:
        self.holds: float | None = None
        self._low = self._high = 0

    @property
    def proven(self) -> bool:
        return self.holds is not None and self._high - self._low >= self.holds * _RANGE

    def hear(self, said: RateLimit) -> None:
        limit, left, reset = said.limit, said.remaining, said.reset
        if limit is None or left is None or reset is None or said.window not in (None, MINUTE):
            return
        rate = limit / MINUTE
        holds = left + reset * rate
        # remaining is a whole number, reset often whole milliseconds.
        slack = 1.0 + rate * 0.002 + holds * 0.01
        if holds > limit + slack or holds < 1.0:
            self.holds = None
        elif self.holds is None or abs(holds - self.holds) > slack:
            self.holds, self._low, self._high = holds, left, left
        else:
            self._low, self._high = min(self._low, left), max(self._high, left)
