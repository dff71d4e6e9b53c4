"""The recorded exchanges of the Responses wire. Where the recordings are and how streams are driven: `chat_corpus`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import chat_corpus
from chat_corpus import NO_RECORDINGS, available, core_ids, endpoint, events

from lexigram.ai.openai import responses
from lexigram.contracts.ai.completion import Completion, StreamChunk
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.wire import Endpoint

__all__ = ["NO_RECORDINGS", "available", "core_ids", "endpoint", "events"]

OTHER_OBJECTS = {
    "response.input_tokens": "the answer of the token counter, another call",
    "response.compaction": "the answer of the compaction call, another call",
    "list": "a listing of input items, another call",
}


def apis() -> list[str]:
    """The files in scope, by API: those whose last word ends in ``responses``."""
    return sorted(p.name.removesuffix(".jsonl.gz") for p in chat_corpus.RECORDINGS.glob("*responses.jsonl.gz"))


def records(api: str) -> list[dict[str, Any]]:
    return chat_corpus.records(api)


def is_error(record: dict[str, Any]) -> bool:
    """Whether the reply is an error one; a few error fixtures were kept without their status."""
    status = record["status"]
    return (
        status >= 400 if status is not None else "error" in json.loads(record["response_body"]) and not _whole(record)
    )


def _whole(record: dict[str, Any]) -> bool:
    return "output" in json.loads(record["response_body"])


def out_of_scope(record: dict[str, Any]) -> str | None:
    if record["streaming"]:
        return None
    body = json.loads(record["response_body"])
    return OTHER_OBJECTS.get(body.get("object") or "")


def drive(pieces: Iterable[bytes], where: Endpoint) -> tuple[list[StreamChunk], Any]:
    return chat_corpus.drive(pieces, where, responses)


def decode(record: dict[str, Any]) -> Completion:
    where = endpoint(record)
    if not record["streaming"]:
        return responses.decode_response(json.loads(record["response_body"]), where)
    chunks, state = drive([record["response_body"].encode()], where)
    assert state.finished, "the stream is whole and the dialect does not say so"
    fold = CompletionFold(provider=where.provider)
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()
