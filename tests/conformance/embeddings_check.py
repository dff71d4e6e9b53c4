"""The recorded exchanges of the embeddings wire, held against an independent reading: numpy-free, straight off the JSON."""

from __future__ import annotations

import array
import base64
import json
import sys
from typing import Any

import chat_corpus
from chat_check import Outcome

from lexigram.ai.openai import embeddings
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.wire import Endpoint, HttpResponse

INT8 = "perplexity"


def apis() -> list[str]:
    """The files in scope, by API: those whose last word ends in ``embeddings``."""
    return sorted(p.name.removesuffix(".jsonl.gz") for p in chat_corpus.RECORDINGS.glob("*embeddings.jsonl.gz"))


def endpoint(record: dict[str, Any]) -> Endpoint:
    params = {"embeddings_encoding": "base64_int8"} if record["provider"] == INT8 else {}
    return Endpoint(record["provider"], "https://host.invalid/v1", params=params)


def _plain(value: Any, code: str) -> list[float]:
    if isinstance(value, list):
        return [float(v) for v in value]
    numbers = array.array(code, base64.b64decode(value))
    if sys.byteorder == "big":
        numbers.byteswap()
    return [float(n) for n in numbers]


def check(record: dict[str, Any]) -> Outcome:
    """Hold one 2xx exchange against the plain reading."""
    body = json.loads(record["response_body"])
    try:
        ours = embeddings.decode_embeddings(body, endpoint(record))
    except LLMError as error:
        return Outcome("different", f"{type(error).__name__}: {error.message}")
    code = "b" if record["provider"] == INT8 else "f"
    rows = sorted(body["data"], key=lambda r: r["index"])
    if [list(v) for v in ours.vectors] != [_plain(r["embedding"], code) for r in rows]:
        return Outcome("different", "the vectors differ")
    usage = body.get("usage") or {}
    given = usage.get("prompt_tokens", usage.get("total_tokens"))
    if (ours.model, ours.usage.input_tokens) != (body.get("model"), given):
        return Outcome("different", f"model or usage: {ours.model} {ours.usage} != {body.get('model')} {usage}")
    return Outcome("equal")


def decode_error(record: dict[str, Any]) -> LLMError:
    text = record["response_body"]
    response = HttpResponse(record["status"] or 400, record["response_headers"], text.encode())
    return embeddings.decode_error(response, json.loads(text), endpoint(record))
