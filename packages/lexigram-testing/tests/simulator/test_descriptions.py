"""Every reply conforms to the vendor's own description of its wire, whole and streamed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lexigram.testing.simulator import Answer, Call, Counts, Failure

Objections = Callable[[str, str, Any], list[str]]
Ask = Callable[..., Any]
Events = Callable[[Any], list[dict[str, Any]]]

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
CHAT_TOOL = {"type": "function", "function": {"name": "weather", "parameters": TOOL}}
RESPONSES_TOOL = {"type": "function", "name": "weather", "parameters": TOOL, "strict": True}
MESSAGES_TOOL = {"name": "weather", "input_schema": TOOL}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}

SCRIPTS = {
    "made up": None,
    "text and calls": Answer("Let me see.", tool_calls=(Call("weather", {"city": "Bern"}), Call("weather", {}))),
    "thinking": Answer("42", thinking="What could it be?"),
    "a refusal": Answer(refusal="I cannot help with that."),
    "filtered": Answer("So", finish_reason="content_filter"),
    "nothing": Answer(""),
    "cached": Answer("Hi", usage=Counts(100, 2, 0, 60, 20)),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_completion_tokens": 1},
        {"tools": [CHAT_TOOL], "tool_choice": "required"},
        {"n": 2, "reasoning_effort": "low", "stop": ["a"]},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}},
    ],
    ids=["plain", "short", "tool", "two", "schema"],
)
async def test_chat(ask: Ask, objections: Objections, read_events: Events, script: Any, more: dict[str, Any]) -> None:
    asker = ask(script)
    whole = await asker.chat(**more)
    assert objections("openai", "CreateChatCompletionResponse", whole.json()) == []
    streamed = await asker.chat(stream=True, stream_options={"include_usage": True}, **more)
    for event in read_events(streamed):
        assert "usage" in event
        if event["usage"] is None:  # as real chunks have it, though the description forgets null
            del event["usage"]
        assert objections("openai", "CreateChatCompletionStreamResponse", event) == []
    assert streamed.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_output_tokens": 1},
        {"tools": [RESPONSES_TOOL], "tool_choice": "required"},
        {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    ],
    ids=["plain", "short", "tool", "thinking", "schema"],
)
async def test_responses(
    ask: Ask, objections: Objections, read_events: Events, script: Any, more: dict[str, Any]
) -> None:
    asker = ask(script)
    whole = await asker.responses(**more)
    assert objections("openai", "Response", whole.json()) == []
    streamed = read_events(await asker.responses(stream=True, **more))
    for number, event in enumerate(streamed):
        assert objections("openai", "ResponseStreamEvent", event) == []
        assert event["sequence_number"] == number


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"max_tokens": 1},
        {"tools": [MESSAGES_TOOL], "tool_choice": {"type": "any"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}, "stop_sequences": ["a"]},
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ],
    ids=["plain", "short", "tool", "thinking", "schema"],
)
async def test_messages(
    ask: Ask, objections: Objections, read_events: Events, script: Any, more: dict[str, Any]
) -> None:
    asker = ask(script)
    whole = await asker.messages(**more)
    assert objections("anthropic", "Message", whole.json()) == []
    streamed = read_events(await asker.messages(stream=True, **more))
    for event in streamed:
        if event["type"] != "ping":  # not described
            assert objections("anthropic", "MessageStreamEvent", event) == []
    assert [e["type"] for e in streamed][0 :: len(streamed) - 1] == ["message_start", "message_stop"]


async def test_embeddings_and_models(ask: Ask, objections: Objections) -> None:
    asker = ask(models=["m", "text-embedding-3-small"])
    body = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8}
    reply = await asker.send("/openai/v1/embeddings", body)
    assert objections("openai", "CreateEmbeddingResponse", reply.json()) == []
    assert objections("openai", "ListModelsResponse", (await asker.send("/openai/v1/models")).json()) == []
    assert objections("openai", "Model", (await asker.send("/openai/v1/models/m")).json()) == []
    assert (await asker.send("/openai/v1/models/other")).status_code == 404


async def test_anthropics_counts_and_models(ask: Ask, objections: Objections) -> None:
    asker = ask()
    body = {"model": "claude", "messages": [{"role": "user", "content": "Hi"}]}
    counted = await asker.send("/anthropic/v1/messages/count_tokens", body, anthropic_version="2023-06-01")
    assert objections("anthropic", "CountMessageTokensResponse", counted.json()) == []
    listed = await asker.send("/anthropic/v1/models")
    assert objections("anthropic", "ListResponse_ModelInfo_", listed.json()) == []


@pytest.mark.parametrize("kind", ["invalid_request", "authentication", "rate_limit", "overloaded", "server"])
async def test_failures(ask: Ask, objections: Objections, kind: Any) -> None:
    asker = ask(Failure(kind))
    assert objections("openai", "ErrorResponse", (await asker.chat()).json()) == []
    assert objections("openai", "ErrorResponse", (await asker.responses()).json()) == []
    assert objections("anthropic", "ErrorResponse", (await asker.messages()).json()) == []
