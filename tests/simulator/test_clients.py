"""Our own client against the simulator, as services use it. What the dialects are certified for is in test_sdks."""

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
from lexigram.contracts.ai.llm import LLMAuthenticationError, LLMRateLimitError
from lexigram.contracts.ai.messages import TextPart, ToolResultPart
from lexigram.testing.simulator import Answer, Call, Counts, Question, RateLimits, Server, Simulator, When

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
    "gemini.generate": {"provider": "gemini", "model": "gemini-3-flash-preview"},
    "cohere.chat": {"provider": "cohere", "model": "command-a-03-2025"},
    "ollama.chat": {"provider": "ollama", "model": "qwen3:4b"},
    "bedrock.converse": {
        "provider": "bedrock",
        "model": "anthropic.claude-sonnet-4-20250514-v1:0",
        "extra": {"region": "us-east-1"},
    },
    "mistral.chat": {"provider": "mistral", "model": "mistral-small-latest"},
}
pytestmark = pytest.mark.parametrize("dialect", DIALECTS)


def config(dialect: str, server: Server) -> dict[str, Any]:
    settings = DIALECTS[dialect]
    return {**settings, "api_key": KEY, "api_base": server.api_bases[settings["provider"]]}


@asynccontextmanager
async def talking(simulator: Simulator, dialect: str) -> AsyncIterator[LLMClientProtocol]:
    async with simulator.serve() as server:
        async with Application(modules=[LLMModule.configure(config(dialect, server))]) as app:
            yield await app.container.resolve(LLMClientProtocol)


async def test_usage_is_what_the_simulator_counted(dialect: str) -> None:
    simulator = Simulator(Answer("Hi", usage=Counts(input=100, output=20)))
    async with talking(simulator, dialect) as llm:
        whole = (await llm.complete(HI)).unwrap().usage
        streamed = (await llm.stream_chat(HI).completion()).unwrap().usage
    assert (whole.input_tokens, whole.output_tokens, whole.source) == (100, 20, "reported")
    assert (streamed.input_tokens, streamed.output_tokens, streamed.source) == (100, 20, "reported")
    assert [(entry.wire, entry.key_id) for entry in simulator.journal] == [(dialect, "key-1")] * 2


async def test_a_tool_round_goes_there_and_back(dialect: str) -> None:
    def model(question: Question) -> Answer:
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
    assert "rainy" in answered.content


async def test_a_tool_that_must_be_called_is_called(dialect: str) -> None:
    if dialect == "ollama.chat":
        pytest.skip("Ollama knows no tool_choice")
    async with talking(Simulator(), dialect) as llm:
        completion = (await llm.complete(HI, tools=[WEATHER], tool_choice="required")).unwrap()
    jsonschema_rs.validate(CITY, dict(completion.tool_calls[0].arguments))


async def test_the_last_words_are_understood(dialect: str) -> None:
    rules = [When("long", Answer(tokens=500)), When("parts", "one two")]
    async with talking(Simulator(rules), dialect) as llm:
        cut = (await llm.complete([{"role": "user", "content": "long"}], max_tokens=7)).unwrap()
        parts = (await llm.complete([ChatMessage("user", (TextPart("pa"), TextPart("rts")))])).unwrap()
    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 7)
    assert parts.content == "one two"


async def test_a_limit_is_a_typed_error(dialect: str) -> None:
    simulator = Simulator("Hi", limits=RateLimits(requests_per_minute=2))
    async with talking(simulator, dialect) as llm:
        results = [await llm.complete(HI) for _ in range(3)]
    assert [result.is_ok() for result in results] == [True, True, False]
    assert isinstance(results[-1].unwrap_err(), LLMRateLimitError)
    assert (simulator.journal.accepted, simulator.journal.limited) == (2, 1)


async def test_the_wrong_key_is_refused_without_being_shown(dialect: str) -> None:
    async with talking(Simulator(keys=["another"]), dialect) as llm:
        error = (await llm.complete(HI)).unwrap_err()
    assert isinstance(error, LLMAuthenticationError)
    assert KEY not in str(error)


async def test_it_answers_in_the_process_too(dialect: str) -> None:
    simulator = Simulator("Hello")
    transport = httpx.ASGITransport(app=simulator)
    settings = config(dialect, simulator.server("http://127.0.0.1:1"))
    async with Application(modules=[LLMModule.configure(settings, transport=transport)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert (await llm.complete(HI)).unwrap().content == "Hello"
        assert (await llm.stream_chat(HI).completion()).unwrap().content == "Hello"
