"""A router asks the next provider when one fails, tells who was asked, and keeps the tries and the time together."""

from __future__ import annotations

from typing import Any

import pytest
from router_kit import USER, Clock, router

from lexigram.ai.llm.routing import LLMRouter, Target
from lexigram.contracts.ai import Completion, LLMClientProtocol, StreamChunk, Timeouts, Usage
from lexigram.contracts.ai.client import RequestClientProtocol, RetryingClientProtocol
from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMConfigurationError,
    LLMContentFilterError,
    LLMError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderServerError,
    StreamClosedError,
    StreamError,
    TokenLimitError,
)
from lexigram.resilience import ResilienceConfig, ResiliencePolicy
from lexigram.testing import FakeLLM

FAILURES: list[LLMError] = [
    ProviderServerError("broke", status=500),
    ProviderConnectionError("reset", reason="reset"),
    LLMTimeoutError("nothing came", phase="first_token"),
    DecodeError("a web page", reason="content_type", status=200),
    LLMAuthenticationError("bad key", status=401),
    LLMRateLimitError("slow down", status=429, retry_after=1.0),
    InvalidRequestError("no such parameter", status=400),
    TokenLimitError("too long", status=400),
    CircuitOpenError("open", retry_after=3.0),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda e: type(e).__name__)
async def test_after_a_failure_the_next_provider_answers_and_the_ledger_tells(failure: LLMError) -> None:
    one, two = FakeLLM(failure, provider="one"), FakeLLM("Hello", provider="two")
    llm = router(one, two)
    completion = (await llm.complete(USER, temperature=0.2)).unwrap()
    assert (completion.content, completion.provider) == ("Hello", "two")
    assert [(a.provider, a.outcome) for a in completion.attempts] == [("one", failure.code), ("two", "ok")]
    assert completion.attempts[0].model == "one-model"
    assert one.last_request.temperature == two.last_request.temperature == 0.2
    one.assert_finished()


@pytest.mark.parametrize(("total", "passed_over"), [(0.5, False), (60.0, True), (None, True)])
async def test_an_impatient_callers_timeouts_do_not_pass_a_provider_over(
    total: float | None, passed_over: bool
) -> None:
    late = [LLMTimeoutError("late", phase="total") for _ in range(3)]
    llm = router(FakeLLM(*late, "one", provider="one"), FakeLLM(*["two"] * 4, provider="two"))
    more: dict[str, Any] = {} if total is None else {"timeouts": total}
    for _ in range(3):
        assert (await llm.complete(USER, **more)).unwrap().content == "two"
    assert (await llm.complete(USER)).unwrap().content == ("two" if passed_over else "one")


async def test_a_router_is_a_client_like_any_other() -> None:
    llm = router(FakeLLM(provider="one"))
    assert isinstance(llm, LLMClientProtocol)
    assert isinstance(llm, RequestClientProtocol)
    with pytest.raises(TypeError, match="temprature"):
        await llm.complete(USER, temprature=1)  # type: ignore[call-arg]


async def test_the_answer_of_the_first_provider_goes_out_as_it_is() -> None:
    answer = Completion("Hello", finish_reason="stop", usage=Usage(1, 2, 3, source="reported"))
    one, two = FakeLLM(answer, provider="one"), FakeLLM(provider="two")
    completion = (await router(one, two).complete(USER)).unwrap()
    assert completion.attempts == ()
    assert not two.requests


async def test_a_filtered_question_is_not_taken_to_another_provider() -> None:
    one = FakeLLM(LLMContentFilterError("no"), provider="one")
    two = FakeLLM("Hello", provider="two")
    error = (await router(one, two).complete(USER)).unwrap_err()
    assert isinstance(error, LLMContentFilterError)
    assert not two.requests


async def test_when_all_fail_the_error_with_most_hope_is_returned_with_the_whole_ledger() -> None:
    llm = router(
        FakeLLM(LLMAuthenticationError("bad key"), provider="one"),
        FakeLLM(LLMRateLimitError("slow down", retry_after=9.0), provider="two"),
        FakeLLM(InvalidRequestError("bad"), provider="three"),
    )
    error = (await llm.complete(USER)).unwrap_err()
    assert isinstance(error, LLMRateLimitError)
    assert (error.provider, error.model, error.retry_after) == ("two", "two-model", 9.0)
    assert [a.provider for a in error.attempts] == ["one", "two", "three"]
    assert "one/one-model: LLMAuthenticationError; three/three-model: InvalidRequestError" in str(error)


