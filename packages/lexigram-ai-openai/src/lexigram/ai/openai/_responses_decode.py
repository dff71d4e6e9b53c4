"""Whole responses and errors of the Responses wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexigram.ai.openai._chat_decode import error_inside
from lexigram.ai.openai._chat_values import as_list, as_text
from lexigram.ai.openai._responses_values import decode_usage, finish, item_parts, logprobs_of
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion
from lexigram.contracts.ai.errors import DecodeError, LLMError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Part, ToolCall
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint

__all__ = ["completion_of", "decode_response", "failure"]


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body.

    A response that is still ``queued`` or ``in_progress`` is a completion without a finish reason, by whose ``id``
    the answer is asked for later; a ``cancelled`` one has the finish reason ``error``.

    Raises:
        LLMError: the typed error that a ``failed`` response reports with status 200; ``partial`` has what it said.
        DecodeError: with reason ``bad_shape``, where the body is no response.
    """
    if not isinstance(body, dict):
        raise _bad_shape(f"expected a JSON object, got {type(body).__name__}", endpoint)
    data: dict[str, Any] = body
    if data.get("error") or data.get("status") == "failed":
        raise failure(data, endpoint)
    if not isinstance(data.get("output"), list) and not isinstance(data.get("status"), str):
        if "detail" in data or data.get("object") == "error" or data.get("success") is False:
            raise error_inside(data, endpoint)
        raise _bad_shape("it has neither output nor status", endpoint)
    return completion_of(data, endpoint)


def _bad_shape(what: str, endpoint: Endpoint) -> DecodeError:
    return DecodeError(f"the reply is no response: {what}", reason="bad_shape", provider=endpoint.provider)


def completion_of(data: Mapping[str, Any], endpoint: Endpoint) -> Completion:
    """Return what a response says so far, whatever its status."""
    parts: list[Part] = []
    logprobs: list[Mapping[str, Any]] = []
    calls = 0
    for item in as_list(data.get("output")):
        if not isinstance(item, dict):
            raise _bad_shape(f"an output item is no object but {type(item).__name__}", endpoint)
        found = item_parts(item, data.get("id"), calls, endpoint.provider)
        calls += sum(isinstance(p, ToolCall) for p in found)
        parts += found
        logprobs += logprobs_of(item)
    reason, word = finish(data)
    return Completion(
        parts=tuple(parts),
        finish_reason=settle_finish_reason(reason, tuple(parts)) if reason is not None else None,
        raw_finish_reason=word,
        usage=decode_usage(data.get("usage")) or UNKNOWN_USAGE,
        model=as_text(data.get("model")),
        provider=endpoint.provider,
        id=as_text(data.get("id")) or None,
        logprobs=tuple(logprobs),
        raw=data,
    )


def failure(data: Mapping[str, Any], endpoint: Endpoint, *, stream: bool = False) -> LLMError:
    """Return the typed error of a failed response, with what it had said in ``partial``."""
    error = error_inside({"error": data.get("error") or {}}, endpoint, stream=stream)
    if not stream and as_text(data.get("id")):
        error.partial = completion_of(data, endpoint)
    return error
