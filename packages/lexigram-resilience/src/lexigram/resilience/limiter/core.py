"""What may be sent for one provider, model and key: windows, concurrency, freezes. Pure; the time is an argument.

One core is used by one thread at a time (:mod:`~lexigram.resilience.limiter.gate` sees to it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from lexigram.contracts.ai.completion import RateLimit, RateUnit
from lexigram.contracts.limits import MINUTE, Allowance, Cost, ImpossibleError
from lexigram.resilience.limiter.window import SlidingWindow, Slot

__all__ = ["Allowance", "Cost", "Grant", "ImpossibleError", "LimiterCore", "window_of"]

_KNOWN_SPANS: Final = (1.0, 10.0, 60.0, 3600.0, 86400.0)
_NEAR: Final = 1.5
_FINEST_RESET: Final = 0.0015
"""A reset shorter than this is rounded too much to tell the span from (OpenAI writes whole milliseconds)."""


class Grant:
    """What one call took. It is given back once: settled, refunded or undone."""

    __slots__ = ("cost", "open", "taken")

    def __init__(self, cost: Cost) -> None:
        self.cost = cost
        self.open = True
        self.taken: list[tuple[SlidingWindow, Slot, int, int]] = []  # window, slot, left after it, total after it


def window_of(said: RateLimit) -> float | None:
    """Return the seconds that a limit is for: what the headers say, else what limit, remaining and reset imply.

    Where all of it comes back at a steady rate, ``reset = span · (limit - remaining) / limit``. A span that is near
    none of the usual ones is not believed: a limit over a wrong span would do more harm than none.
    """
    if said.window is not None:
        return said.window
    if said.limit is None or said.remaining is None or said.reset is None or said.reset < _FINEST_RESET:
        return None
    missing = said.limit - said.remaining
    if missing <= 0 or said.remaining < 0:
        return None
    span = said.reset * said.limit / missing
    near = min(_KNOWN_SPANS, key=lambda known: abs(math.log(span / known)))
    return near if 1 / _NEAR <= span / near <= _NEAR else None


class LimiterCore:
    """Decides whether a call may go, and keeps count.

    Args:
        allowance: the configured limits.
        learn: whether to learn from replies.
        max_freeze: longest freeze, in seconds.
    """

    def __init__(self, allowance: Allowance, *, learn: bool = True, max_freeze: float = 60.0) -> None:
        self.allowance = allowance
        self.in_flight = 0
        self.frozen_until = -math.inf
        self._learn = learn
        self._max_freeze = max_freeze
        self._own: list[SlidingWindow] = [SlidingWindow(*w) for w in allowance.windows()]
        self._learnt: dict[tuple[RateUnit, float], SlidingWindow] = {}
        self.windows: list[SlidingWindow] = list(self._own)

    @property
    def counts_tokens(self) -> bool:
        """Whether a window counts tokens, so that a call's cost has to be estimated."""
        return any(w.unit != "requests" for w in self.windows)

    def wait(self, cost: Cost, now: float) -> float:
        """Return the seconds until the call may go: 0 now, infinite if only the end of another call can help.

        Raises:
            ImpossibleError: it never may.
        """
        longest = max(self.frozen_until - now, 0.0)
        for window in self.windows:
            price = cost.of(window.unit)
            if price > window.limit:
                raise ImpossibleError(window.unit, price, window.limit, window.seconds)
            longest = max(longest, window.delay(price, now))
        concurrency = self.allowance.concurrency
        if concurrency is not None and self.in_flight >= concurrency:
            return math.inf
        return longest

    def take(self, cost: Cost, now: float) -> Grant:
        """Take what the call costs, and return what was taken."""
        grant = Grant(cost)
        for window in self.windows:
            slot = window.take(cost.of(window.unit), now)
            grant.taken.append((window, slot, window.limit - window.own(now), window.total))
        self.in_flight += 1
        return grant

    def settle(self, grant: Grant, used: Cost | None, now: float, *, request: bool = True) -> None:
        """Give the grant back.

        Args:
            grant: from :meth:`take`; the second time nothing happens.
            used: what the call really cost; None if that is unknown, so that the estimate stays.
            now: the time.
            request: whether the request itself counts; False if it never reached the provider.
        """
        if not grant.open:
            return
        grant.open = False
        self.in_flight = max(self.in_flight - 1, 0)
        for window, slot, _, _ in grant.taken:
            reserved = grant.cost.of(window.unit)
            if window.unit == "requests":
                if not request:
                    window.settle(slot, reserved, 0, now)
            elif used is not None:
                window.settle(slot, reserved, used.of(window.unit), now)

    def reset(self) -> None:
        """Forget the calls in flight: a forked child has none of its parent's."""
        self.in_flight = 0

    def freeze(self, seconds: float, now: float) -> None:
        """Let nobody go for so long, and never longer than ``max_freeze``."""
        self.frozen_until = max(self.frozen_until, now + min(seconds, self._max_freeze))

    def set_allowance(self, allowance: Allowance) -> None:
        """Change the configured limits; what was taken keeps counting."""
        old = {(w.unit, w.seconds): w for w in self._own}
        self._own = []
        for unit, limit, seconds in allowance.windows():
            window = old.get((unit, seconds)) or SlidingWindow(unit, limit, seconds)
            window.limit = limit
            self._own.append(window)
        self.allowance = allowance
        self.windows = [*self._own, *self._learnt.values()]

    def learn(self, said: Sequence[RateLimit], grant: Grant, now: float) -> None:
        """Take in what a reply's headers say: limits, what is left of them, and for how long nothing is."""
        if not self._learn:
            return
        for limit in said:
            if limit.remaining == 0 and limit.reset is not None:
                self.freeze(limit.reset, now)
            seconds = window_of(limit)
            if limit.limit is not None and limit.limit > 0 and seconds is not None:
                self._learn_window(limit.unit, limit.limit, seconds)
            if limit.remaining is not None:
                self._see(limit, seconds, grant, now)

    def _learn_window(self, unit: RateUnit, limit: int, seconds: float) -> None:
        window = self._learnt.get((unit, seconds))
        if window is None:
            window = self._learnt[unit, seconds] = SlidingWindow(unit, limit, seconds)
            self.windows = [*self._own, *self._learnt.values()]
        window.limit = limit

    def _see(self, said: RateLimit, seconds: float | None, grant: Grant, now: float) -> None:
        for window, _, left, total in grant.taken:
            if window.unit == said.unit and window.seconds == (seconds or MINUTE) and window.limit == said.limit:
                window.see(said.remaining or 0, left, window.total - total, now)
