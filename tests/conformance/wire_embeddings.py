"""Recorded embeddings of the wires of their own: our reading beside the official SDK's, and the request again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import chat_corpus as corpus
import ollama
from cohere import EmbedByTypeResponse
from cohere.core.unchecked_base_model import construct_type

from lexigram.ai.cohere import embed as cohere_embed
from lexigram.ai.ollama import embed as ollama_embed
from lexigram.contracts.wire import Endpoint


@dataclass(frozen=True)
class EmbeddingWire:
    dialect: Any
    sdk: Callable[[Any], list[list[float]]]
    texts: Callable[[dict[str, Any]], list[str]]
    not_compared: dict[str, str]


def _cohere(body: Any) -> list[list[float]]:
    vectors: list[list[float]] = construct_type(type_=EmbedByTypeResponse, object_=body).embeddings.float_
    return vectors


WIRES = {
    "cohere.v2.embed": EmbeddingWire(
        cohere_embed,
        _cohere,
        lambda sent: sent["texts"],
        {
            "truncate": "ours is NONE: a text that is too long is an error",
            "input_type": "a setting",
            "embedding_types": "the default, written out",
            "max_tokens": "null in the recording",
            "output_dimension": "null in the recording",
        },
    ),
    "ollama.embed": EmbeddingWire(
        ollama_embed,
        lambda body: [list(v) for v in ollama.EmbedResponse(**body).embeddings],
        lambda sent: [sent["input"]] if isinstance(sent["input"], str) else sent["input"],
        {
            "truncate": "ours is false: a text that is too long is an error",
            "options": "a temperature, which embeddings do not have",
        },
    ),
}


def check(api: str, record: dict[str, Any]) -> list[str]:
    """Return what differs: between the vectors, and between the requests but for what is argued above."""
    wire, body = WIRES[api], json.loads(record["response_body"])
    here = Endpoint(record["provider"], "https://host.invalid")
    made = wire.dialect.decode_embeddings(body, here)
    theirs = [tuple(float(x) for x in row) for row in wire.sdk(body)]
    wrong = [] if list(made.vectors) == theirs else ["vectors"]
    recorded = record["request_body"]
    texts = wire.texts(recorded)
    wrong += [] if len(made.vectors) == len(texts) else ["number of vectors"]
    sent = wire.dialect.encode_embeddings(texts, recorded["model"], None, here)
    if not record["url"].endswith(sent.url.removeprefix("https://host.invalid")):
        wrong.append(f"url: {sent.url}")
    body_sent = {**sent.json, "input": recorded["input"]} if "input" in recorded else dict(sent.json)
    keys = (set(body_sent) | set(recorded)) - set(wire.not_compared)
    return wrong + [
        f"{k}: {body_sent.get(k)} != {recorded.get(k)}" for k in keys if body_sent.get(k) != recorded.get(k)
    ]


def records(api: str) -> list[dict[str, Any]]:
    return [r for r in corpus.records(api) if r["status"] == 200]
