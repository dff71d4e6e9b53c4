"""Whole answers, counts and errors of the Messages wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexigram.ai.anthropic._values import (
    as_dict,
    as_text,
    block_part,
    container_part,
    decode_usage,
    error_inside,
    finish_reason,
    refusal_part,
)
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion
from lexigram.contracts.ai.errors import DecodeError, LLMError, ProviderServerError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Part
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse
from lexigram.contracts.wire.errors import error_from_body

__all__ = ["decode_count", "decode_error", "decode_response"]


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body. No content at all is an answer too.

    Raises:
        LLMError: the typed error that the body stands for, where it reports one with status 200.
        DecodeError: with reason ``bad_shape``, where there is no list of blocks to read.
    """
    if not isinstance(body, dict):
        raise _bad_shape(f"expected a JSON object, got {type(body).__name__}", endpoint)
    data: Mapping[str, Any] = body
    blocks = data.get("content")
    if data.get("type") == "error" or (data.get("error") and blocks is None):
        raise error_inside(data, endpoint, ProviderServerError)
    if not isinstance(blocks, list):
        raise _bad_shape("the body has no list of content blocks", endpoint)
    provider = endpoint.provider
    made = [block_part(block, provider) for block in blocks if isinstance(block, dict)]
    parts: list[Part] = [part for part in made if part is not None]
    word = data.get("stop_reason")
    if word == "refusal" and (refused := refusal_part(data.get("stop_details"), provider)) is not None:
        parts.append(refused)
    if (container := container_part(data.get("container"), provider)) is not None:
        parts.append(container)
    return Completion(
        parts=tuple(parts),
        finish_reason=settle_finish_reason(finish_reason(word), tuple(parts)),
        raw_finish_reason=word if isinstance(word, str) and word else None,
        usage=decode_usage(data.get("usage")) or UNKNOWN_USAGE,
        model=as_text(data.get("model")),
        provider=provider,
        id=as_text(data.get("id")) or None,
        raw=data,
    )


def _bad_shape(what: str, endpoint: Endpoint) -> DecodeError:
    return DecodeError(f"the reply is no message: {what}", reason="bad_shape", provider=endpoint.provider)


def decode_count(body: JSON, endpoint: Endpoint) -> int:
    """Return the input tokens of a request, as the provider counts them.

    Raises:
        DecodeError: with reason ``bad_shape``, where there is no count.
    """
    count = as_dict(body).get("input_tokens")
    if type(count) is not int or count < 0:
        raise DecodeError("the reply holds no count", reason="bad_shape", provider=endpoint.provider)
    return count


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx. ``body`` is its JSON, else its text."""
    error = error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)
    error.request_id = error.request_id or as_text(as_dict(body).get("request_id")) or None
    return error
