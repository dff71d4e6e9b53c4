"""Whole answers and errors of the Cohere v2 chat wire, and the pieces that streams share with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion, FinishReason, Usage
from lexigram.contracts.ai.errors import LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Opaque, OpaquePart, Part, TextPart, ThinkingPart, ToolCall
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import arguments_text, as_count, as_dict, as_list, as_text, bad_shape, made_up_id

__all__ = [
    "FAILED",
    "decode_error",
    "decode_response",
    "decode_usage",
    "error_inside",
    "finish_reason",
    "logprob_entries",
    "plan_opaque",
]

_FINISH: Final[dict[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
}
FAILED: Final = frozenset({"ERROR", "TIMEOUT"})
"""Finish reasons that say that the answer broke off."""


def finish_reason(word: object) -> FinishReason | None:
    """Return the vendor's word in our vocabulary; an unknown word means an end."""
    return _FINISH.get(word, "stop") if isinstance(word, str) and word else None


def plan_opaque(provider: str) -> Opaque:
    """Return the mark of a thinking part that is a ``tool_plan`` and goes back as one."""
    return Opaque(provider, {"tool_plan": True})


def decode_usage(value: object) -> Usage | None:
    """Return the counts; None where there are none.

    ``tokens`` is what the model read and wrote, prompt template included; ``billed_units`` is what is paid for and
    stands in only where ``tokens`` is missing. Cached tokens are part of the input, reasoning of the output.
    """
    usage = as_dict(value)
    tokens = as_dict(usage.get("tokens"))
    counted = tokens if as_count(tokens.get("input_tokens")) is not None else as_dict(usage.get("billed_units"))
    given, output = as_count(counted.get("input_tokens")), as_count(counted.get("output_tokens"))
    if given is None and output is None:
        return None
    return Usage(
        input_tokens=given,
        output_tokens=output,
        total_tokens=given + output if given is not None and output is not None else None,
        cached_input_tokens=as_count(usage.get("cached_tokens")),
        reasoning_tokens=as_count(tokens.get("reasoning_tokens")),
        source="reported",
    )


def logprob_entries(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the entries as the provider wrote them: a list in whole bodies, one entry in an event."""
    entries = as_list(value) or ([value] if isinstance(value, dict) else [])
    return tuple([e for e in entries if isinstance(e, dict)])


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body.

    Raises:
        LLMError: the typed error of an answer that broke off, what it had said in ``partial``.
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    message = data.get("message")
    if not isinstance(message, dict):
        if isinstance(message, str):
            raise error_inside(data, endpoint)
        raise bad_shape("the reply is no chat answer: it has no message", endpoint)
    parts = _parts(message, data.get("id"), endpoint)
    word = as_text(data.get("finish_reason"))
    made = Completion(
        parts=parts,
        finish_reason=settle_finish_reason(finish_reason(word), parts),
        raw_finish_reason=word or None,
        usage=decode_usage(data.get("usage")) or UNKNOWN_USAGE,
        provider=endpoint.provider,
        id=as_text(data.get("id")) or None,
        logprobs=logprob_entries(data.get("logprobs")),
        raw=data,
    )
    if word in FAILED:
        error = error_inside(data, endpoint)
        error.partial = made
        raise error
    return made


def _parts(message: Mapping[str, Any], ident: object, endpoint: Endpoint) -> tuple[Part, ...]:
    """Return the parts: content in its order, then the plan, then the calls; citations on the text they cite."""
    provider = endpoint.provider
    content = message.get("content")
    items: Sequence[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else as_list(content)
    citations = [c for c in as_list(message.get("citations")) if isinstance(c, dict)]
    texts = [i for i, item in enumerate(items) if as_dict(item).get("type") == "text"]
    notes: dict[int, list[Mapping[str, Any]]] = {}
    for citation in citations:
        at = citation.get("content_index")
        if at is None and len(texts) == 1:
            at = texts[0]
        notes.setdefault(at if isinstance(at, int) and at in texts else -1, []).append(citation)
    parts: list[Part] = []
    for i, item in enumerate(items):
        piece = as_dict(item)
        match piece.get("type"):
            case "text":
                if as_text(piece.get("text")) or i in notes:
                    parts.append(TextPart(as_text(piece.get("text")), tuple(notes.get(i, ()))))
            case "thinking":
                if as_text(piece.get("thinking")):
                    parts.append(ThinkingPart(as_text(piece.get("thinking"))))
            case kind if piece:
                parts.append(OpaquePart(Opaque(provider, dict(piece)), kind=as_text(kind)))
            case _:
                pass
    plan = as_text(message.get("tool_plan"))
    if plan:
        parts.append(ThinkingPart(plan, plan_opaque(provider)))
    listed = [c for c in as_list(message.get("tool_calls")) if isinstance(c, dict)]
    parts += [_call(call, ident, position) for position, call in enumerate(listed)]
    if -1 in notes:
        parts.append(TextPart("", tuple(notes[-1])))
    return tuple(parts)


def _call(call: Mapping[str, Any], ident: object, position: int) -> ToolCall:
    function = as_dict(call.get("function"))
    own = as_text(call.get("id")) or made_up_id(ident, position)
    return make_tool_call(own, as_text(function.get("name")), arguments_text(function.get("arguments")))


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx: ``{"id", "message"}``, sometimes with ``error_type``.

    The ``id`` of the body is the request's id, where no header gives one.
    """
    error = error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)
    error.request_id = error.request_id or as_text(as_dict(body).get("id")) or None
    return error


def error_inside(body: Mapping[str, Any], endpoint: Endpoint, *, stream: bool = False) -> LLMError:
    """Return the typed error that came inside a reply with status 200."""
    default = StreamError if stream else ProviderServerError
    said = {k: body[k] for k in ("message", "error", "error_type", "code") if isinstance(body.get(k), str)}
    if not said:
        said = {"message": f"the answer broke off: {as_text(body.get('finish_reason')) or 'no reason given'}"}
    error = error_from_body(None, said, provider=endpoint.provider, default=default)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error
