"""The dialect of Vertex AI's generateContent: the Gemini API's, but for counting and the health check."""

from __future__ import annotations

from typing import Any, Final, cast

from lexigram.ai.google._decode import (
    GenerateStreamState,
    decode_error,
    decode_event,
    decode_response,
    new_stream_state,
)
from lexigram.ai.google._encode import encode_request, model_url
from lexigram.ai.google.generate import decode_count
from lexigram.contracts.ai.request import CompletionRequest
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

NAME: Final = "google.vertex"
FRAMING: Final[Framing] = "sse"

_COUNTED: Final = ("contents", "systemInstruction", "tools", "generationConfig")
_ANY_MODEL: Final = "gemini-2.5-flash"


def encode_count(request: CompletionRequest, endpoint: Endpoint) -> HttpRequest:
    """Return the request that asks for the input tokens of a request, instructions and tools included.

    Source: "CountTokensRequest" in Vertex AI's reference, which has the parts of the request side by side.

    Raises:
        InvalidRequestError: as :func:`encode_request` does.
    """
    sent = encode_request(request, endpoint, stream=False)
    body = {name: value for name, value in cast("dict[str, Any]", sent.json).items() if name in _COUNTED}
    return HttpRequest(
        "POST", model_url(request.model, "countTokens", endpoint), sent.headers, body, losses=sent.losses
    )


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a count of one word's tokens, which is free: a project has no listing of Google's models."""
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    return HttpRequest("POST", model_url(_ANY_MODEL, "countTokens", endpoint), json=body)
