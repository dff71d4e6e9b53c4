"""A caller that waits for less than others learns nothing of the provider when its time is over."""

from __future__ import annotations

from typing import Any

import pytest
from virtual import USER, Server, policy, virtually

from lexigram.contracts.ai.errors import LLMTimeoutError, ProviderServerError
from lexigram.contracts.ai.request import Timeouts

NEVER: Any = lambda *_: (1000.0, "x")  # noqa: E731


async def state_after(answer: Any, timeouts: float | None, calls: int = 4, usual: float | None = 10.0) -> str:
    server = Server(answer)
    server.timeouts = Timeouts(total=usual)
    p = policy(
        breaker={"min_calls": 4, "window": 1000.0}, budget={"enabled": False}, retry={"max_attempts": 1}, timeout=30.0
    )
    client = p.wrap(server)
    for _ in range(calls):
        more: dict[str, Any] = {} if timeouts is None else {"timeouts": timeouts}
        assert (await client.complete(USER, **more)).is_err()
    breaker = p.lane(server.identity, "m").breaker
    assert breaker is not None
    return breaker.state


@pytest.mark.parametrize(
    ("timeouts", "usual", "state"),
    [
        (0.01, 10.0, "closed"),
        (9.9, 10.0, "closed"),
        (10.0, 10.0, "open"),
        (20.0, 10.0, "open"),
        (None, 10.0, "open"),
        (20.0, None, "closed"),  # the policy's own 30 are usual then
        (30.0, None, "open"),
    ],
)
def test_a_total_that_is_shorter_than_usual_opens_no_breaker(
    timeouts: float | None, usual: float | None, state: str
) -> None:
    @virtually
    async def body() -> None:
        assert await state_after(NEVER, timeouts, usual=usual) == state

    body()


@pytest.mark.parametrize(
    "error", [ProviderServerError("down", status=503), LLMTimeoutError("no token", phase="first_token")]
)
def test_what_else_fails_counts_for_impatient_callers_too(error: Any) -> None:
    @virtually
    async def body() -> None:
        assert await state_after(lambda *_: error, 1.0) == "open"

    body()
