"""The pool: order, bounds, expiry, and what it says of itself."""

from __future__ import annotations

import asyncio
import copy
import pickle

import pytest
from http_world import OK, SLOW, World

from lexigram.http import (
    Deadlines,
    HttpConnectError,
    HttpError,
    HttpProtocolError,
    HttpStateError,
    HttpTimeout,
    InvalidRequest,
    Limits,
    Pool,
    PoolFull,
)
from lexigram.testing.invariants import until

ONE = Limits(connections=1)


async def test_the_connection_used_last_is_used_next(world: World) -> None:
    await asyncio.gather(*[world.get("/sleep=0.05") for _ in range(3)])
    assert world.pool.stats().idle == 3
    for _ in range(4):
        await world.get("/ok")
    assert len({request.connection for request in world.journal.requests[-4:]}) == 1
    assert world.journal.connections == 3


async def test_fifty_calls_share_one_connection_in_the_order_they_came(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        calls = [world.get(f"/ok/{n}", pool=pool) for n in range(50)]
        assert await asyncio.gather(*calls) == [(200, OK)] * 50
        assert pool.stats().open == 1
    assert [request.path for request in world.journal.requests] == [f"/ok/{n}" for n in range(50)]
    assert world.journal.connections == 1


async def test_waiting_for_a_slot_has_a_deadline_of_its_own(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        held = await world.open("/s_stall", pool=pool)
        errors = await asyncio.gather(
            *[world.fails("/ok", pool=pool, deadlines=Deadlines(total=2, pool=0.1)) for _ in range(5)]
        )
        assert {(type(error), error.phase, error.sent) for error in errors} == {(HttpTimeout, "pool", False)}
        error = await world.fails("/ok", pool=pool, deadlines=Deadlines(total=0.1, pool=2))
        assert isinstance(error, HttpTimeout) and error.phase == "total"
        assert pool.stats().waiters == 0
        held.close()
        assert await world.get("/ok", pool=pool) == (200, OK)


async def test_more_waiters_than_allowed_are_turned_away(world: World) -> None:
    async with Pool(limits=Limits(connections=1, waiters=2), deadlines=SLOW) as pool:
        calls = [asyncio.create_task(world.get("/sleep=0.1", pool=pool)) for _ in range(3)]
        await until(lambda: pool.stats().waiters == 2)
        assert isinstance(await world.fails("/ok", pool=pool), PoolFull)
        assert await asyncio.gather(*calls) == [(200, OK)] * 3


async def test_a_waiter_gets_the_slot_of_a_connection_that_died(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        held = await world.open("/s_stall", pool=pool)
        call = asyncio.create_task(world.get("/ok", pool=pool))
        await until(lambda: pool.stats().waiters == 1)
        del held
        assert await call == (200, OK)


async def test_a_waiter_gets_the_slot_of_a_connection_that_was_never_made(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        results = await asyncio.gather(
            *[world.get("/ok", pool=pool, port="rst_once") for _ in range(3)], return_exceptions=True
        )
        assert isinstance(results[0], HttpConnectError) and results[1:] == [(200, OK)] * 2


async def test_a_cancelled_waiter_costs_nobody_a_slot(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        for _ in range(5):
            held = await world.open("/s_stall", pool=pool)
            calls = [asyncio.create_task(world.get("/ok", pool=pool)) for _ in range(4)]
            await until(lambda: pool.stats().waiters == 4)
            held.close()
            # The first is served in this very turn, and cancelled before it learns of it.
            calls[0].cancel()
            calls[2].cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert [isinstance(result, BaseException) for result in results] == [True, False, True, False]
        assert (pool.stats().in_use, pool.stats().waiters, pool.stats().connecting) == (0, 0, 0)


async def test_a_reused_connection_that_died_is_replaced_even_when_the_pool_is_full(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        await world.get("/keepalive_race", pool=pool)
        results = await asyncio.gather(*[world.get("/ok", pool=pool) for _ in range(4)])
        assert results == [(200, OK)] * 4
        assert pool.stats().reused_retries == 1


async def test_idle_connections_expire_and_are_bounded_in_number(world: World) -> None:
    async with Pool(limits=Limits(idle_seconds=0.1, idle_connections=2), deadlines=SLOW) as pool:
        await asyncio.gather(*[world.get("/sleep=0.02", pool=pool) for _ in range(4)])
        assert pool.stats().idle == pool.stats().open == 2
        assert await until(lambda: pool.stats().open == 0)
        assert await until(lambda: world.journal.gone == 4)
        assert await world.get("/ok", pool=pool) == (200, OK)


async def test_a_busy_connection_does_not_expire(world: World) -> None:
    async with Pool(limits=Limits(idle_seconds=0.05), deadlines=SLOW) as pool:
        await world.get("/ok", pool=pool)
        assert await world.get("/sleep=0.2", pool=pool) == (200, OK)


async def test_connection_close_is_honoured_both_ways(world: World) -> None:
    await world.get("/ok", headers=[("Connection", "close")])
    assert world.pool.stats().open == 0


async def test_origins_do_not_share_connections_and_unused_ones_are_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket
    from typing import Any

    def found(host: str, port: int, **_: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    await asyncio.gather(*[world.get("/ok", origin=world.origin(host=f"h{n}.test")) for n in range(20)])
    assert world.journal.connections == 20
    for n in range(300):
        await world.get("/ok", origin=world.origin(host=f"n{n}.test"), headers=[("connection", "close")])
    (shelf,) = world.pool._shelves.values()
    assert len(shelf.buckets) <= 257
    assert world.pool.stats().opened == 320


async def test_closing_ends_calls_and_waiters_and_refuses_new_ones(world: World) -> None:
    async with Pool(limits=ONE, deadlines=SLOW) as pool:
        held = await world.open("/s_stall", pool=pool)
        waiting = asyncio.create_task(world.fails("/ok", pool=pool))
        await until(lambda: pool.stats().waiters == 1)
        await pool.aclose()
        await pool.aclose()
        assert isinstance(await waiting, HttpStateError)
        with pytest.raises(HttpStateError):
            await held.read()
        assert isinstance(await world.fails("/ok", pool=pool), HttpStateError)
        assert repr(pool) == "<Pool: closed, 0 connections>"


async def test_a_dropped_pool_closes_its_connections(world: World) -> None:
    pool = Pool(deadlines=SLOW)
    await world.get("/ok", pool=pool)
    del pool
    assert await until(lambda: world.journal.gone == 1)


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest("m", part="header", name="x-key"),
        HttpConnectError("m", kind="dns", temporary=True, sent=False),
        HttpTimeout("m", phase="idle", sent=True),
        HttpProtocolError("m", kind="too_large", limit="body_wire"),
        PoolFull("m"),
        HttpStateError("m"),
    ],
)
def test_errors_survive_pickling_and_copying(error: HttpError) -> None:
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is type(error) and twin.args == error.args and vars(twin) == vars(error)


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_bounds_that_would_bound_nothing_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="idle"):
        Deadlines(idle=value)
    with pytest.raises(ValueError, match="idle_seconds"):
        Limits(idle_seconds=value)


async def test_a_body_that_is_not_bytes_is_refused_before_a_connection_is_taken(world: World) -> None:
    assert isinstance(await world.fails("/ok", body="text"), InvalidRequest)
    assert not world.journal.connections


async def test_a_hundred_calls_at_once_leave_nothing_behind(world: World) -> None:
    paths = ["/ok", "/s_rst", "/short_cl", "/stream", "/bad_status"] * 20
    results = await asyncio.gather(*[world.get(path) for path in paths], return_exceptions=True)
    assert [
        result for result in results if isinstance(result, BaseException) and not isinstance(result, HttpError)
    ] == []
    assert sum(not isinstance(result, BaseException) for result in results) == 40
