"""The limiter: no window above its limit, first come first served, no permit lost or doubled, whatever is cancelled."""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from virtual import VirtualLoop, clock, virtually

from lexigram.resilience import Allowance, LimitKey, MemoryLimiter
from lexigram.resilience.bulkhead import Slots
from lexigram.resilience.limiter import Cost, FrozenError, ImpossibleError, Report
from lexigram.resilience.limiter.bucket import Bucket
from lexigram.resilience.limiter.core import LimiterCore
from lexigram.resilience.limiter.gate import Gate
from lexigram.resilience.limiter.window import SlidingWindow

KEY = LimitKey("acme", "m", "k")
FREE = Report(Cost(0, 0))


def limiter(**limits: Any) -> MemoryLimiter:
    return MemoryLimiter(Allowance(**limits), clock=clock)


# -- the window


def test_a_window_never_holds_more_than_its_limit_and_all_of_it_comes_back() -> None:
    window = SlidingWindow("requests", 10, 60.0)
    for _ in range(10):
        assert window.delay(1, 0.0) == 0
        window.take(1, 0.0)
    assert window.delay(1, 0.0) == pytest.approx(60.3)
    assert window.delay(1, 59.9) > 0
    assert window.delay(10, 60.31) == 0


def test_the_wait_is_until_enough_is_old_and_no_longer() -> None:
    window = SlidingWindow("tokens", 100, 60.0)
    for second in range(10):
        window.take(10, float(second))
    assert window.delay(10, 20.0) == pytest.approx(60.3 - 20)
    assert window.delay(25, 20.0) == pytest.approx(62.3 - 20)
    assert window.delay(100, 20.0) == pytest.approx(69.3 - 20)


def test_settling_frees_what_was_not_used_and_charges_what_was_more_from_now_on() -> None:
    window = SlidingWindow("tokens", 100, 60.0)
    slot = window.take(80, 0.0)
    window.settle(slot, 80, 30, 5.0)
    assert window.own(5.0) == 30
    other = window.take(10, 10.0)
    window.settle(other, 10, 50, 30.0)
    assert window.own(30.0) == 80
    assert window.own(61.0) == 50
    window.settle(slot, 30, 0, 61.0)  # long gone: nothing to give back
    assert window.own(61.0) == 50
    assert window.own(89.0) == 40
    assert window.own(91.0) == 0


def test_what_others_seem_to_take_wears_off() -> None:
    window = SlidingWindow("requests", 60, 60.0)
    window.take(1, 0.0)
    window.see(remaining=19, before=59, since=0, now=0.0)
    assert window.others(0.0) == 40
    assert window.delay(30, 0.0) == pytest.approx(11.0)
    assert window.others(10.0) == pytest.approx(30)
    window.see(remaining=59, before=59, since=0, now=10.0)
    assert window.others(10.0) == pytest.approx(30)
    assert window.others(100.0) == 0


def test_a_burst_is_kept_a_little_smaller_than_the_providers_and_so_is_the_rate() -> None:
    core = LimiterCore(Allowance(requests_per_minute=6000, burst_seconds=1.0))
    for _ in range(90):
        assert core.wait(Cost(), 0.0) == 0
        core.take(Cost(), 0.0)
    assert core.wait(Cost(), 0.0) == pytest.approx(0.01005)
    assert core.wait(Cost(), 0.0101) == 0
    single = LimiterCore(Allowance(requests_per_minute=60, burst_seconds=1.0))
    single.take(Cost(), 0.0)
    assert single.wait(Cost(), 0.0) == pytest.approx(1.005)


def test_no_second_holds_more_than_a_second_may() -> None:
    core = LimiterCore(Allowance(requests_per_minute=600, burst_seconds=1.0))
    taken, now = [], 0.0
    while now < 10.0:
        wait = core.wait(Cost(), now)
        if wait == 0:
            core.take(Cost(), now)
            taken.append(now)
        now += wait or 0.0
    assert len(taken) >= 98
    assert all(later - earlier >= 1.0 for earlier, later in zip(taken, taken[10:], strict=False))


def test_a_bucket_refills_counts_what_was_undone_and_lets_the_too_large_go_when_it_is_full() -> None:
    bucket = Bucket("tokens", 100, 10.0)
    assert bucket.left(0.0) == 90
    assert bucket.delay(500, 0.0) == 0
    bucket.take(500, 0.0)
    assert bucket.delay(1, 0.0) == pytest.approx(411 / 10 * 1.005)
    bucket.settle(None, 500, 40, 0.0)
    assert bucket.left(0.0) == 50
    assert bucket.delay(60, 0.0) == pytest.approx(1.005)
    assert bucket.left(100.0) == 90
    bucket.see(remaining=20, before=90, since=30, now=100.0)
    assert (bucket.left(100.0), bucket.total) == (50, 540)
    bucket.see(remaining=20, before=90, since=70, now=100.0)
    assert bucket.left(100.0) == 50
    bucket.resize(10, 10.0)
    assert bucket.left(101.0) == 9


