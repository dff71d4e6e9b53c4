"""The recorded exchanges of the Messages wire: which are in scope, and how a stream is driven."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from chat_corpus import NO_RECORDINGS, RECORDINGS, SPECS, available, core_ids, records

from lexigram.ai.anthropic import messages
from lexigram.ai.llm.framing import SSEDecoder
from lexigram.contracts.ai.completion import StreamChunk
from lexigram.contracts.wire import Endpoint

__all__ = [
    "NO_RECORDINGS",
    "RECORDINGS",
    "SPECS",
    "apis",
    "available",
    "core_ids",
    "drive",
    "endpoint",
    "events",
    "is_count",
    "records",
]


def apis() -> list[str]:
    """The files in scope, by API: those whose last word ends in ``messages``, and the counts."""
    if not available():
        return []
    found = [*RECORDINGS.glob("*messages.jsonl.gz"), *RECORDINGS.glob("anthropic.count_tokens.jsonl.gz")]
    return sorted(p.name.removesuffix(".jsonl.gz") for p in found)


def is_count(record: dict[str, Any]) -> bool:
    return record["api"].endswith("count_tokens")


def endpoint(record: dict[str, Any]) -> Endpoint:
    return Endpoint(record["provider"], "https://host.invalid/v1")


def events(record: dict[str, Any]) -> Iterator[tuple[str | None, Any]]:
    """The events of a stream as JSON, ``[DONE]`` (a router's addition) left out."""
    decoder = SSEDecoder()
    for name, data in [*decoder.feed(record["response_body"].encode()), *decoder.flush()]:
        if data.strip() != b"[DONE]":
            yield name, json.loads(data)


def drive(pieces: Iterable[bytes], where: Endpoint) -> tuple[list[StreamChunk], messages.MessagesStreamState]:
    """Decode a stream from its bytes, cut anyhow, as the engine does."""
    decoder, state, out = SSEDecoder(), messages.new_stream_state(where), []

    def take(found: list[tuple[str | None, bytes]]) -> None:
        for name, data in found:
            if state.closed:
                return
            out.extend(messages.decode_event(name, json.loads(data), state))

    for piece in pieces:
        take(decoder.feed(piece))
    take(decoder.flush())
    return out, state
