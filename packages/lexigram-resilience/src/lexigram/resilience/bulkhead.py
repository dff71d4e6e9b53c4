"""The bulkhead: no provider takes more than its part of this process, and those that wait for it are counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lexigram.contracts.ai.errors import LLMRateLimitError
from lexigram.resilience.limiter.core import Cost
from lexigram.resilience.limiter.gate import Gate

__all__ = ["Bulkhead", "Slots"]


class Slots:
    """So many places and no more; the core of a gate."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0

    def wait(self, cost: Cost, now: float, waiting: int = 0) -> float:
        """Return 0 while a place is free, else infinity: only who leaves can help."""
        return 0.0 if self.taken < self.places else math.inf

    def take(self, cost: Cost, now: float) -> int:
        """Take a place."""
        self.taken += 1
        return self.taken

    def settle(self, grant: int, used: Cost | None, now: float, *, request: bool = True) -> None:
        """Leave a place."""
        self.taken = max(self.taken - 1, 0)

    def reset(self) -> None:
        """Forget who is inside."""
        self.taken = 0


class Bulkhead:
    """Lets so many calls in at a time, the others in turn, and refuses more than so many waiting.

    Args:
        max_calls: calls at the same time.
        max_waiting: further calls that may wait.
        clock: the time, in seconds.
    """

    def __init__(self, max_calls: int, max_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = Slots(max_calls)
        self._gate: Gate[int] = Gate(self._slots, clock)
        self._max_waiting = max_waiting

    @property
    def inside(self) -> int:
        """How many calls run."""
        return self._slots.taken

    def try_enter(self) -> bool:
        """Enter if that is possible at once."""
        return self._gate.try_enter() is not None

    async def enter(self, *, timeout: float, share: str = "") -> None:
        """Enter, waiting in turn.

        Raises:
            LLMRateLimitError: too many wait already.
            TimeoutError: there was no place within ``timeout`` seconds.
        """
        if self.try_enter():
            return
        if self._gate.waiting >= self._max_waiting:
            raise LLMRateLimitError(
                f"{self._gate.waiting} calls wait for this provider already, and no more may",
                hint="send less at once, or raise LEX_RESILIENCE__BULKHEAD__MAX_WAITING",
            )
        await self._gate.enter(timeout=timeout, share=share)

    def leave(self) -> None:
        """Leave."""
        self._gate.use(lambda now: self._slots.settle(0, None, now))