# -- the core


def test_a_freeze_has_a_cap_and_the_longest_holds() -> None:
    core = LimiterCore(Allowance(), max_freeze=60.0)
    core.freeze(math.inf, 0.0)
    core.freeze(1.0, 0.0)
    assert core.wait(Cost(), 0.0) == 60.0
    assert core.wait(Cost(), 60.0) == 0


def test_a_core_refunds_what_never_reached_the_provider_and_counts_what_did() -> None:
    core = LimiterCore(Allowance(requests_per_minute=10, tokens_per_minute=100))
    unsent, refused, lost = (core.take(Cost(10, 10), 0.0) for _ in range(3))
    core.settle(unsent, Cost(0, 0), 0.0, request=False)
    core.settle(refused, Cost(0, 0), 0.0)
    core.settle(lost, None, 0.0)
    core.settle(lost, Cost(0, 0), 0.0, request=False)  # the second time nothing happens
    requests, tokens = core.windows
    assert (requests.own(0.0), tokens.own(0.0), core.in_flight) == (2, 20, 0)


def test_a_share_of_an_allowance_is_never_nothing() -> None:
    whole = Allowance(requests_per_minute=10, tokens_per_minute=1000, concurrency=2, burst_seconds=5)
    part = whole.share(4)
    assert (part.requests_per_minute, part.tokens_per_minute, part.concurrency, part.burst_seconds) == (2, 250, 1, 5)
    assert part.input_tokens_per_minute is None


def test_each_unit_is_counted_by_itself() -> None:
    allowance = Allowance(
        requests_per_minute=100, tokens_per_minute=1000, input_tokens_per_minute=600, output_tokens_per_minute=300,
        burst_seconds=6.0,
    )  # fmt: skip
    core = LimiterCore(allowance)
    core.take(Cost(50, 20), 0.0)
    held = {(w.unit, w.limit, w.seconds): w.own(0.0) for w in core.windows}
    assert held == {
        ("requests", 100, 60.0): 1,
        ("tokens", 1000, 60.0): 70,
        ("input_tokens", 600, 60.0): 50,
        ("output_tokens", 300, 60.0): 20,
        ("requests", 10, 6.0): 1,
    }
    for cost, unit in ((Cost(601, 0), "input_tokens"), (Cost(0, 301), "output_tokens"), (Cost(750, 260), "tokens")):
        with pytest.raises(ImpossibleError, match=f"{sum(cost) if unit == 'tokens' else max(cost)} {unit}.* in 60 s"):
            core.wait(cost, 0.0)
    assert core.wait(Cost(600, 0), 0.0) > 0
    part = allowance.share(10)
    assert (part.input_tokens_per_minute, part.output_tokens_per_minute) == (60, 30)


def test_a_changed_burst_keeps_what_was_taken_and_may_go_away() -> None:
    core = LimiterCore(Allowance(requests_per_minute=6000, burst_seconds=1.0))
    for _ in range(90):
        core.take(Cost(), 0.0)
    core.set_allowance(Allowance(requests_per_minute=12000, burst_seconds=1.0))
    (bucket,) = core.buckets
    assert (bucket.limit, bucket.seconds, bucket.left(0.0)) == (200, 1.0, 0)
    assert {(w.limit, w.seconds): w.own(0.0) for w in core.windows} == {(12000, 60.0): 90, (200, 1.0): 90}
    assert core.wait(Cost(), 0.0) == pytest.approx(1.005 / 200)
    core.set_allowance(Allowance(requests_per_minute=12000))
    assert core.buckets == []
    assert core.wait(Cost(), 0.0) == 0
    core.set_allowance(Allowance(requests_per_minute=600, burst_seconds=2.0))
    assert [(b.unit, b.limit, b.left(0.0)) for b in core.buckets] == [("requests", 20, 18)]
    unknown = LimiterCore(Allowance())
    for _ in range(64):
        unknown.take(Cost(), 0.0)
    unknown.set_allowance(Allowance(requests_per_minute=600))
    assert unknown.wait(Cost(), 0.0) == 0


def test_changed_limits_keep_what_was_taken() -> None:
    core = LimiterCore(Allowance(requests_per_minute=2))
    core.take(Cost(), 0.0)
    core.take(Cost(), 0.0)
    core.set_allowance(Allowance(requests_per_minute=3))
    assert core.wait(Cost(), 1.0) == 0
    core.take(Cost(), 1.0)
    assert core.wait(Cost(), 1.0) > 0
    core.set_allowance(Allowance())
    assert core.wait(Cost(), 1.0) == 0


