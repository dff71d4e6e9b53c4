"""The dialect of OpenAI's embeddings API, which most vendors speak.

Vectors are asked for as numbers, for every vendor can write them so; base64 is read wherever it comes: 32-bit floats
in little-endian order, or signed bytes where the endpoint's setting ``embeddings_encoding`` is ``base64_int8``
(Perplexity, whose API has no floats).
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import Any, Final

from lexigram.ai.openai._chat_decode import decode_error, error_inside
from lexigram.ai.openai._chat_values import as_dict, as_list, as_text, decode_usage
from lexigram.ai.openai._common import refused, url
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Usage
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpRequest

__all__ = ["MAX_BATCH", "NAME", "decode_embeddings", "decode_error", "encode_embeddings"]

NAME: Final = "openai.embeddings"
MAX_BATCH: Final = 128
"""OpenAI takes 2,048 texts, others as few as this or less in one request; so many fit every vendor's limit of bytes."""


def encode_embeddings(texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint) -> HttpRequest:
    """Return the request for one batch.

    Raises:
        InvalidRequestError: when the vendor cannot shorten vectors and ``dimensions`` is given.
    """
    body: dict[str, Any] = {"model": model, "input": list(texts)}
    encoding = endpoint.params.get("embeddings_encoding")
    body["encoding_format"] = encoding or "float"
    if dimensions is not None:
        if "dimensions" in endpoint.quirks.refuses:
            raise refused("dimensions", endpoint)
        body[endpoint.quirks.dimensions_field] = dimensions
    return HttpRequest("POST", url(endpoint, "/embeddings"), {}, body)


def decode_embeddings(body: JSON, endpoint: Endpoint) -> Embeddings:
    """Return the vectors in the order of the texts.

    Raises:
        LLMError: the typed error that the body reports with status 200.
        DecodeError: with reason ``bad_shape``, for what is no vector.
    """
    data = as_dict(body)
    listed = data.get("data")
    if data.get("error") or (not isinstance(listed, list) and "detail" in data):
        raise error_inside(data, endpoint)
    if not isinstance(listed, list):
        raise _bad_shape("it has no data", endpoint)
    rows: list[tuple[int, tuple[float, ...]]] = []
    for at, row in enumerate(as_list(listed)):
        fields = as_dict(row)
        index = fields.get("index")
        place = index if isinstance(index, int) and not isinstance(index, bool) else at
        rows.append((place, _vector(fields.get("embedding"), endpoint)))
    rows.sort(key=lambda r: r[0])
    if len({place for place, _ in rows}) != len(rows):
        raise _bad_shape("two vectors have one index", endpoint)
    return Embeddings(tuple([v for _, v in rows]), as_text(data.get("model")), _usage(data.get("usage")))


def _bad_shape(what: str, endpoint: Endpoint) -> DecodeError:
    return DecodeError(f"the reply holds no embeddings: {what}", reason="bad_shape", provider=endpoint.provider)


def _usage(value: Any) -> Usage:
    """Voyage counts the total alone; what comes out of an embedding model are no tokens."""
    fields = as_dict(value)
    given = fields.get("prompt_tokens", fields.get("total_tokens"))
    read = decode_usage({"prompt_tokens": given, "total_tokens": fields.get("total_tokens", given)})
    return read or UNKNOWN_USAGE


def _vector(value: Any, endpoint: Endpoint) -> tuple[float, ...]:
    if isinstance(value, str):
        return _from_base64(value, endpoint)
    numbers = value if isinstance(value, list) else None
    if isinstance(numbers, list) and len(numbers) == 1 and isinstance(numbers[0], list):
        numbers = numbers[0]  # llama.cpp's own endpoint gives one row a pooled text
    if not isinstance(numbers, list) or not all(type(n) in (int, float) for n in numbers):
        raise _bad_shape("a vector is neither numbers nor base64", endpoint)
    try:
        return tuple([float(n) for n in numbers])
    except OverflowError:
        raise _bad_shape("a number has too many digits", endpoint) from None


def _from_base64(text: str, endpoint: Endpoint) -> tuple[float, ...]:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad_shape("a vector is text but not base64", endpoint) from None
    if endpoint.params.get("embeddings_encoding") == "base64_int8":
        return tuple([float(n) for n in struct.unpack(f"{len(raw)}b", raw)])
    if len(raw) % 4:
        raise _bad_shape(f"{len(raw)} bytes are no 32-bit floats", endpoint)
    return struct.unpack(f"<{len(raw) // 4}f", raw)
