"""The Responses API and embeddings of the real llama.cpp."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.local import LlamaServer
from lexigram.app import Application
from lexigram.contracts.ai import (
    ChatMessage,
    EmbeddingClientProtocol,
    LLMClientProtocol,
    ThinkingPart,
    ToolDefinition,
    ToolResultPart,
)
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.values import JSONObject

from .conftest import HELLO, config_for

OpenClient = Callable[..., AbstractAsyncContextManager[LLMClientProtocol]]
CITY: JSONObject = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = ToolDefinition("get_weather", "The weather", CITY)


async def test_an_answer_whole_and_streamed(open_client: OpenClient) -> None:
    async with open_client(api="responses") as llm:
        whole = (await llm.complete(HELLO, max_tokens=60, temperature=0.0)).unwrap()
        assert whole.content
        assert (whole.finish_reason, whole.provider) == ("stop", "llamacpp")
        assert whole.usage.output_tokens
        streamed = (await llm.stream_chat(HELLO, max_tokens=60, temperature=0.0).completion()).unwrap()
        assert streamed.content == whole.content
        assert streamed.finish_reason == "stop"
        assert streamed.usage.total_tokens == whole.usage.total_tokens


async def test_a_tool_is_asked_for_and_its_result_goes_back(open_client: OpenClient) -> None:
    async with open_client(api="responses") as llm:
        for streamed in (False, True):
            if streamed:
                first = (
                    await llm.stream_chat(HELLO, tools=[TOOL], tool_choice="required", max_tokens=300).completion()
                ).unwrap()
            else:
                first = (await llm.complete(HELLO, tools=[TOOL], tool_choice="required", max_tokens=300)).unwrap()
            assert first.finish_reason == "tool_calls"
            call = first.tool_calls[0]
            assert (call.name, call.arguments_error) == ("get_weather", None)
            result = ChatMessage("tool", (ToolResultPart(call.id, "sunny"),))
            history = [*HELLO, first.message, result]
            after = (await llm.complete(history, tools=[TOOL], max_tokens=200)).unwrap()
            assert after.content or after.tool_calls


async def test_reasoning_is_read_and_taken_back(open_client: OpenClient) -> None:
    async with open_client(api="responses") as llm:
        body = {"chat_template_kwargs": {"enable_thinking": True}}
        first = (await llm.complete(HELLO, max_tokens=300, extra_body=body)).unwrap()
        assert first.thinking
        assert any(isinstance(p, ThinkingPart) and p.opaque for p in first.parts)
        again = await llm.complete([*HELLO, first.message, *HELLO], max_tokens=60)
        assert again.is_ok(), again


async def test_a_schema_is_kept_to(open_client: OpenClient) -> None:
    fmt = {"type": "json_schema", "json_schema": {"name": "city", "schema": dict(CITY), "strict": True}}
    async with open_client(api="responses") as llm:
        answer = (await llm.complete(HELLO, max_tokens=200, response_format=fmt)).unwrap()
        assert "city" in json.loads(answer.content)


async def test_what_the_server_does_not_support_is_a_typed_error(open_client: OpenClient) -> None:
    async with open_client(api="responses") as llm:
        error = (await llm.complete(HELLO, extra_body={"previous_response_id": "resp_1"})).unwrap_err()
        assert isinstance(error, InvalidRequestError)
        assert "previous_response_id" in error.message


async def test_vectors_of_the_real_server_in_order(cache_dir: Path) -> None:
    async with LlamaServer(cache_dir=cache_dir, context=512, embeddings=True) as server:
        async with Application(modules=[LLMModule.configure(config_for(server))]) as app:
            client = await app.container.resolve(EmbeddingClientProtocol)
            made = (await client.embed(["one", "two", "one"])).unwrap()
    first, second, third = made.vectors
    assert len(first) == len(second) > 1
    assert first != second
    assert all(math.isclose(a, b, abs_tol=1e-4) for a, b in zip(first, third, strict=True))
    assert made.usage.input_tokens
