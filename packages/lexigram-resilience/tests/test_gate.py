"""The queue's exits: who leaves with a permit gives all of it back, a fork begins anew, named limits are for the named."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import threading
import time

import pytest
from virtual import clock, virtually

from lexigram.resilience import Allowance, LimitKey, MemoryLimiter
from lexigram.resilience.limiter import Cost, Report
from lexigram.resilience.limiter.core import LimiterCore
from lexigram.resilience.limiter.gate import Gate

KEY = LimitKey("acme", "m", "k")


@virtually
async def test_who_is_cancelled_in_the_tick_of_the_permit_has_spent_neither_a_request_nor_tokens() -> None:
    lim = MemoryLimiter(Allowance(concurrency=1, requests_per_minute=2, tokens_per_minute=100), clock=clock)
    first = await lim.acquire(KEY, Cost(10), timeout=1)
    second = asyncio.create_task(lim.acquire(KEY, Cost(90), timeout=math.inf))
    await asyncio.sleep(1)
    first.close(Report(Cost(10)))
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert lim.try_acquire(KEY, Cost(90)) is not None


def test_a_lease_gives_back_what_was_not_used_and_a_request_that_never_arrived() -> None:
    lim = MemoryLimiter(Allowance(requests_per_minute=2, tokens_per_minute=100))
    for report in (Report(Cost(10)), Report(Cost(), request=False), Report(Cost(), request=False)):
        lease = lim.try_acquire(KEY, Cost(90))
        assert lease is not None
        assert lim.try_acquire(KEY, Cost(11)) is None
        lease.close(report)
    assert lim.try_acquire(KEY, Cost(90)) is not None
    assert lim.try_acquire(KEY, Cost()) is None


def test_nobody_goes_even_a_moment_too_soon() -> None:
    now = 0.0
    lim = MemoryLimiter(Allowance(), max_freeze=0.1, clock=lambda: now)
    lease = lim.try_acquire(KEY, Cost())
    assert lease is not None
    lease.close(Report(Cost(), freeze=30.0))
    now = 0.09
    assert lim.try_acquire(KEY, Cost()) is None
    now = 0.11
    assert lim.try_acquire(KEY, Cost()) is not None


@virtually
async def test_the_limiter_waits_no_longer_than_it_was_given_and_lets_shares_take_turns() -> None:
    lim = MemoryLimiter(Allowance(concurrency=1), clock=clock)
    order: list[str] = []

    async def one(share: str) -> None:
        lease = await lim.acquire(KEY, Cost(), timeout=math.inf, share=share)
        order.append(share)
        await asyncio.sleep(1)
        lease.close(Report(Cost()))

    held = await lim.acquire(KEY, Cost(), timeout=1)
    started = clock()
    with pytest.raises(TimeoutError):
        await lim.acquire(KEY, Cost(), timeout=5)
    assert clock() - started == pytest.approx(5)
    callers = [asyncio.create_task(one(share)) for share in ("", "", "", "single")]
    await asyncio.sleep(0)
    held.close(Report(Cost()))
    await asyncio.gather(*callers)
    assert order == ["", "single", "", ""]


def sooner(core: LimiterCore, now: float) -> None:
    """Change what was a minute's wait to a tenth of a second's."""
    core.set_allowance(Allowance())
    core.freeze(0.1, now)


@virtually
async def test_when_the_wait_becomes_shorter_whoever_waits_is_let_in_sooner() -> None:
    core = LimiterCore(Allowance(requests_per_minute=1))
    gate = Gate(core, clock)
    await gate.enter(Cost())
    waiting = asyncio.create_task(gate.enter(Cost()))
    await asyncio.sleep(1)
    started = clock()
    gate.use(lambda now: sooner(core, now))
    await waiting
    assert clock() - started == pytest.approx(0.1)


def test_when_the_wait_becomes_shorter_who_waits_on_another_threads_loop_is_let_in_sooner() -> None:
    core = LimiterCore(Allowance(requests_per_minute=1))
    gate = Gate(core, time.monotonic)
    gate.try_enter(Cost())
    done: list[str] = []

    async def wait() -> None:
        await gate.enter(Cost(), timeout=5)
        done.append("let in")

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    while not gate.waiting and thread.is_alive():
        time.sleep(0.001)
    gate.use(lambda now: sooner(core, now))
    thread.join()
    assert done == ["let in"]


def test_who_waited_on_a_loop_that_was_closed_stands_in_nobodys_way() -> None:
    gate = Gate(LimiterCore(Allowance(concurrency=1)), time.monotonic)
    grant = gate.try_enter(Cost())
    assert grant is not None
    loop = asyncio.new_event_loop()
    lost = gate.enter(Cost())
    task = loop.create_task(lost)
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()  # with the task on it
    assert gate.waiting == 1
    gate.use(lambda now: gate.core.settle(grant, Cost(), now))
    assert asyncio.run(gate.enter(Cost(), timeout=5)) is not None
    assert gate.waiting == 0
    with contextlib.suppress(RuntimeError):
        lost.close()
    assert not task.done()


@virtually
async def test_after_a_fork_the_queue_works_as_a_new_one() -> None:
    core = LimiterCore(Allowance(requests_per_minute=1))
    gate = Gate(core, clock)
    await gate.enter(Cost())
    lost = asyncio.create_task(gate.enter(Cost()))
    await asyncio.sleep(0)
    gate.reset()
    assert gate.waiting == 0
    started = clock()
    await gate.enter(Cost(), timeout=100)
    assert clock() - started == pytest.approx(60.3)
    lost.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lost
    assert gate.waiting == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_a_forked_child_holds_none_of_its_parents_permits() -> None:
    lim = MemoryLimiter(Allowance(concurrency=1))
    held = lim.try_acquire(KEY, Cost())
    child = os.fork()
    if not child:
        try:
            free = lim.in_flight(KEY) == 0 and lim.try_acquire(KEY, Cost()) is not None
        except BaseException:
            free = False
        os._exit(0 if free else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert held is not None
    assert lim.in_flight(KEY) == 1


@pytest.mark.parametrize("seen_before", [True, False])
def test_changed_limits_are_for_the_named_provider_and_model_and_the_most_specific_holds(seen_before: bool) -> None:
    lim = MemoryLimiter(Allowance(concurrency=1))
    keys = [LimitKey(provider, model) for provider in ("a", "b") for model in ("x", "y")]
    if seen_before:
        assert [lim.in_flight(key) for key in keys] == [0, 0, 0, 0]
    lim.set_allowance(Allowance(concurrency=2), provider="a")
    lim.set_allowance(Allowance(concurrency=3), model="x")
    lim.set_allowance(Allowance(concurrency=4), provider="b", model="x")

    def most(key: LimitKey) -> int:
        return sum(lim.try_acquire(key, Cost()) is not None for _ in range(10))

    assert [most(key) for key in keys] == [2, 2, 4, 1]
