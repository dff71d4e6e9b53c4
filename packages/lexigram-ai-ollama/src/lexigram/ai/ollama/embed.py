"""Ollama's native embed dialect: ``POST /api/embed``. Source: Ollama's API reference, "Generate embeddings"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lexigram.ai.ollama._decode import decode_error
from lexigram.ai.ollama._encode import runner_settings
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Usage
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpRequest
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, as_text, bad_shape

__all__ = ["MAX_BATCH", "NAME", "decode_embeddings", "decode_error", "encode_embeddings"]

NAME: Final = "ollama.embed"
MAX_BATCH: Final = 256  # the wire names no limit; a local server works through a batch one by one


def encode_embeddings(texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint) -> HttpRequest:
    """Return the request for one batch. Text that is too long is an error, not cut off (``truncate``)."""
    body: dict[str, Any] = {"model": model, "input": list(texts), "truncate": False, **runner_settings(endpoint)}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return HttpRequest("POST", f"{endpoint.base_url.rstrip('/')}/api/embed", json=body)


def decode_embeddings(body: JSON, endpoint: Endpoint) -> Embeddings:
    """Return the vectors in the order of the texts.

    Raises:
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    vectors: list[tuple[float, ...]] = []
    for row in as_list(data.get("embeddings")):
        if not isinstance(row, list) or not all(type(x) in (int, float) for x in row):
            raise bad_shape("an embedding of the reply is no list of numbers", endpoint)
        vectors.append(tuple([float(x) for x in row]))
    if not vectors:
        raise bad_shape("the reply holds no embeddings", endpoint)
    tokens = as_count(data.get("prompt_eval_count"))
    usage = UNKNOWN_USAGE if tokens is None else Usage(input_tokens=tokens, total_tokens=tokens, source="reported")
    return Embeddings(tuple(vectors), as_text(data.get("model")), usage)
