"""A hedged try: when the answer is late a second one is asked for, and the first that comes is taken.

The loser is cancelled and waited for, so that its connection is closed before the answer is handed out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Err, Result
from lexigram.resilience.call import Call, Permit

__all__ = ["Answer", "race"]

Answer: TypeAlias = Result[Completion, LLMError]
_Task: TypeAlias = asyncio.Task[Answer]


async def race(
    call: Call, permit: Permit, ask: Callable[[], Coroutine[Any, Any, Answer]], hedge: Callable[[], Permit | None]
) -> tuple[Answer, Permit]:
    """Return the answer, and the permit of the try that gave it.

    Args:
        call: the call; the tries that are not returned are settled in it.
        permit: the first try's.
        ask: starts a try.
        hedge: gives the second try's permit, if there is one at once.
    """
    latencies = call.lane.latencies
    late = latencies.late_after() if latencies is not None else None
    if late is None:
        return await ask(), permit
    loop = asyncio.get_running_loop()
    running: dict[_Task, Permit] = {loop.create_task(ask()): permit}
    winner: _Task | None = None
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
                    _settle(call, running.pop(failed), failed)
    finally:
        await _end(call, running, winner)
    won = running[winner]
    try:
        return winner.result(), won
    except LLMError as error:
        return Err(error), won
    except BaseException:
        call.interrupted(won)
        raise


def _good(task: _Task) -> bool:
    return not task.cancelled() and task.exception() is None and task.result().is_ok()


def _settle(call: Call, permit: Permit, task: _Task) -> None:
    if task.cancelled() or task.exception() is not None:
        call.interrupted(permit)
        return
    result = task.result()
    if isinstance(result, Err):
        call.settle_failed(permit, result.err_value)
    else:
        call.succeeded(permit, result.ok_value)


async def _end(call: Call, running: dict[_Task, Permit], winner: _Task | None) -> None:
    """Cancel all but the winner, wait for them, and settle them; the winner too if this wait is cancelled."""
    losers = {task: permit for task, permit in running.items() if task is not winner}
    for task in losers:
        task.cancel()
    try:
        if losers:
            await asyncio.wait(losers)
    except BaseException:
        if winner is not None:
            _settle(call, running[winner], winner)
        raise
    finally:
        for task, permit in losers.items():
            if task.done():
                _settle(call, permit, task)
            else:
                call.interrupted(permit)