async def test_a_bug_in_a_client_is_no_failure_of_its_provider() -> None:
    def bug(_: Any) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await router(FakeLLM(bug, provider="one"), FakeLLM("Hello", provider="two")).complete(USER)


# -- tries


def tried(policy: ResiliencePolicy, *clients: FakeLLM, **config: Any) -> LLMRouter:
    targets = [Target(c.identity.provider, policy.wrap(c), f"{c.identity.provider}-model") for c in clients]
    return router(targets=targets, **config)


def failing(provider: str) -> FakeLLM:
    return FakeLLM(*[ProviderServerError("broke", status=500) for _ in range(20)], provider=provider)


def fast(max_attempts: int = 3) -> ResiliencePolicy:
    off: dict[str, Any] = {"enabled": False}
    retry = {"base": 0.0001, "cap": 0.0001, "max_attempts": max_attempts}
    return ResiliencePolicy(ResilienceConfig.of(retry=retry, budget=off, breaker=off))


@pytest.mark.parametrize(
    ("max_attempts", "each", "expected"),
    [(3, 1, [1, 2]), (5, 1, [1, 4]), (5, 3, [3, 2]), (1, 1, [1, 1]), (3, 3, [2, 1])],
)
async def test_tries_are_counted_over_all_providers_and_one_is_kept_for_each(
    max_attempts: int, each: int, expected: list[int]
) -> None:
    one, two = failing("one"), failing("two")
    llm = tried(fast(max_attempts), one, two, attempts_before_failover=each)
    error = (await llm.complete(USER)).unwrap_err()
    assert [len(one.requests), len(two.requests)] == expected
    assert [a.provider for a in error.attempts] == ["one"] * expected[0] + ["two"] * expected[1]


async def test_more_providers_than_tries_are_still_all_asked() -> None:
    clients = [failing(name) for name in "abcde"]
    error = (await tried(fast(3), *clients).complete(USER)).unwrap_err()
    assert [len(c.requests) for c in clients] == [1, 1, 1, 1, 1]
    assert len(error.attempts) == 5


async def test_a_client_under_a_policy_can_be_told_how_often_it_may_try() -> None:
    client = fast(3).wrap(failing("one"))
    assert isinstance(client, RetryingClientProtocol)
    assert client.max_attempts == 3
    assert len((await client.with_attempts(1).complete(USER)).unwrap_err().attempts) == 1
    assert len((await client.complete(USER)).unwrap_err().attempts) == 3


# -- time


async def test_every_provider_not_asked_yet_keeps_a_share_of_the_time() -> None:
    clock = Clock()

    def slow(_: Any) -> LLMError:
        clock.now += 30
        return LLMTimeoutError("late", phase="total")

    one, two, three = FakeLLM(slow, provider="one"), FakeLLM(slow, provider="two"), FakeLLM("Hi", provider="three")
    await router(one, two, three, clock=clock, reserve=0.25).complete(USER, timeouts=100)
    given = [c.last_request.timeouts for c in (one, two, three)]
    assert given == [Timeouts(total=50), Timeouts(total=45), Timeouts(total=40)]


async def test_a_providers_own_timeout_is_kept_to() -> None:
    one, two = FakeLLM(LLMTimeoutError("late"), provider="one"), FakeLLM("Hi", provider="two")
    targets = [Target("one", one, timeout=3.0), Target("two", two)]
    await router(targets=targets, clock=Clock()).complete(USER, timeouts=Timeouts(total=100, connect=2))
    assert one.last_request.timeouts == Timeouts(total=3.0, connect=2)
    assert two.last_request.timeouts == Timeouts(total=100, connect=2)


async def test_nobody_is_asked_when_the_time_is_up() -> None:
    clock = Clock()

    def slow(_: Any) -> LLMError:
        clock.now += 100
        return LLMTimeoutError("late", phase="total")

    one, two = FakeLLM(slow, provider="one"), FakeLLM("Hi", provider="two")
    error = (await router(one, two, clock=clock).complete(USER, timeouts=60)).unwrap_err()
    assert isinstance(error, LLMTimeoutError)
    assert not two.requests


# -- streams


async def test_a_stream_fails_over_before_its_first_content() -> None:
    one = FakeLLM([StreamChunk(role="assistant"), StreamError("cut")], provider="one")
    two = FakeLLM("Hello there", provider="two")
    stream = router(one, two).stream_chat(USER)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.delta for c in chunks) == "Hello there"
    assert [c.role for c in chunks].count("assistant") == 1
    completion = (await stream.completion()).unwrap()
    assert [(a.provider, a.outcome) for a in completion.attempts] == [("one", "LEX_ERR_LLM_012"), ("two", "ok")]
    assert completion.content == "Hello there"


