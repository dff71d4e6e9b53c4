"""Who was stopped together does not come back together; and what is heard of the limits while there is room."""

from __future__ import annotations

import asyncio
import math
from collections import Counter

import pytest
from virtual import clock, virtually

from lexigram.contracts.ai.completion import RateLimit
from lexigram.contracts.limits import Allowance, Cost, LimitKey, Report
from lexigram.resilience import MemoryLimiter
from lexigram.resilience.limiter.core import LimiterCore

KEY = LimitKey("acme", "m")
SAID = RateLimit("requests", 1000, 999, None, 60.0)


def fullest(times: list[float]) -> int:
    return max(Counter(int(t / 0.05) for t in times).values())


async def thawed(limiter: MemoryLimiter, count: int, freeze: float | None) -> list[tuple[int, float]]:
    """Return who goes when, after a freeze or the first reply of a cold start that ``count`` calls wait through."""
    first = [await limiter.acquire(KEY, Cost(), timeout=1.0) for _ in range(1 if freeze else 64)]
    gone: list[tuple[int, float]] = []

    async def one(number: int) -> None:
        lease = await limiter.acquire(KEY, Cost(), timeout=math.inf)
        gone.append((number, clock()))
        await asyncio.sleep(0.3)
        lease.close(Report(Cost()))

    if freeze is not None:
        first.pop().close(Report(Cost(), freeze=freeze))
    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    await asyncio.sleep(0)
    start = clock()
    for lease in first:
        lease.close(Report(Cost()))
    await asyncio.gather(*tasks)
    return [(number, at - start) for number, at in gone]


@pytest.mark.parametrize("freeze", [2.0, None], ids=["freeze", "cold start"])
@pytest.mark.parametrize("count", [30, 100, 1000])
def test_those_who_wait_go_one_by_one_in_their_order_and_soon(freeze: float | None, count: int) -> None:
    @virtually
    async def body() -> None:
        gone = await thawed(MemoryLimiter(clock=clock), count, freeze)
        assert [number for number, _ in gone] == list(range(count))
        times = [at - (freeze or 0.0) for _, at in gone]
        assert times[0] >= -1e-9
        assert fullest(times) <= max(0.1 * count, 2)
        assert times[-1] < 3.5

    body()


@virtually
async def test_one_alone_goes_when_the_freeze_ends() -> None:
    assert await thawed(MemoryLimiter(clock=clock), 1, 2.0) == [(0, pytest.approx(2.0))]


@virtually
async def test_known_limits_are_used_in_full_after_a_freeze() -> None:
    gone = await thawed(MemoryLimiter(Allowance(requests_per_minute=600), clock=clock), 100, 2.0)
    assert [at for _, at in gone] == pytest.approx([2.0] * 100)


@virtually
async def test_a_cold_start_does_not_slow_those_who_wait_for_their_turn_down() -> None:
    limiter = MemoryLimiter(Allowance(concurrency=1), clock=clock)

    async def one() -> None:
        lease = await limiter.acquire(KEY, Cost(), timeout=math.inf)
        await asyncio.sleep(0.005)
        lease.close(Report(Cost()))

    started = clock()
    await asyncio.gather(*[one() for _ in range(20)])
    assert clock() - started == pytest.approx(0.1)


@virtually
async def test_who_comes_when_nobody_waits_goes_at_once() -> None:
    limiter = MemoryLimiter(clock=clock)
    (await limiter.acquire(KEY, Cost(), timeout=1.0)).close(Report(Cost(), freeze=1.0))
    await asyncio.sleep(1.0)
    for _ in range(5):
        assert limiter.try_acquire(KEY, Cost()) is not None


def heard(core: LimiterCore, said: RateLimit, now: float) -> None:
    grant = core.take(Cost(), now)
    core.settle(grant, Cost(), now)
    core.learn((said,), grant, now)


def test_while_there_is_room_a_reply_every_few_milliseconds_is_enough() -> None:
    core = LimiterCore(Allowance())
    assert core.listens(0.0)
    heard(core, SAID, 0.0)
    assert not core.listens(0.001)
    assert core.listens(0.006)


def test_every_reply_is_heard_where_little_is_left_or_little_is_known() -> None:
    low = LimiterCore(Allowance())
    heard(low, RateLimit("requests", 1000, 200, None, 60.0), 0.0)
    assert low.listens(0.0)
    unclear = LimiterCore(Allowance())
    heard(unclear, RateLimit("requests", 1000, 999), 0.0)
    assert unclear.listens(0.0)
    refused = LimiterCore(Allowance())
    heard(refused, SAID, 0.0)
    refused.freeze(1.0, 0.001)
    assert refused.listens(0.001)


def test_a_limiter_that_does_not_learn_never_listens() -> None:
    assert not MemoryLimiter(learn=False).listens(KEY)
    assert MemoryLimiter().listens(KEY)
