"""Streams of the Messages wire: one event in, the chunks that it adds out.

Source: Anthropic's docs, "Streaming messages". Blocks are numbered, and a block's pieces carry its number. Blocks
that only the provider understands are given out when they are closed; they come whole, or as JSON text
(``input_json_delta``), or in a delta of their own kind (``compaction_delta``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.ai.anthropic._values import (
    as_dict,
    as_list,
    as_text,
    container_part,
    decode_usage,
    error_inside,
    finish_reason,
    json_text,
    refusal_part,
    rest_of,
    text_opaque,
    thinking_opaque,
)
from lexigram.contracts.ai.completion import StreamChunk, ToolCallDelta
from lexigram.contracts.ai.errors import DecodeError, StreamError
from lexigram.contracts.ai.messages import Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, StreamState

__all__ = ["MessagesStreamState", "decode_event", "new_stream_state"]

_NOTHING: Final[tuple[StreamChunk, ...]] = ()


class _Block:
    """A block that is being written."""

    __slots__ = ("call", "json", "start")

    def __init__(self, start: Mapping[str, Any], call: int | None) -> None:
        self.start: dict[str, Any] = dict(start)
        self.call = call  # position of the tool call that it is, if it is one
        self.json: list[str] = []


class MessagesStreamState(StreamState):
    """``finished`` and ``closed`` are set by ``message_stop``, after which nothing of the answer follows."""

    __slots__ = ("blocks", "calls", "container", "endpoint", "usage")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.blocks: dict[int, _Block] = {}
        self.calls = 0
        self.container: object = None
        self.usage: dict[str, Any] = {}


def new_stream_state(endpoint: Endpoint) -> MessagesStreamState:
    """Return the state of a fresh stream."""
    return MessagesStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: MessagesStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds. Pings and events of unknown kinds add nothing.

    Raises:
        LLMError: the typed error that an ``error`` event reports; a :class:`StreamError` where its word is unknown.
        DecodeError: with reason ``bad_shape``.
    """
    if not isinstance(data, dict):
        if name == "error":
            raise _reported(data, state.endpoint)
        what = f"the event is no message event: expected an object, got {type(data).__name__}"
        raise DecodeError(what, reason="bad_shape", provider=state.endpoint.provider)
    event: Mapping[str, Any] = data
    kind = event.get("type")
    if kind == "content_block_delta":
        return _delta(_index(event), as_dict(event.get("delta")), state)
    if kind == "content_block_start":
        return _start(_index(event), as_dict(event.get("content_block")), state)
    if kind == "content_block_stop":
        return _stop(_index(event), state)
    if kind == "message_start":
        message = as_dict(event.get("message"))
        usage = _usage(message.get("usage"), state)
        state.container = message.get("container")
        model, ident = as_text(message.get("model")) or None, as_text(message.get("id")) or None
        return (StreamChunk(model=model, id=ident, role=as_text(message.get("role")) or None, usage=usage),)
    if kind == "message_delta":
        return _message_delta(as_dict(event.get("delta")), event.get("usage"), state)
    if kind == "message_stop":
        state.finished = state.closed = True
        return _NOTHING
    if kind == "error" or name == "error" or (kind is None and event.get("error")):
        raise _reported(event, state.endpoint)
    return _NOTHING


def _reported(data: object, endpoint: Endpoint) -> Exception:
    error = error_inside(data, endpoint, StreamError)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error


