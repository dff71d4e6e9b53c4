"""A hedged try: when the answer is late a second one is asked for, and the first that comes is taken.

The loser is cancelled and waited for, so that its connection is closed before the answer is handed out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.resilience.call import Call, Permit

__all__ = ["race"]

T = TypeVar("T")


async def race(
    call: Call,
    permit: Permit,
    *,
    late: float,
    ask: Callable[[], Coroutine[Any, Any, Result[T, LLMError]]],
    hedge: Callable[[], Permit | None],
    drop: Callable[[Permit, T], Awaitable[None]],
) -> tuple[Result[T, LLMError], Permit]:
    """Return what came first, and the permit of the try that gave it.

    Args:
        call: the call; the tries that are not returned are settled in it.
        permit: the first try's.
        late: seconds after which there may be a second try.
        ask: starts a try.
        hedge: gives the second try's permit, if there is one at once.
        drop: settles a try that succeeded too, but was not the first.
    """
    loop = asyncio.get_running_loop()
    running: dict[asyncio.Task[Result[T, LLMError]], Permit] = {loop.create_task(ask()): permit}
    winner: asyncio.Task[Result[T, LLMError]] | None = None

    async def settle(task: asyncio.Task[Result[T, LLMError]], held: Permit) -> None:
        if not task.done() or task.cancelled() or task.exception() is not None:
            call.interrupted(held)
        elif isinstance(result := task.result(), Ok):
            await drop(held, result.ok_value)
        elif isinstance(result, Err):
            call.settle_failed(held, result.err_value)

    try:
        await asyncio.wait(running, timeout=late)
        if not any(task.done() for task in running) and (second := hedge()) is not None:
            running[loop.create_task(ask())] = second
        while winner is None:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            winner = next((t for t in running if t in done and _good(t)), None)
            if winner is None and len(done) == len(running):
                winner = next(t for t in running if t in done)
            if winner is None:
                for failed in done:
                    await settle(failed, running.pop(failed))
    finally:
        losers = {task: held for task, held in running.items() if task is not winner}
        for task in losers:
            task.cancel()
        try:
            if losers:
                await asyncio.wait(losers)
        except BaseException:
            if winner is not None:
                await settle(winner, running[winner])
            raise
        finally:
            for task, held in losers.items():
                await settle(task, held)
    won = running[winner]
    try:
        return winner.result(), won
    except LLMError as error:
        return Err(error), won
    except BaseException:
        call.interrupted(won)
        raise


def _good(task: asyncio.Task[Result[Any, LLMError]]) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().is_ok()
