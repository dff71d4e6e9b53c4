"""Whatever is sent, the simulator answers in the vendor's shape, and never fails itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexigram.testing.simulator import Simulator

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
HI = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/openai/v1/chat/completions": {
        "model": "m",
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        "tool_choice": "auto",
        "stop": ["a"],
        "n": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}},
        "stream": False,
        "stream_options": {"include_usage": True},
        "reasoning_effort": "low",
    },
    "/openai/v1/responses": {
        "model": "m",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": TOOL}],
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low"},
        "include": ["reasoning.encrypted_content"],
        "stream": False,
        "instructions": "Be brief.",
    },
    "/openai/v1/embeddings": {"model": "m", "input": ["a", "b"], "dimensions": 4, "encoding_format": "float"},
    "/anthropic/v1/messages": {
        "model": "m",
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "Be brief."}],
        "stream": False,
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
        ],
        "tools": [{"name": "f", "input_schema": TOOL}],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "adaptive"},
        "stop_sequences": ["a"],
        "output_config": {"format": {"type": "json_schema", "schema": TOOL}},
    },
    "/gemini/v1beta/models/m:generateContent": {
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"x": 1}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": TOOL}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {
            "maxOutputTokens": 99,
            "stopSequences": ["a"],
            "thinkingConfig": {"includeThoughts": True},
            "responseMimeType": "application/json",
        },
    },
    "/cohere/v2/chat": {
        "model": "m",
        "messages": HI,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        "stream": False,
        "max_tokens": 9,
        "response_format": {"type": "json_object"},
        "thinking": {"type": "enabled"},
    },
    "/cohere/v2/embed": {"model": "m", "texts": ["a"], "input_type": "search_query", "embedding_types": ["float"]},
    "/ollama/api/chat": {
        "model": "m",
        "messages": HI,
        "stream": False,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        "options": {"num_predict": 9, "stop": ["a"]},
        "format": TOOL,
        "think": True,
    },
    "/ollama/api/embed": {"model": "m", "input": ["a"]},
    "/bedrock/model/m/converse": {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 99, "stopSequences": ["a"]},
        "toolConfig": {
            "tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": TOOL}}}],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    },
    "/mistral/v1/chat/completions": {
        "model": "m",
        "messages": HI,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL}}],
        "stream": False,
        "max_tokens": 9,
        "stop": ["a"],
        "response_format": {"type": "json_object"},
    },
}
STRANGE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["type", "text", "name", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body that something else can be put to."""
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return found + [place for key, inner in items for place in places(inner, (*at, key))]


def changed(value: Any, at: tuple[Any, ...], to: Any) -> Any:
    if not at:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = changed(copy[at[0]], at[1:], to)
    return copy


async def status(path: str, body: Any) -> int:
    transport = httpx.ASGITransport(app=Simulator())
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        reply = await client.post(path, json=body, headers={"anthropic-version": "2023-06-01"})
    if reply.status_code != 200:
        assert isinstance(reply.json(), dict)
    return reply.status_code


@pytest.mark.parametrize("path", BODIES)
def test_the_body_that_is_changed_below_is_good(path: str) -> None:
    assert asyncio.run(status(path, BODIES[path])) == 200


@pytest.mark.parametrize("path", BODIES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_body_with_something_strange_in_it_is_answered_or_refused(path: str, data: st.DataObject) -> None:
    body = BODIES[path]
    place = data.draw(st.sampled_from(places(body)), "place")
    assert asyncio.run(status(path, changed(body, place, data.draw(STRANGE, "value")))) in (200, 400, 404, 422)
