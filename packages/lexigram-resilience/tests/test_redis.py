"""Limits shared over a real Redis: exact across processes, free of the dead, and degrading when Redis goes."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from redis_server import BINARY, Server

from lexigram.contracts.ai import RateLimit
from lexigram.resilience import Allowance, LimitKey, RedisConfig
from lexigram.resilience.limiter import Cost, FrozenError, ImpossibleError, LimiterProtocol, Report
from lexigram.resilience.limiter._lua import ACQUIRE

pytestmark = pytest.mark.skipif(
    BINARY is None, reason="redis-server is not installed (Debian: apt-get install redis-server)"
)
KEY = LimitKey("acme", "m", "k")
FREE = Report(Cost(0, 0))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> LimitKey:
    return LimitKey("acme", request.node.name, "k")


def limiter(server: Server, allowance: Allowance | None = None, **config: Any) -> Any:
    from lexigram.resilience.limiter.redis import RedisLimiter

    more = {k: config.pop(k) for k in ("workers", "learn") if k in config}
    return RedisLimiter(RedisConfig.model_validate({"url": server.url, "timeout": 2.0, **config}), allowance, **more)


async def ended(lease: Any, report: Report = FREE) -> None:
    task = lease.close(report)
    if task is not None:
        await task


async def test_it_keeps_requests_tokens_and_concurrency_and_refunds(redis: Server, name: LimitKey) -> None:
    lim = limiter(redis, Allowance(requests_per_minute=4, tokens_per_minute=100, concurrency=2))
    assert isinstance(lim, LimiterProtocol)
    assert lim.counts_tokens(name)
    first = await lim.acquire(name, Cost(40, 10), timeout=1)
    second = await lim.acquire(name, Cost(10), timeout=1)
    with pytest.raises(TimeoutError):
        await lim.acquire(name, Cost(1), timeout=0.1)  # concurrency
    await ended(first, Report(Cost(5, 5)))
    await ended(first, Report(Cost(0, 0), request=False))  # the second time nothing happens
    third = await lim.acquire(name, Cost(80), timeout=1)  # 10 + 10 + 80
    await ended(second, Report(Cost(0), request=False))
    with pytest.raises(TimeoutError):
        await lim.acquire(name, Cost(11), timeout=0.1)  # tokens
    await ended(await lim.acquire(name, Cost(10), timeout=1), Report(None))
    await ended(third, Report(Cost(0)))
    await ended(await lim.acquire(name, Cost(1), timeout=1))
    with pytest.raises(TimeoutError):
        await lim.acquire(name, Cost(1), timeout=0.1)  # requests
    with pytest.raises(ImpossibleError):
        await lim.acquire(name, Cost(101), timeout=1)
    assert (lim.degraded, lim.degradations) == (False, 0)
    await lim.aclose()


async def test_a_freeze_is_shared_and_so_is_what_was_learnt(redis: Server, name: LimitKey) -> None:
    one, two = limiter(redis), limiter(redis)
    lease = await one.acquire(name, Cost(1), timeout=1)
    await ended(lease, Report(Cost(1), rate_limits=(RateLimit("requests", 3, 2, None, 60.0),), freeze=0.4))
    with pytest.raises(FrozenError):
        await two.acquire(name, Cost(1), timeout=0.1)
    started = time.monotonic()
    await two.acquire(name, Cost(1), timeout=5)
    assert time.monotonic() - started >= 0.2
    await one.acquire(name, Cost(1), timeout=5)
    with pytest.raises(TimeoutError):
        await two.acquire(name, Cost(1), timeout=0.1)
    other = name._replace(account="another key")
    await ended(await two.acquire(other, Cost(1), timeout=1))
    await one.aclose()
    await two.aclose()


async def test_what_others_take_of_the_same_limit_is_learnt_from_what_is_left(redis: Server, name: LimitKey) -> None:
    one, two = (limiter(redis, Allowance(requests_per_minute=10)) for _ in range(2))
    first, second = [await one.acquire(name, Cost(), timeout=1) for _ in range(2)]
    # Of 10 the provider has 3 left after the first: 6 are gone that nobody here took.
    await ended(first, Report(Cost(), rate_limits=(RateLimit("requests", 10, 3, None, 60.0),)))
    await ended(second, Report(Cost(), rate_limits=(RateLimit("requests", 10, 8, None, 60.0),)))
    for _ in range(3):  # 2 + 5 or 6 of others; the second request may be in what was left or not
        await ended(await two.acquire(name, Cost(), timeout=1))
    with pytest.raises(TimeoutError):
        await one.acquire(name, Cost(), timeout=0.1)
    deaf = limiter(redis, Allowance(requests_per_minute=10), learn=False)
    other = name._replace(account="another key")
    await ended(await deaf.acquire(other, Cost(), timeout=1), Report(rate_limits=(RateLimit("requests", 10, 0, 60.0),)))
    await ended(await deaf.acquire(other, Cost(), timeout=1))
    for lim in (one, two, deaf):
        await lim.aclose()


async def test_a_learnt_burst_holds_for_all_processes(redis: Server, name: LimitKey) -> None:
    one, two = limiter(redis), limiter(redis)
    for left in (10, 5, 0):
        lease = await one.acquire(name, Cost(), timeout=1)
        await ended(lease, Report(Cost(), rate_limits=(RateLimit("requests", 600, left, (10 - left) / 10),)))
    started = time.monotonic()
    for _ in range(5):
        await ended(await two.acquire(name, Cost(), timeout=5))
    assert time.monotonic() - started >= 0.35
    await one.aclose()
    await two.aclose()


async def test_a_burst_is_kept_small_and_comes_back_steadily(redis: Server, name: LimitKey) -> None:
    lim = limiter(redis, Allowance(requests_per_minute=1200, burst_seconds=1.0))
    started = time.monotonic()
    times = []
    for _ in range(24):
        await ended(await lim.acquire(name, Cost(), timeout=5))
        times.append(time.monotonic() - started)
    assert times[17] < 0.5  # 18 of 20 at once
    assert times[19] >= 0.06
    assert times[20] >= 0.9  # the second holds 20
    await lim.aclose()


async def test_changed_limits_reach_every_process_also_those_that_wait_and_join(redis: Server, name: LimitKey) -> None:
    provider = name.model  # of this test alone
    key = LimitKey(provider, "m", "k")
    one, two = (limiter(redis, Allowance(requests_per_minute=1)) for _ in range(2))
    await ended(await one.acquire(key, Cost(), timeout=1))
    waiting = asyncio.create_task(two.acquire(key, Cost(), timeout=10))
    await asyncio.sleep(0.1)
    started = time.monotonic()
    one.set_allowance(Allowance(requests_per_minute=3, tokens_per_minute=50), provider)
    await ended(await waiting)
    assert time.monotonic() - started < 2
    assert two.counts_tokens(key)
    with pytest.raises(ImpossibleError):
        await two.acquire(key, Cost(51), timeout=1)
    late = limiter(redis, Allowance(requests_per_minute=1))
    await ended(await late.acquire(key, Cost(), timeout=1))
    with pytest.raises(TimeoutError):
        await late.acquire(key, Cost(), timeout=0.1)
    for lim in (one, two, late):
        assert lim.degradations == 0
        await lim.aclose()


def test_limits_changed_outside_of_an_event_loop_are_told_with_the_next_question(redis: Server, name: LimitKey) -> None:
    provider = name.model
    key = LimitKey(provider, "m", "k")
    one, two = (limiter(redis, Allowance(requests_per_minute=1)) for _ in range(2))
    one.set_allowance(Allowance(requests_per_minute=2), provider)

    async def ask(lim: Any) -> None:
        await ended(await lim.acquire(key, Cost(), timeout=1))
        await lim.aclose()

    asyncio.run(ask(one))
    asyncio.run(ask(two))


async def test_waiters_of_a_process_are_served_in_turn(redis: Server, name: LimitKey) -> None:
    lim = limiter(redis, Allowance(concurrency=1))
    order: list[int] = []

    async def one(number: int) -> None:
        lease = await lim.acquire(name, Cost(), timeout=20)
        order.append(number)
        await ended(lease)

    await asyncio.gather(*[one(n) for n in range(8)])
    assert order == list(range(8))
    await lim.aclose()


async def test_cancelled_at_any_moment_nothing_is_lost_and_no_reply_is_mixed_up(redis: Server, name: LimitKey) -> None:
    lim = limiter(redis, Allowance(concurrency=3))

    async def one(number: int) -> None:
        lease = await lim.acquire(name, Cost(), timeout=20)
        try:
            await asyncio.sleep(0.002)
        finally:
            task = lease.close(FREE)
        if task is not None:
            await task

    for round_ in range(12):
        tasks = [asyncio.create_task(one(n)) for n in range(10)]
        await asyncio.sleep(0.0007 * round_)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(d is None or isinstance(d, asyncio.CancelledError) for d in done), done
    leases = [await lim.acquire(name, Cost(), timeout=10) for _ in range(3)]
    for lease in leases:
        await ended(lease)
    assert lim.degradations == 0
    await lim.aclose()
    assert [t for t in asyncio.all_tasks() if t is not asyncio.current_task()] == []


@pytest.mark.parametrize("turned_into", ["an answer", "an error"])
async def test_a_cancellation_that_the_redis_client_swallows_stays_one(
    redis: Server, name: LimitKey, monkeypatch: pytest.MonkeyPatch, turned_into: str
) -> None:
    lim = limiter(redis, Allowance(concurrency=1))
    await ended(await lim.acquire(name, Cost(), timeout=5))

    async def swallowing(**_: Any) -> Any:
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            if turned_into == "an error":
                raise ConnectionError from None
        return [1, 0]

    monkeypatch.setitem(lim._link().scripts, ACQUIRE, swallowing)
    task = asyncio.create_task(lim.acquire(name, Cost(), timeout=5))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert lim.degradations == 0
    await lim.aclose()


def test_each_event_loop_has_connections_of_its_own(redis: Server, name: LimitKey) -> None:
    lim = limiter(redis, Allowance(requests_per_minute=100))

    async def one() -> None:
        await ended(await lim.acquire(name, Cost(), timeout=5))
        await lim.aclose()

    asyncio.run(one())
    asyncio.run(one())
    assert lim.degradations == 0


async def test_without_redis_each_worker_keeps_to_its_share_and_says_so_once(
    tmp_path: Path, name: LimitKey, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        lim = limiter(server, Allowance(requests_per_minute=8), workers=4, retry_seconds=0.3, timeout=1.0)
        await ended(await lim.acquire(name, Cost(), timeout=5))
        server.stop()
        with caplog.at_level(logging.WARNING, logger="lexigram.resilience"):
            for _ in range(2):
                await ended(await lim.acquire(name, Cost(), timeout=5))
            with pytest.raises(TimeoutError):
                await lim.acquire(name, Cost(), timeout=0.1)
        assert lim.degraded
        assert lim.degradations == 1
        assert sum("is gone" in r.getMessage() and "1/4" in r.getMessage() for r in caplog.records) == 1
        server.start()
        await asyncio.sleep(0.35)
        for _ in range(8):
            await ended(await lim.acquire(name, Cost(), timeout=5))
        assert not lim.degraded
        await lim.aclose()
    finally:
        server.stop()


# -- processes


def job(server: Server, **more: Any) -> list[str]:
    about = {"url": server.url, "lease_seconds": 1.0, "tokens": 0, "hold": False, "tasks": 6, "seconds": 4.0, **more}
    return [sys.executable, str(Path(__file__).with_name("redis_worker.py")), json.dumps(about)]


def test_four_processes_share_one_window_and_use_almost_all_of_it(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        # 120 in a minute and 2 in any second: the second's window is what a short test can see.
        command = job(server, limits={"requests_per_minute": 1200, "burst_seconds": 1.0}, seconds=5.0)
        workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
        found = [json.loads(w.communicate(timeout=60)[0]) for w in workers]
    finally:
        server.stop()
    times = sorted(t for one in found for t in one)
    # Each worker hears of its permit a little late, so the times are compared with a little less than the span.
    for index in range(20, len(times)):
        assert times[index] - times[index - 20] >= 0.85
    assert all(len(one) >= 5 for one in found), "somebody starved"
    lasted = times[-1] - times[0]
    assert len(times) >= 0.75 * 20 * lasted


def test_a_killed_worker_frees_its_leases(redis: Server) -> None:
    command = job(redis, limits={"concurrency": 2}, hold=True, tasks=2, seconds=60.0)
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    assert victim.stdout.readline() + victim.stdout.readline() == "holding\nholding\n"
    time.sleep(1.5)  # longer than a lease: it is alive, so they are renewed

    async def body() -> None:
        lim = limiter(redis, Allowance(concurrency=2), lease_seconds=1.0)
        with pytest.raises(TimeoutError):
            await lim.acquire(KEY, Cost(), timeout=0.2)
        victim.send_signal(signal.SIGKILL)
        victim.wait(timeout=10)
        lease = await lim.acquire(KEY, Cost(), timeout=10)
        await ended(lease)
        await lim.aclose()

    try:
        asyncio.run(body())
    finally:
        victim.kill()
        victim.stdout.close()
