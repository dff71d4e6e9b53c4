"""What both embeddings APIs share: reading vectors and counts."""

from __future__ import annotations

from typing import Any

from lexigram.ai.google._values import as_dict, as_list
from lexigram.contracts.ai.completion import Usage
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint

__all__ = ["decode_embeddings"]


def decode_embeddings(body: JSON, endpoint: Endpoint) -> Embeddings:
    """Return the vectors in the order of the texts, from any of the three shapes Google has for them.

    ``embedding.values`` (embedContent), ``embeddings[].values`` (batchEmbedContents), and
    ``predictions[].embeddings.values`` with the count of each text (Vertex AI's predict). No reply names its model.

    Raises:
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    found = (
        [as_dict(data["embedding"])] if "embedding" in data else [as_dict(e) for e in as_list(data.get("embeddings"))]
    )
    tokens: list[Any] = [as_dict(data.get("usageMetadata")).get("promptTokenCount")]
    if "predictions" in data:
        found = [as_dict(as_dict(p).get("embeddings")) for p in as_list(data["predictions"])]
        tokens = [as_dict(e.get("statistics")).get("token_count") for e in found]
    vectors = tuple([_vector(e.get("values"), endpoint) for e in found])
    if not vectors:
        raise DecodeError("the reply has no embeddings", reason="bad_shape", provider=endpoint.provider)
    counts = [int(t) for t in tokens if isinstance(t, int | float) and not isinstance(t, bool) and 0 <= t < 1e15]
    if len(counts) != len(tokens):
        return Embeddings(vectors, "", Usage())
    return Embeddings(vectors, "", Usage(sum(counts), None, sum(counts), source="reported"))


def _vector(values: object, endpoint: Endpoint) -> tuple[float, ...]:
    numbers = as_list(values)
    if not numbers or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise DecodeError("an embedding is no list of numbers", reason="bad_shape", provider=endpoint.provider)
    try:
        return tuple([float(n) for n in numbers])
    except OverflowError:
        raise DecodeError(
            "an embedding's number is too large", reason="bad_shape", provider=endpoint.provider
        ) from None
