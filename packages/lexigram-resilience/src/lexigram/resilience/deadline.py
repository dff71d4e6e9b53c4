"""The one deadline of a call, and the guard that holds it where the client inside does not."""

from __future__ import annotations

import asyncio
import math
import weakref
from collections.abc import Callable
from typing import Any, Final

from lexigram.contracts.ai.errors import LLMTimeoutError, TimeoutPhase
from lexigram.contracts.ai.request import Timeouts

__all__ = ["Deadline", "Guard"]

GRACE: Final = 0.25
"""Seconds that the client inside gets to say itself which of its deadlines passed."""

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
    """Breaks off what overruns a deadline that begins now by more than a grace. One guard serves all tries of a call.

    ``with guard: await …`` watches the running task: it is cancelled when the time has passed, and the block raises
    :class:`LLMTimeoutError`. A block that is entered later raises it at once. Where a block hands something out on its
    way (``yield``), :meth:`rest` before and :meth:`watch` after it keep the guard from whoever has the turn meanwhile.

    Attributes:
        at: when the time has passed, on the clock of the event loop.
    """

    __slots__ = ("_before", "_deadline", "_fired", "_task", "_watch", "at")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._fired = False
        self._before = 0
        self._task: asyncio.Task[Any] | None = None
        self._watch: _Watch | None = None
        if deadline.total is not None:
            loop = asyncio.get_running_loop()
            self.at = loop.time() + deadline.total + GRACE
            self._watch = watch = _watches.get(loop) or _watches.setdefault(loop, _Watch())
            watch.add(self, loop)

    def fire(self) -> None:
        """Break off what is watched: the time has passed."""
        self._fired = True
        if self._task is not None:
            self._task.cancel()

    def watch(self) -> None:
        """Watch the running task from here on.

        Raises:
            LLMTimeoutError: the time has passed.
        """
        if self._fired:
            raise self._deadline.passed("total")
        self._task = task = asyncio.current_task()
        if task is not None:
            self._before = task.cancelling()

    def rest(self) -> bool:
        """Watch nobody; return whether the guard had broken off what was watched and nobody else had."""
        task, self._task = self._task, None
        # Its own cancellation is taken back, also where what was watched ended all the same.
        return self._fired and task is not None and task.cancelling() > self._before and task.uncancel() <= self._before

    def __enter__(self) -> None:
        self.watch()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if self.rest() and kind is asyncio.CancelledError:
            raise self._deadline.passed("total") from None

    def close(self) -> None:
        """Watch for the deadline no longer. Safe to call again."""
        if self._watch is not None:
            self._watch.guards.discard(self)


class _Watch:
    """The guards of one event loop, and when it looks for those whose time has passed: one timer serves them all.

    It must not hold the loop, which is its key.
    """

    __slots__ = ("_looks_at", "guards")

    def __init__(self) -> None:
        self.guards: set[Guard] = set()
        self._looks_at = math.inf

    def add(self, guard: Guard, loop: asyncio.AbstractEventLoop) -> None:
        self.guards.add(guard)
        if guard.at < self._looks_at:
            self._look_at(guard.at, loop)

    def _look_at(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        self._looks_at = when
        loop.call_at(when, self._look, when)

    def _look(self, when: float) -> None:
        if when != self._looks_at:
            return  # it was found since that something earlier is due
        self._looks_at = math.inf
        for guard in [guard for guard in self.guards if guard.at <= when]:
            self.guards.discard(guard)
            guard.fire()
        if self.guards:
            self._look_at(min(guard.at for guard in self.guards), asyncio.get_running_loop())


_watches = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch]()
