"""The wires of Google, Cohere, Ollama, Amazon and Mistral conform to their vendors' descriptions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lexigram.testing.simulator import Answer, Call, Counts

Objections = Callable[[str, str, Any], list[str]]
Ask = Callable[..., Any]

TOOL = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
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
# What recorded replies have although the description does not declare it.
ADDED = {
    "bedrock": {"cacheReadInputTokenCount", "cacheWriteInputTokenCount", "serverToolUsage", "p"},
    "cohere": {"citations", "reasoning_tokens"},
    "gemini": set[str](),
    "mistral": set[str](),
    "ollama": {
        *(
            "total_duration",
            "load_duration",
            "prompt_eval_count",
            "prompt_eval_duration",
            "eval_count",
            "eval_duration",
        ),
        *("done_reason", "id", "index", "modified_at", "parent_model", "modelfile"),
    },
}


def against(found: list[str], vendor: str) -> list[str]:
    return [
        wrong
        for wrong in found
        if not (
            wrong.endswith(": is not declared")
            and wrong.removesuffix(": is not declared").rpartition(".")[2] in ADDED[vendor]
        )
    ]


def function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": TOOL}}


TURN = [{"role": "user", "content": "Hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
MESSAGES = [{"role": "user", "content": [{"text": "Hi"}]}]
ASKED: dict[str, list[dict[str, Any]]] = {
    "gemini": [
        {"contents": CONTENTS},
        {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 1}},
        {
            "contents": CONTENTS,
            "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": TOOL}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        },
        {"contents": CONTENTS, "generationConfig": {"thinkingConfig": {"includeThoughts": True}, "candidateCount": 2}},
        {
            "contents": CONTENTS,
            "generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA},
        },
    ],
    "cohere": [
        {"messages": TURN},
        {"messages": TURN, "max_tokens": 1},
        {"messages": TURN, "tools": [function("weather")], "tool_choice": "REQUIRED"},
        {"messages": TURN, "thinking": {"type": "enabled"}, "stop_sequences": ["a"]},
        {"messages": TURN, "response_format": {"type": "json_object", "json_schema": SCHEMA}},
    ],
    "ollama": [
        {"messages": TURN},
        {"messages": TURN, "options": {"num_predict": 1}},
        {"messages": TURN, "tools": [function("weather")]},
        {"messages": TURN, "think": True},
        {"messages": TURN, "format": SCHEMA},
    ],
    "bedrock": [
        {"messages": MESSAGES},
        {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 1}},
        {
            "messages": MESSAGES,
            "toolConfig": {
                "tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": TOOL}}}],
                "toolChoice": {"any": {}},
            },
        },
        {"messages": MESSAGES, "additionalModelRequestFields": {"thinking": {"type": "enabled"}}},
        {
            "messages": MESSAGES,
            "outputConfig": {
                "textFormat": {
                    "type": "json_schema",
                    "structure": {"jsonSchema": {"schema": json.dumps(SCHEMA), "name": "n"}},
                }
            },
        },
    ],
    "mistral": [
        {"messages": TURN},
        {"messages": TURN, "max_tokens": 1},
        {"messages": TURN, "tools": [function("weather")], "tool_choice": "any"},
        {"messages": TURN, "reasoning_effort": "high", "n": 2},
        {
            "messages": TURN,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        },
    ],
}
CASES = [
    pytest.param(vendor, body, script, id=f"{vendor}-{i}-{name}")
    for vendor, bodies in ASKED.items()
    for i, body in enumerate(bodies)
    for name, script in SCRIPTS.items()
]


async def replies(asker: Any, vendor: str, body: dict[str, Any]) -> tuple[Any, str, list[tuple[str, Any]]]:
    """Return the whole reply, its schema's name, and a stream's events with theirs."""
    named = {"model": "m", **body}
    if vendor == "gemini":
        root = "/gemini/v1beta/models/m:"
        whole = await asker.send(f"{root}generateContent", body)
        events = await asker.send(f"{root}streamGenerateContent?alt=sse", body)
        array = (await asker.send(f"{root}streamGenerateContent", body)).json()
        lines = [json.loads(line[6:]) for line in events.text.split("\r\n") if line]
        assert [one["candidates"] for one in array] == [one["candidates"] for one in lines]
        return whole, "GenerateContentResponse", [("GenerateContentResponse", event) for event in lines]
    if vendor == "cohere":
        whole = await asker.send("/cohere/v2/chat", named)
        events = await asker.send("/cohere/v2/chat", {**named, "stream": True})
        lines = [json.loads(line[6:]) for line in events.text.split("\n") if line.startswith("data: {")]
        return whole, "ChatResponseV2", [("StreamedChatResponseV2", event) for event in lines]
    if vendor == "ollama":
        whole = await asker.send("/ollama/api/chat", {**named, "stream": False})
        events = await asker.send("/ollama/api/chat", named)
        return whole, "ChatResponse", [("ChatStreamEvent", json.loads(line)) for line in events.text.splitlines()]
    if vendor == "bedrock":
        whole = await asker.send("/bedrock/model/m/converse", body)
        events = await asker.send("/bedrock/model/m/converse-stream", body)
        return whole, "ConverseResponse", list(frames(events.content))
    whole = await asker.send("/mistral/v1/chat/completions", named)
    events = await asker.send("/mistral/v1/chat/completions", {**named, "stream": True})
    lines = [json.loads(line[6:]) for line in events.text.split("\n") if line.startswith("data: {")]
    return whole, "ChatCompletionResponse", [("CompletionChunk", event) for event in lines]


def frames(data: bytes) -> Iterator[tuple[str, Any]]:
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(data)
    for event in buffer:
        yield "ConverseStreamOutput", {event.headers[":event-type"]: json.loads(event.payload)}


@pytest.mark.parametrize(("vendor", "body", "script"), CASES)
async def test_answers(vendor: str, body: dict[str, Any], script: Any, ask: Ask, objections: Objections) -> None:
    whole, schema, events = await replies(ask(script), vendor, body)
    assert whole.status_code == 200, whole.text
    assert against(objections(vendor, schema, whole.json()), vendor) == []
    assert events
    for name, event in events:
        assert against(objections(vendor, name, event), vendor) == []


@pytest.mark.parametrize(
    ("vendor", "path", "body", "schema"),
    [
        ("gemini", "/v1beta/models/m:countTokens", {"contents": CONTENTS}, "CountTokensResponse"),
        ("gemini", "/v1beta/models/m:embedContent", {"content": CONTENTS[0]}, "EmbedContentResponse"),
        (
            "gemini",
            "/v1beta/models/m:batchEmbedContents",
            {"requests": [{"model": "models/m", "content": CONTENTS[0]}]},
            "BatchEmbedContentsResponse",
        ),
        ("gemini", "/v1beta/models", None, "ListModelsResponse"),
        ("gemini", "/v1beta/models/m", None, "Model"),
        (
            "cohere",
            "/v2/embed",
            {"model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float", "int8", "uint8"]},
            "EmbedByTypeResponse",
        ),
        ("cohere", "/v1/models", None, "ListModelsResponse"),
        ("cohere", "/v1/models/m", None, "GetModelResponse"),
        ("ollama", "/api/generate", {"model": "m", "prompt": "Hi", "stream": False}, "GenerateResponse"),
        ("ollama", "/api/embed", {"model": "m", "input": ["a"]}, "EmbedResponse"),
        ("ollama", "/api/tags", None, "ListResponse"),
        ("ollama", "/api/ps", None, "PsResponse"),
        ("ollama", "/api/show", {"model": "m"}, "ShowResponse"),
        ("ollama", "/api/version", None, "VersionResponse"),
        ("bedrock", "/model/m/count-tokens", {"input": {"converse": {"messages": MESSAGES}}}, "CountTokensResponse"),
        ("mistral", "/v1/embeddings", {"model": "m", "input": ["a"]}, "EmbeddingResponse"),
        ("mistral", "/v1/models", None, "ModelList"),
        ("mistral", "/v1/models/m", None, "BaseModelCard"),
    ],
)
async def test_what_needs_no_model(
    vendor: str, path: str, body: Any, schema: str, ask: Ask, objections: Objections
) -> None:
    reply = await ask(models=["m"]).send(f"/{vendor}{path}", body)
    assert reply.status_code == 200, reply.text
    assert against(objections(vendor, schema, reply.json()), vendor) == []
