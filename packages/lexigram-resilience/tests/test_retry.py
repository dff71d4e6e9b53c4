"""The rules of retrying, the budget, and what both do to a provider that is down."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual import OFF, USER, Server, clock, policy, virtually

from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    InvalidRequestError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ProviderConnectionError,
    ProviderServerError,
    StreamClosedError,
)
from lexigram.resilience import BudgetConfig, RetryConfig
from lexigram.resilience.budget import RetryBudget
from lexigram.resilience.retry import Verdict, backoff, decide, may_retry, once_only

CONFIG = RetryConfig()


def verdict(error: Any, *, tries: int = 1, left: float = 60.0, unreadable: int = 0, **config: Any) -> Verdict:
    settings = RetryConfig(**config)
    return decide(error, tries=tries, left=left, config=settings, rng=random.Random(1), unreadable=unreadable)


DOWN = ProviderServerError("down", status=503)


def hinted(seconds: float | None) -> LLMRateLimitError:
    return LLMRateLimitError("slow", status=429, retry_after=seconds)


@given(st.integers(0, 500), st.integers(0, 2**32))
def test_the_pause_is_drawn_from_the_whole_range_up_to_the_doubled_base_and_the_cap(retry: int, seed: int) -> None:
    assert 0 <= backoff(retry, CONFIG, random.Random(seed)) <= min(20.0, 2.0**retry)


def test_the_jitter_is_full() -> None:
    rng = random.Random(3)
    drawn = [backoff(2, CONFIG, rng) for _ in range(2000)]
    assert min(drawn) < 0.1 and max(drawn) > 3.9
    assert sum(drawn) / len(drawn) == pytest.approx(2.0, rel=0.1)
    assert max(backoff(9, CONFIG, rng) for _ in range(2000)) > 19


def test_every_reason_to_give_up_is_named() -> None:
    assert verdict(InvalidRequestError("bad", status=400)) == Verdict(None, "final")
    assert verdict(DOWN, tries=3) == Verdict(None, "attempts")
    assert verdict(DOWN, tries=2).wait is not None
    assert verdict(DOWN, left=0.1) == Verdict(None, "deadline")
    assert verdict(DOWN, left=0.11).wait is not None
    assert verdict(hinted(60.5)) == Verdict(None, "hint")
    assert verdict(hinted(60.0), left=61.0).wait is not None
    assert verdict(hinted(10.0), left=10.05) == Verdict(None, "deadline")
    assert verdict(hinted(math.inf), max_hint=1e6, left=math.inf) == Verdict(None, "hint")
    broken = DecodeError("empty", retryable=True)
    assert verdict(broken).wait is not None
    assert verdict(broken, tries=2, unreadable=1) == Verdict(None, "attempts")
    assert verdict(DOWN, tries=2, unreadable=1).wait is not None


@given(st.floats(), st.floats(0.2, 1e6), st.integers(1, 2), st.integers(0, 99))
def test_whatever_the_hint_no_pause_is_negative_or_reaches_beyond_the_deadline(
    hint: float, left: float, tries: int, seed: int
) -> None:
    found = decide(hinted(hint), tries=tries, left=left, config=CONFIG, rng=random.Random(seed))
    if found.wait is not None:
        assert 0 <= found.wait <= left - CONFIG.min_attempt + 1e-6
        if hint > 0:
            assert hint <= found.wait <= hint + 2.0**tries


def test_a_conflict_is_tried_again_only_with_an_idempotency_key() -> None:
    conflict = ProviderServerError("x", status=409)
    assert verdict(conflict).wait is not None
    assert verdict(conflict, idempotency_key=False) == Verdict(None, "final")


def test_the_first_unreadable_reply_is_not_the_last() -> None:
    broken = DecodeError("empty", retryable=True)
    assert decide(broken, tries=1, left=60.0, config=CONFIG, rng=random.Random(1)).wait is not None


def test_a_hint_that_just_fits_is_waited_for_and_needs_no_jitter() -> None:
    assert verdict(hinted(10.0), left=10.5, min_attempt=0.5) == Verdict(10.0)


def test_a_hint_of_no_time_does_not_bring_everybody_back_at_the_same_time() -> None:
    found = {
        decide(hinted(0.0), tries=2, left=0.3, config=CONFIG, rng=random.Random(seed)).wait or 0 for seed in range(50)
    }
    assert len(found) == 50 and min(found) < 0.02 and 0.18 < max(found) <= 0.2


def test_a_pause_that_does_not_fit_is_shortened() -> None:
    for seed in range(50):
        found = decide(DOWN, tries=2, left=0.3, config=CONFIG, rng=random.Random(seed))
        assert found.wait is not None and 0 <= found.wait <= 0.2 + 1e-9


@pytest.mark.parametrize(
    ("error", "idempotent", "again"),
    [
        (ProviderServerError("x", status=400), True, False),
        (ProviderServerError("x", status=408), False, True),
        (ProviderServerError("x", status=409), True, True),
        (ProviderServerError("x", status=409), False, False),
        (ProviderServerError("x", status=425), True, False),
        (ProviderServerError("x", status=500), False, True),
        (ProviderServerError("x", status=501, retryable=False), True, False),
        (LLMRateLimitError("x", status=429), False, True),
        (LLMRateLimitError("x", status=499), False, False),
        (InvalidRequestError("x", status=400, retryable=True), True, True),
        (InvalidRequestError("x", status=400), True, False),
        (LLMQuotaExceededError("x", status=429, retryable=True), True, False),
        (CircuitOpenError("x"), True, False),
        (StreamClosedError("x", retryable=True), True, False),
        (ProviderConnectionError("x"), False, True),
        (ProviderConnectionError("x", retryable=False), True, False),
    ],
)
def test_which_errors_may_be_tried_again(error: Any, idempotent: bool, again: bool) -> None:
    assert may_retry(error, idempotent=idempotent) is again


def test_what_is_unreadable_is_tried_once_more_only() -> None:
    assert once_only(DecodeError("x"))
    assert once_only(ProviderConnectionError("x", reason="protocol"))
    assert not once_only(ProviderConnectionError("x", reason="reset"))
    assert not once_only(DOWN)


# -- the budget


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_budget_gives_its_reserve_and_then_a_share_of_the_calls() -> None:
    budget = RetryBudget(BudgetConfig(ratio=0.1, reserve=5, per_second=0), Clock())
    assert [budget.withdraw() for _ in range(6)] == [True] * 5 + [False]
    for _ in range(9):
        budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    budget.deposit()
    assert budget.withdraw()
    assert not budget.withdraw()
    for _ in range(1000):
        budget.deposit()
    assert budget.tokens == 5


def test_where_calls_are_rare_time_pays_in_instead_of_them_not_besides() -> None:
    clock_ = Clock()
    budget = RetryBudget(BudgetConfig(ratio=0.1, reserve=5, per_second=0.1), clock_)
    assert all(budget.withdraw() for _ in range(5))
    clock_.now = 30.0
    budget.deposit()
    assert budget.tokens == pytest.approx(3.0)
    budget.deposit()
    assert budget.tokens == pytest.approx(3.1)


# -- drills


@pytest.mark.parametrize("seed", range(3))
def test_in_an_outage_a_thousand_calls_are_hardly_more_at_the_server(seed: int) -> None:
    @virtually
    async def body() -> None:
        server = Server(lambda *_: ProviderServerError("down", status=503), 0.05)
        p = policy(seed, breaker={"enabled": False})
        client = p.wrap(server)
        counts: list[int] = []

        async def one(number: int) -> None:
            await asyncio.sleep(number * 0.01)
            await client.complete(USER)
            if number in (199, 999):
                counts.append(len(server.requests))

        await asyncio.gather(*[one(n) for n in range(1000)])
        assert len(server.requests) <= 1.2 * 1000
        # After the reserve is spent (the first 200 calls are more than enough for that) a tenth and no more.
        after = [t for t in server.times if t >= server.times[0] + 2.0]
        assert len(after) <= 1.11 * 800
        assert p.counters.budget_denied > 500
        assert p.counters.attempts == len(server.requests)

    body()


@virtually
async def test_with_the_breaker_an_outage_is_hardly_asked_at_all() -> None:
    server = Server(lambda *_: ProviderServerError("down", status=503), 0.05)
    p = policy()
    client = p.wrap(server)

    async def one(number: int) -> None:
        await asyncio.sleep(number * 0.01)
        await client.complete(USER)

    await asyncio.gather(*[one(n) for n in range(1000)])
    assert len(server.requests) < 100
    assert p.counters.circuit_open > 800


@pytest.mark.parametrize("hint", [None, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_clients_that_fail_together_do_not_come_back_together(hint: float | None, seed: int) -> None:
    @virtually
    async def body() -> None:
        server = Server(lambda number, _: hinted(hint) if number < 100 else "x")
        clients = [policy(seed * 100 + n, **OFF).wrap(server) for n in range(100)]
        started = clock()
        results = await asyncio.gather(*[client.complete(USER) for client in clients])
        assert all(r.is_ok() for r in results)
        retries = [t - started for t in server.times[100:]]
        assert len(retries) == 100
        assert min(retries) >= (hint or 0)
        fullest = max(Counter(int(t / 0.05) for t in retries).values())
        # 20 buckets of 5 in the mean; more than 15 of them in one would be no accident.
        assert fullest <= 15

    body()


@pytest.mark.parametrize("hint", [None, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(5))
def test_clients_of_one_policy_that_fail_together_do_not_come_back_together(hint: float | None, seed: int) -> None:
    @virtually
    async def body() -> None:
        server = Server(lambda number, _: hinted(hint) if number < 100 else "x", 0.2)
        p = policy(seed, **OFF)
        started = clock()
        results = await asyncio.gather(*[p.wrap(server).complete(USER) for _ in range(100)])
        assert all(r.is_ok() for r in results)
        retries = [t - started for t in server.times[100:]]
        assert len(retries) == 100
        assert min(retries) >= (hint or 0)
        assert max(Counter(int(t / 0.05) for t in retries).values()) <= 20

    body()


@virtually
async def test_a_hundred_clients_whose_every_try_fails_spread_out() -> None:
    server = Server(lambda *_: ProviderServerError("down", status=503))
    p = policy(11, breaker={"enabled": False}, budget={"enabled": False})
    started = clock()
    await asyncio.gather(*[p.wrap(server).complete(USER) for _ in range(100)])
    retries = [t - started for t in server.times[100:]]
    assert len(retries) == 200
    assert max(Counter(int(t / 0.05) for t in retries).values()) <= 0.1 * len(retries)


@virtually
async def test_nested_layers_do_not_multiply() -> None:
    server = Server(lambda *_: ProviderServerError("down", status=503))
    p = policy(budget={"enabled": False}, breaker={"enabled": False})
    await p.wrap(p.wrap(p.wrap(server))).complete(USER)
    assert len(server.requests) == 3
