"""Hedging: one result, the loser cancelled, both tries told, within the budget."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual import OFF, USER, Server, clock, policy, virtually

from lexigram.contracts.ai import Completion, CompletionRequest, LLMError, Usage
from lexigram.contracts.ai.errors import ProviderServerError
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.result import Result
from lexigram.resilience import HedgeConfig, LimitKey
from lexigram.resilience.hedge import Latencies

KEY = LimitKey("acme", "m", "k1")
HEDGE: dict[str, Any] = {"enabled": True, "min_samples": 10, "min_delay": 0.01}


async def warmed(server: Server, **config: Any) -> Any:
    p = policy(**{**OFF, "hedge": HEDGE, **config})
    client = p.wrap(server)
    for _ in range(10):
        await client.complete(USER)
    server.requests.clear()
    server.times.clear()
    return client


def test_a_call_is_late_after_the_quantile_of_what_was_seen_lately() -> None:
    seen = Latencies(HedgeConfig(enabled=True, min_samples=20, min_delay=0.5))
    for n in range(19):
        seen.add(float(n))
    assert seen.late_after() is None
    seen.add(19.0)
    assert seen.late_after() == 19.0
    for n in range(1000):
        seen.add((n % 100) / 10)
    assert seen.late_after() == pytest.approx(9.5, abs=0.3)
    for _ in range(300):
        seen.add(0.1)
    assert seen.late_after() == 0.5


@virtually
async def test_a_late_answer_is_asked_for_again_and_the_loser_is_cancelled_and_told() -> None:
    server = Server(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.answer = lambda number, _: (30.0, "slow") if number == 0 else (0.5, "fast")
    started = clock()
    completion = (await client.complete(USER)).unwrap()
    assert completion.content == "fast"
    assert clock() - started == pytest.approx(1.5)
    assert sorted(a.outcome for a in completion.attempts) == ["cancelled", "ok"]
    assert next(a for a in completion.attempts if a.outcome == "cancelled").usage.source == "unknown"
    assert server.cancelled == 1
    assert client.policy.limiter.in_flight(KEY) == 0
    assert client.policy.counters.hedges == 1


@virtually
async def test_a_call_in_time_is_asked_for_once() -> None:
    server = Server(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.seconds = 0.9
    await client.complete(USER)
    assert len(server.requests) == 1


@virtually
async def test_the_second_answers_failure_leaves_the_first_its_time() -> None:
    server = Server(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.answer = lambda number, _: (3.0, "slow") if number == 0 else (0.1, ProviderServerError("down", status=503))
    completion = (await client.complete(USER)).unwrap()
    assert completion.content == "slow"
    assert [a.outcome for a in completion.attempts] == ["LEX_ERR_LLM_022", "ok"]


@virtually
async def test_both_answers_in_one_tick_are_one_result_and_both_costs_are_told() -> None:
    server = Server(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.answer = lambda number, _: (2.0, "first") if number == 0 else (1.0, "second")
    completion = (await client.complete(USER)).unwrap()
    assert completion.content in ("first", "second")
    assert len(completion.attempts) == 2
    assert client.policy.limiter.in_flight(KEY) == 0


@virtually
async def test_hedges_obey_the_budget_the_limits_and_the_number_of_tries() -> None:
    for config in (
        {"budget": {"enabled": True, "reserve": 0.0, "ratio": 0.0, "per_second": 0.0}},
        {"limiter": {"concurrency": 1}},
        {"retry": {"max_attempts": 1}},
    ):
        server = Server(lambda *_: "x", 1.0)
        client = await warmed(server, **config)
        server.seconds = 5.0
        assert (await client.complete(USER)).is_ok()
        assert len(server.requests) == 1, config


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.2, 1.5])
def test_a_cancelled_hedged_call_leaves_nothing_running(seconds: float) -> None:
    @virtually
    async def body() -> None:
        server = Server(lambda *_: "x", 1.0)
        client = await warmed(server)
        server.seconds = 9.0
        task = asyncio.create_task(client.complete(USER))
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.running == 0
        assert client.policy.limiter.in_flight(KEY) == 0
        assert len(asyncio.all_tasks()) == 1

    body()


class SlowToEnd(Server):
    """Takes a second to end when it is cancelled."""

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        try:
            return await super().complete_request(request)
        except asyncio.CancelledError:
            await asyncio.sleep(1.0)
            raise


@virtually
async def test_cancelled_while_the_loser_ends_the_winners_permit_comes_back_too() -> None:
    server = SlowToEnd(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.answer = lambda number, _: (9.0 if number == 0 else 0.5, "x")
    task = asyncio.create_task(client.complete(USER))
    await asyncio.sleep(2.0)  # the second try has answered after 1.5 seconds, and the first takes another to end
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.requests) == 2
    assert client.policy.limiter.in_flight(KEY) == 0


class RaisingSecond(Server):
    """The second request raises after half a second."""

    raises: Exception = KeyError("a bug")

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        if len(self.requests) == 1:
            await asyncio.sleep(0.5)
            raise self.raises
        return await super().complete_request(request)


async def raised_by_the_second(error: Exception) -> Any:
    server = RaisingSecond(lambda *_: "x", 1.0)
    server.raises = error
    client = policy(**{**OFF, "hedge": {**HEDGE, "min_samples": 2}, "retry": {"max_attempts": 2}}).wrap(server)
    server.requests += [None, None]  # type: ignore[list-item]
    for _ in range(2):
        await client.complete(USER)
    server.requests.clear()
    server.answer = lambda *_: (1.2, ProviderServerError("down", status=500))
    try:
        return await client.complete(USER)
    finally:
        assert client.policy.limiter.in_flight(KEY) == 0  # type: ignore[attr-defined]


@virtually
async def test_a_bug_in_the_second_try_passes_through_and_holds_nothing() -> None:
    with pytest.raises(KeyError):
        await raised_by_the_second(KeyError("a bug"))


@virtually
async def test_an_error_that_the_client_raises_instead_of_returning_is_told_like_any_other() -> None:
    error = (await raised_by_the_second(ProviderServerError("gone", status=502))).err()
    assert [attempt.outcome for attempt in error.attempts] == ["LEX_ERR_LLM_022", "LEX_ERR_LLM_022"]


@virtually
async def test_the_deadline_holds_for_both() -> None:
    server = Server(lambda *_: "x", 1.0)
    client = await warmed(server)
    server.seconds = 90.0
    started = clock()
    error = (await client.complete(USER, timeouts=5.0)).err()
    assert error is not None and error.code == "LEX_ERR_LLM_018"
    assert clock() - started <= 5.5
    assert [a.outcome for a in error.attempts] == ["cancelled", "cancelled"]
    assert server.running == 0


# -- streams


async def warmed_streams(server: Server, **config: Any) -> Any:
    p = policy(**{**OFF, "hedge": HEDGE, **config})
    client = p.wrap(server)
    for _ in range(10):
        await client.stream_chat(USER).drain()
    server.requests.clear()
    server.times.clear()
    return client


class Slow(Server):
    """Streams whose first chunk takes ``firsts[n]`` seconds, the others 0.1; counts those that were closed."""

    firsts: tuple[float, ...] = ()
    closed = 0

    def stream_request(self, request: Any) -> Any:
        number = len(self.requests)
        self.requests.append(request)
        self.times.append(clock())
        reply = self.answer(number, request)
        fold = CompletionFold(provider="acme", model=request.model)
        first = self.firsts[min(number, len(self.firsts) - 1)] if self.firsts else 1.0

        async def chunks() -> Any:
            ended = False
            try:
                await asyncio.sleep(first)
                if isinstance(reply, LLMError):
                    raise reply
                for chunk in chunks_of(Completion(reply, finish_reason="stop", usage=Usage(3, 2, 5))):
                    yield chunk
                    await asyncio.sleep(0.1)
                ended = True
            finally:
                self.closed += not ended

        return AsyncStream(chunks(), fold=fold)


@virtually
async def test_a_stream_whose_first_chunk_is_late_is_begun_again_and_the_loser_is_closed_and_told() -> None:
    server = Slow(lambda number, _: f"answer {number}")
    client = await warmed_streams(server)
    server.firsts = (30.0, 0.5)
    started = clock()
    stream = client.stream_chat(USER)
    chunk = await anext(stream)
    assert clock() - started == pytest.approx(1.5)
    assert server.closed == 1
    completion = (await stream.completion()).unwrap()
    assert completion.content == "answer 1"
    assert completion.content.startswith(chunk.delta)
    assert sorted(a.outcome for a in completion.attempts) == ["cancelled", "ok"]
    usage = {a.outcome: a.usage for a in completion.attempts}
    assert usage["cancelled"].source == "unknown"
    assert usage["ok"].output_tokens == 2
    assert client.policy.limiter.in_flight(KEY) == 0
    assert client.policy.counters.hedges == 1
    assert len(asyncio.all_tasks()) == 1


@virtually
async def test_a_stream_is_not_begun_again_once_it_has_begun_however_slowly_it_goes_on() -> None:
    server = Slow(lambda *_: "x y z")
    client = await warmed_streams(server)
    server.firsts = (0.9,)
    async with client.stream_chat(USER) as stream:
        await anext(stream)
        await asyncio.sleep(50)
        await stream.drain()
    assert len(server.requests) == 1


@virtually
async def test_the_first_stream_wins_if_it_begins_first_after_all() -> None:
    server = Slow(lambda number, _: f"answer {number}")
    client = await warmed_streams(server)
    server.firsts = (2.0, 3.0)
    completion = (await client.stream_chat(USER).completion()).unwrap()
    assert completion.content == "answer 0"
    assert (server.closed, client.policy.limiter.in_flight(KEY)) == (1, 0)


@virtually
async def test_two_streams_that_begin_in_one_tick_are_one_answer() -> None:
    server = Slow(lambda number, _: f"answer {number}")
    client = await warmed_streams(server)
    server.firsts = (2.0, 1.0)
    completion = (await client.stream_chat(USER).completion()).unwrap()
    assert completion.content in ("answer 0", "answer 1")
    assert sorted(a.outcome for a in completion.attempts) == ["cancelled", "ok"]
    assert (server.closed, client.policy.limiter.in_flight(KEY)) == (1, 0)


@virtually
async def test_two_streams_that_fail_before_they_begin_are_tried_again_and_all_are_told() -> None:
    server = Slow(lambda *_: "x")
    client = await warmed_streams(server, retry={"max_attempts": 3})
    server.answer = lambda number, _: ProviderServerError("down", status=503) if number < 2 else "third"
    server.firsts = (2.0, 1.5, 0.1)
    completion = (await client.stream_chat(USER).completion()).unwrap()
    assert completion.content == "third"
    assert [a.outcome for a in completion.attempts] == ["LEX_ERR_LLM_022", "LEX_ERR_LLM_022", "ok"]
    assert client.policy.limiter.in_flight(KEY) == 0


@virtually
async def test_second_streams_obey_the_budget_the_limits_and_the_number_of_tries() -> None:
    for config in (
        {"budget": {"enabled": True, "reserve": 0.0, "ratio": 0.0, "per_second": 0.0}},
        {"limiter": {"concurrency": 1}},
        {"retry": {"max_attempts": 1}},
        {"hedge": {**HEDGE, "enabled": False}},
    ):
        server = Slow(lambda *_: "x")
        client = await warmed_streams(server, **config)
        server.firsts = (5.0,)
        assert (await client.stream_chat(USER).completion()).is_ok()
        assert len(server.requests) == 1, config


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.2, 5.0])
def test_a_stream_left_while_two_are_begun_leaves_nothing_running(seconds: float) -> None:
    @virtually
    async def body() -> None:
        server = Slow(lambda *_: "x")
        client = await warmed_streams(server)
        server.firsts = (9.0,)
        task = asyncio.create_task(client.stream_chat(USER).drain())
        await asyncio.sleep(seconds)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert server.closed == len(server.requests)
        assert client.policy.limiter.in_flight(KEY) == 0
        assert len(asyncio.all_tasks()) == 1

    body()


@virtually
async def test_the_deadline_holds_for_both_streams() -> None:
    server = Slow(lambda *_: "x")
    client = await warmed_streams(server)
    server.firsts = (90.0,)
    started = clock()
    error = (await client.stream_chat(USER, timeouts=5.0).completion()).err()
    assert error is not None and error.code == "LEX_ERR_LLM_018"
    assert clock() - started <= 5.5
    assert [a.outcome for a in error.attempts] == ["cancelled", "cancelled"]
    assert client.policy.limiter.in_flight(KEY) == 0
