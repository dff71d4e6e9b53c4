"""Cancel a coroutine after exactly k turns of its event loop: every await point gets its turn to be the last.

`sweep` runs a fresh attempt for k = 0, 1, 2, … until one ends by itself, and after each hands control to a check.
A second cancel may follow the first by any number of turns. Knows nothing of HTTP; works with any coroutine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """One attempt: cancelled after `turns` turns (and again `again` turns later), and how it ended."""

    turns: int
    again: int | None
    outcome: str
    error: BaseException | None = None

    @property
    def finished(self) -> bool:
        return self.outcome == "returned"


async def step(make: Callable[[], Coroutine[Any, Any, Any]], turns: int, again: int | None = None) -> Step:
    """Runs `make()` for `turns` loop turns, cancels it, and waits for its end.

    A turn is one pass of the loop's ready queue. Empty passes do not count, so the number of turns is that of the
    steps the code takes, however long the network needs.
    """
    task = asyncio.get_running_loop().create_task(make())
    for _ in range(turns):
        if task.done():
            break
        await _turn(task)
    task.cancel()
    if again is not None:
        for _ in range(again):
            if not task.done():
                await asyncio.sleep(0)
        task.cancel()
    try:
        await asyncio.wait([task], timeout=5)
        if not task.done():
            return Step(turns, again, "hung")
        if task.cancelled():
            return Step(turns, again, "cancelled")
        error = task.exception()
        return Step(turns, again, "returned" if error is None else "raised", error)
    finally:
        if not task.done():
            task.cancel()


async def _turn(task: asyncio.Task[Any]) -> None:
    """One pass of the ready queue. Waits for the network first, outside the loop, when the pass would be empty."""
    loop: Any = asyncio.get_running_loop()
    if not loop._ready and not task.done():
        # Readiness is level-triggered: what is seen here is seen again, and handled, by the loop.
        due = loop._scheduled[0]._when - loop.time() if loop._scheduled else 0.05
        loop._selector.select(min(max(due, 0), 0.05))
    await asyncio.sleep(0)


async def sweep(
    make: Callable[[], Coroutine[Any, Any, Any]],
    check: Callable[[Step], Awaitable[None]],
    *,
    again: int | None = None,
    most: int = 400,
) -> list[Step]:
    """Cancels after k = 0, 1, 2, … turns until an attempt returns by itself; calls `check` after each attempt."""
    steps: list[Step] = []
    for turns in range(most):
        found = await step(make, turns, again)
        steps.append(found)
        await check(found)
        if found.finished:
            return steps
    raise AssertionError(f"no attempt of {most} ended by itself")
