"""Steps of a flow: one exchange whose reply is JSON.

def list_things(endpoint: Endpoint) -> Flow[list[str]]:
    body = yield from exchange(HttpRequest("GET", f"{endpoint.base_url}/things"), endpoint, decode_error)
    return [thing["name"] for thing in body["things"]]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from typing import TypeAlias, cast

from lexigram.contracts.ai.errors import DecodeError, LLMError
from lexigram.contracts.values import JSON
from lexigram.contracts.wire.dialect import Endpoint
from lexigram.contracts.wire.http import HttpRequest, HttpResponse, Sleep

__all__ = ["ErrorDecoder", "exchange", "read_json"]

ErrorDecoder: TypeAlias = Callable[[HttpResponse, JSON, Endpoint], LLMError]
"""A dialect's ``decode_error``."""


def read_json(response: HttpResponse, endpoint: Endpoint, decode_error: ErrorDecoder) -> JSON:
    """Return the JSON of a 2xx reply.

    Raises:
        LLMError: for any other reply, what ``decode_error`` makes of it.
        DecodeError: for a 2xx reply that is not JSON.
    """
    body: JSON
    wrong: Exception | None = None
    try:
        body = cast("JSON", json.loads(response.content))
    except (ValueError, RecursionError) as error:
        body, wrong = response.content.decode("utf-8", "replace"), error
    if not 200 <= response.status < 300:
        raise decode_error(response, body, endpoint)
    if wrong is not None:
        raise DecodeError("the reply is not JSON", reason="bad_json", provider=endpoint.provider) from wrong
    return body


def exchange(
    request: HttpRequest, endpoint: Endpoint, decode_error: ErrorDecoder
) -> Generator[HttpRequest | Sleep, HttpResponse | None, JSON]:
    """Send a request and return the JSON of its reply; see :func:`read_json` for what is raised."""
    response = yield request
    if response is None:
        raise TypeError("a flow that yields a request is sent its reply")
    return read_json(response, endpoint, decode_error)