def test_a_forked_child_starts_with_nothing_in_flight_and_nobody_waiting() -> None:
    core = LimiterCore(Allowance(concurrency=1))
    gate: Gate[Any] = Gate(core, lambda: 0.0)
    grant = gate.try_enter()
    assert gate.try_enter() is None
    gate.reset()
    assert gate.try_enter() is not None
    core.settle(grant, None, 0.0)
    core.settle(core.take(Cost(), 0.0), None, 0.0)
    assert core.in_flight == 0


# -- the queue


@virtually
async def test_permits_are_given_first_come_first_served() -> None:
    lim = limiter(requests_per_minute=2)
    order: list[int] = []

    async def one(number: int) -> None:
        (await lim.acquire(KEY, Cost(), timeout=math.inf)).close(FREE)
        order.append(number)

    started = clock()
    await asyncio.gather(*[one(n) for n in range(6)])
    assert order == list(range(6))
    assert clock() - started == pytest.approx(120.6, abs=1)


@virtually
async def test_a_large_request_is_not_overtaken_for_ever_by_small_ones() -> None:
    lim = limiter(tokens_per_minute=100)
    order: list[str] = []

    async def one(name: str, tokens: int) -> None:
        await lim.acquire(KEY, Cost(tokens), timeout=math.inf)
        order.append(name)

    await lim.acquire(KEY, Cost(60), timeout=math.inf)
    await asyncio.gather(one("large", 90), *[one(f"small{n}", 5) for n in range(5)])
    assert order[0] == "large"


@virtually
async def test_shares_take_turns_so_that_a_crowd_does_not_starve_one() -> None:
    gate: Gate[int] = Gate(Slots(1), clock)
    order: list[str] = []

    async def one(share: str) -> None:
        grant = await gate.enter(share=share)
        order.append(share)
        await asyncio.sleep(1)
        gate.use(lambda now: gate.core.settle(grant, None, now))

    await asyncio.gather(*[one("crowd") for _ in range(10)], one("single"))
    assert order.index("single") == 2
    assert gate.waiting == 0


@virtually
async def test_changed_limits_hold_at_once_also_for_who_waits() -> None:
    lim = limiter(requests_per_minute=1)
    await lim.acquire(KEY, Cost(), timeout=1)
    started = clock()
    waiting = asyncio.create_task(lim.acquire(KEY, Cost(), timeout=math.inf))
    hopeless = asyncio.create_task(lim.acquire(KEY, Cost(50, 50), timeout=math.inf))
    await asyncio.sleep(1)
    lim.set_allowance(Allowance(requests_per_minute=5, tokens_per_minute=10), provider="acme")
    await waiting
    assert clock() - started == pytest.approx(1)
    with pytest.raises(ImpossibleError):
        await hopeless
    lim.set_allowance(Allowance(concurrency=1), model="other")
    assert lim.counts_tokens(KEY)
    assert not lim.counts_tokens(LimitKey("x", "other"))


@virtually
async def test_a_freeze_longer_than_the_callers_time_is_said_at_once() -> None:
    lim = limiter()
    (await lim.acquire(KEY, Cost(), timeout=1)).close(Report(Cost(), freeze=30.0))
    with pytest.raises(FrozenError) as caught:
        await lim.acquire(KEY, Cost(), timeout=5)
    assert caught.value.seconds == pytest.approx(30.0)
    assert lim.try_acquire(LimitKey("acme", "m", "another key"), Cost()) is not None


@virtually
async def test_a_permit_granted_in_the_tick_of_a_cancellation_is_given_back() -> None:
    lim = limiter(concurrency=1)
    first = await lim.acquire(KEY, Cost(), timeout=1)
    second = asyncio.create_task(lim.acquire(KEY, Cost(), timeout=math.inf))
    await asyncio.sleep(1)
    first.close(FREE)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert lim.in_flight(KEY) == lim.waiting(KEY) == 0
    assert lim.try_acquire(KEY, Cost()) is not None


def test_one_limiter_serves_several_loops_and_threads() -> None:
    lim = MemoryLimiter(Allowance(concurrency=3))
    running = most = done = 0
    lock = threading.Lock()

    async def one() -> None:
        nonlocal running, most, done
        lease = await lim.acquire(KEY, Cost(), timeout=30)
        with lock:
            running += 1
            most = max(most, running)
        await asyncio.sleep(0.001)
        with lock:
            running -= 1
            done += 1
        lease.close(FREE)

    async def many() -> None:
        await asyncio.gather(*[one() for _ in range(40)])

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert (done, most <= 3, lim.in_flight(KEY), lim.waiting(KEY)) == (160, True, 0, 0)


