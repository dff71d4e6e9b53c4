"""Every field that the simulator writes has been seen in a recorded reply of the vendor's API."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdk_kit import KEY, PERSON, WEATHER, Ground, ground

HERE = Path(__file__).resolve().parents[2].parent / "shared" / "recordings" / "dev"
RECORDINGS = Path(os.environ.get("LEXIGRAM_RECORDINGS", HERE))
pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings in {RECORDINGS}")

FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}
FORM = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
THINK = {"type": "enabled", "budget_tokens": 1024}
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
CALLED = [{"role": "user", "parts": [{"text": "call"}]}]
BLOCKS = [{"role": "user", "content": [{"text": "Hi"}]}]
SPEC = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": WEATHER}}}]}


def turn(text: str = "Hi") -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def chat(model: str, **thinking: Any) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = [
        {"messages": turn()},
        {"messages": turn("call"), "tools": [FUNCTION]},
        {"messages": turn(), "max_tokens": 2},
        {"messages": turn(), **thinking},
    ]
    return [{"model": model, **body} for body in bodies]


ASKED: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "openai.chat": ("/openai/v1/chat/completions", "openai.chat", chat("gpt-5-mini")),
    "openai.responses": (
        "/openai/v1/responses",
        "openai.responses",
        [
            {"model": "gpt-5-mini", "input": "Hi"},
            {"model": "gpt-5-mini", "input": "call", "tools": [{"type": "function", **FUNCTION["function"]}]},  # type: ignore[dict-item]
            {"model": "gpt-5-mini", "input": "Hi", "reasoning": {"effort": "low", "summary": "auto"}},
        ],
    ),
    "anthropic.messages": (
        "/anthropic/v1/messages",
        "anthropic.messages",
        [
            {"model": "claude-sonnet-4-5", "max_tokens": 4096, **body}
            for body in (
                {"messages": turn()},
                {"messages": turn("call"), "tools": [{"name": "weather", "input_schema": WEATHER}]},
                {"messages": turn(), "thinking": THINK},
            )
        ],
    ),
    "gemini": (
        "/gemini/v1beta/models/gemini-3-flash-preview:generateContent",
        "gemini.generate",
        [
            {"contents": CONTENTS},
            {"contents": CALLED, "tools": [{"functionDeclarations": [{"name": "weather"}]}]},
            {"contents": CONTENTS, "generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
        ],
    ),
    "cohere": ("/cohere/v2/chat", "cohere.v2.chat", chat("command-a-03-2025", thinking={"type": "enabled"})),
    "ollama": ("/ollama/api/chat", "ollama.chat", chat("qwen3:4b", think=True)),
    "mistral": ("/mistral/v1/chat/completions", "mistral.chat", chat("mistral-small-latest", reasoning_effort="high")),
    "bedrock": (
        "/bedrock/model/anthropic.claude-sonnet-4-20250514-v1%3A0/converse",
        "bedrock.converse",
        [
            {"messages": BLOCKS},
            {"messages": [{"role": "user", "content": [{"text": "call"}]}], "toolConfig": SPEC},
            {"messages": BLOCKS, "additionalModelRequestFields": {"thinking": THINK}},
        ],
    ),
}
OWN = ("args", "arguments", "input", "parameters")
"""What is inside these is a tool's affair."""


def paths(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{at}.{name}"
            if name not in OWN or not isinstance(inner, dict):
                yield from paths(inner, f"{at}.{name}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")


def values(body: bytes) -> Iterator[Any]:
    """Give the JSON of a whole reply or of each event of a stream, however it is framed."""
    if body[:1] == b"\x00":
        from botocore.eventstream import EventStreamBuffer

        buffer = EventStreamBuffer()
        buffer.add_data(body)
        yield from ({event.headers[":event-type"]: json.loads(event.payload)} for event in buffer)
        return
    try:
        whole = json.loads(body)
        yield from whole if isinstance(whole, list) else [whole]
    except ValueError:
        for line in body.splitlines():
            data = line.removeprefix(b"data:").strip()
            if data[:1] == b"{":
                yield json.loads(data)


def recorded(api: str) -> tuple[set[str], set[str]]:
    """Return the paths of whole replies and of streams."""
    found: tuple[set[str], set[str]] = set(), set()
    with gzip.open(RECORDINGS / f"{api}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            body = record["response_body"]
            if record["status"] != 200 or record["fidelity"] == "sdk-parsed" or body is None:
                continue
            data = base64.b64decode(body) if record["response_body_encoding"] == "base64" else body.encode()
            try:
                found[bool(record["streaming"])].update(path for value in values(data) for path in paths(value))
            except (ValueError, AttributeError):
                continue  # an excerpt, cut by whoever recorded it
    return found


@pytest.fixture(scope="module")
def simulated() -> Iterator[Ground]:
    with ground() as made:
        yield made


@pytest.mark.parametrize("wire", ASKED)
def test_nothing_is_written_that_the_vendor_has_not_been_seen_to_write(wire: str, simulated: Ground) -> None:
    import httpx

    path, api, bodies = ASKED[wire]
    whole, streamed = recorded(api)
    assert whole
    assert streamed
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01"}
    unseen: set[str] = set()
    with httpx.Client(base_url=simulated.server.url, headers=headers) as client:
        for body in bodies:
            for stream in (False, True):
                target = path
                if stream:
                    target = target.replace("generateContent", "streamGenerateContent")
                    target = f"{target}-stream" if target.endswith("/converse") else target
                said = body if wire in ("gemini", "bedrock") else {**body, "stream": stream}
                reply = client.post(target, json=said).raise_for_status()
                known = streamed if stream else whole
                written = {path for value in values(reply.content) for path in paths(value)}
                unseen |= {f"{'stream' if stream else 'whole'} {path}" for path in written - known}
    assert sorted(unseen) == []
