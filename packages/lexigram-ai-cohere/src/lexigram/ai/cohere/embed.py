"""The Cohere v2 embed dialect: ``POST /v2/embed``. Source: Cohere's API reference, "Embed (v2)"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lexigram.ai.cohere._decode import decode_error
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Usage
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpRequest
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, bad_shape

__all__ = ["MAX_BATCH", "NAME", "decode_embeddings", "decode_error", "encode_embeddings"]

NAME: Final = "cohere.embed"
MAX_BATCH: Final = 96


def encode_embeddings(texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint) -> HttpRequest:
    """Return the request for one batch.

    The wire demands an ``input_type``: the setting ``input_type`` of the endpoint (``search_query``,
    ``classification`` …), else ``search_document``. Text that is too long is an error, not cut off (``truncate``).
    """
    body: dict[str, Any] = {
        "model": model,
        "texts": list(texts),
        "input_type": endpoint.params.get("input_type", "search_document"),
        "embedding_types": ["float"],
        "truncate": "NONE",
    }
    if dimensions is not None:
        body["output_dimension"] = dimensions
    return HttpRequest("POST", f"{endpoint.base_url.rstrip('/')}/v2/embed", json=body)


def decode_embeddings(body: JSON, endpoint: Endpoint) -> Embeddings:
    """Return the vectors in the order of the texts.

    ``embeddings`` is an object by type; a bare list (``embeddings_floats``) is read too.

    Raises:
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    found = data.get("embeddings")
    rows = as_list(as_dict(found).get("float")) or as_list(found)
    vectors: list[tuple[float, ...]] = []
    for row in rows:
        if not isinstance(row, list) or not all(type(x) in (int, float) for x in row):
            raise bad_shape("an embedding of the reply is no list of numbers", endpoint)
        vectors.append(tuple([float(x) for x in row]))
    if not vectors:
        raise bad_shape("the reply holds no float embeddings", endpoint)
    meta = as_dict(data.get("meta"))
    counted = as_count(as_dict(meta.get("tokens")).get("input_tokens"))
    billed = as_count(as_dict(meta.get("billed_units")).get("input_tokens"))
    tokens = counted if counted is not None else billed
    usage = UNKNOWN_USAGE if tokens is None else Usage(input_tokens=tokens, total_tokens=tokens, source="reported")
    return Embeddings(tuple(vectors), "", usage)
