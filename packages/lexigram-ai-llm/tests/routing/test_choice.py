"""Who is asked: strategies, models by name, preferences, chains, and those passed over until they recover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from router_kit import USER, Clock, router

from lexigram.ai.llm.routing import LLMRouter, Place, Price, Target
from lexigram.contracts.ai import ChatMessage, CompletionRequest
from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMConfigurationError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ModelNotFoundError,
    ProviderServerError,
)
from lexigram.testing import FakeLLM


def talkative(provider: str, **fields: Any) -> Target:
    return Target(provider, FakeLLM(*["Hi"] * 2000, provider=provider), f"{provider}-model", **fields)


async def asked(llm: LLMRouter, messages: Any = USER, **options: Any) -> str:
    """Return who answered, and with which model."""
    completion = (await llm.complete(messages, **options)).unwrap()
    return f"{completion.provider}:{completion.model}"


# -- strategies


async def test_sequential_asks_in_the_order_of_the_settings() -> None:
    llm = router(targets=[talkative("b"), talkative("a")])
    assert {await asked(llm) for _ in range(5)} == {"b:fake-model"}


async def test_weighted_shares_the_calls_by_weight_and_keeps_the_weightless_as_fallback() -> None:
    failing = FakeLLM(*[ProviderServerError("x")] * 0, provider="z")
    targets = [talkative("a", weight=3), talkative("b", weight=1), Target("z", failing, weight=0)]
    llm = router(targets=targets, strategy="weighted", rng=random.Random(7))
    seen = Counter([await asked(llm) for _ in range(1000)])
    assert 0.70 < seen["a:fake-model"] / 1000 < 0.80
    assert not failing.requests
    for target in targets[:2]:
        target.client.script()  # type: ignore[attr-defined]
        target.client._replies.clear()  # type: ignore[attr-defined]
        target.client.script(ProviderServerError("down"))  # type: ignore[attr-defined]
    failing.script("Hi")
    assert (await llm.complete(USER)).unwrap().provider == "z"


def test_weighted_needs_a_weight() -> None:
    with pytest.raises(LLMConfigurationError, match="weighted: at least one provider needs a weight above 0"):
        router(targets=[talkative("a", weight=0)], strategy="weighted")


async def test_cost_optimized_asks_the_cheapest_for_this_request() -> None:
    reader = talkative("reader", price=Price(input=1, output=20))
    writer = talkative("writer", price=Price(input=10, output=2))
    unknown = talkative("unknown")
    llm = router(targets=[unknown, writer, reader], strategy="cost_optimized")
    long = [{"role": "user", "content": "word " * 2000}]
    assert await asked(llm, long, max_tokens=10) == "reader:fake-model"
    assert await asked(llm, max_tokens=1000) == "writer:fake-model"


async def test_cost_optimized_knows_published_prices() -> None:
    pytest.importorskip("genai_prices")
    dear = Target("openai", FakeLLM("dear", provider="openai"), "gpt-4-turbo")
    cheap = Target("groq", FakeLLM("cheap", provider="groq"), "llama-3.1-8b-instant")
    llm = router(targets=[dear, cheap], strategy="cost_optimized")
    assert (await llm.complete(USER)).unwrap().content == "cheap"


def test_cost_optimized_without_any_price_says_what_to_set() -> None:
    with pytest.raises(LLMConfigurationError, match="cost_optimized needs prices") as caught:
        router(targets=[talkative("a"), talkative("b")], strategy="cost_optimized")
    assert "providers.<name>.price" in str(caught.value)


async def test_latency_optimized_measures_everyone_then_asks_the_fastest_and_looks_again_later() -> None:
    clock = Clock()

    def taking(seconds: float) -> Any:
        def answer(_: CompletionRequest) -> str:
            clock.now += seconds
            return "Hi"

        return answer

    slow = FakeLLM(*[taking(2.0)] * 20, provider="slow")
    fast = FakeLLM(*[taking(0.5)] * 20, provider="fast")
    llm = router(slow, fast, clock=clock, strategy="latency_optimized", forget_after=60)
    assert [await asked(llm) for _ in range(5)] == ["slow:fake-model"] + ["fast:fake-model"] * 4
    clock.now += 58.6
    assert await asked(llm) == "slow:fake-model"
    assert await asked(llm) == "fast:fake-model"


async def test_a_stream_is_measured_by_its_first_content_and_apart_from_whole_answers() -> None:
    one, two = talkative("one"), talkative("two")
    llm = router(targets=[one, two], clock=Clock(), strategy="latency_optimized")
    await llm.stream_chat(USER).completion()
    assert one.latency("first", 1000.0, 60) == 0.0
    assert one.latency("whole", 1000.0, 60) is None


async def test_a_strategy_of_ones_own() -> None:
    def by_user(places: Sequence[Place], request: CompletionRequest, of: str) -> list[Place]:
        return sorted(places, key=lambda place: place.target.name != request.user)

    llm = LLMRouter([talkative("a"), talkative("b")], order=by_user)
    assert await asked(llm, user="b") == "b:fake-model"
    assert await asked(llm, user="a") == "a:fake-model"


# -- models


def served() -> LLMRouter:
    one = talkative("one", models={"fast": "one-small"})
    two = talkative("two", models={"fast": "two-small", "smart": "two-large"})
    return router(targets=[one, two])


@pytest.mark.parametrize(
    ("model", "answered"),
    [
        ("fast", "one:one-small"),
        ("smart", "two:two-large"),
        ("two", "two:fake-model"),
        ("two-model", "two:fake-model"),
        ("two:anything/at-all", "two:anything/at-all"),
        ("two:smart", "two:two-large"),
        (None, "one:fake-model"),
    ],
)
async def test_a_model_is_asked_of_those_that_serve_it(model: str | None, answered: str) -> None:
    assert await asked(served(), model=model) == answered


async def test_a_model_that_nobody_serves_is_an_error_that_lists_those_there_are() -> None:
    error = (await served().complete(USER, model="gpt-9")).unwrap_err()
    assert isinstance(error, ModelNotFoundError)
    assert "no provider of this router serves the model 'gpt-9'" in str(error)
    assert "there are: one, one-model, fast, two, two-model, smart; or provider:model" in str(error)
    assert isinstance((await served().stream_chat(USER, model="x").completion()).unwrap_err(), ModelNotFoundError)


async def test_the_only_provider_is_asked_for_whatever_model() -> None:
    assert await asked(router(targets=[talkative("one")]), model="gpt-9") == "one:gpt-9"


async def test_without_a_chain_a_named_model_stays_with_those_that_serve_it() -> None:
    one = FakeLLM(ProviderServerError("down"), provider="one")
    two = FakeLLM("Hi", provider="two")
    error = (await router(one, two).complete(USER, model="one-model")).unwrap_err()
    assert isinstance(error, ProviderServerError)
    assert not two.requests


# -- preferences


async def test_a_preferred_provider_is_asked_first() -> None:
    llm = served()
    assert await asked(llm, prefer_provider="two") == "two:fake-model"
    assert await asked(llm, model="fast", prefer_provider="two") == "two:two-small"
    assert await asked(llm, model="smart", prefer_provider="one") == "two:two-large"


async def test_preferences_can_be_set_for_good_and_cleared() -> None:
    llm = served()
    llm.set_preferred_providers({"fast": "two"})
    assert await asked(llm, model="fast") == "two:two-small"
    assert await asked(llm, model="fast", prefer_provider="one") == "one:one-small"
    llm.set_preferred_providers({"fast": None})
    assert await asked(llm, model="fast") == "one:one-small"
    with pytest.raises(LLMConfigurationError, match="there is no provider 'three'") as caught:
        llm.set_preferred_providers({"fast": "three"})
    assert "there are: one, two" in str(caught.value)


async def test_a_preferred_model_is_asked_first() -> None:
    llm = served()
    assert await asked(llm, prefer_model="smart") == "two:two-large"
    assert await asked(llm, prefer_model="two") == "two:fake-model"
    assert await asked(llm, model="fast", prefer_model="smart") == "one:one-small"


@pytest.mark.parametrize("option", ["prefer_model", "prefer_provider"])
async def test_a_preference_for_nobody_names_the_choices(option: str) -> None:
    error = (await served().complete(USER, **{option: "nobody"})).unwrap_err()
    assert isinstance(error, InvalidRequestError)
    assert "one" in str(error)
    assert "two" in str(error)


async def test_last_stays_with_who_wrote_the_last_answer() -> None:
    llm = served()
    answer = (await llm.complete(USER, model="smart")).unwrap()
    talk: list[Any] = [*USER, answer.message, {"role": "user", "content": "and?"}]
    assert await asked(llm, talk, prefer_model="last") == "two:two-large"
    assert (
        await asked(llm, [*USER, {"role": "assistant", "content": "?"}, *USER], prefer_model="last") == "one:fake-model"
    )
    assert await asked(llm, prefer_model="last") == "one:fake-model"
    stranger = ChatMessage("assistant", "hm", author="nobody:m")
    assert await asked(llm, [*USER, stranger, *USER], prefer_model="last") == "one:fake-model"


async def test_last_tells_two_entries_of_one_vendor_apart_by_their_models() -> None:
    clients = [FakeLLM("a", "b", provider="openai") for _ in range(2)]
    llm = router(targets=[Target("fast", clients[0], "small"), Target("smart", clients[1], "large")])
    written = ChatMessage("assistant", "hm", author="openai:large")
    await llm.complete([*USER, written, *USER], prefer_model="last")
    assert [len(client.requests) for client in clients] == [0, 1]


async def test_preferences_are_the_routers_and_no_option_of_a_provider() -> None:
    one = FakeLLM("Hi", provider="one")
    await router(one).complete(USER, prefer_model="one", prefer_provider="one")
    assert one.last_request.prefer_model is None
    assert one.last_request.prefer_provider is None


# -- chains


def chained(**failing: int) -> tuple[LLMRouter, dict[str, FakeLLM]]:
    clients = {
        name: FakeLLM(*[ProviderServerError("x")] * failing.get(name, 0), *["Hi"] * 50, provider=name) for name in "abc"
    }
    return router(*clients.values(), fallback_models=("a", "b-model", "c:c-model")), clients


@pytest.mark.parametrize(
    ("model", "tried"), [(None, "ab"), ("a", "ab"), ("b", "bc"), ("c-model", "ca"), ("c:c-model", "ca")]
)
async def test_a_chain_begins_at_the_model_asked_for_and_goes_round(model: str | None, tried: str) -> None:
    llm, _ = chained(**{tried[0]: 1})
    completion = (await llm.complete(USER, model=model)).unwrap()
    assert completion.provider == tried[1]
    assert [a.provider for a in completion.attempts] == list(tried)


async def test_a_chain_is_walked_to_its_end() -> None:
    llm, clients = chained(a=1, b=1)
    assert (await llm.complete(USER, model="b")).unwrap().provider == "c"
    assert [len(clients[name].requests) for name in "abc"] == [0, 1, 1]
    llm, clients = chained(a=1, b=1, c=1)
    assert isinstance((await llm.complete(USER, model="c")).unwrap_err(), ProviderServerError)
    assert [len(clients[name].requests) for name in "abc"] == [1, 1, 1]


def test_a_chain_that_names_nobody_is_refused() -> None:
    with pytest.raises(LLMConfigurationError, match="fallback_models: no provider of this router serves"):
        router(targets=[talkative("a"), talkative("b")], fallback_models=("a", "gpt-9"))


# -- those passed over

BLOCKS: list[tuple[LLMError, float]] = [
    (LLMAuthenticationError("bad key"), 30.0),
    (LLMPermissionError("no"), 30.0),
    (LLMQuotaExceededError("empty"), 30.0),
    (ModelNotFoundError("gone"), 30.0),
    (LLMRateLimitError("slow down", retry_after=7.0), 7.0),
    (LLMRateLimitError("slow down"), 1.0),
    (CircuitOpenError("open", retry_after=4.0), 4.0),
]


@pytest.mark.parametrize(("failure", "seconds"), BLOCKS, ids=lambda v: type(v).__name__)
async def test_a_provider_that_refuses_is_passed_over_and_recovers(failure: LLMError, seconds: float) -> None:
    clock = Clock()
    one, two = FakeLLM(failure, "back", provider="one"), FakeLLM(*["Hi"] * 9, provider="two")
    llm = router(one, two, clock=clock, cooldown=30)
    await llm.complete(USER)
    clock.now += seconds - 0.01
    assert (await llm.complete(USER)).unwrap().attempts == ()
    assert len(one.requests) == 1
    clock.now += 0.02
    assert (await llm.complete(USER)).unwrap().content == "back"


async def test_a_single_failure_passes_nobody_over_and_three_in_a_row_do_for_longer_and_longer() -> None:
    clock = Clock()
    one = FakeLLM(*[ProviderServerError("x") for _ in range(9)], provider="one")
    llm = router(one, FakeLLM(*["Hi"] * 99, provider="two"), clock=clock, cooldown=5)
    for pause in (0.0, 0.0, 2.0, 4.0, 5.0, 5.0):
        before = len(one.requests)
        await llm.complete(USER)
        assert len(one.requests) == before + 1
        if pause:
            clock.now += pause - 0.01
            await llm.complete(USER)
            assert len(one.requests) == before + 1
            clock.now += 0.02


async def test_a_model_that_is_missing_blocks_no_other_model() -> None:
    clock = Clock()
    one = FakeLLM(ModelNotFoundError("gone"), "Hi", provider="one")
    llm = router(targets=[Target("one", one, "m", {"x": "x1"}), talkative("two", models={"x": "x2"})], clock=clock)
    assert await asked(llm, model="x") == "two:x2"
    assert await asked(llm) == "one:fake-model"


async def test_when_all_are_passed_over_the_one_that_is_back_first_is_asked() -> None:
    clock = Clock()
    one = FakeLLM(LLMRateLimitError("x", retry_after=50.0), provider="one")
    two = FakeLLM(LLMRateLimitError("x", retry_after=5.0), "Hi", provider="two")
    llm = router(one, two, clock=clock)
    assert (await llm.complete(USER)).is_err()
    assert (await llm.complete(USER)).unwrap().provider == "two"


async def test_a_block_can_be_lifted() -> None:
    one = FakeLLM(LLMAuthenticationError("bad key"), "back", provider="one")
    llm = router(one, FakeLLM("Hi", provider="two"), clock=Clock())
    await llm.complete(USER)
    llm.unblock("two")
    assert llm.targets["one"].available_at("") > 1000
    llm.unblock()
    assert (await llm.complete(USER)).unwrap().content == "back"


async def test_the_memory_of_blocked_models_is_bounded() -> None:
    clock = Clock()
    one = FakeLLM(*[ModelNotFoundError("gone") for _ in range(600)], provider="one")
    llm = router(one, clock=clock, cooldown=10)
    for number in range(600):
        clock.now += 1
        await llm.complete(USER, model=f"m{number}")
    assert len(llm.targets["one"]._blocked) <= 257
