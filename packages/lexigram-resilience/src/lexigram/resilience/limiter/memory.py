"""Limits of this process, for all its event loops and threads."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from lexigram.contracts.limits import FrozenError, LimitKey, Report
from lexigram.resilience.limiter.core import Allowance, Cost, Grant, LimiterCore
from lexigram.resilience.limiter.gate import Gate

__all__ = ["Allowances", "MemoryLease", "MemoryLimiter"]


class Allowances:
    """The configured limits: one for all, and those of single providers and models. The most specific holds."""

    def __init__(self, default: Allowance) -> None:
        self._by_name: dict[tuple[str | None, str | None], Allowance] = {(None, None): default}

    def of(self, key: LimitKey) -> Allowance:
        """Return the limits of a key."""
        names = ((key.provider, key.model), (key.provider, None), (None, key.model), (None, None))
        return next(self._by_name[name] for name in names if name in self._by_name)

    def set(self, allowance: Allowance, provider: str | None, model: str | None) -> None:
        """Change the limits of what is named; without names those of all that has none of its own."""
        self._by_name[provider, model] = allowance


class MemoryLease:
    """What one call holds; see :class:`~lexigram.contracts.limits.Lease`."""

    __slots__ = ("_core", "_gate", "_grant")

    def __init__(self, gate: Gate[Grant], core: LimiterCore, grant: Grant) -> None:
        self._gate = gate
        self._core = core
        self._grant = grant

    def close(self, report: Report) -> asyncio.Future[None] | None:
        """Give it back; the second time nothing happens."""
        if self._grant.open:
            self._gate.use(self._give_back, report)
        return None

    def _give_back(self, now: float, report: Report) -> None:
        core, grant = self._core, self._grant
        if not grant.open:
            return
        if report.rate_limits:
            core.learn(report.rate_limits, grant, now)
        if report.freeze is not None:
            core.freeze(report.freeze, now)
        core.settle(grant, report.used, now, request=report.request)


class MemoryLimiter:
    """Satisfies :class:`~lexigram.contracts.limits.LimiterProtocol` within one process.

    Args:
        allowance: limits of every key that has none of its own.
        learn: whether to learn from replies' headers.
        max_freeze: the longest freeze, in seconds.
        clock: the time, in seconds; that of the event loops' timers.
    """

    def __init__(
        self,
        allowance: Allowance | None = None,
        *,
        learn: bool = True,
        max_freeze: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allowances = Allowances(allowance or Allowance())
        self._learn = learn
        self._max_freeze = max_freeze
        self._clock = clock
        self._doors: dict[LimitKey, tuple[Gate[Grant], LimiterCore]] = {}
        self._lock = threading.Lock()

    def _door(self, key: LimitKey) -> tuple[Gate[Grant], LimiterCore]:
        door = self._doors.get(key)
        if door is None:
            with self._lock:
                door = self._doors.get(key)
                if door is None:
                    core = LimiterCore(self._allowances.of(key), learn=self._learn, max_freeze=self._max_freeze)
                    door = self._doors[key] = (Gate(core, self._clock), core)
        return door

    def waiting(self, key: LimitKey) -> int:
        """Return how many calls wait for the key."""
        return self._door(key)[0].waiting

    def in_flight(self, key: LimitKey) -> int:
        """Return how many leases of the key are out."""
        return self._door(key)[1].in_flight

    def counts_tokens(self, key: LimitKey) -> bool:
        """Return whether tokens are counted for the key."""
        return self._door(key)[1].counts_tokens

    def listens(self, key: LimitKey) -> bool:
        """Return whether a reply's limits may be news: not milliseconds after one that told of room."""
        return self._door(key)[1].listens(self._clock())

    def try_acquire(self, key: LimitKey, cost: Cost) -> MemoryLease | None:
        """Return a lease if there is one without waiting.

        Raises:
            ImpossibleError: there never is one for this cost.
        """
        gate, core = self._door(key)
        grant = gate.try_enter(cost)
        return MemoryLease(gate, core, grant) if grant is not None else None

    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> MemoryLease:
        """Return a lease, waiting for it in turn.

        Raises:
            ImpossibleError: there never is one for this cost.
            FrozenError: there is none within ``timeout`` seconds, for the provider asked for a longer pause.
            TimeoutError: there was none within ``timeout`` seconds.
        """
        gate, core = self._door(key)
        frozen = core.frozen_until - self._clock()
        if frozen > timeout:
            raise FrozenError(frozen)
        grant = await gate.enter(cost, timeout=timeout, share=share)
        return MemoryLease(gate, core, grant)

    def set_allowance(self, allowance: Allowance, provider: str | None = None, model: str | None = None) -> None:
        """Change the configured limits; it holds at once, also for who waits."""
        with self._lock:
            self._allowances.set(allowance, provider, model)
            doors = list(self._doors.items())
        for key, (gate, core) in doors:
            wanted = self._allowances.of(key)
            if wanted != core.allowance:
                gate.use(lambda _now, core=core, wanted=wanted: core.set_allowance(wanted))  # type: ignore[misc]

    async def aclose(self) -> None:
        """Do nothing: it is all in memory."""
