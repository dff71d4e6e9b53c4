"""Streams of the Responses wire: one event in, the chunks that it adds out.

An item's text is taken from its deltas; what an event with the whole item (``output_item.done``, the final
``response.completed``) says beyond them is added then. So a stream is read right that has no deltas, no final
output (the ChatGPT backend), or no positions (llama.cpp).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from lexigram.ai.openai._chat_decode import error_inside
from lexigram.ai.openai._chat_values import as_dict, as_list, as_text
from lexigram.ai.openai._common import ITEM
from lexigram.ai.openai._responses_decode import failure
from lexigram.ai.openai._responses_values import (
    CALLS,
    call_of,
    citations,
    decode_usage,
    finish,
    head_of,
    logprobs_of,
    thinking_of,
)
from lexigram.contracts.ai.completion import StreamChunk, ToolCallDelta
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.messages import Opaque, OpaquePart, RefusalPart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, StreamState

__all__ = ["ResponsesStreamState", "decode_event", "new_stream_state"]

_NOTHING: Final[tuple[StreamChunk, ...]] = ()
_THINKING: Final = {
    "response.reasoning_summary_text.delta": "summary_index",
    "response.reasoning_text.delta": "content_index",
    "response.reasoning_summary.delta": "summary_index",
    "response.reasoning.delta": "content_index",
}
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.cancelled", "response.done"})


class _Piece:
    """One content part: its place among the answer's parts, and how much of it has been handed out."""

    __slots__ = ("block", "said")

    def __init__(self, block: int) -> None:
        self.block = block
        self.said: list[str] = []

    def rest(self, whole: str) -> str:
        """What of the whole text has not been handed out; nothing where it says something else."""
        said = "".join(self.said)
        return whole[len(said) :] if whole.startswith(said) else ""


class _Item:
    __slots__ = ("call", "done", "kind", "logprobs", "marks", "name", "pieces", "thinking")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.name = ""
        self.call = -1
        self.pieces: dict[int, _Piece] = {}
        self.thinking: tuple[str, int] | None = None  # which text of the reasoning was last added to
        self.logprobs = False
        self.done = False


class ResponsesStreamState(StreamState):
    """Knows the items of the answer by position, else by id, else as the last one."""

    __slots__ = ("blocks", "by_id", "by_index", "calls", "endpoint", "id", "items", "started")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.items: list[_Item] = []
        self.by_index: dict[int, _Item] = {}
        self.by_id: dict[str, _Item] = {}
        self.blocks = 0
        self.calls = 0
        self.id = ""
        self.started = False

    def find(self, event: Mapping[str, Any], kind: str, ident: str) -> _Item:
        """Return the item that an event speaks of, a new one if it has not been seen."""
        index = event.get("output_index")
        at = index if isinstance(index, int) and not isinstance(index, bool) else None
        known = self.by_index.get(at) if at is not None else self.by_id.get(ident)
        if known is None and at is None and not ident and self.items and not self.items[-1].done:
            known = self.items[-1]
        if known is None or (kind and known.kind and known.kind != kind):
            known = _Item(kind)
            self.items.append(known)
        known.kind = known.kind or kind
        if at is not None:
            self.by_index[at] = known
        if ident:
            self.by_id[ident] = known
        return known

    def piece(self, item: _Item, index: object) -> _Piece:
        at = index if isinstance(index, int) else 0
        if at not in item.pieces:
            item.pieces[at] = _Piece(self.blocks)
            self.blocks += 1
        return item.pieces[at]

    def call(self, item: _Item) -> int:
        if item.call < 0:
            item.call = self.calls
            self.calls += 1
        return item.call