@pytest.mark.parametrize("strategy", ["sequential", "parallel_race"])
async def test_a_stream_that_breaks_after_a_token_is_not_begun_again(strategy: str) -> None:
    one = FakeLLM([StreamChunk(delta="hel"), StreamError("cut")], provider="one")
    two = FakeLLM(LLMRateLimitError("slow down"), provider="two")
    stream = router(one, two, strategy=strategy).stream_chat(USER)
    seen: list[str] = []
    with pytest.raises(StreamError, match="cut") as caught:
        async for chunk in stream:
            seen.append(chunk.delta)
    assert seen == ["hel"]
    assert caught.value.partial is not None
    assert caught.value.partial.content == "hel"
    assert len(two.requests) == (strategy == "parallel_race")


async def test_a_stream_that_all_refuse_raises_with_the_whole_ledger() -> None:
    llm = router(
        FakeLLM(ProviderServerError("one"), provider="one"), FakeLLM(ProviderServerError("two"), provider="two")
    )
    error = (await llm.stream_chat(USER).completion()).unwrap_err()
    assert [a.provider for a in error.attempts] == ["one", "two"]


async def test_a_stream_left_early_settles_and_closes_the_one_inside() -> None:
    one = FakeLLM("a b c d", provider="one")
    stream = router(one).stream_chat(USER)
    async with stream:
        assert (await anext(stream)).role == "assistant"
    assert isinstance(stream.outcome.unwrap_err(), StreamClosedError)  # type: ignore[union-attr]


async def test_an_empty_stream_is_an_answer() -> None:
    stream = router(FakeLLM([], provider="one")).stream_chat(USER)
    assert [c async for c in stream] == []


async def test_only_the_beginning_of_a_stream_leaves_time_for_others() -> None:
    one, two = FakeLLM(ProviderServerError("x"), provider="one"), FakeLLM("Hi", provider="two")
    llm = router(one, two, clock=Clock(), reserve=0.5)
    await llm.stream_chat(USER, timeouts=Timeouts(total=100, first_token=80, idle=7)).completion()
    assert one.last_request.timeouts == Timeouts(total=100, first_token=50, idle=7)
    assert two.last_request.timeouts == Timeouts(total=100, first_token=80, idle=7)


# -- the router itself


async def test_health_is_that_of_all() -> None:
    well, ill = FakeLLM(provider="one"), FakeLLM(provider="two", healthy=False)
    for clients, status in (((well,), "healthy"), ((well, ill), "degraded"), ((ill,), "unhealthy")):
        health = await router(*clients).health_check()
        assert health.status == status
    assert health.details == {"two": "unhealthy"}


async def test_closing_closes_all() -> None:
    one, two = FakeLLM(provider="one"), FakeLLM(provider="two")
    await router(one, two).close()
    assert one.closed
    assert two.closed


async def test_providers_come_and_go() -> None:
    one, two = FakeLLM("1", provider="one"), FakeLLM("2", provider="two")
    llm = router(one)
    llm.add(Target("two", two))
    with pytest.raises(LLMConfigurationError, match="two providers named 'two'"):
        llm.add(Target("two", two))
    assert llm.remove("one").client is one
    assert (await llm.complete(USER)).unwrap().content == "2"
    with pytest.raises(LLMConfigurationError, match="cannot be removed: it is the last one"):
        llm.remove("two")
    with pytest.raises(LLMConfigurationError, match="there are two"):
        llm.remove("one")


def test_a_router_needs_a_provider() -> None:
    with pytest.raises(LLMConfigurationError, match="at least one provider"):
        LLMRouter([])


async def test_a_router_can_be_told_how_often_it_may_try() -> None:
    clients = [failing(name) for name in "abc"]
    llm = tried(fast(4), *clients)
    assert llm.max_attempts == 4
    assert isinstance(llm, RetryingClientProtocol)
    await llm.with_attempts(2).complete(USER)
    assert [len(c.requests) for c in clients] == [1, 1, 0]
    inner = tried(fast(3), failing("x"), failing("y"))
    outer = router(targets=[Target("inner", inner), Target("z", failing("z"))])
    error = (await outer.complete(USER)).unwrap_err()
    assert [a.provider for a in error.attempts] == ["x", "z"]


async def test_a_policy_over_a_router_adds_no_tries() -> None:
    one, two = failing("one"), failing("two")
    error = (await fast(3).wrap(tried(fast(3), one, two)).complete(USER)).unwrap_err()
    assert [len(one.requests), len(two.requests)] == [1, 2]
    assert isinstance(error, ProviderServerError)
