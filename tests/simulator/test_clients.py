"""Our own client against the simulator, as services use it: over a socket, each dialect on its wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import jsonschema_rs
import pytest

from lexigram.ai.llm import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import ChatMessage, LLMClientProtocol, ToolDefinition
from lexigram.contracts.ai.llm import (
    LLMAuthenticationError,
    LLMError,
    LLMRateLimitError,
    ModelNotFoundError,
    ProviderOverloadedError,
    ProviderServerError,
    TokenLimitError,
)
from lexigram.contracts.ai.messages import TextPart, ToolResultPart
from lexigram.testing.simulator import Answer, Call, Counts, Failure, Faults, RateLimits, Simulator, When

HI = [{"role": "user", "content": "Hi"}]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 3}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolDefinition("weather", "The weather of a city.", CITY)
KEY = "sk-simulated"
DIALECTS: dict[str, dict[str, Any]] = {
    "openai.chat": {"provider": "openai", "api": "chat", "model": "gpt-4o"},
    "openai.responses": {"provider": "openai", "api": "responses", "model": "gpt-5"},
    "anthropic.messages": {"provider": "anthropic", "model": "claude-sonnet-4-5", "max_tokens": 4000},
}


@asynccontextmanager
async def talking(simulator: Simulator, dialect: str) -> AsyncIterator[LLMClientProtocol]:
    settings = DIALECTS[dialect]
    async with simulator.serve() as server:
        config = {**settings, "api_key": KEY, "api_base": server.api_bases[settings["provider"]]}
        async with Application(modules=[LLMModule.configure(config)]) as app:
            yield await app.container.resolve(LLMClientProtocol)


pytestmark = pytest.mark.parametrize("dialect", DIALECTS)


async def test_whole_and_streamed_answers_are_the_same_completion(dialect: str) -> None:
    script = Answer(
        "Let me see.",
        thinking="Hm.",
        tool_calls=(Call("weather", {"city": "Zürich"}, "call_1"), Call("now", {}, "call_2")),
    )
    simulator = Simulator(script)
    async with talking(simulator, dialect) as llm:
        whole = (await llm.complete(HI, tools=[WEATHER])).unwrap()
        streamed = (await llm.stream_chat(HI, tools=[WEATHER]).completion()).unwrap()
    for completion in (whole, streamed):
        assert completion.content == "Let me see."
        assert completion.thinking == "Hm."
        assert [(c.name, dict(c.arguments)) for c in completion.tool_calls] == [
            ("weather", {"city": "Zürich"}),
            ("now", {}),
        ]
        assert completion.finish_reason == "tool_calls"
    assert whole.usage == streamed.usage
    assert [entry.wire for entry in simulator.journal] == [dialect] * 2
    question = simulator.journal.last.question
    assert question is not None
    assert (question.text, question.tools[0].name, question.key_id) == ("Hi", "weather", "key-1")


async def test_usage_is_what_the_simulator_counted(dialect: str) -> None:
    counts = Counts(input=100, output=20, reasoning=5, cached=60)
    async with talking(Simulator(Answer("Hi", usage=counts)), dialect) as llm:
        whole = (await llm.complete(HI)).unwrap().usage
        streamed = (await llm.stream_chat(HI).completion()).unwrap().usage
    for usage in (whole, streamed):
        assert (usage.input_tokens, usage.output_tokens) == (100, 20)
        assert (usage.cached_input_tokens, usage.reasoning_tokens) == (60, 5)
        assert usage.source == "reported"


async def test_a_tool_round_goes_there_and_back(dialect: str) -> None:
    def model(question: Any) -> Answer:
        if question.results:
            return Answer(f"It is {question.results[0].text}.")
        return Answer(thinking="I do not know.", tool_calls=(Call("weather", {"city": "Bern"}),))

    async with talking(Simulator(model), dialect) as llm:
        asked = (await llm.complete(HI, tools=[WEATHER])).unwrap()
        (call,) = asked.tool_calls
        history = [
            ChatMessage("user", "Hi"),
            ChatMessage("assistant", asked.parts),
            ChatMessage("tool", (ToolResultPart(call.id, "rainy", call.name),)),
        ]
        answered = (await llm.complete(history, tools=[WEATHER])).unwrap()
    assert answered.content == "It is rainy."


async def test_structured_answers_conform(dialect: str) -> None:
    async with talking(Simulator(seed=4), dialect) as llm:
        schema = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY, "strict": True}}
        result = await llm.complete(HI, response_format=schema)
    jsonschema_rs.validate(CITY, __import__("json").loads(result.unwrap().content))


async def test_a_tool_that_must_be_called_is_called(dialect: str) -> None:
    async with talking(Simulator(), dialect) as llm:
        completion = (await llm.complete(HI, tools=[WEATHER], tool_choice="required")).unwrap()
    jsonschema_rs.validate(CITY, dict(completion.tool_calls[0].arguments))


async def test_the_last_words_are_understood(dialect: str) -> None:
    rules = [
        When("long", Answer(tokens=500)),
        When("refuse", Answer(refusal="I will not.")),
        When("parts", "one two"),
    ]
    async with talking(Simulator(rules), dialect) as llm:
        cut = (await llm.complete([{"role": "user", "content": "long"}], max_tokens=7)).unwrap()
        refused = (await llm.complete([{"role": "user", "content": "refuse"}])).unwrap()
        parts = (await llm.complete([ChatMessage("user", (TextPart("pa"), TextPart("rts")))])).unwrap()
    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 7)
    assert refused.finish_reason == "refusal"
    assert parts.content == "one two"


FAILURES: list[tuple[Failure, type[LLMError]]] = [
    (Failure("authentication"), LLMAuthenticationError),
    (Failure("model_not_found", param="x"), ModelNotFoundError),
    (Failure("rate_limit", retry_after=2.0), LLMRateLimitError),
    (Failure("server"), ProviderServerError),
    (Failure("overloaded"), ProviderOverloadedError),
    (Failure("context_length"), TokenLimitError),
]


@pytest.mark.parametrize(("failure", "kind"), FAILURES, ids=[f.kind for f, _ in FAILURES])
async def test_failures_are_what_they_are(dialect: str, failure: Failure, kind: type[LLMError]) -> None:
    async with talking(Simulator(failure), dialect) as llm:
        whole = (await llm.complete(HI)).unwrap_err()
        streamed = (await llm.stream_chat(HI).completion()).unwrap_err()
    for error in (whole, streamed):
        assert isinstance(error, kind), repr(error)
        assert error.retry_after == failure.retry_after or failure.retry_after == 2.0
        assert error.request_id


async def test_limits_are_read_from_the_reply(dialect: str) -> None:
    async with talking(Simulator("Hi", limits=RateLimits(requests_per_minute=2)), dialect) as llm:
        await llm.complete(HI)
        await llm.complete(HI)
        error = (await llm.complete(HI)).unwrap_err()
    assert isinstance(error, LLMRateLimitError)
    assert error.retry_after is not None
    assert 20 < error.retry_after <= 31


@pytest.mark.parametrize("kind", ["cut", "error", "garbled", "unfinished"])
async def test_a_stream_that_breaks_is_an_error(dialect: str, kind: Any) -> None:
    simulator = Simulator(Answer(tokens=40), faults=Faults(1.0, (kind,)))
    async with talking(simulator, dialect) as llm:
        result = await llm.stream_chat(HI).completion()
    assert result.is_err()


async def test_the_wrong_key_is_refused_without_being_shown(dialect: str) -> None:
    async with talking(Simulator(keys=["another"]), dialect) as llm:
        error = (await llm.complete(HI)).unwrap_err()
    assert isinstance(error, LLMAuthenticationError)
    assert KEY not in str(error)


async def test_it_answers_in_process_too(dialect: str) -> None:
    simulator = Simulator("Hello")
    settings = DIALECTS[dialect]
    config = {
        **settings,
        "api_key": KEY,
        "api_base": simulator.server("http://127.0.0.1:1").api_bases[settings["provider"]],
    }
    transport = httpx.ASGITransport(app=simulator)
    async with Application(modules=[LLMModule.configure(config, transport=transport)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert (await llm.complete(HI)).unwrap().content == "Hello"
        assert (await llm.stream_chat(HI).completion()).unwrap().content == "Hello"
