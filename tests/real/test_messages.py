"""Anthropic's Messages wire against the real llama.cpp, which speaks it too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lexigram.ai.llm import ClientConfig, LLMModule, ProviderRegistry
from lexigram.ai.llm.local import LlamaServer
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol, ToolDefinition, ToolResultPart
from lexigram.contracts.ai.errors import LLMAuthenticationError, TokenLimitError
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.result import Err

from .conftest import HELLO

TOOL = ToolDefinition(
    "get_weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
)


def application(server: LlamaServer, key: str) -> Application:
    registry = ProviderRegistry()
    registry.register("llamacpp-messages", like="anthropic", local=True)
    config = ClientConfig(
        provider="llamacpp-messages", api_base=server.base_url, api_key=key, model="tiny", max_tokens=60
    )
    return Application(modules=[LLMModule.configure(config, registry=registry)])


@pytest.fixture
async def messages_llm(server: LlamaServer) -> AsyncIterator[LLMClientProtocol]:
    async with application(server, server.api_key.reveal()) as app:
        yield await app.container.resolve(LLMClientProtocol)


async def test_an_answer_whole_and_streamed(messages_llm: LLMClientProtocol) -> None:
    whole = (await messages_llm.complete(HELLO, temperature=0.0)).unwrap()
    streamed = (await messages_llm.stream_chat(HELLO, temperature=0.0).completion()).unwrap()
    assert whole.content
    assert streamed.content == whole.content
    assert whole.usage.input_tokens
    assert streamed.usage.output_tokens
    assert whole.finish_reason == streamed.finish_reason


async def test_a_tool_is_called_and_its_result_goes_back(messages_llm: LLMClientProtocol) -> None:
    question = ChatMessage("user", "How is the weather?")
    answer = (await messages_llm.complete([question], tools=[TOOL], tool_choice="required", max_tokens=200)).unwrap()
    assert {c.name for c in answer.tool_calls} == {"get_weather"}  # the model may ask more than once
    results = ChatMessage("tool", tuple(ToolResultPart(c.id, "rain", c.name) for c in answer.tool_calls))
    final = (await messages_llm.complete([question, answer.message, results], tools=[TOOL])).unwrap()
    assert final.content or final.tool_calls or final.finish_reason == "stop"  # its words are random, or none


async def test_a_wrong_key_and_too_long_a_question_are_typed(
    server: LlamaServer, messages_llm: LLMClientProtocol
) -> None:
    async with application(server, "wrong") as app:
        refused = await (await app.container.resolve(LLMClientProtocol)).complete(HELLO)
    assert isinstance(refused, Err)
    assert isinstance(refused.err_value, LLMAuthenticationError)
    long = await messages_llm.complete([{"role": "user", "content": "word " * 40_000}])
    assert isinstance(long, Err)
    assert isinstance(long.err_value, TokenLimitError), long
