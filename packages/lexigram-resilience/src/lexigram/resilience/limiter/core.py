"""What may be sent for one provider, model and key: windows, concurrency, freezes. Pure; the time is an argument.

One core is used by one thread at a time (:mod:`~lexigram.resilience.limiter.gate` sees to it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from lexigram.contracts.ai.completion import RateLimit, RateUnit
from lexigram.contracts.limits import MINUTE, Allowance, Cost, ImpossibleError
from lexigram.resilience.limiter.bucket import Bucket
from lexigram.resilience.limiter.learning import Learner
from lexigram.resilience.limiter.window import SlidingWindow

__all__ = ["Allowance", "Cost", "Grant", "ImpossibleError", "LimiterCore"]

COLD_START: Final = 64
"""Calls at the same time while nothing is known of the provider's limits, not even whether it tells them."""
_PATIENCE: Final = 3 * COLD_START
"""Replies after which limits that stayed unclear are no longer waited for."""
THAW: Final = 1.0
"""After a freeze or a cold start, while no limit is known, so many seconds would take those who wait to go: at first,
then half as many, a third, …"""
_THAWED: Final = 10 * THAW
_GAP: Final = 0.05
"""The most seconds between two of them, at first."""
_HEARING: Final = 0.005
"""Seconds for which replies are not listened to after one that told of nothing but room."""
_ROOM: Final = 0.75
"""The part of a limit that may be used up where there is room."""
_ROUNDING: Final = 1e-6

_Keeper: TypeAlias = SlidingWindow | Bucket


class Grant:
    """What one call took. It is given back once: settled, refunded or undone."""

    __slots__ = ("at", "calls", "cost", "input_tokens", "open", "output_tokens", "taken")

    def __init__(self, cost: Cost, at: float, calls: int, input_tokens: int, output_tokens: int) -> None:
        self.cost = cost
        self.at = at
        self.calls = calls  # granted until then, and what they cost
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.open = True
        self.taken: list[tuple[_Keeper, Any, float, int]] = []  # keeper, slot, left after it, total after it


