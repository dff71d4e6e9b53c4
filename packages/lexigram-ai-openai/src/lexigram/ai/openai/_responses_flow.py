"""Background mode: create, then ask by id until the answer is there; resume and cancel by id.

Source: OpenAI's guide "Background mode" and the reference of ``GET /responses/{id}`` and ``POST …/cancel``. What a
flow was waiting for when it failed, or when the call's deadline passed, stands in the error's ``partial``: with its
``id`` the answer can still be had.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from lexigram.ai.openai._chat_decode import decode_error
from lexigram.ai.openai._common import url
from lexigram.ai.openai._responses_decode import decode_response
from lexigram.ai.openai._responses_encode import encode_request, is_background
from lexigram.ai.openai._responses_values import PENDING
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError, LLMError, ProviderServerError
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, Flow, HttpRequest, HttpResponse, Sleep

__all__ = ["cancel", "encode_flow", "retrieve"]

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 5.0


def encode_flow(request: CompletionRequest, endpoint: Endpoint) -> Flow[Completion] | None:
    """Return the flow of a call in background mode (``extra_body={"background": True}``), else None."""
    if not is_background(request):
        return None
    return _until_done(encode_request(request, endpoint, stream=False), endpoint)


def retrieve(response_id: str, endpoint: Endpoint, *, wait: bool = True) -> Flow[Completion]:
    """Return the flow that fetches a stored or background response.

    Args:
        response_id: ``Completion.id`` of an earlier call.
        endpoint: of the client that made it: ``client.endpoint``.
        wait: ask again until it is finished; else one that is not comes back without a finish reason.
    """
    first = HttpRequest("GET", _address(response_id, endpoint))
    return _until_done(first, endpoint) if wait else _once(first, endpoint)


def cancel(response_id: str, endpoint: Endpoint) -> Flow[Completion]:
    """Return the flow that ends a background response; its completion has the raw finish reason ``cancelled``."""
    return _once(HttpRequest("POST", _address(response_id, endpoint, "/cancel")), endpoint)


def _address(response_id: str, endpoint: Endpoint, action: str = "") -> str:
    if not response_id:
        raise InvalidRequestError("a response id is needed", provider=endpoint.provider)
    return url(endpoint, f"/responses/{quote(response_id, safe='')}{action}")


def _once(request: HttpRequest, endpoint: Endpoint) -> Flow[Completion]:
    reply = yield request
    return _read(reply, endpoint)


def _until_done(request: HttpRequest, endpoint: Endpoint) -> Flow[Completion]:
    wait = _FIRST_WAIT
    last: Completion | None = None
    try:
        while True:
            last = _read((yield request), endpoint)
            if last.raw_finish_reason not in PENDING:
                break
            if last.id is None:
                raise DecodeError("the response is not finished and has no id", reason="bad_shape")
            yield Sleep(wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)
            request = HttpRequest("GET", _address(last.id, endpoint), request.headers)
    except LLMError as error:
        if error.partial is None:
            error.partial = last
        if last is not None and last.id is not None:
            error.hint = f"the provider may go on with it: run retrieve({last.id!r}, client.endpoint)"
        raise
    if last.raw_finish_reason == "cancelled":
        raise ProviderServerError(
            "the response was cancelled before its end",
            provider=endpoint.provider,
            provider_code="cancelled",
            retryable=False,
            partial=last,
        )
    return last


def _read(reply: HttpResponse | None, endpoint: Endpoint) -> Completion:
    if reply is None:
        raise TypeError("a request was answered with nothing: the flow is driven wrongly")
    try:
        body: Any = json.loads(reply.content)
    except (ValueError, RecursionError):
        body = reply.content.decode("utf-8", "replace")
        if 200 <= reply.status < 300:
            raise DecodeError(
                "the reply is not JSON", reason="bad_json", status=reply.status, provider=endpoint.provider
            ) from None
    if not 200 <= reply.status < 300:
        raise decode_error(reply, body, endpoint)
    return decode_response(body, endpoint)
