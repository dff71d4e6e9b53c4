"""The one deadline of a call, and the guard that holds it where the client inside does not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from lexigram.contracts.ai.errors import LLMTimeoutError, TimeoutPhase
from lexigram.contracts.ai.request import Timeouts

__all__ = ["Deadline", "Guard"]

GRACE: Final = 0.25
"""Seconds that the client inside gets to say itself which of its deadlines passed."""

T = TypeVar("T")

_SAID: Final[dict[str, str]] = {
    "limiter": "no permit was free within the deadline",
    "backoff": "no time was left for another try",
    "total": "the call was not finished within the deadline",
}


class Deadline:
    """When a call must be over: waiting for permits, every try, the pauses between and the stream included."""

    __slots__ = ("_clock", "at", "total")

    def __init__(self, total: float | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.total = total
        self.at = math.inf if total is None else clock() + total

    def left(self) -> float:
        """Return the seconds that are left: infinite without a deadline, never negative."""
        return max(self.at - self._clock(), 0.0)

    def shorten(self, timeouts: Timeouts) -> Timeouts:
        """Return the timeouts of one try: its own, but no more in total than what is left of the call."""
        if self.total is None:
            return timeouts
        return Timeouts(self.left(), timeouts.connect, timeouts.first_token, timeouts.idle)

    def passed(self, phase: TimeoutPhase) -> LLMTimeoutError:
        """Return the error for a deadline that passed in ``phase``."""
        return LLMTimeoutError(_SAID[phase], phase=phase, seconds=self.total)


class Guard:
    """Breaks off what overruns the deadline by more than a grace. One timer serves a whole stream.

    It cancels the task that is between :meth:`begin` and :meth:`end` when the timer fires. Between two chunks nobody is
    cancelled, and the next step fails at once.

    Attributes:
        fired: whether the deadline has passed.
        task, before: the task that is watched, and its count of cancellations. A stream sets them itself for each chunk
            as long as nothing has fired, which saves it two calls.
    """

    __slots__ = ("_deadline", "_timer", "before", "fired", "task")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self.fired = False
        self.before = 0
        self.task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if deadline.total is not None:
            self._timer = asyncio.get_running_loop().call_later(deadline.left() + GRACE, self._fire)

    def _fire(self) -> None:
        self.fired = True
        if self.task is not None:
            self.task.cancel()

    def begin(self) -> None:
        """Watch the running task from here on."""
        if self._timer is None:
            return
        task = self.task = asyncio.current_task()
        if task is not None:
            self.before = task.cancelling()
            if self.fired:
                task.cancel()

    def overran(self) -> LLMTimeoutError | None:
        """Return the error if a cancellation that was just caught is the guard's own, and take it back."""
        task, self.task = self.task, None
        if self.fired and task is not None and task.uncancel() <= self.before:
            return self._deadline.passed("total")
        return None

    def end(self) -> None:
        """Watch no longer."""
        task, self.task = self.task, None
        if self.fired and task is not None and task.cancelling() > self.before:
            task.uncancel()  # what was watched ended all the same

    async def run(self, work: Awaitable[T]) -> T:
        """Return what the work gives.

        Raises:
            LLMTimeoutError: it overran the deadline.
        """
        self.begin()
        try:
            return await work
        except asyncio.CancelledError:
            error = self.overran()
            if error is None:
                raise
            raise error from None
        finally:
            self.end()

    def close(self) -> None:
        """Stop the timer. Safe to call again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
