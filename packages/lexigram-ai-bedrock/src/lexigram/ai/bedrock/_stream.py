"""Streams of the Converse wire: one event in, the chunks that it adds out.

Only tools have a ``contentBlockStart``; text and reasoning begin with their first delta. ``messageStop`` ends the
answer, ``metadata`` with the usage follows it and is the last event.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.ai.bedrock._decode import SERVER_TOOL, decode_usage, error_event, finish_reason
from lexigram.contracts.ai.completion import StreamChunk, ToolCallDelta
from lexigram.contracts.ai.messages import Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, StreamState
from lexigram.contracts.wire.shapes import as_dict, as_list, as_text, bad_shape, made_up_id

__all__ = ["ConverseStreamState", "decode_event", "new_stream_state"]

_NOTHING: Final[tuple[StreamChunk, ...]] = ()


class _Block:
    """What has to be kept of a block until it ends."""

    __slots__ = ("call", "citations", "redacted", "result", "server", "signature", "text")

    def __init__(self) -> None:
        self.call: int | None = None  # position of the call that it is
        self.server: dict[str, Any] | None = None  # a call that the provider ran, its input in ``text``
        self.result: dict[str, Any] | None = None  # the result of such a call
        self.text: list[str] = []
        self.citations: list[Any] = []
        self.redacted: list[str] = []
        self.signature = ""


class ConverseStreamState(StreamState):
    """``finished`` is set by ``messageStop``, ``closed`` by ``metadata``, which brings the usage."""

    __slots__ = ("blocks", "calls", "endpoint")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.blocks: dict[int, _Block] = {}
        self.calls = 0

    def block(self, index: int) -> _Block:
        """Return what is kept of a block."""
        return self.blocks.setdefault(index, _Block())


def new_stream_state(endpoint: Endpoint) -> ConverseStreamState:
    """Return the state of a fresh stream."""
    return ConverseStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: ConverseStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds; events of unknown names add nothing.

    Raises:
        LLMError: the typed error of an exception frame.
        DecodeError: with reason ``bad_shape``.
    """
    if name is not None and name.startswith("exception:"):
        raise error_event(name.partition(":")[2], data, state.endpoint)
    if not isinstance(data, dict):
        raise bad_shape(f"the event is no object but {type(data).__name__}", state.endpoint)
    event: Mapping[str, Any] = data
    raw_index = event.get("contentBlockIndex")
    index = raw_index if type(raw_index) is int else 0
    match name:
        case "contentBlockDelta":
            return _delta(as_dict(event.get("delta")), index, state)
        case "contentBlockStart":
            return _start(as_dict(event.get("start")), index, state)
        case "contentBlockStop":
            return _stop(index, state)
        case "messageStart":
            return (StreamChunk(role=as_text(event.get("role")) or None),)
        case "messageStop":
            out = [chunk for i in list(state.blocks) for chunk in _stop(i, state)]
            word = as_text(event.get("stopReason"))
            out.append(StreamChunk(finish_reason=finish_reason(word) or "stop", raw_finish_reason=word or None))
            state.finished = True
            return out
        case "metadata":
            state.closed = state.finished
            usage = decode_usage(event.get("usage"))
            return (StreamChunk(usage=usage),) if usage is not None else _NOTHING
        case _:
            return _NOTHING


def _start(start: Mapping[str, Any], index: int, state: ConverseStreamState) -> Sequence[StreamChunk]:
    block = state.block(index)
    call = as_dict(start.get("toolUse"))
    if call.get("type") == SERVER_TOOL:
        block.server = dict(call)
        return _NOTHING
    if isinstance(start.get("toolResult"), dict):
        block.result = {**as_dict(start["toolResult"]), "content": []}
        return _NOTHING
    if not call:
        return _NOTHING
    name = as_text(call.get("name"))
    return (_call(block, as_text(call.get("toolUseId")) or made_up_id(index, name), name, "", state),)


def _call(block: _Block, ident: str, name: str, arguments: str, state: ConverseStreamState) -> StreamChunk:
    if block.call is None:
        block.call = state.calls
        state.calls += 1
    return StreamChunk(tool_call_delta=ToolCallDelta(block.call, ident or None, name or None, arguments))


def _delta(delta: Mapping[str, Any], index: int, state: ConverseStreamState) -> Sequence[StreamChunk]:
    text = delta.get("text")
    if isinstance(text, str):
        return (StreamChunk(text, block=index),) if text else _NOTHING
    block = state.block(index)
    if isinstance(delta.get("toolUse"), dict):
        piece = as_text(delta["toolUse"].get("input"))
        if block.server is not None:
            block.text.append(piece)
            return _NOTHING
        return (_call(block, "" if block.call is not None else made_up_id(index, ""), "", piece, state),)
    if isinstance(delta.get("reasoningContent"), dict):
        return _reasoning(as_dict(delta["reasoningContent"]), block, index, state)
    if isinstance(delta.get("citation"), dict):
        block.citations.append(delta["citation"])
    elif block.result is not None:
        block.result["content"] += as_list(delta.get("toolResult"))
    return _NOTHING


def _reasoning(
    piece: Mapping[str, Any], block: _Block, index: int, state: ConverseStreamState
) -> Sequence[StreamChunk]:
    text, signature = as_text(piece.get("text")), as_text(piece.get("signature"))
    redacted = as_text(piece.get("redactedContent"))
    if redacted:
        block.redacted.append(redacted)
    block.signature += signature
    mark = ThinkingPart("", Opaque(state.endpoint.provider, {"signature": block.signature})) if signature else None
    return (StreamChunk(thinking_delta=text, part=mark, block=index),) if text or mark is not None else _NOTHING


def _stop(index: int, state: ConverseStreamState) -> Sequence[StreamChunk]:
    """Hand out what a block has gathered: citations, and blocks that go back whole."""
    block = state.blocks.pop(index, None)
    provider = state.endpoint.provider
    if block is None:
        return _NOTHING
    whole: dict[str, Any] | None = None
    if block.citations:
        part = TextPart("", tuple(block.citations), Opaque(provider, {"citations": block.citations}))
        return (StreamChunk(part=part, block=index),)
    if block.server is not None:
        whole = {"toolUse": {**block.server, "input": _object("".join(block.text))}}
    elif block.result is not None:
        whole = {"toolResult": block.result}
    elif block.redacted:
        whole = {"reasoningContent": {"redactedContent": _joined(block.redacted)}}
    if whole is None:
        return _NOTHING
    return (StreamChunk(part=OpaquePart(Opaque(provider, whole), kind=next(iter(whole)))),)


def _object(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return text


def _joined(pieces: list[str]) -> str:
    """Each piece is base64 of its own; one piece stays as it is."""
    if len(pieces) == 1:
        return pieces[0]
    try:
        return base64.b64encode(b"".join([base64.b64decode(p, validate=True) for p in pieces])).decode("ascii")
    except (binascii.Error, ValueError):
        return "".join(pieces)