def new_stream_state(endpoint: Endpoint) -> ResponsesStreamState:
    """Return the state of a fresh stream."""
    return ResponsesStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: ResponsesStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds; its kind is its ``type``, for not every vendor names its events.

    Raises:
        LLMError: the typed error that ``error`` or ``response.failed`` reports.
        DecodeError: with reason ``bad_shape``.
    """
    if not isinstance(data, dict):
        if name == "error":
            raise error_inside(data, state.endpoint, stream=True)
        what = f"the event is no object but {type(data).__name__}"
        raise DecodeError(what, reason="bad_shape", provider=state.endpoint.provider)
    event: Mapping[str, Any] = data
    kind = as_text(event.get("type")) or name or ""
    if kind == "response.output_text.delta":
        return _text(event, state)
    if kind in ("error", "response.error") or (event.get("error") and "response" not in event):
        raise error_inside(event, state.endpoint, stream=True)
    if kind == "response.failed":
        raise failure(as_dict(event.get("response")), state.endpoint, stream=True)
    if not kind and ("detail" in event or event.get("object") == "error"):
        raise error_inside(event, state.endpoint, stream=True)
    if kind in _THINKING:
        return _thought(event, _THINKING[kind], state)
    if kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
        return _arguments(event, kind, as_text(event.get("delta")), state, rest=False)
    if kind in ("response.function_call_arguments.done", "response.custom_tool_call_input.done"):
        whole = event.get("input") if "custom" in kind else event.get("arguments")
        return _arguments(event, kind, as_text(whole), state, rest=True)
    if kind == "response.refusal.delta":
        return _refused(event, as_text(event.get("delta")), state)
    if kind == "response.output_item.added":
        return _added(event, as_dict(event.get("item")), state)
    if kind == "response.output_item.done":
        return _done(event, as_dict(event.get("item")), state)
    if kind in _ENDS:
        return _end(as_dict(event.get("response")), state)
    return _started(as_dict(event.get("response")), state) if kind.startswith("response.") else _NOTHING


def _started(response: Mapping[str, Any], state: ResponsesStreamState) -> Sequence[StreamChunk]:
    state.id = as_text(response.get("id")) or state.id
    if state.started or not response:
        return _NOTHING
    state.started = True
    return (StreamChunk(role="assistant", id=state.id or None, model=as_text(response.get("model")) or None),)


def _text(event: Mapping[str, Any], state: ResponsesStreamState) -> Sequence[StreamChunk]:
    text = event.get("delta")
    if not isinstance(text, str) or not text:
        return _NOTHING
    item = state.find(event, "message", as_text(event.get("item_id")))
    piece = state.piece(item, event.get("content_index"))
    piece.said.append(text)
    found = event.get("logprobs")
    logprobs = tuple([e for e in as_list(found) if isinstance(e, dict)]) if found else ()
    item.logprobs = item.logprobs or bool(logprobs)
    return (StreamChunk(text, logprobs=logprobs, block=piece.block),)


def _refused(event: Mapping[str, Any], text: str, state: ResponsesStreamState) -> Sequence[StreamChunk]:
    if not text:
        return _NOTHING
    piece = state.piece(state.find(event, "message", as_text(event.get("item_id"))), event.get("content_index"))
    piece.said.append(text)
    return (StreamChunk(part=RefusalPart(text), block=piece.block),)


def _thought(event: Mapping[str, Any], field: str, state: ResponsesStreamState) -> Sequence[StreamChunk]:
    text = as_text(event.get("delta"))
    if not text:
        return _NOTHING
    item = state.find(event, "reasoning", as_text(event.get("item_id")))
    piece = state.piece(item, 0)
    index = event.get(field)
    at = (field, index if isinstance(index, int) else 0)
    if item.thinking is not None and item.thinking != at:
        if item.thinking[0] != field:
            return _NOTHING  # the reasoning is told twice, whole and in summary: the first telling counts
        text = "\n\n" + text
    item.thinking = at
    piece.said.append(text)
    return (StreamChunk(thinking_delta=text, block=piece.block),)


def _arguments(
    event: Mapping[str, Any], kind: str, text: str, state: ResponsesStreamState, *, rest: bool
) -> Sequence[StreamChunk]:
    custom = "custom" in kind
    item = state.find(event, "custom_tool_call" if custom else "function_call", as_text(event.get("item_id")))
    piece = state.piece(item, 0)
    if rest:
        text = piece.rest(text)
    if not text:
        return _NOTHING
    piece.said.append(text)
    delta = ToolCallDelta(state.call(item), arguments=text, kind="custom" if custom else "function")
    return (StreamChunk(tool_call_delta=delta),)


def _added(event: Mapping[str, Any], item: Mapping[str, Any], state: ResponsesStreamState) -> Sequence[StreamChunk]:
    kind = as_text(item.get("type"))
    if not kind:
        return _NOTHING
    known = state.find(event, kind, as_text(item.get("id")))
    ident, name = as_text(item.get("call_id")), as_text(item.get("name"))
    if kind not in CALLS or not ident or not name or known.name:
        return _NOTHING
    known.name = name
    word: Literal["custom", "function"] = "custom" if kind == "custom_tool_call" else "function"
    return (StreamChunk(tool_call_delta=ToolCallDelta(state.call(known), ident, name, kind=word)),)


def _done(event: Mapping[str, Any], item: Mapping[str, Any], state: ResponsesStreamState) -> Sequence[StreamChunk]:
    """Everything of a whole item that has not been handed out."""
    kind = as_text(item.get("type"))
    if not kind:
        return _NOTHING
    known = state.find(event, kind, as_text(item.get("id")))
    if known.done:
        return _NOTHING
    known.done = True
    provider = state.endpoint.provider
    if kind == "message":
        return _message_done(item, known, state)
    if kind == "reasoning":
        piece = state.piece(known, 0)
        rest = piece.rest(thinking_of(item))
        part = ThinkingPart(rest, Opaque(provider, {ITEM: dict(item)}))
        return (StreamChunk(part=part, block=piece.block),)
    if kind in CALLS:
        piece = state.piece(known, 0)
        at = state.call(known)
        call = call_of(item, state.id, at, provider)
        rest = piece.rest(call.raw_arguments)
        return (StreamChunk(tool_call_delta=ToolCallDelta(at, call.id, call.name, rest, call.kind, call.opaque)),)
    return (StreamChunk(part=OpaquePart(Opaque(provider, {ITEM: dict(item)}), kind=kind)),)


def _message_done(item: Mapping[str, Any], known: _Item, state: ResponsesStreamState) -> Sequence[StreamChunk]:
    head = head_of(item, state.endpoint.provider)
    content = item.get("content")
    listed = [{"type": "output_text", "text": content}] if isinstance(content, str) else as_list(content)
    chunks: list[StreamChunk] = []
    # Bedrock counts the content of all items through: its deltas then have indices that the item does not.
    seen = sorted(known.pieces)
    through = bool(seen) and seen[-1] >= len(listed)
    for place, content_part in enumerate(map(as_dict, listed)):
        at = seen[place] if through and place < len(seen) else place
        if content_part.get("type") == "refusal":
            piece = state.piece(known, at)
            rest = piece.rest(as_text(content_part.get("refusal")))
            chunks.append(StreamChunk(part=RefusalPart(rest, head), block=piece.block))
        elif isinstance(content_part.get("text"), str):
            piece = state.piece(known, at)
            rest = piece.rest(content_part["text"])
            if rest:
                chunks.append(StreamChunk(rest, block=piece.block))
            chunks.append(StreamChunk(part=TextPart("", citations(content_part), head), block=piece.block))
    if chunks and not known.logprobs and (found := logprobs_of(item)):
        chunks.append(StreamChunk(logprobs=found))
    return chunks


def _end(response: Mapping[str, Any], state: ResponsesStreamState) -> Sequence[StreamChunk]:
    """The final event: items that no event has told of, then the reason and the counts."""
    if response.get("status") == "failed" or response.get("error"):
        raise failure(response, state.endpoint, stream=True)
    state.id = as_text(response.get("id")) or state.id
    chunks: list[StreamChunk] = []
    output = [as_dict(i) for i in as_list(response.get("output"))]
    whole = len(output) >= len(state.items)
    for at, item in enumerate(output):
        # Items are found by position where all are there, else by id: a backend may list only some.
        ident = as_text(item.get("id"))
        seen = state.by_id.get(ident) or (state.items[at] if whole and at < len(state.items) else None)
        if seen is not None and (seen.done or (seen.kind and seen.kind != item.get("type"))):
            continue
        if seen is not None:
            state.by_index[-1] = seen
            chunks += _done({"output_index": -1}, item, state)
        else:
            chunks += _done({}, item, state)
    state.finished = state.closed = True
    reason, word = finish(response)
    model = as_text(response.get("model")) or None
    end = StreamChunk(
        finish_reason=reason or "stop",
        raw_finish_reason=word,
        usage=decode_usage(response.get("usage")),
        model=model,
        id=state.id or None,
    )
    return [*chunks, end]
