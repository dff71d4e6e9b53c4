"""Whole answers and errors of the Chat Completions wire."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from lexigram.ai.openai._chat_values import (
    arguments_text,
    as_dict,
    as_list,
    as_text,
    audio_part,
    content_parts,
    decode_usage,
    finish_reason,
    image_parts,
    logprob_entries,
    made_up_id,
    thinking_text,
)
from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion, Usage
from lexigram.contracts.ai.errors import DecodeError, LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Opaque, Part, RefusalPart, TextPart, ThinkingPart, ToolCall
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse
from lexigram.contracts.wire.errors import error_from_body, retry_after_seconds

__all__ = ["decode_error", "decode_response", "error_inside"]


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body.

    Raises:
        LLMError: the typed error that the body stands for, where a vendor reports one with status 200; a choice
            that broke off keeps what it had said in ``partial``.
        DecodeError: with reason ``bad_shape``, where there is no choice to read.
    """
    if not isinstance(body, dict):
        raise _bad_shape(f"expected a JSON object, got {type(body).__name__}", endpoint)
    data: dict[str, Any] = body
    found = [c for c in as_list(data.get("choices")) if isinstance(c, dict)]
    failed = data.get("error") or next((c["error"] for c in found if c.get("error")), None)
    if not failed and not found and (data.get("success") is False or data.get("object") == "error"):
        failed = data
    if not found and not failed:
        raise _bad_shape("the body has no choices", endpoint)
    choices = sorted(found, key=_index)
    usage = decode_usage(data.get("usage")) or UNKNOWN_USAGE
    made = [_completion(data, choice, usage, endpoint) for choice in choices]
    if failed:
        error = error_inside(data if data.get("error") or failed is data else {"error": failed}, endpoint)
        error.partial = made[0] if made else None
        raise error
    if len(made) == 1:
        return made[0]
    return _with_alternatives(made)


def _with_alternatives(made: list[Completion]) -> Completion:
    first = made[0]
    return Completion(
        parts=first.parts,
        finish_reason=first.finish_reason,
        raw_finish_reason=first.raw_finish_reason,
        usage=first.usage,
        model=first.model,
        provider=first.provider,
        id=first.id,
        logprobs=first.logprobs,
        alternatives=tuple(made[1:]),
        raw=first.raw,
    )


def _bad_shape(what: str, endpoint: Endpoint) -> DecodeError:
    return DecodeError(f"the reply is no chat completion: {what}", reason="bad_shape", provider=endpoint.provider)


def _index(choice: Mapping[str, Any]) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else 0


def _completion(data: Mapping[str, Any], choice: Mapping[str, Any], usage: Usage, endpoint: Endpoint) -> Completion:
    parts = _parts(data, choice, endpoint)
    raw_reason = choice.get("finish_reason")
    ident = data.get("id")
    return Completion(
        parts=parts,
        finish_reason=settle_finish_reason(finish_reason(raw_reason), parts),
        raw_finish_reason=raw_reason if isinstance(raw_reason, str) and raw_reason else None,
        usage=usage,
        model=as_text(data.get("model")),
        provider=endpoint.provider,
        id=ident if isinstance(ident, str) and ident else None,
        logprobs=logprob_entries(choice.get("logprobs")),
        raw=data,
    )


# What a message may hold besides plain text; most answers hold none of it.
_MORE = frozenset(
    (
        "annotations",
        "audio",
        "function_call",
        "images",
        "reasoning",
        "reasoning_content",
        "reasoning_details",
        "refusal",
        "tool_calls",
    )
)


def _parts(data: Mapping[str, Any], choice: Mapping[str, Any], endpoint: Endpoint) -> tuple[Part, ...]:
    provider = endpoint.provider
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
        if not isinstance(text, str):
            raise DecodeError("a choice of the reply has no message", reason="bad_shape")
        return (TextPart(text),) if text else ()
    fields: Mapping[str, Any] = message
    content = fields.get("content")
    if isinstance(content, str) and content and not [n for n in fields if n in _MORE and fields[n]]:
        return (TextPart(content),)
    parts: list[Part] = []
    details = as_list(fields.get("reasoning_details"))
    thinking = thinking_text(fields, details)
    if thinking or details:
        opaque = Opaque(provider, {"reasoning_details": list(details)}) if details else None
        parts.append(ThinkingPart(thinking, opaque))
    parts += content_parts(fields.get("content"), provider)
    notes = tuple([a for a in as_list(fields.get("annotations")) if isinstance(a, dict)])
    if notes:
        at = next((i for i in reversed(range(len(parts))) if isinstance(parts[i], TextPart)), None)
        if at is None:
            parts.append(TextPart("", notes))
        else:
            text_part = parts[at]
            assert isinstance(text_part, TextPart)
            parts[at] = TextPart(text_part.text, text_part.annotations + notes, text_part.opaque)
    refusal = as_text(fields.get("refusal"))
    if refusal:
        parts.append(RefusalPart(refusal))
    audio = audio_part(fields.get("audio"))
    if audio is not None:
        parts.append(audio)
    parts += image_parts(fields.get("images"), provider)
    parts += _calls(data, choice, fields, provider)
    return tuple(parts)


def _calls(
    data: Mapping[str, Any], choice: Mapping[str, Any], message: Mapping[str, Any], provider: str
) -> list[ToolCall]:
    listed = [c for c in as_list(message.get("tool_calls")) if isinstance(c, dict)]
    old = message.get("function_call")
    if not listed and isinstance(old, dict):
        listed = [{"function": old}]
    calls: list[ToolCall] = []
    for position, call in enumerate(listed):
        ident = as_text(call.get("id")) or made_up_id(data.get("id"), _index(choice), position)
        extra = call.get("extra_content")
        opaque = Opaque(provider, {"extra_content": extra}) if isinstance(extra, dict) else None
        custom = call.get("custom")
        if isinstance(custom, dict):
            name, text = as_text(custom.get("name")), as_text(custom.get("input"))
            calls.append(ToolCall(ident, name, raw_arguments=text, kind="custom", opaque=opaque))
            continue
        function = as_dict(call.get("function"))
        text = arguments_text(function.get("arguments"))
        calls.append(make_tool_call(ident, as_text(function.get("name")), text, opaque=opaque))
    return calls


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx. ``body`` is its JSON, else its text."""
    error = error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)
    if error.retry_after is None and response.status == 429:
        error.retry_after = _reset_in_body(body, response.headers)
    return error


def _reset_in_body(body: JSON, headers: Mapping[str, str]) -> float | None:
    """OpenRouter's free tier: ``error.metadata.headers["X-RateLimit-Reset"]``, in milliseconds of the epoch."""
    error = as_dict(as_dict(body).get("error"))
    inner = as_dict(as_dict(error.get("metadata")).get("headers"))
    reset = inner.get("X-RateLimit-Reset")
    if not isinstance(reset, str) or not (reset.isascii() and reset.isdigit()) or len(reset) != 13:
        return None
    at = formatdate(int(reset) // 1000, usegmt=True)
    return retry_after_seconds({"retry-after": at, "date": headers.get("date", "")})


def error_inside(body: object, endpoint: Endpoint, *, stream: bool = False) -> LLMError:
    """Return the typed error that came inside a reply with status 200."""
    default = StreamError if stream else ProviderServerError
    error = error_from_body(None, body, provider=endpoint.provider, default=default)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error
