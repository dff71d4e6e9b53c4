"""The dialect of the Gemini API's generateContent.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect` and ``CountingDialect``. No I/O, no
clock, no environment, no vendor by name. Decoding is liberal, for what Google sends differs from what it documents;
encoding is strict.
"""

from __future__ import annotations

from typing import Any, Final, cast

from lexigram.ai.google._decode import (
    GenerateStreamState,
    decode_error,
    decode_event,
    decode_response,
    new_stream_state,
)
from lexigram.ai.google._encode import encode_health, encode_request, model_name, model_url
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, Framing, HttpRequest

__all__ = [
    "FRAMING",
    "NAME",
    "GenerateStreamState",
    "decode_count",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_count",
    "encode_health",
    "encode_request",
    "model_url",
    "new_stream_state",
]

NAME: Final = "google.generate"
FRAMING: Final[Framing] = "sse"


def encode_count(request: CompletionRequest, endpoint: Endpoint) -> HttpRequest:
    """Return the request that asks for the input tokens of a request, instructions and tools included.

    Source: "models.countTokens", whose ``generateContentRequest`` names the model once more.

    Raises:
        InvalidRequestError: as :func:`encode_request` does.
    """
    sent = encode_request(request, endpoint, stream=False)
    whole = {"model": model_name(request.model, endpoint), **cast("dict[str, Any]", sent.json)}
    body = {"generateContentRequest": whole}
    return HttpRequest(
        "POST", model_url(request.model, "countTokens", endpoint), sent.headers, body, losses=sent.losses
    )


def decode_count(body: JSON, endpoint: Endpoint) -> int:
    """Return the input tokens; an empty request's 0 is not written on this wire.

    Raises:
        DecodeError: with reason ``bad_shape``.
    """
    tokens = body.get("totalTokens", 0) if isinstance(body, dict) else None
    if type(tokens) is not int or tokens < 0:
        raise DecodeError("the reply is no count of tokens", reason="bad_shape", provider=endpoint.provider)
    return tokens
