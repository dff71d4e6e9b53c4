"""Cancel a coroutine after exactly k turns of its event loop: every await point gets its turn to be the last.

    async def check(found: Step) -> None:
        assert found.outcome in ("cancelled", "returned")
        ...                                                  # the next call works, nothing is left behind

    await sweep(lambda: client.complete(question), check)

`sweep` runs a fresh attempt for k = 0, 1, 2, … until one ends by itself, and hands control to the check after each.
A second cancel may follow the first by any number of turns. Works with any coroutine on asyncio's own event loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Step", "step", "sweep"]


@dataclass(frozen=True)
class Step:
    """One attempt.

    Attributes:
        turns: the turns after which it was cancelled.
        again: the further turns after which it was cancelled once more, or None.
        outcome: how it ended; "hung" is not within five seconds of the cancellation, "swallowed" is as if nobody had
            cancelled it.
        error: what it raised.
    """

    turns: int
    again: int | None
    outcome: Literal["returned", "raised", "cancelled", "swallowed", "hung"]
    error: BaseException | None = None

    @property
    def finished(self) -> bool:
        """Whether it ended by itself, and well."""
        return self.outcome == "returned"


async def step(make: Callable[[], Coroutine[Any, Any, Any]], turns: int, again: int | None = None) -> Step:
    """Run an attempt for some turns of the loop, cancel it, and wait for its end.

    A turn is one pass of the loop's ready queue. Empty passes do not count, so the number of turns is that of the
    steps the code takes, however long the network needs.

    Args:
        make: starts the attempt.
        turns: the turns before it is cancelled.
        again: further turns before it is cancelled once more; None for never.
    """
    task = asyncio.get_running_loop().create_task(make())
    for _ in range(turns):
        if task.done():
            break
        await _turn(task)
    accepted = task.cancel()
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
        if error is None:
            return Step(turns, again, "swallowed" if accepted else "returned")
        return Step(turns, again, "raised", error)
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
    """Cancel after k = 0, 1, 2, … turns until an attempt returns by itself.

    Args:
        make: starts an attempt.
        check: called after each.
        again: further turns before each is cancelled once more; None for never.
        most: the most attempts.

    Returns:
        All attempts.

    Raises:
        AssertionError: when none ended by itself.
    """
    steps: list[Step] = []
    for turns in range(most):
        found = await step(make, turns, again)
        steps.append(found)
        await check(found)
        if found.finished:
            return steps
    raise AssertionError(f"no attempt of {most} ended by itself")