def test_a_waiter_whose_loop_is_gone_stands_in_nobodys_way() -> None:
    lim = MemoryLimiter(Allowance(concurrency=1))
    lease = asyncio.run(lim.acquire(KEY, Cost(), timeout=1))
    loop = asyncio.new_event_loop()
    task = loop.create_task(lim.acquire(KEY, Cost(), timeout=100))
    loop.run_until_complete(asyncio.sleep(0.01))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()
    lease.close(FREE)
    assert asyncio.run(lim.acquire(KEY, Cost(), timeout=1)) is not None


# -- against a model


class LimiterMachine(RuleBasedStateMachine):
    """The limiter against the simplest thing that could be right: a list of everything that was let in, and when."""

    LIMIT, TOKENS, CONCURRENCY = 5, 100, 3

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.limiter = MemoryLimiter(
            Allowance(requests_per_minute=self.LIMIT, tokens_per_minute=self.TOKENS, concurrency=self.CONCURRENCY),
            clock=lambda: self.loop.now,
        )
        self.queue: deque[tuple[int, asyncio.Task[None]]] = deque()
        self.running: dict[int, Any] = {}
        self.let_in: list[tuple[float, int, int]] = []  # when, number, tokens
        self.numbers = 0
        self.order: list[int] = []

    def tick(self, seconds: float = 0.0) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.queue = deque((n, t) for n, t in self.queue if not t.done())

    @rule(tokens=st.integers(1, 60))
    def ask(self, tokens: int) -> None:
        number = self.numbers
        self.numbers += 1

        async def one() -> None:
            lease = await self.limiter.acquire(KEY, Cost(tokens), timeout=math.inf)
            self.running[number] = (lease, tokens)
            self.let_in.append((self.loop.now, number, tokens))
            self.order.append(number)

        self.queue.append((number, self.loop.create_task(one())))
        self.tick()

    @rule(data=st.data(), used=st.sampled_from(["all", "unknown", "undone"]))
    def end(self, data: Any, used: str) -> None:
        if not self.running:
            return
        number = data.draw(st.sampled_from(sorted(self.running)))
        lease, tokens = self.running.pop(number)
        if used == "undone":
            lease.close(Report(Cost(0, 0), request=False))
            self.let_in = [entry for entry in self.let_in if entry[1] != number]
        else:
            lease.close(Report(Cost(tokens) if used == "all" else None))
        lease.close(FREE)
        self.tick()

    @rule(data=st.data(), also_end=st.booleans())
    def cancel(self, data: Any, also_end: bool) -> None:
        if not self.queue:
            return
        at = data.draw(st.integers(0, len(self.queue) - 1))
        if also_end and self.running:
            # A permit becomes free in the very tick of the cancellation.
            number = min(self.running)
            self.running.pop(number)[0].close(Report(None))
        self.queue[at][1].cancel()
        self.tick()

    @rule(seconds=st.sampled_from([0.05, 1.0, 20.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.tick(seconds)

    @invariant()
    def no_window_is_above_the_limit(self) -> None:
        for end, _, _ in self.let_in:
            inside = [tokens for when, _, tokens in self.let_in if end - 60 < when <= end]
            assert len(inside) <= self.LIMIT
            assert sum(inside) <= self.TOKENS

    @invariant()
    def no_permit_is_lost_or_doubled(self) -> None:
        assert self.limiter.in_flight(KEY) == len(self.running) <= self.CONCURRENCY
        assert self.limiter.waiting(KEY) == len(self.queue)

    @invariant()
    def nobody_overtakes(self) -> None:
        assert self.order == sorted(self.order)

    def teardown(self) -> None:
        for lease, _ in self.running.values():
            lease.close(Report(None))
        for _ in range(self.numbers + 5):
            self.tick(61.0)
            for lease, _ in self.running.values():
                lease.close(Report(None))
            self.running.clear()
        assert not self.queue, "somebody waits for ever"
        assert self.limiter.in_flight(KEY) == 0
        self.loop.close()


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize(("burst", "least"), [(60.0, 0.98), (1.0, 0.98)])
def test_the_allowed_rate_is_used_almost_whole(burst: float, least: float) -> None:
    @virtually
    async def body() -> None:
        lim = limiter(requests_per_minute=600, burst_seconds=burst)
        times: list[float] = []

        async def worker() -> None:
            while clock() < started + 600:
                (await lim.acquire(KEY, Cost(), timeout=math.inf)).close(FREE)
                times.append(clock() - started)

        started = clock()
        await asyncio.gather(*[worker() for _ in range(20)])
        inside = [t for t in times if t < 600]
        assert len(inside) <= 600 * 10
        assert len(inside) >= least * 600 * 10
        for index in range(600, len(times)):
            assert times[index] - times[index - 600] >= 60

    body()
