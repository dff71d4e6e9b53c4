"""Calls under a policy: one deadline, retries with one owner, a ledger that tells all, permits that come back."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from virtual import OFF, USER, Server, clock, policy, virtually

from lexigram.contracts.ai import Completion, StreamChunk, Timeouts, Usage
from lexigram.contracts.ai.client import RequestClientProtocol
from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    InvalidRequestError,
    LLMContentFilterError,
    LLMError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderServerError,
    StreamClosedError,
    StreamError,
)
from lexigram.contracts.ai.fold import chunks_of
from lexigram.contracts.result import Err, Ok
from lexigram.resilience import LimitKey, MemoryLimiter
from lexigram.testing import FakeLLM

KEY = LimitKey("acme", "m", "k1")


def down() -> LLMError:
    return ProviderServerError("down", status=503)


def then(*replies: Any) -> Any:
    """Answer with each in turn; functions are called, so that every error is a new one."""

    def answer(number: int, _request: Any) -> Any:
        reply = replies[min(number, len(replies) - 1)]
        return reply() if callable(reply) else reply

    return answer


def held(p: Any) -> int:
    limiter = p.limiter
    assert isinstance(limiter, MemoryLimiter)
    return limiter.in_flight(KEY) + limiter.waiting(KEY)


# -- retries and the ledger


@virtually
async def test_a_failed_try_is_made_again_and_the_answer_tells_every_try() -> None:
    server = Server(then(down, "hello"), 0.5)
    p = policy(**OFF)
    completion = (await p.wrap(server).complete(USER)).unwrap()
    assert completion.content == "hello"
    first, second = completion.attempts
    assert (first.outcome, first.duration, first.usage.source) == ("LEX_ERR_LLM_022", pytest.approx(0.5), "unknown")
    assert (second.outcome, second.usage.total_tokens, second.provider, second.model) == ("ok", 15, "acme", "m")
    assert second.wait == pytest.approx(server.times[1] - server.times[0] - 0.5)
    assert 0 < second.wait <= 1.0
    assert held(p) == 0


@virtually
async def test_an_error_tells_every_try_its_cause_its_wait_and_the_servers_hint() -> None:
    server = Server(then(lambda: LLMRateLimitError("slow", status=429, retry_after=2.0), down, down))
    error = (await policy(**OFF).wrap(server).complete(USER)).err()
    assert isinstance(error, ProviderServerError)
    assert [a.outcome for a in error.attempts] == ["LEX_ERR_LLM_007", "LEX_ERR_LLM_022", "LEX_ERR_LLM_022"]
    assert error.attempts[0].retry_after == 2.0
    assert error.attempts[1].wait >= 2.0
    assert "3 times" in str(error.hint)


@pytest.mark.parametrize(
    ("error", "requests"),
    [
        (lambda: InvalidRequestError("bad", status=400), 1),
        (lambda: InvalidRequestError("bad", status=400, retryable=True), 3),  # x-should-retry: true
        (lambda: ProviderServerError("bad", status=503, retryable=False), 1),  # x-should-retry: false
        (lambda: LLMQuotaExceededError("no credit", status=429, retryable=True), 1),
        (lambda: LLMContentFilterError("no"), 1),
        (lambda: ProviderServerError("early", status=425), 1),
        (lambda: ProviderServerError("timeout", status=408), 3),
        (lambda: ProviderServerError("conflict", status=409), 3),
        (lambda: LLMRateLimitError("slow", status=429), 3),
        (lambda: ProviderConnectionError("reset", reason="reset"), 3),
        (lambda: ProviderConnectionError("garbage", reason="protocol"), 2),
        (lambda: DecodeError("empty", retryable=True), 2),
        (lambda: StreamClosedError("closed", retryable=True), 1),
    ],
)
def test_only_what_may_help_is_tried_again(error: Any, requests: int) -> None:
    @virtually
    async def body() -> None:
        server = Server(then(error))
        assert (await policy(**OFF).wrap(server).complete(USER)).is_err()
        assert len(server.requests) == requests

    body()


@virtually
async def test_a_conflict_is_final_without_an_idempotency_key() -> None:
    server = Server(then(lambda: ProviderServerError("conflict", status=409)))
    await policy(**OFF, retry={"idempotency_key": False}).wrap(server).complete(USER)
    assert len(server.requests) == 1
    assert server.requests[0].extra_headers is None


@virtually
async def test_all_tries_of_a_call_carry_one_idempotency_key_and_calls_differ() -> None:
    server = Server(then(down, down, "x"))
    client = policy(**OFF).wrap(server)
    await client.complete(USER, extra_headers={"x-team": "blue"})
    await client.complete(USER)
    keys = [(r.extra_headers or {})["idempotency-key"] for r in server.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert (server.requests[0].extra_headers or {})["x-team"] == "blue"
    await client.complete(USER, extra_headers={"Idempotency-Key": "mine"})
    assert server.requests[-1].extra_headers == {"Idempotency-Key": "mine"}


@pytest.mark.parametrize(
    ("hint", "requests", "low", "high"),
    [
        (0.0, 3, 0.0, 1.0),
        (1.0, 3, 1.0, 2.0),
        (0.3, 3, 0.3, 1.3),
        (3600.0, 1, 0, 0),
        (math.inf, 1, 0, 0),
        (math.nan, 3, 0.0, 1.0),
        (-5.0, 3, 0.0, 1.0),
        (1e9, 1, 0, 0),
        (29.0, 2, 29.0, 30.0),  # the second 29 s do not fit into what is left of the minute's half
    ],
)
def test_a_hint_is_waited_for_in_full_or_not_at_all(hint: float, requests: int, low: float, high: float) -> None:
    @virtually
    async def body() -> None:
        server = Server(then(lambda: LLMRateLimitError("slow", status=429, retry_after=hint)))
        started = clock()
        error = (await policy(**OFF).wrap(server).complete(USER, timeouts=45.0)).err()
        assert isinstance(error, LLMRateLimitError)
        assert len(server.requests) == requests
        if requests == 1:
            assert clock() - started < 0.01
            assert error.retry_after == hint
        else:
            assert low <= server.times[1] - server.times[0] <= high

    body()


@virtually
async def test_a_client_under_the_policy_is_not_wrapped_twice_and_layers_do_not_multiply() -> None:
    p = policy(**OFF)
    client = p.wrap(Server(then(down)))
    assert p.wrap(client) is client
    assert isinstance(client, RequestClientProtocol)


# -- the deadline


@virtually
async def test_waiting_tries_and_pauses_share_one_total() -> None:
    server = Server(then(lambda: LLMTimeoutError("slow", phase="headers")), 4.0)
    started = clock()
    result = await policy(**OFF).wrap(server).complete(USER, timeouts=Timeouts(total=10.0, connect=2.0))
    assert result.is_err()
    assert clock() - started <= 10.3
    totals = [(r.timeouts or Timeouts()).total for r in server.requests]
    assert totals[0] == 10.0
    assert totals[1] is not None and totals[1] == pytest.approx(10.0 - (server.times[1] - started))
    assert all((r.timeouts or Timeouts()).connect == 2.0 for r in server.requests)


@virtually
async def test_no_try_starts_with_less_than_the_minimum_left() -> None:
    server = Server(then(down), 0.95)
    error = (await policy(**OFF).wrap(server).complete(USER, timeouts=1.0)).err()
    assert isinstance(error, ProviderServerError)
    assert len(server.requests) == 1
    assert "deadline" in str(error.hint)


@virtually
async def test_a_client_that_keeps_no_deadline_is_held_to_it() -> None:
    server = Server(then("late"), 3600.0)
    started = clock()
    error = (await policy(**OFF).wrap(server).complete(USER, timeouts=2.0)).err()
    assert isinstance(error, LLMTimeoutError)
    assert error.phase == "total"
    assert clock() - started <= 2.5
    assert server.cancelled == 1
    assert [a.outcome for a in error.attempts] == ["LEX_ERR_LLM_018"]


@virtually
async def test_the_clients_own_default_is_the_total_where_a_call_names_none() -> None:
    server = Server(then("late"), 3600.0)
    server.timeouts = Timeouts(total=5.0, connect=1.0)
    started = clock()
    assert (await policy(**OFF).wrap(server).complete(USER)).is_err()
    assert 5.0 <= clock() - started <= 5.5


@virtually
async def test_waiting_for_a_permit_ends_with_the_deadline_and_says_so() -> None:
    server = Server(then("x"), 5.0)
    p = policy(**OFF, limiter={"concurrency": 1})
    client = p.wrap(server)
    first = asyncio.create_task(client.complete(USER))
    await asyncio.sleep(0)
    error = (await client.complete(USER, timeouts=1.0)).err()
    assert isinstance(error, LLMTimeoutError)
    assert (error.phase, error.attempts) == ("limiter", ())
    assert (await first).is_ok()
    assert held(p) == 0


@virtually
async def test_a_cancelled_pause_ends_at_once_and_holds_nothing() -> None:
    server = Server(then(lambda: LLMRateLimitError("slow", status=429, retry_after=30.0)))
    p = policy(**OFF)
    task = asyncio.create_task(p.wrap(server).complete(USER))
    await asyncio.sleep(5)
    started = clock()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock() == started
    assert held(p) == 0


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.5, 0.9, 1.0, 1.05, 1.3, 1.7, 2.0])
def test_cancelled_at_any_moment_a_call_gives_its_permits_back(seconds: float) -> None:
    @virtually
    async def body() -> None:
        server = Server(then(down, "x"), 0.5)
        p = policy(**OFF, limiter={"concurrency": 2}, bulkhead={"max_calls": 2})
        client = p.wrap(server)
        tasks = [asyncio.create_task(client.complete(USER)) for _ in range(6)]
        await asyncio.sleep(seconds)
        for task in tasks[::2]:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(d, asyncio.CancelledError | Ok | Err) for d in done)
        assert server.most <= 2
        assert held(p) == 0
        assert p.lane(server.identity, "m").bulkhead is not None
        assert p.lane(server.identity, "m").bulkhead.inside == 0  # type: ignore[union-attr]
        assert (await client.complete(USER)).is_ok()

    body()


@virtually
async def test_a_bug_in_the_client_inside_passes_through_and_holds_nothing() -> None:
    def bug(*_: Any) -> Any:
        raise ZeroDivisionError

    p = policy(**OFF)
    with pytest.raises(ZeroDivisionError):
        await p.wrap(Server(bug)).complete(USER)
    assert held(p) == 0


# -- streams


@virtually
async def test_a_stream_is_tried_again_before_its_first_chunk_and_never_after() -> None:
    server = Server(then(down, "hello world"))
    stream = policy(**OFF).wrap(server).stream_chat(USER)
    completion = (await stream.completion()).unwrap()
    assert completion.content == "hello world"
    assert [a.outcome for a in completion.attempts] == ["LEX_ERR_LLM_022", "ok"]

    cut = [StreamChunk("hel"), StreamError("cut", retryable=True)]
    server = Server(then(cut, "hello"))
    seen: list[str] = []
    with pytest.raises(StreamError) as caught:
        async for chunk in policy(**OFF).wrap(server).stream_chat(USER):
            seen.append(chunk.delta)
    assert seen == ["hel"]
    assert len(server.requests) == 1
    assert caught.value.partial is not None and caught.value.partial.content == "hel"
    assert [a.outcome for a in caught.value.attempts] == ["LEX_ERR_LLM_012"]
    assert caught.value.attempts[0].usage.source == "unknown"


@virtually
async def test_a_stream_gives_the_same_answer_as_without_the_policy() -> None:
    script = Completion("one two", finish_reason="stop", usage=Usage(3, 2, 5, source="reported"), id="c1")
    plain = (await FakeLLM(script).stream_chat(USER).completion()).unwrap()
    wrapped = (await policy(**OFF).wrap(FakeLLM(script)).stream_chat(USER).completion()).unwrap()
    assert wrapped.attempts[0].usage == plain.usage
    assert (wrapped.parts, wrapped.usage, wrapped.id, wrapped.finish_reason) == (
        plain.parts, plain.usage, plain.id, plain.finish_reason,
    )  # fmt: skip


@virtually
async def test_a_stream_left_by_its_consumer_gives_everything_back_and_tells_it() -> None:
    p = policy(**OFF, limiter={"concurrency": 1})
    server = Server(then(lambda: chunks_of(Completion("a b c")) * 3), 0.1)
    stream = p.wrap(server).stream_chat(USER)
    async with stream:
        await anext(stream)
        assert held(p) == 1
    assert held(p) == 0
    outcome = stream.outcome
    assert outcome is not None
    error = outcome.err()
    assert isinstance(error, StreamClosedError)
    assert [a.outcome for a in error.attempts] == ["cancelled"]


@virtually
async def test_a_stream_that_stalls_is_held_to_the_total() -> None:
    server = Server(then([StreamChunk("a"), StreamChunk("b")]), 4.0)
    started = clock()
    result = await policy(**OFF).wrap(server).stream_chat(USER, timeouts=5.0).completion()
    error = result.err()
    assert isinstance(error, LLMTimeoutError)
    assert clock() - started <= 5.5
    assert error.partial is not None and error.partial.content == "a"


@virtually
async def test_nothing_is_asked_before_a_stream_is_read() -> None:
    server = Server(then("x"))
    p = policy(**OFF)
    stream = p.wrap(server).stream_chat(USER)
    await asyncio.sleep(1)
    await stream.aclose()
    assert server.requests == []
    assert p.counters.calls == 0


# -- what else can refuse a call


@virtually
async def test_an_open_circuit_answers_at_once_and_says_until_when() -> None:
    server = Server(then(down))
    p = policy(budget={"enabled": False}, retry={"max_attempts": 1}, breaker={"min_calls": 4, "open_seconds": 10})
    client = p.wrap(server)
    for _ in range(4):
        await client.complete(USER)
    started = clock()
    error = (await client.complete(USER)).err()
    assert isinstance(error, CircuitOpenError)
    assert error.retry_after == pytest.approx(10.0)
    assert clock() == started
    assert len(server.requests) == 4
    server.answer = then("well again")
    await asyncio.sleep(10)
    assert (await client.complete(USER)).is_ok()
    assert held(p) == 0


@virtually
async def test_a_retry_that_would_meet_an_open_circuit_is_not_waited_for() -> None:
    server = Server(then(down))
    p = policy(budget={"enabled": False}, breaker={"min_calls": 1, "open_seconds": 10})
    error = (await p.wrap(server).complete(USER)).err()
    assert isinstance(error, ProviderServerError)
    assert len(server.requests) == 1


@virtually
async def test_a_bulkhead_lets_so_many_in_and_refuses_who_is_too_many() -> None:
    server = Server(then("x"), 1.0)
    p = policy(**OFF, bulkhead={"max_calls": 2, "max_waiting": 3})
    results = await asyncio.gather(*[p.wrap(server).complete(USER) for _ in range(7)])
    assert server.most == 2
    assert sum(r.is_ok() for r in results) == 5
    refused = [r.err() for r in results if r.is_err()]
    assert all(isinstance(e, LLMRateLimitError) and e.attempts == () for e in refused)


@virtually
async def test_an_impossible_request_fails_alone_and_at_once() -> None:
    server = Server(then("x"), 1.0)
    p = policy(**OFF, limiter={"tokens_per_minute": 100, "output_tokens": 50})
    client = p.wrap(server)
    good = asyncio.create_task(client.complete(USER))
    started = clock()
    error = (await client.complete([{"role": "user", "content": "x" * 4000}])).err()
    assert isinstance(error, LLMRateLimitError)
    assert not error.retryable
    assert "100" in error.message
    assert clock() == started
    assert (await good).is_ok()


@virtually
async def test_a_429_freezes_its_own_model_and_no_other() -> None:
    def answer(number: int, request: Any) -> Any:
        if request.model == "a" and number == 0:
            return LLMRateLimitError("slow", status=429, retry_after=20.0)
        return "x"

    server = Server(answer)
    client = policy(**OFF, retry={"max_attempts": 1}).wrap(server)
    started = clock()
    assert (await client.complete(USER, model="a")).is_err()
    assert (await client.complete(USER, model="b")).is_ok()
    assert clock() - started < 0.1
    refused = (await client.complete(USER, model="a", timeouts=5.0)).err()
    assert isinstance(refused, LLMRateLimitError)
    assert refused.retry_after == pytest.approx(20.0)
    assert clock() - started < 0.1
    assert (await client.complete(USER, model="a", timeouts=30.0)).is_ok()
    assert clock() - started == pytest.approx(20.0)


@virtually
async def test_what_is_waited_for_a_permit_is_in_the_ledger() -> None:
    server = Server(then("x"), 3.0)
    client = policy(**OFF, limiter={"concurrency": 1}).wrap(server)
    first, second = await asyncio.gather(client.complete(USER), client.complete(USER))
    assert first.unwrap().attempts[0].wait == 0
    assert second.unwrap().attempts[0].wait == pytest.approx(3.0)


@virtually
async def test_a_client_that_knows_only_the_published_calls_can_be_wrapped() -> None:
    class Plain:
        def __init__(self) -> None:
            self.fake = FakeLLM(down(), "hello")
            self.complete, self.stream_chat = self.fake.complete, self.fake.stream_chat
            self.health_check, self.close = self.fake.health_check, self.fake.close

    plain = Plain()
    client = policy(**OFF).wrap(plain)
    assert (await client.complete(USER, timeouts=9.0)).unwrap().content == "hello"
    assert (await client.health_check()).healthy
    await client.close()
    assert plain.fake.closed


@virtually
async def test_the_callers_own_timeout_in_the_tick_of_ours_stays_the_callers() -> None:
    server = Server(then("late"), 3600.0)
    client = policy(**OFF).wrap(server)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.25):  # the deadline and its grace end in the same tick
            await client.complete(USER, timeouts=2.0)
            await asyncio.sleep(10)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    assert server.running == 0
