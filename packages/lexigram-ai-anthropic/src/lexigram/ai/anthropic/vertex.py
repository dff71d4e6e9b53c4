"""The Messages wire as Google's Vertex AI carries it.

The answers are those of :mod:`lexigram.ai.anthropic.messages`. Requests differ in three things (Anthropic's docs,
"Claude on Vertex AI"): the model stands in the path, the version in the body, and a stream has a path of its own.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from lexigram.ai.anthropic._decode import decode_count, decode_error, decode_response
from lexigram.ai.anthropic._encode import count_body, request_body
from lexigram.ai.anthropic._stream import MessagesStreamState, decode_event, new_stream_state
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, Framing, HttpRequest

__all__ = [
    "FRAMING",
    "NAME",
    "MessagesStreamState",
    "decode_count",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_count",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "anthropic.vertex"
FRAMING: Final[Framing] = "sse"
_BODY_VERSION: Final = "vertex-2023-10-16"


def _url(endpoint: Endpoint, model: str, verb: str) -> str:
    return f"{endpoint.base_url.rstrip('/')}/publishers/anthropic/models/{quote(model, safe='@')}:{verb}"


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send; see :func:`lexigram.ai.anthropic.messages.encode_request`.

    Raises:
        InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
    """
    body, headers, losses = request_body(request, endpoint, stream=stream)
    sent: dict[str, Any] = {"anthropic_version": _BODY_VERSION, **{k: v for k, v in body.items() if k != "model"}}
    url = _url(endpoint, request.model, "streamRawPredict" if stream else "rawPredict")
    return HttpRequest("POST", url, headers, sent, losses=losses)


def encode_count(request: CompletionRequest, endpoint: Endpoint) -> HttpRequest:
    """Return the request that asks how many input tokens the request has. Here the model stands in the body.

    Raises:
        InvalidRequestError: as for :func:`encode_request`.
    """
    body, headers, losses = count_body(request, endpoint)
    sent = {"anthropic_version": _BODY_VERSION, **body}
    return HttpRequest("POST", _url(endpoint, "count-tokens", "rawPredict"), headers, sent, losses=losses)


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a request for the publisher's models: it needs the token and costs nothing."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/publishers/anthropic/models")
