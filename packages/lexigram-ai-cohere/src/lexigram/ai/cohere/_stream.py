"""Streams of the Cohere v2 chat wire: one event in, the chunks that it adds out.

Events are told apart by the ``type`` in their JSON, which ``event:`` repeats. Indices count per kind: content blocks,
calls and citations each from 0. ``message-end`` is the end of the answer; what follows (``[DONE]``) says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.ai.cohere._decode import (
    FAILED,
    decode_usage,
    error_inside,
    finish_reason,
    logprob_entries,
    plan_opaque,
)
from lexigram.contracts.ai.completion import StreamChunk, ToolCallDelta
from lexigram.contracts.ai.messages import Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, StreamState
from lexigram.contracts.wire.shapes import arguments_text, as_dict, as_text, bad_shape, made_up_id

__all__ = ["ChatStreamState", "decode_event", "new_stream_state"]

_NOTHING: Final[tuple[StreamChunk, ...]] = ()
_PLAN_BLOCK: Final = -1
_NOTES_BLOCK: Final = -2


class ChatStreamState(StreamState):
    """``finished`` is set by ``message-end``."""

    __slots__ = ("calls", "endpoint", "id", "kinds", "loose", "planned")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.id = ""
        self.kinds: dict[int, str] = {}  # content blocks: index to type
        self.calls: dict[int, int] = {}  # calls: the wire's index to the position in the answer
        self.loose: list[Mapping[str, Any]] = []  # citations of something that is no text block
        self.planned = False


def new_stream_state(endpoint: Endpoint) -> ChatStreamState:
    """Return the state of a fresh stream."""
    return ChatStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: ChatStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds; events of unknown types add nothing.

    Raises:
        LLMError: the typed error that the event reports.
        DecodeError: with reason ``bad_shape``.
    """
    if not isinstance(data, dict):
        raise bad_shape(f"the event is no object but {type(data).__name__}", state.endpoint)
    event: Mapping[str, Any] = data
    delta = as_dict(event.get("delta"))
    message = as_dict(delta.get("message"))
    raw_index = event.get("index")
    index = raw_index if type(raw_index) is int else 0
    match event.get("type", name):
        case "content-delta" | "content-start":
            return _content(event, as_dict(message.get("content")), index, state)
        case "tool-plan-delta":
            text = as_text(message.get("tool_plan"))
            if not text:
                return _NOTHING
            mark = None if state.planned else ThinkingPart("", plan_opaque(state.endpoint.provider))
            state.planned = True
            return (StreamChunk(thinking_delta=text, part=mark, block=_PLAN_BLOCK),)
        case "tool-call-start" | "tool-call-delta":
            return _call(as_dict(message.get("tool_calls")), index, state)
        case "citation-start":
            return _citation(message.get("citations"), state)
        case "message-start":
            state.id = as_text(event.get("id"))
            return (StreamChunk(role=as_text(message.get("role")) or None, id=state.id or None),)
        case "message-end":
            return _end(event, delta, state)
        case "error":
            raise error_inside(event, state.endpoint, stream=True)
        case kind:
            if kind is None and isinstance(event.get("message"), str):
                raise error_inside(event, state.endpoint, stream=True)
            return _NOTHING


def _content(
    event: Mapping[str, Any], content: Mapping[str, Any], index: int, state: ChatStreamState
) -> Sequence[StreamChunk]:
    kind = as_text(content.get("type"))
    if kind:
        state.kinds[index] = kind
        if kind not in ("text", "thinking"):
            return (StreamChunk(part=OpaquePart(Opaque(state.endpoint.provider, dict(content)), kind=kind)),)
    logprobs = logprob_entries(event.get("logprobs"))
    text, thinking = as_text(content.get("text")), as_text(content.get("thinking"))
    if text and index not in state.kinds:
        state.kinds[index] = "text"
    if not text and not thinking and not logprobs:
        return _NOTHING
    return (StreamChunk(text, thinking, block=index, logprobs=logprobs),)


def _call(call: Mapping[str, Any], index: int, state: ChatStreamState) -> Sequence[StreamChunk]:
    function = as_dict(call.get("function"))
    new = index not in state.calls
    position = state.calls.setdefault(index, len(state.calls))
    ident = as_text(call.get("id")) or (made_up_id(state.id, position) if new else None)
    name = as_text(function.get("name")) or None
    piece = ToolCallDelta(position, ident, name, arguments_text(function.get("arguments")))
    return (StreamChunk(tool_call_delta=piece),)


def _citation(citation: object, state: ChatStreamState) -> Sequence[StreamChunk]:
    if not isinstance(citation, dict):
        return _NOTHING
    note: Mapping[str, Any] = citation
    at = note.get("content_index")
    if at is None:
        texts = [i for i, kind in state.kinds.items() if kind == "text"]
        at = texts[0] if len(texts) == 1 else None
    if type(at) is int and state.kinds.get(at) == "text":
        return (StreamChunk(part=TextPart("", (note,)), block=at),)
    state.loose.append(note)
    return _NOTHING


def _end(event: Mapping[str, Any], delta: Mapping[str, Any], state: ChatStreamState) -> Sequence[StreamChunk]:
    word = as_text(delta.get("finish_reason"))
    if word in FAILED:
        raise error_inside(delta, state.endpoint, stream=True)
    state.finished = True
    out: list[StreamChunk] = []
    if state.loose:
        out.append(StreamChunk(part=TextPart("", tuple(state.loose)), block=_NOTES_BLOCK))
    out.append(
        StreamChunk(
            finish_reason=finish_reason(word) or "stop",
            raw_finish_reason=word or None,
            usage=decode_usage(delta.get("usage")),
            id=as_text(event.get("id")) or None,
        )
    )
    return out
