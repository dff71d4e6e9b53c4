"""What a service asks of a model, against the real llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lexigram.ai.llm import ClientConfig
from lexigram.contracts.ai import LLMClientProtocol, ThinkingConfig, ToolCall, ToolDefinition
from lexigram.contracts.ai.errors import LLMAuthenticationError, TokenLimitError
from lexigram.contracts.values import JSONObject

from .conftest import CONTEXT, HELLO, resolved

OpenClient = Callable[..., AbstractAsyncContextManager[LLMClientProtocol]]

CITY: JSONObject = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [ToolDefinition("get_weather", "The weather", CITY), ToolDefinition("get_time", "The time", CITY)]


class Person(BaseModel):
    name: str
    age: int


async def test_the_embedded_server_needs_no_key_and_no_address(cache_dir: Path) -> None:
    config = ClientConfig(provider="llamacpp", extra={"cache_dir": str(cache_dir), "context": 1024, "slots": 1})
    async with resolved(config) as llm:
        answer = (await llm.complete(HELLO, max_tokens=50)).unwrap()
        assert answer.content
        assert (answer.provider, answer.model) == ("llamacpp", "tiny")
        assert (await llm.health_check()).healthy


async def test_a_completion_has_text_reason_and_counted_tokens(llm: LLMClientProtocol) -> None:
    answer = (await llm.complete(HELLO, seed=1)).unwrap()
    assert answer.content.strip()
    assert (answer.finish_reason, answer.raw_finish_reason) == ("stop", "stop")
    assert (answer.provider, answer.model, answer.usage.source) == ("llamacpp", "tiny", "reported")
    assert answer.usage.input_tokens and answer.usage.output_tokens
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert answer.id


async def test_a_stream_gives_the_same_answer_in_pieces_with_usage(llm: LLMClientProtocol) -> None:
    options: dict[str, Any] = {"seed": 7, "temperature": 0.8, "max_tokens": 20, "extra_body": {"ignore_eos": True}}
    whole = (await llm.complete(HELLO, **options)).unwrap()
    stream = llm.stream_chat(HELLO, **options)
    chunks = [chunk async for chunk in stream]
    folded = (await stream.completion()).unwrap()
    assert "".join(chunk.delta for chunk in chunks) == folded.content == whole.content
    assert sum(bool(chunk.delta) for chunk in chunks) > 3
    assert (folded.finish_reason, folded.model) == (whole.finish_reason, whole.model)
    assert (folded.usage.source, folded.usage.output_tokens) == ("reported", whole.usage.output_tokens)
    assert folded.usage.total_tokens == whole.usage.total_tokens


async def test_a_limit_of_tokens_cuts_the_answer_off(llm: LLMClientProtocol) -> None:
    answer = (await llm.complete(HELLO, max_tokens=1)).unwrap()
    assert (answer.finish_reason, answer.usage.output_tokens) == ("length", 1)


async def test_a_stop_sequence_ends_the_answer_before_it(llm: LLMClientProtocol) -> None:
    options: dict[str, Any] = {"seed": 3, "temperature": 0.8, "max_tokens": 20, "extra_body": {"ignore_eos": True}}
    free = (await llm.complete(HELLO, **options)).unwrap()
    word = free.content.split()[4]
    stopped = (await llm.complete(HELLO, stop_sequences=[word], **options)).unwrap()
    assert stopped.finish_reason == "stop"
    assert stopped.content == free.content[: free.content.index(word)]


async def test_a_tool_is_asked_for_and_its_result_answered(llm: LLMClientProtocol) -> None:
    first = (await llm.complete(HELLO, seed=1, tools=TOOLS[:1])).unwrap()
    assert first.finish_reason == "tool_calls"
    (call,) = first.tool_calls
    assert (call.name, set(call.arguments), call.arguments_error) == ("get_weather", {"city"}, None)
    assert json.loads(call.raw_arguments) == call.arguments
    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    second = (await llm.complete([*HELLO, first.message, result], seed=1, tools=TOOLS[:1])).unwrap()
    assert second.finish_reason == "stop"
    assert second.content.strip()


async def test_several_tools_are_asked_for_at_once_and_streamed_alike(llm: LLMClientProtocol) -> None:
    def named(calls: tuple[ToolCall, ...]) -> list[tuple[str, Any]]:
        return [(call.name, call.arguments) for call in calls]

    options: dict[str, Any] = {
        "tools": TOOLS,
        "tool_choice": "required",
        "parallel_tool_calls": True,
        "temperature": 0.8,
    }
    several = 0
    for seed in range(20):
        whole = (await llm.complete(HELLO, seed=seed, **options)).unwrap()
        folded = (await llm.stream_chat(HELLO, seed=seed, **options).completion()).unwrap()
        assert named(folded.tool_calls) == named(whole.tool_calls) != []
        assert folded.finish_reason == whole.finish_reason == "tool_calls"
        assert len({call.id for call in folded.tool_calls}) == len(folded.tool_calls)
        several += len(whole.tool_calls) > 1
    assert several > 0


@pytest.mark.parametrize("seed", range(5))
async def test_a_pydantic_class_shapes_the_answer(llm: LLMClientProtocol, seed: int) -> None:
    answer = (await llm.complete(HELLO, seed=seed, response_format=Person)).unwrap()
    person = Person.model_validate_json(answer.content)
    assert isinstance(person.name, str)


async def test_a_schema_shapes_a_streamed_answer(llm: LLMClientProtocol) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "p", "schema": Person.model_json_schema()}}
    answer = (await llm.stream_chat(HELLO, seed=1, response_format=schema).completion()).unwrap()
    assert set(json.loads(answer.content)) == {"name", "age"}


async def test_json_mode_gives_json(llm: LLMClientProtocol) -> None:
    answer = (await llm.complete(HELLO, seed=1, response_format="json_object", max_tokens=500)).unwrap()
    assert isinstance(json.loads(answer.content), dict)


async def test_reasoning_comes_apart_from_the_answer_when_asked_for(llm: LLMClientProtocol) -> None:
    thinking = ThinkingConfig(effort="low")
    whole = (await llm.complete(HELLO, seed=1, temperature=0.8, thinking=thinking)).unwrap()
    assert whole.thinking and whole.thinking.strip()
    assert whole.content.strip()
    assert "<think>" not in whole.content
    stream = llm.stream_chat(HELLO, seed=1, temperature=0.8, thinking=thinking)
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.thinking_delta for chunk in chunks) == whole.thinking
    assert "".join(chunk.delta for chunk in chunks) == whole.content
    assert any(chunk.is_thinking for chunk in chunks)
    silent = (await llm.complete(HELLO, seed=1, thinking=ThinkingConfig(suppress=True))).unwrap()
    assert silent.thinking is None


async def test_reasoning_can_be_set_for_every_call(open_client: OpenClient) -> None:
    async with open_client(thinking=ThinkingConfig(effort="high")) as llm:
        assert (await llm.complete(HELLO, seed=1)).unwrap().thinking


async def test_log_probabilities_stand_beside_the_tokens(llm: LLMClientProtocol) -> None:
    options: dict[str, Any] = {"seed": 1, "temperature": 0.8, "max_tokens": 5, "logprobs": True, "top_logprobs": 2}
    whole = (await llm.complete(HELLO, **options)).unwrap()
    assert "".join(entry["token"] for entry in whole.logprobs).strip() == whole.content.strip()
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 2 for entry in whole.logprobs)
    folded = (await llm.stream_chat(HELLO, **options).completion()).unwrap()
    assert [entry["token"] for entry in folded.logprobs] == [entry["token"] for entry in whole.logprobs]


async def test_what_only_llama_cpp_knows_goes_through_the_extra_body(llm: LLMClientProtocol) -> None:
    answer = (await llm.complete(HELLO, extra_body={"grammar": 'root ::= "yes" | "no"'})).unwrap()
    assert answer.content in ("yes", "no")


@pytest.mark.parametrize("streamed", [False, True])
async def test_too_long_a_request_names_the_limit(llm: LLMClientProtocol, streamed: bool) -> None:
    long = [{"role": "user", "content": "x" * (CONTEXT + 1000)}]
    result = await (llm.stream_chat(long).completion() if streamed else llm.complete(long))
    error = result.unwrap_err()
    assert isinstance(error, TokenLimitError)
    assert (error.limit, error.status, error.retryable) == (CONTEXT, 400, False)
    assert error.requested is not None
    assert error.requested > CONTEXT


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_wrong_key_is_an_authentication_error_that_does_not_repeat_it(
    open_client: OpenClient, streamed: bool
) -> None:
    wrong = "sk-wrong-0123456789"
    async with open_client(api_key=wrong) as llm:
        result = await (llm.stream_chat(HELLO).completion() if streamed else llm.complete(HELLO))
        error = result.unwrap_err()
        assert isinstance(error, LLMAuthenticationError)
        assert (error.status, error.retryable) == (401, False)
        assert wrong not in f"{error} {error!r} {error.to_dict()}"