class LimiterCore:
    """Decides whether a call may go, and keeps count.

    Args:
        allowance: the configured limits.
        learn: whether to learn from replies.
        max_freeze: longest freeze, in seconds.

    Attributes:
        counts_tokens: whether a window counts tokens, so that a call's cost has to be estimated.
    """

    def __init__(self, allowance: Allowance, *, learn: bool = True, max_freeze: float = 60.0) -> None:
        self.allowance = allowance
        self.in_flight = 0
        self.frozen_until = -math.inf
        self._learn = learn
        self._max_freeze = max_freeze
        self._own: list[SlidingWindow] = [SlidingWindow(*w) for w in allowance.windows()]
        self._learnt: dict[tuple[RateUnit, float], SlidingWindow] = {}
        self._bursts: dict[RateUnit, Bucket] = {}
        self._learner = Learner()
        self._known = not learn or bool(self._own)
        self._replies = self._pending = 0
        self._deaf_until = self._thaws_from = self._last = -math.inf
        self._calls = 0
        self._input_tokens = self._output_tokens = 0
        self._own_buckets: list[Bucket] = [Bucket(*b) for b in allowance.buckets()]
        self._rebuild()

    def listens(self, now: float) -> bool:
        """Return whether a reply may tell something new; while there is plenty of room it is enough to hear a few."""
        return self._learn and now >= self._deaf_until

    def wait(self, cost: Cost, now: float, waiting: int = 0) -> float:
        """Return the seconds until the call may go: 0 now, infinite if only the end of another call can help.

        Args:
            cost: the call's.
            now: the time.
            waiting: how many wait, the call included if it does.

        Raises:
            ImpossibleError: it never may.
        """
        longest = self.frozen_until - now
        if longest < 0.0:
            longest = 0.0
        for window in self.windows:
            price = cost.of(window.unit)
            if price > window.limit:
                raise ImpossibleError(window.unit, price, window.limit, window.seconds)
            if (delay := window.delay(price, now)) > longest:
                longest = delay
        for bucket in self.buckets:
            longest = max(longest, bucket.delay(cost.of(bucket.unit), now))
        concurrency = self.allowance.concurrency
        if concurrency is not None and self.in_flight >= concurrency:
            return math.inf
        if not self._known and self.in_flight >= COLD_START:
            return math.inf
        if waiting and not self.windows and now - self._thaws_from < _THAWED:
            longest = max(longest, self._thaw(waiting, now))
        return longest

    def _thaw(self, waiting: int, now: float) -> float:
        """Return the seconds until the next may go: those who were stopped together do not come back together."""
        since = max(now - self._thaws_from, 0.0)
        pause = self._last + min(THAW / waiting, _GAP) / (1.0 + since / THAW) - now
        return pause if pause > _ROUNDING else 0.0

    def take(self, cost: Cost, now: float) -> Grant:
        """Take what the call costs, and return what was taken."""
        self._calls += 1
        self._last = now
        self._input_tokens += cost.input_tokens
        self._output_tokens += cost.output_tokens
        grant = Grant(cost, now, self._calls, self._input_tokens, self._output_tokens)
        for window in self.windows:
            slot = window.take(cost.of(window.unit), now)
            grant.taken.append((window, slot, window.limit - window.used, window.total))
        for bucket in self.buckets:
            bucket.take(cost.of(bucket.unit), now)
            grant.taken.append((bucket, None, bucket.left(now), bucket.total))
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
        if not self._known and request:
            self._replies += 1
            self._known = self._replies > self._pending
            if self._known and self.allowance.concurrency is None:  # else those who wait may wait for that
                self._thaws_from = max(self._thaws_from, now)
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
        self._thaws_from = self.frozen_until
        self._deaf_until = -math.inf

    def set_allowance(self, allowance: Allowance) -> None:
        """Change the configured limits; what was taken keeps counting."""
        old = {(w.unit, w.seconds): w for w in self._own}
        self._own = []
        for unit, limit, seconds in allowance.windows():
            window = old.get((unit, seconds)) or SlidingWindow(unit, limit, seconds)
            window.limit = limit
            self._own.append(window)
        kept = {b.unit: b for b in self._own_buckets}
        self._own_buckets = []
        for unit, burst, seconds in allowance.buckets():
            bucket = kept.get(unit) or Bucket(unit, burst, seconds)
            bucket.resize(burst, seconds)
            self._own_buckets.append(bucket)
        self.allowance = allowance
        self._known = self._known or bool(self._own)
        self._rebuild()

    def _rebuild(self) -> None:
        self.windows = [*self._own, *self._learnt.values()]
        self.counts_tokens = any(w.unit != "requests" for w in self.windows)
        self.buckets = [*self._own_buckets, *self._bursts.values()]

    def learn(self, said: Sequence[RateLimit], grant: Grant, now: float) -> None:
        """Take in what a reply's headers say: limits, what is left of them, and for how long nothing is."""
        if not self._learn:
            return
        self._pending = 0
        for limit in said:
            lesson = self._learner.hear(limit)
            if lesson.freeze is not None:
                self.freeze(lesson.freeze, now)
            if lesson.pending:
                self._pending = _PATIENCE
            if limit.limit and lesson.seconds is not None:
                self._learn_window(limit, limit.limit, lesson.seconds, grant, now)
            if lesson.burst is not None and limit.limit:
                self._learn_burst(limit, limit.limit, lesson.burst, grant, now)
            if limit.remaining is not None:
                self._see(limit, lesson.seconds, grant, now)
        self._deaf_until = now + _HEARING if self._has_room(now) else -math.inf

    def _has_room(self, now: float) -> bool:
        """Return whether the limits are known and far off."""
        if not self._known or self._pending or not self._learnt:
            return False
        return all(w.own(now) + w.others(now) <= w.limit * _ROOM for w in self.windows) and all(
            b.left(now) >= b.limit * (1.0 - _ROOM) for b in self.buckets
        )

    def _learn_window(self, said: RateLimit, limit: int, seconds: float, grant: Grant, now: float) -> None:
        window = self._learnt.get((said.unit, seconds))
        if window is None:
            window = self._learnt[said.unit, seconds] = SlidingWindow(said.unit, limit, seconds)
            self._rebuild()
            if said.remaining is not None:
                # Of what went before there is no count here: what is not left was taken by somebody.
                left = self._left(said.unit, said.remaining, limit, limit / seconds, grant, now)
                window.see(0, limit - left, 0, now)
        window.limit = limit

    def _learn_burst(self, said: RateLimit, limit: int, holds: float, grant: Grant, now: float) -> None:
        bucket = self._bursts.get(said.unit)
        rate = limit / MINUTE
        if bucket is None:
            level = self._left(said.unit, said.remaining or 0, holds, rate, grant, now)
            self._bursts[said.unit] = Bucket(said.unit, holds, holds / rate, level=level, now=now)
            self._rebuild()
        else:
            bucket.resize(holds, holds / rate)

    def _left(self, unit: RateUnit, remaining: int, most: float, rate: float, grant: Grant, now: float) -> int:
        """Return what is left now if ``remaining`` was when the grant's request arrived, soon after it was let go."""
        since = self._calls - grant.calls
        if unit != "requests":
            since = Cost(self._input_tokens - grant.input_tokens, self._output_tokens - grant.output_tokens).of(unit)
        return int(min(remaining + rate * (now - grant.at), most)) - since

    def _see(self, said: RateLimit, seconds: float | None, grant: Grant, now: float) -> None:
        burst = self._bursts.get(said.unit)
        for keeper, _, left, total in grant.taken:
            same = keeper.seconds == (seconds or MINUTE) and keeper.limit == said.limit
            if keeper is burst or (same and keeper.unit == said.unit):
                # The provider counted when the request came or when it replied: what was taken in between may be in it
                # or not, and so may what came back.
                back = int((now - grant.at) * keeper.limit / keeper.seconds)
                keeper.see(said.remaining or 0, left, max(keeper.total - total, back), now)
