"""Cancellation at every await: whichever turn is the last, the slot comes back and the next call works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from http_world import EVENTS, OK, SLOW, World

from lexigram.http import Limits, Pool
from lexigram.testing.invariants import until
from lexigram.testing.stepping import Step, step, sweep

AGAIN = pytest.mark.parametrize("again", [None, 0, 1, 2])
PORTS = pytest.mark.parametrize(("port", "scheme"), [("plain", "http"), ("tls", "https")])


@pytest.fixture
async def pool(world: World) -> AsyncIterator[Pool]:
    """Two connections for all, so that a lost slot is felt."""
    async with Pool(limits=Limits(connections=2), deadlines=SLOW, ssl_context=world.context) as pool:
        yield pool


class Health:
    """The check after each attempt."""

    def __init__(self, world: World, pool: Pool, port: str, scheme: str) -> None:
        self.world, self.pool, self.port, self.scheme = world, pool, port, scheme

    async def __call__(self, found: Step) -> None:
        assert found.outcome in ("cancelled", "returned"), found
        idle = await until(lambda: self.pool.stats().in_use == self.pool.stats().connecting == 0)
        assert idle and self.pool.stats().waiters == 0, (found, self.pool.stats())
        after = [self.world.get("/ok", pool=self.pool, port=self.port, scheme=self.scheme) for _ in range(3)]
        assert await asyncio.wait_for(asyncio.gather(*after), 3) == [(200, OK)] * 3, found


@PORTS
@AGAIN
async def test_a_call_can_be_cancelled_at_every_turn(
    world: World, pool: Pool, again: int | None, port: str, scheme: str
) -> None:
    async def call() -> None:
        headers = [("connection", "close")]
        assert await world.get("/ok", pool=pool, port=port, scheme=scheme, headers=headers) == (200, OK)

    async def renew(found: Step) -> None:
        await Health(world, pool, port, scheme)(found)
        # Reused connections have fewer turns: every attempt makes its own.
        for bucket in next(iter(pool._shelves.values())).buckets.values():
            bucket.close()

    steps = await sweep(call, renew, again=again)
    assert sum(found.outcome == "cancelled" for found in steps) >= 4


@PORTS
@AGAIN
async def test_a_stream_can_be_cancelled_at_every_turn(
    world: World, pool: Pool, again: int | None, port: str, scheme: str
) -> None:
    async def stream() -> None:
        reply = await world.open("/stream=0.002", pool=pool, port=port, scheme=scheme)
        assert b"".join([chunk async for chunk in reply]) == b"".join(EVENTS)

    steps = await sweep(stream, Health(world, pool, port, scheme), again=again)
    assert sum(found.outcome == "cancelled" for found in steps) >= 4


@AGAIN
async def test_a_call_under_contention_can_be_cancelled_at_every_turn(
    world: World, pool: Pool, again: int | None
) -> None:
    async def crowd() -> None:
        calls = [world.get("/ok", pool=pool, headers=[("connection", "close")] * (n % 2)) for n in range(8)]
        assert await asyncio.gather(*calls) == [(200, OK)] * 8

    await sweep(crowd, Health(world, pool, "plain", "http"), again=again)


async def test_one_of_many_can_be_cancelled_at_every_turn_and_the_others_finish(world: World, pool: Pool) -> None:
    for turns in range(40):
        others = [asyncio.create_task(world.get("/ok", pool=pool)) for _ in range(4)]
        found = await step(lambda: world.get("/ok", pool=pool, headers=[("connection", "close")]), turns)
        assert await asyncio.wait_for(asyncio.gather(*others), 3) == [(200, OK)] * 4
        await Health(world, pool, "plain", "http")(found)


async def test_a_retry_after_a_dead_connection_can_be_cancelled_at_every_turn(world: World, pool: Pool) -> None:
    async def call() -> None:
        await world.get("/keepalive_race", pool=pool)
        assert await world.get("/ok", pool=pool) == (200, OK)

    steps = await sweep(call, Health(world, pool, "plain", "http"))
    assert len(steps) > 4 and pool.stats().reused_retries >= 1


async def test_a_name_lookup_can_be_cancelled_without_harm_to_those_who_share_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    import time
    from typing import Any

    def found(host: str, port: int, **_: Any) -> Any:
        time.sleep(0.05)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", found)
    origin = world.origin(host="shared.test")
    first = asyncio.create_task(world.get("/ok", origin=origin))
    second = asyncio.create_task(world.get("/ok", origin=origin))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == (200, OK)
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_race_between_addresses_can_be_cancelled_at_every_turn(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    from typing import Any

    def found(host: str, port: int, **_: Any) -> Any:
        ips = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ips]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    origin = world.origin(host="many.test")
    steps = await sweep(
        lambda: world.get("/ok", origin=origin, pool=pool, headers=[("connection", "close")]),
        Health(world, pool, "plain", "http"),
    )
    assert len(steps) > 6