def _index(event: Mapping[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else 0


def _usage(given: object, state: MessagesStreamState) -> Any:
    """The counts so far. They are cumulative: a later one replaces an earlier one, what is left out stands."""
    state.usage.update({k: v for k, v in as_dict(given).items() if v is not None})
    return decode_usage(state.usage)


def _message_delta(delta: Mapping[str, Any], usage: object, state: MessagesStreamState) -> Sequence[StreamChunk]:
    word = delta.get("stop_reason")
    said = word if isinstance(word, str) and word else None
    provider = state.endpoint.provider
    refused = refusal_part(delta.get("stop_details"), provider) if said == "refusal" else None
    container = container_part(delta.get("container") or state.container, provider) if said is not None else None
    chunk = StreamChunk(
        finish_reason=finish_reason(said), raw_finish_reason=said, usage=_usage(usage, state), part=refused
    )
    return (chunk,) if container is None else (chunk, StreamChunk(part=container))


def _start(index: int, block: Mapping[str, Any], state: MessagesStreamState) -> Sequence[StreamChunk]:
    provider = state.endpoint.provider
    kind = block.get("type")
    if kind == "text":
        state.blocks[index] = _Block({"type": "text"}, None)
        notes = tuple([c for c in as_list(block.get("citations")) if isinstance(c, dict)])
        opaque = text_opaque(rest_of(block, "text", "citations"), bool(notes), provider)
        out = [StreamChunk(as_text(block.get("text")), block=index)] if block.get("text") else []
        if opaque is not None:
            out.append(StreamChunk(part=TextPart("", notes, opaque), block=index))
        return out
    if kind == "thinking":
        state.blocks[index] = _Block({"type": "thinking"}, None)
        thought = as_text(block.get("thinking"))
        opaque = thinking_opaque(rest_of(block, "thinking"), provider)
        out = [StreamChunk(thinking_delta=thought, block=index)] if thought else []
        if opaque is not None:
            out.append(StreamChunk(part=ThinkingPart("", opaque), block=index))
        return out
    if kind == "tool_use":
        state.blocks[index] = _Block(block, state.calls)
        rest = rest_of(block, "id", "name", "input")
        opaque = Opaque(provider, rest) if rest else None
        piece = ToolCallDelta(state.calls, as_text(block.get("id")), as_text(block.get("name")), opaque=opaque)
        state.calls += 1
        return (StreamChunk(tool_call_delta=piece, block=index),)
    state.blocks[index] = _Block(block, None)
    return _NOTHING


def _delta(index: int, delta: Mapping[str, Any], state: MessagesStreamState) -> Sequence[StreamChunk]:
    kind = delta.get("type")
    provider = state.endpoint.provider
    if kind == "text_delta":
        text = as_text(delta.get("text"))
        return (StreamChunk(text, block=index),) if text else _NOTHING
    if kind == "thinking_delta":
        thought = as_text(delta.get("thinking"))
        return (StreamChunk(thinking_delta=thought, block=index),) if thought else _NOTHING
    if kind == "signature_delta":
        signed = thinking_opaque({"signature": delta.get("signature")}, provider)
        return (StreamChunk(part=ThinkingPart("", signed), block=index),) if signed is not None else _NOTHING
    if kind == "citations_delta":
        citation = delta.get("citation")
        if not isinstance(citation, dict):
            return _NOTHING
        return (StreamChunk(part=TextPart("", (citation,), Opaque(provider, {})), block=index),)
    block = state.blocks.get(index)
    if block is None:
        return _NOTHING
    if kind == "input_json_delta":
        piece = as_text(delta.get("partial_json"))
        if not piece:
            return _NOTHING
        block.json.append(piece)
        if block.call is None:
            return _NOTHING
        return (StreamChunk(tool_call_delta=ToolCallDelta(block.call, arguments=piece), block=index),)
    if block.start.get("type") not in ("text", "thinking", "tool_use"):
        _grow(block.start, delta)
    return _NOTHING


def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Add a delta of the block's own kind (``compaction_delta``): text is continued, anything else replaced."""
    for key, value in delta.items():
        if key != "type" and value is not None:
            old = block.get(key)
            block[key] = old + value if isinstance(old, str) and isinstance(value, str) else value


def _stop(index: int, state: MessagesStreamState) -> Sequence[StreamChunk]:
    block = state.blocks.pop(index, None)
    if block is None or block.start.get("type") in ("text", "thinking"):
        return _NOTHING
    if block.call is not None:
        if block.json:
            return _NOTHING
        given = block.start.get("input")
        whole = ToolCallDelta(block.call, arguments=json_text(given if given is not None else {}))
        return (StreamChunk(tool_call_delta=whole, block=index),)
    if block.json:
        try:
            block.start["input"] = json.loads("".join(block.json))
        except (ValueError, RecursionError):
            block.start["input"] = {}
    part = OpaquePart(Opaque(state.endpoint.provider, block.start), kind=as_text(block.start.get("type")))
    return (StreamChunk(part=part, block=index),)
