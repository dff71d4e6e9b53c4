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
    try:
        await asyncio.wait(running, timeout=late)
        if not any(task.done() for task in running) and (second := hedge()) is not None:
            running[loop.create_task(ask())] = second
        while True:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            winner = next((t for t in running if t in done and _good(t)), None)
            if winner is None and len(done) == len(running):
                winner = next(t for t in running if t in done)
            if winner is not None:
                won = running.pop(winner)
                return winner.result(), won
            for failed in done:
                _settle(call, running.pop(failed), failed)
    finally:
        await _end(call, running)


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


async def _end(call: Call, running: dict[_Task, Permit]) -> None:
    for task in running:
        task.cancel()
    try:
        if running:
            await asyncio.wait(running)
    finally:
        for task, permit in running.items():
            if task.done():
                _settle(call, permit, task)
            else:
                call.interrupted(permit)
