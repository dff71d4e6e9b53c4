"""Whole answers and errors of the Converse wire, and the pieces that streams share with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion, FinishReason, Usage
from lexigram.contracts.ai.errors import LLMError, StreamError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Opaque, OpaquePart, Part, TextPart, ThinkingPart
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import arguments_text, as_count, as_dict, as_list, as_text, bad_shape, made_up_id

__all__ = [
    "SERVER_TOOL",
    "block_parts",
    "decode_error",
    "decode_response",
    "decode_usage",
    "error_event",
    "finish_reason",
]

_FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
SERVER_TOOL: Final = "server_tool_use"
"""The type of a call that the provider itself has run."""


def finish_reason(word: object) -> FinishReason | None:
    """Return the vendor's word in our vocabulary; an unknown word means an end."""
    return _FINISH.get(word, "stop") if isinstance(word, str) and word else None


def decode_usage(value: object) -> Usage | None:
    """Return the counts; None where there are none.

    ``inputTokens`` leaves out what was read from or written to the cache; Lexigram's input includes it. The names
    with ``Count`` at their end say the same once more.
    """
    usage = as_dict(value)

    def count(name: str) -> int | None:
        found = as_count(usage.get(name))
        return found if found is not None else as_count(usage.get(f"{name.removesuffix('s')}Count"))

    given, output = as_count(usage.get("inputTokens")), as_count(usage.get("outputTokens"))
    if given is None and output is None:
        return None
    read, written = count("cacheReadInputTokens"), count("cacheWriteInputTokens")
    if given is not None:
        given += (read or 0) + (written or 0)
    total = as_count(usage.get("totalTokens"))
    if total is None and given is not None and output is not None:
        total = given + output
    return Usage(given, output, total, cached_input_tokens=read, cache_write_tokens=written, source="reported")


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body. The guardrail's trace and the latency are in ``raw``.

    Raises:
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    message = as_dict(data.get("output")).get("message")
    if not isinstance(message, dict):
        raise bad_shape("the reply is no converse answer: it has no output.message", endpoint)
    blocks = [b for b in as_list(as_dict(message).get("content")) if isinstance(b, dict)]
    parts = tuple([part for i, block in enumerate(blocks) for part in block_parts(block, i, endpoint.provider)])
    word = as_text(data.get("stopReason"))
    return Completion(
        parts=parts,
        finish_reason=settle_finish_reason(finish_reason(word), parts),
        raw_finish_reason=word or None,
        usage=decode_usage(data.get("usage")) or UNKNOWN_USAGE,
        provider=endpoint.provider,
        raw=data,
    )


def block_parts(block: Mapping[str, Any], index: int, provider: str) -> list[Part]:
    """Return what a content block is in our words; a block of another kind is kept whole."""
    if isinstance(block.get("text"), str):
        return [TextPart(block["text"])] if block["text"] else []
    if isinstance(block.get("toolUse"), dict):
        call = as_dict(block["toolUse"])
        if call.get("type") != SERVER_TOOL:
            ident = as_text(call.get("toolUseId")) or made_up_id(index, as_text(call.get("name")))
            return [make_tool_call(ident, as_text(call.get("name")), arguments_text(call.get("input")))]
    if isinstance(block.get("citationsContent"), dict):
        content = as_dict(block["citationsContent"])
        text = "".join([as_text(as_dict(c).get("text")) for c in as_list(content.get("content"))])
        notes = [c for c in as_list(content.get("citations")) if isinstance(c, dict)]
        opaque = Opaque(provider, {"citations": notes}) if notes else None
        return [TextPart(text, tuple(notes), opaque)] if text or notes else []
    reasoning = as_dict(block.get("reasoningContent")).get("reasoningText")
    if isinstance(reasoning, dict):
        said = as_dict(reasoning)
        signature = as_text(said.get("signature"))
        opaque = Opaque(provider, {"signature": signature}) if signature else None
        text = as_text(said.get("text"))
        return [ThinkingPart(text, opaque)] if text or opaque is not None else []
    return [OpaquePart(Opaque(provider, dict(block)), kind=next(iter(block)))] if block else []


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx.

    Its kind stands in the header ``x-amzn-errortype`` before a colon, else in ``__type``; the body has the sentence,
    under ``message`` or ``Message``.
    """
    data = as_dict(body)
    kind = response.headers.get("x-amzn-errortype", "").partition(":")[0]
    kind = kind or as_text(data.get("__type")).rpartition("#")[2]
    said: JSON = body
    if data:
        said = {"message": as_text(data.get("message")) or as_text(data.get("Message"))}
        if kind:
            said = {**said, "code": kind}
    return error_from_body(response.status, said, provider=endpoint.provider, headers=response.headers)


def error_event(kind: str, data: object, endpoint: Endpoint) -> LLMError:
    """Return the typed error that an exception frame reports."""
    inside = as_dict(data)
    said = {"message": as_text(inside.get("message")) or as_text(inside.get("Message")) or kind, "code": kind}
    error = error_from_body(None, said, provider=endpoint.provider, default=StreamError)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error
