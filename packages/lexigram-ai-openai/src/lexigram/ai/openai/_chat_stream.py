"""Streams of the Chat Completions wire: one event in, the chunks that it adds out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.ai.openai._chat_decode import error_inside
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
    join_details,
    logprob_entries,
    made_up_id,
    thinking_text,
)
from lexigram.contracts.ai.completion import StreamChunk, ToolCallDelta
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.messages import Opaque, Part, RefusalPart, TextPart, ThinkingPart
from lexigram.contracts.values import sparse
from lexigram.contracts.wire import Endpoint, StreamState

__all__ = ["ChatStreamState", "decode_event", "new_stream_state"]

_NOTHING: Final[tuple[StreamChunk, ...]] = ()


class _Call:
    __slots__ = ("id", "kind", "name", "position")

    def __init__(self, position: int) -> None:
        self.position = position
        self.id = ""
        self.name = ""
        self.kind = "function"


class _Calls:
    """Which call a piece belongs to. Vendors leave out indices, write -1, or give every call index 0."""

    __slots__ = ("by_index", "calls")

    def __init__(self) -> None:
        self.calls: list[_Call] = []
        self.by_index: dict[int, _Call] = {}

    def find(self, index: object, ident: str, name: str, touched: Sequence[_Call]) -> _Call:
        """Return the call of a piece; ``touched`` are those that the same event has spoken of already."""
        known = self._known(index, ident, name)
        if known is None or (name and known in touched):
            known = _Call(len(self.calls))
            self.calls.append(known)
        if isinstance(index, int) and index >= 0:
            self.by_index[index] = known
        return known

    def _known(self, index: object, ident: str, name: str) -> _Call | None:
        at = self.by_index.get(index) if isinstance(index, int) else None
        if at is not None:
            if ident and at.id and ident != at.id:
                return self._with_id(ident)
            return None if name and at.name and name != at.name and not ident else at
        if isinstance(index, int) and index >= 0:
            # A new index is a new call, but for a piece that only carries on with a known id.
            return self._with_id(ident) if ident and not name else None
        if ident:
            return self._with_id(ident)
        return self.calls[-1] if self.calls and not name else None

    def _with_id(self, ident: str) -> _Call | None:
        return next((c for c in reversed(self.calls) if c.id == ident), None)


class _Choice:
    """What has to be remembered of one choice."""

    __slots__ = ("calls", "details", "finished", "listed", "spoken")

    def __init__(self) -> None:
        self.calls: _Calls | None = None
        self.details: list[Any] = []
        self.spoken = False  # reasoning came as text, so the details only repeat it
        self.listed = False  # content came as a list of typed parts, whose order is kept
        self.finished = False


class ChatStreamState(StreamState):
    """``finished`` is set when every choice seen has given a reason to finish."""

    __slots__ = ("choices", "endpoint", "id", "plain")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.choices: dict[int, _Choice] = {}
        self.id = ""
        self.plain = False  # choice 0 is open and its content is plain text: the short way is safe


def new_stream_state(endpoint: Endpoint) -> ChatStreamState:
    """Return the state of a fresh stream."""
    return ChatStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: ChatStreamState) -> Sequence[StreamChunk]:
    """Return what one event adds: nearly always one chunk.

    Raises:
        LLMError: the typed error that the event reports.
        DecodeError: with reason ``bad_shape``.
    """
    # The short way, for the event that makes up nearly all of a stream: one choice, nothing but text in it.
    if state.plain and name is None:
        try:
            (choice,) = data["choices"]
            delta = choice["delta"]
            text = delta["content"]
            if (
                type(text) is str
                and text
                and (len(delta) == 1 or _only_text(delta))
                and choice.get("finish_reason") is None
                and choice.get("logprobs") is None
                and not choice.get("index")
                and data.get("usage") is None
                and "error" not in data
                and "error" not in choice
            ):
                said = {"delta": text, "model": data.get("model"), "id": data.get("id"), "block": 0}
                return (sparse(StreamChunk, said),)
        except (KeyError, ValueError, TypeError, AttributeError):
            pass
    return _decode(name, data, state)


def _only_text(delta: Mapping[str, Any]) -> bool:
    return not any(value for key, value in delta.items() if key not in ("content", "role"))


def _decode(name: str | None, data: Any, state: ChatStreamState) -> Sequence[StreamChunk]:
    endpoint = state.endpoint
    if name == "error":
        raise error_inside(data, endpoint, stream=True)
    if not isinstance(data, dict):
        what = f"the event is no chat completion chunk: expected an object, got {type(data).__name__}"
        raise DecodeError(what, reason="bad_shape", provider=endpoint.provider)
    event: Mapping[str, Any] = data
    choices = event.get("choices")
    if event.get("error"):
        raise error_inside(event, endpoint, stream=True)
    if choices is None and ("detail" in event or event.get("object") == "error" or event.get("success") is False):
        raise error_inside(event, endpoint, stream=True)
    if choices is not None and not isinstance(choices, list):
        what = f"the event's choices are no list but {type(choices).__name__}"
        raise DecodeError(what, reason="bad_shape", provider=endpoint.provider)
    usage = decode_usage(event.get("usage") or as_dict(event.get("x_groq")).get("usage"))
    seen: dict[str, Any] = {"model": as_text(event.get("model")) or None, "id": as_text(event.get("id")) or None}
    state.id = seen["id"] or state.id
    pieces: list[dict[str, Any]] = []
    for choice in as_list(choices):
        if not isinstance(choice, dict):
            what = f"a choice is no object but {type(choice).__name__}"
            raise DecodeError(what, reason="bad_shape", provider=endpoint.provider)
        pieces += _choice(choice, state)
    if usage is not None:
        if not pieces:
            pieces.append({})
        pieces[-1]["usage"] = usage
    return tuple([StreamChunk(**seen, **piece) for piece in pieces]) if pieces else _NOTHING


def _choice(choice: Mapping[str, Any], state: ChatStreamState) -> list[dict[str, Any]]:
    """Return the fields of the chunks that a choice adds."""
    provider = state.endpoint.provider
    if choice.get("error"):
        raise error_inside({"error": choice["error"]}, state.endpoint, stream=True)
    raw_index = choice.get("index")
    index = raw_index if isinstance(raw_index, int) and not isinstance(raw_index, bool) else 0
    memory = state.choices.get(index)
    if memory is None:
        memory = state.choices[index] = _Choice()
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        delta = {"content": choice.get("text")}
    fields: Mapping[str, Any] = delta
    out = _said(fields, memory, provider)
    out += [{"tool_call_delta": piece} for piece in _calls(fields, memory, state, index)]

    word = choice.get("finish_reason")
    reason = finish_reason(word)
    if memory.details and (reason is not None or (memory.finished and fields.get("reasoning_details"))):
        whole = Opaque(provider, {"reasoning_details": join_details(memory.details)})
        out.append({"part": ThinkingPart("", whole), "block": 0})
    logprobs = logprob_entries(choice.get("logprobs"))
    role = as_text(fields.get("role")) or None
    if not out and (reason is not None or logprobs or role is not None):
        out.append({})
    if out:
        out[0]["role"] = role
        out[0]["logprobs"] = logprobs
        if reason is not None:
            out[-1]["finish_reason"] = reason
            out[-1]["raw_finish_reason"] = word
    for piece in out:
        piece["index"] = index
    memory.finished = memory.finished or reason is not None
    state.finished = all(c.finished for c in state.choices.values())
    state.plain = index == 0 and len(state.choices) == 1 and not memory.finished and not memory.listed
    return out


def _said(fields: Mapping[str, Any], memory: _Choice, provider: str) -> list[dict[str, Any]]:
    """Everything of a delta but tool calls."""
    out: list[dict[str, Any]] = []
    details = as_list(fields.get("reasoning_details"))
    memory.details += details
    thinking = thinking_text(fields, () if memory.spoken else details)
    if thinking:
        memory.spoken = memory.spoken or bool(fields.get("reasoning_content") or fields.get("reasoning"))
        out.append({"thinking_delta": thinking, "block": 0})
    content = fields.get("content")
    memory.listed = memory.listed or isinstance(content, list)
    block = None if memory.listed else 0
    if isinstance(content, str):
        if content:
            out.append({"delta": content, "block": block})
    elif content is not None:
        for part in content_parts(content, provider):
            out += [{**piece, "block": block} for piece in _listed(part)]
    refusal = as_text(fields.get("refusal"))
    if refusal:
        out.append({"part": RefusalPart(refusal), "block": 0})
    notes = tuple([a for a in as_list(fields.get("annotations")) if isinstance(a, dict)])
    if notes:
        out.append({"part": TextPart("", notes), "block": block})
    audio = audio_part(fields.get("audio"))
    if audio is not None:
        out.append({"part": audio})
    return out + [{"part": image} for image in image_parts(fields.get("images"), provider)]


def _listed(part: Part) -> list[dict[str, Any]]:
    """One part of a content list: its text as a delta, what else it carries as a part."""
    if isinstance(part, TextPart):
        notes = part.annotations
        return [{"delta": part.text}, *([{"part": TextPart("", notes)}] if notes else [])]
    if isinstance(part, ThinkingPart):
        opaque = part.opaque
        return [{"thinking_delta": part.text}, *([{"part": ThinkingPart("", opaque)}] if opaque is not None else [])]
    return [{"part": part}]


def _calls(delta: Mapping[str, Any], memory: _Choice, state: ChatStreamState, choice: int) -> list[ToolCallDelta]:
    listed = [c for c in as_list(delta.get("tool_calls")) if isinstance(c, dict)]
    old = delta.get("function_call")
    if not listed and isinstance(old, dict):
        listed = [{"index": 0, "function": old}]
    if not listed:
        return []
    calls = memory.calls
    if calls is None:
        calls = memory.calls = _Calls()
    touched: list[_Call] = []
    out: list[ToolCallDelta] = []
    for piece in listed:
        custom = piece.get("custom")
        body = as_dict(custom) or as_dict(piece.get("function"))
        ident, name = as_text(piece.get("id")), as_text(body.get("name"))
        call = calls.find(piece.get("index"), ident, name, touched)
        touched.append(call)
        new_id = None
        if not call.id or (ident and ident != call.id):
            new_id = call.id = ident or made_up_id(state.id, choice, call.position)
        if isinstance(custom, dict):
            call.kind = "custom"
        new_name = name if name and not call.name else None
        call.name = call.name or name
        extra = piece.get("extra_content")
        out.append(
            ToolCallDelta(
                call.position,
                new_id,
                new_name,
                as_text(body.get("input")) if call.kind == "custom" else arguments_text(body.get("arguments")),
                "custom" if call.kind == "custom" else "function",
                Opaque(state.endpoint.provider, {"extra_content": extra}) if isinstance(extra, dict) else None,
            )
        )
    return out
