"""Drives a flow: sends the requests that it yields, sleeps when it asks to, and gives it the replies.

The flow decides what is asked next and what the replies mean; this room does the waiting and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar, cast

from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError, LLMTimeoutError
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import CountingDialect, Dialect, Endpoint, Flow, HttpRequest, HttpResponse, Sleep
from lexigram.contracts.wire.flows import exchange

__all__ = ["Exchange", "count_of", "drive", "first_request", "flow_of"]

R = TypeVar("R")

Exchange: TypeAlias = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Sends one request and returns the whole reply, whatever its status."""


def flow_of(dialect: Dialect, request: CompletionRequest, endpoint: Endpoint) -> Flow[Completion] | None:
    """Return the flow of a call, or None where one exchange will do."""
    encode: Callable[[CompletionRequest, Endpoint], Any] | None = getattr(dialect, "encode_flow", None)
    return cast("Flow[Completion] | None", encode(request, endpoint)) if encode is not None else None


def count_of(dialect: Dialect, request: CompletionRequest, endpoint: Endpoint) -> Flow[int] | None:
    """Return the flow that has the vendor count a request's tokens, or None where it has no API for that."""
    if not hasattr(dialect, "encode_count"):
        return None
    counting = cast("CountingDialect", dialect)

    def count() -> Flow[int]:
        body = yield from exchange(counting.encode_count(request, endpoint), endpoint, counting.decode_error)
        return counting.decode_count(body, endpoint)

    return count()


def first_request(flow: Flow[Any]) -> HttpRequest:
    """Return the request that a flow would send first; the flow is over then.

    Raises:
        TypeError: for a flow that does not begin with a request.
    """
    try:
        wish = next(flow)
    except StopIteration:
        wish = None
    finally:
        flow.close()
    if not isinstance(wish, HttpRequest):
        raise TypeError("the flow does not begin with a request")
    return wish


async def drive(flow: Flow[R], send: Exchange, seconds: float | None) -> R:
    """Return the flow's value.

    A failure of an exchange, the deadline included, is thrown into the flow, which may add what it knows (the id of
    what it was waiting for) before it lets the error pass.

    Args:
        flow: a fresh one.
        send: see :data:`Exchange`.
        seconds: for everything together, the sleeping included; None is no limit.

    Raises:
        LLMError: what the flow raises.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds if seconds is not None else None
    try:
        wish = next(flow)
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    reply = await _fulfil(wish, send)
            except TimeoutError:
                error = LLMTimeoutError(
                    f"the operation was not finished within {seconds:g} s", phase="total", seconds=seconds
                )
                flow.throw(error)
                raise error from None  # a flow that goes on has no time left
            except LLMError as error:
                wish = flow.throw(error)
            else:
                wish = flow.send(reply)
    except StopIteration as end:
        return cast("R", end.value)
    finally:
        flow.close()


async def _fulfil(wish: HttpRequest | Sleep, send: Exchange) -> HttpResponse | None:
    if isinstance(wish, Sleep):
        await asyncio.sleep(max(wish.seconds, 0))
        return None
    return await send(wish)
