"""The recorded exchanges of Google's wires: which are in scope, and how a stream is driven."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from chat_corpus import NO_RECORDINGS, RECORDINGS, SPECS, available, core_ids, records

from lexigram.ai.google import generate, vertex
from lexigram.ai.google.generate import GenerateStreamState
from lexigram.ai.llm.framing import SSEDecoder
from lexigram.contracts.ai.completion import StreamChunk
from lexigram.contracts.wire import Endpoint

__all__ = [
    "EXCLUDED",
    "GENERATE",
    "NO_RECORDINGS",
    "OTHERS",
    "RECORDINGS",
    "SPECS",
    "available",
    "core_ids",
    "dialect",
    "drive",
    "endpoint",
    "messages",
    "records",
    "streams",
]

GENERATE = ("gemini.generate", "vertex.generate")
OTHERS = ("gemini.count_tokens", "vertex.count_tokens", "gemini.embed", "vertex.embed", "vertex.predict")
OUT_OF_SCOPE = {
    "gemini.cached_contents": "managing caches is no call of this package: their names go into prompt_cache; errors only",
    "gemini.interactions": "another wire",
    "gemini.openai_chat": "the chat wire: checked there",
}
EXCLUDED: dict[str, str] = {}


def dialect(record: dict[str, Any]) -> ModuleType:
    return vertex if record["api"].startswith("vertex.") else generate


def endpoint(record: dict[str, Any]) -> Endpoint:
    if record["provider"] == "vertex":
        return Endpoint("vertex", "https://host.invalid/v1/projects/p/locations/l/publishers/google")
    return Endpoint(record["provider"], "https://host.invalid/v1beta")


def streams(api: str) -> list[dict[str, Any]]:
    return [r for r in records(api) if r["status"] == 200 and r["stream_format"] == "sse"]


def messages(record: dict[str, Any]) -> Iterator[Any]:
    """The messages of an answer: the events, the elements of an array, or the one body."""
    if record["stream_format"] == "sse":
        for line in record["response_body"].splitlines():
            if line.startswith("data:"):
                yield json.loads(line[5:])
        return
    body = json.loads(record["response_body"])
    yield from body if isinstance(body, list) else [body]


def drive(pieces: Iterable[bytes], where: Endpoint) -> tuple[list[StreamChunk], GenerateStreamState]:
    """Decode a stream from its bytes, cut anyhow, as the engine does."""
    decoder, state, out = SSEDecoder(), generate.new_stream_state(where), []
    for piece in (*pieces, None):
        for name, data in decoder.feed(piece) if piece is not None else decoder.flush():
            out.extend(generate.decode_event(name, json.loads(data), state))
    return out, state
