"""Clients that keep no deadline are held to it, each at its own time, though one timer serves them all."""

from __future__ import annotations

import asyncio

import pytest
from virtual import OFF, USER, Server, clock, policy, virtually

from lexigram.contracts.ai.errors import LLMTimeoutError
from lexigram.resilience.deadline import GRACE


@virtually
async def test_calls_at_the_same_time_are_broken_off_each_at_its_own_deadline() -> None:
    server = Server(lambda *_: (1000.0, "x"))
    client = policy(**OFF).wrap(server)
    ends: dict[float, float] = {}

    async def one(total: float) -> None:
        error = (await client.complete(USER, timeouts=total)).err()
        assert isinstance(error, LLMTimeoutError) and error.phase == "total"
        ends[total] = clock()

    started = clock()
    await asyncio.gather(*[one(total) for total in (5.0, 1.0, 3.0, 3.0, 8.0, 0.5)])
    assert {total: end - started for total, end in ends.items()} == pytest.approx({t: t + GRACE for t in ends})
    assert server.running == 0


@virtually
async def test_calls_that_ended_leave_the_later_ones_their_deadline() -> None:
    server = Server(lambda number, _: (0.1 if number < 3 else 1000.0, "x"))
    client = policy(**OFF).wrap(server)
    for total in (1.0, 2.0, 50.0):
        assert (await client.complete(USER, timeouts=total)).is_ok()
    await asyncio.sleep(10.0)
    started = clock()
    for total in (4.0, 2.0):
        assert (await client.complete(USER, timeouts=total)).is_err()
    assert clock() - started == pytest.approx(6.0 + 2 * GRACE)


@virtually
async def test_a_consumer_that_takes_its_time_is_not_broken_off_but_its_next_chunk_fails() -> None:
    server = Server(lambda *_: "one two three", 0.1)
    stream = policy(**OFF).wrap(server).stream_chat(USER, timeouts=5.0)
    await anext(stream)
    await asyncio.sleep(20.0)  # the consumer's own time, past the deadline
    with pytest.raises(LLMTimeoutError) as caught:
        await anext(stream)
        await anext(stream)
    assert caught.value.phase == "total"
