"""An event loop whose time passes only when everybody waits: hours in milliseconds, and the same every time.

    async def nap() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    run_virtually(nap())                       # returns at once

What is timed by the wall (``time.monotonic``) does not see this time: give the code under test the loop's clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["VirtualLoop", "run_virtually"]

T = TypeVar("T")


class _Selector:
    """The real selector, which does not wait: it moves the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._real = selectors.DefaultSelector()
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def select(self, timeout: float | None = None) -> list[Any]:
        events = self._real.select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("deadlock: everybody waits, and nothing will ever happen")
            self._loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own.

    Attributes:
        now: its time in seconds; it starts at 1000.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Selector(self))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def time(self) -> float:
        """Return the loop's time in seconds."""
        return self.now


def run_virtually(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a virtual loop and return what it returns."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
