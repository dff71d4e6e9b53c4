"""The queue in front of a core: first come, first served within a share, the shares in turn.

Works from several event loops and threads at the same time. A waiter that is cancelled or times out leaves the queue;
one that had been let in just then gives its permit back, so that none is lost and none exists twice.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from lexigram.resilience.limiter.core import Cost, ImpossibleError

__all__ = ["Gate", "GateCore"]

G = TypeVar("G")
P = ParamSpec("P")
R = TypeVar("R")
G_co = TypeVar("G_co")


class GateCore(Protocol[G]):
    """What decides behind a gate."""

    def wait(self, cost: Cost, now: float, waiting: int = 0) -> float:
        """Return the seconds until the cost may be taken, while so many wait; infinite if only a return can help."""
        ...

    def take(self, cost: Cost, now: float) -> G:
        """Take it."""
        ...

    def settle(self, grant: G, used: Cost | None, now: float, *, request: bool = True) -> None:
        """Give it back."""
        ...

    def reset(self) -> None:
        """Forget what is out: a forked child has none of its parent's calls."""
        ...


class _Waiter(Generic[G]):
    __slots__ = ("cost", "future", "grant", "loop", "share")

    def __init__(self, cost: Cost, share: str) -> None:
        self.cost = cost
        self.share = share
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.grant: G | None = None


NOTHING: Final = Cost(0, 0)
_gates = weakref.WeakSet["Gate[object]"]()


class Gate(Generic[G]):
    """Lets calls in one by one, as its core says.

    Args:
        core: decides; only touched under the gate's lock, so by others within :meth:`use`.
        clock: the time, in seconds.

    Attributes:
        waiting: how many wait.
    """

    def __init__(self, core: GateCore[G], clock: Callable[[], float]) -> None:
        self.core = core
        self._clock = clock
        self._lock = threading.RLock()
        self._queues: OrderedDict[str, deque[_Waiter[G]]] = OrderedDict()
        self._timer: tuple[float, asyncio.AbstractEventLoop, asyncio.TimerHandle | None] | None = None
        self.waiting = 0
        _gates.add(self)  # type: ignore[arg-type]

    def try_enter(self, cost: Cost = NOTHING) -> G | None:
        """Take the cost if nobody waits and it may be taken now, else return None.

        Raises:
            ImpossibleError: it never may.
        """
        with self._lock:
            now = self._clock()
            if self.core.wait(cost, now) > 0 or self.waiting:
                return None
            return self.core.take(cost, now)

    async def enter(self, cost: Cost = NOTHING, *, timeout: float = math.inf, share: str = "") -> G:
        """Take the cost, waiting for it.

        Raises:
            ImpossibleError: it never may be taken, or not any more after the limits changed.
            TimeoutError: not within ``timeout`` seconds.
        """
        with self._lock:
            granted = self.try_enter(cost)
            if granted is not None:
                return granted
            waiter: _Waiter[G] = _Waiter(cost, share)
            self._queues.setdefault(share, deque()).append(waiter)
            self.waiting += 1
            self._pump()
        try:
            async with asyncio.timeout(None if timeout == math.inf else timeout):
                await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        if waiter.grant is None:
            raise RuntimeError("a waiter was woken without a permit")
        return waiter.grant

    def use(self, work: Callable[Concatenate[float, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run ``work(now, …)`` under the lock, then let in whoever may go."""
        with self._lock:
            result = work(self._clock(), *args, **kwargs)
            if self.waiting:
                self._pump()
            return result

    def _leave(self, waiter: _Waiter[G]) -> None:
        with self._lock:
            if waiter.grant is not None:
                grant, waiter.grant = waiter.grant, None
                self.core.settle(grant, NOTHING, self._clock(), request=False)
            else:
                self._remove(waiter)
            self._pump()

    def _remove(self, waiter: _Waiter[G]) -> None:
        queue = self._queues.get(waiter.share)
        if queue is None or waiter not in queue:
            return
        queue.remove(waiter)
        self.waiting -= 1
        if not queue:
            del self._queues[waiter.share]

    def _pump(self) -> None:
        while self._queues:
            share, queue = next(iter(self._queues.items()))
            head = queue[0]
            now = self._clock()
            if head.loop.is_closed():
                self._remove(head)
                continue
            try:
                wait = self.core.wait(head.cost, now, self.waiting)
            except ImpossibleError as error:
                self._remove(head)
                self._wake(head, error)
                continue
            if wait > 0:
                self._arm(head, wait, now)
                return
            head.grant = self.core.take(head.cost, now)
            self._remove(head)
            if share in self._queues:
                self._queues.move_to_end(share)
            if not self._wake(head, None):
                self.core.settle(head.grant, NOTHING, now, request=False)

    def _wake(self, waiter: _Waiter[G], error: Exception | None) -> bool:
        def wake() -> None:
            if not waiter.future.done():
                if error is None:
                    waiter.future.set_result(None)
                else:
                    waiter.future.set_exception(error)

        return _call(waiter.loop, wake)

    def _arm(self, head: _Waiter[G], wait: float, now: float) -> None:
        """Look again after ``wait`` seconds, on the loop of the one who waits."""
        if math.isinf(wait):
            return
        timer = self._timer
        if timer is not None:
            if timer[1] is head.loop and timer[0] <= now + wait and timer[0] > now:
                return
            if timer[2] is not None and timer[1] is _running():
                timer[2].cancel()

        def tick() -> None:
            with self._lock:
                self._timer = None
                self._pump()

        if head.loop is _running():
            self._timer = (now + wait, head.loop, head.loop.call_later(wait, tick))
        elif _call(head.loop, lambda: head.loop.call_later(wait, tick)):
            self._timer = (now + wait, head.loop, None)

    def reset(self) -> None:
        """Forget who waits: a forked child has none of its parent's tasks."""
        self._lock = threading.RLock()
        self._queues.clear()
        self._timer = None
        self.waiting = 0
        self.core.reset()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _call(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> bool:
    if loop is _running():
        work()
        return True
    try:
        loop.call_soon_threadsafe(work)
    except RuntimeError:
        return False  # the loop is closed
    return True


def _reset_gates() -> None:
    for gate in list(_gates):
        gate.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_gates)
