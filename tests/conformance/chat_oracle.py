"""What an answer says, read from the same bytes by somebody else.

``sdk_*`` reads with the official SDK's own types and its stream accumulator. Where that reader provably cannot be
right, ``sdk_unfit`` says why, from the JSON alone, and ``plain_*`` reads instead: a naive reader that shares no
code and no idea with the dialect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from openai._models import construct_type
from openai.lib.streaming._deltas import accumulate_delta
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta

Call = tuple[str | None, str, str]


@dataclass
class Choice:
    text: str = ""
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None


@dataclass
class Reading:
    choices: dict[int, Choice] = field(default_factory=dict)
    usage: tuple[int | None, int | None, int | None] | None = None


def _usage(value: Any) -> tuple[int | None, int | None, int | None] | None:
    if value is None:
        return None
    get = value.get if isinstance(value, dict) else lambda k: getattr(value, k, None)
    counts = (get("prompt_tokens"), get("completion_tokens"), get("total_tokens"))
    return None if counts == (None, None, None) else counts


def _usage_of(payload: dict[str, Any]) -> tuple[int | None, int | None, int | None] | None:
    return _usage(payload.get("usage")) or _usage((payload.get("x_groq") or {}).get("usage"))


# -- the SDK


def _sdk_calls(message: Any) -> list[Call]:
    calls: list[Call] = []
    for call in message.tool_calls or []:
        if getattr(call, "custom", None) is not None:
            calls.append((call.id or None, call.custom.name, call.custom.input))
        else:
            calls.append((call.id or None, call.function.name, call.function.arguments or ""))
    if message.function_call is not None and not calls:
        calls.append((None, message.function_call.name, message.function_call.arguments or ""))
    return calls


def sdk_body(body: dict[str, Any]) -> Reading:
    made = construct_type(type_=ChatCompletion, value=body)
    reading = Reading(usage=_usage(made.usage))
    for at, choice in enumerate(made.choices):
        message = choice.message
        reading.choices[at] = Choice(
            message.content or "", message.refusal or "", _sdk_calls(message), choice.finish_reason or None
        )
    return reading


_KNOWN = set(ChoiceDelta.model_fields)


def sdk_stream(events: list[Any]) -> Reading:
    """The SDK's chunk types and its accumulator of deltas, over the fields that the SDK knows."""
    reading, deltas = Reading(), {}
    for event in events:
        chunk = construct_type(type_=ChatCompletionChunk, value=event)
        reading.usage = _usage(chunk.usage) or reading.usage
        for choice in chunk.choices or []:
            known = {k: v for k, v in choice.delta.to_dict().items() if k in _KNOWN}
            deltas[choice.index] = accumulate_delta(deltas.get(choice.index, {}), known)
            into = reading.choices.setdefault(choice.index, Choice())
            into.finish = choice.finish_reason or into.finish
    for index, delta in deltas.items():
        choice = reading.choices[index]
        choice.text, choice.refusal = delta.get("content") or "", delta.get("refusal") or ""
        choice.calls = _sdk_calls(construct_type(type_=ChoiceDelta, value=delta))
    return reading


def sdk_stream_state(events: list[Any]) -> Reading:
    """The SDK's whole stream state, as ``client.chat.completions.stream`` drives it (slow: for a sample)."""
    state, last = ChatCompletionStreamState(), None
    for event in events:
        chunk = construct_type(type_=ChatCompletionChunk, value=event)
        state.handle_chunk(chunk)
        last = _usage(chunk.usage) or last
    reading = Reading(usage=last)
    for choice in state.current_completion_snapshot.choices:
        message = choice.message
        calls = [(c.id or None, c.function.name, c.function.arguments or "") for c in message.tool_calls or []]
        reading.choices[choice.index] = Choice(
            message.content or "", message.refusal or "", calls, choice.finish_reason or None
        )
    return reading


# -- where the SDK cannot be right


def sdk_unfit(payloads: list[Any], *, stream: bool) -> str | None:
    """Say why the SDK's reading of these bytes is no measure, or None. Decided by the bytes, not by a difference."""
    seen: dict[tuple[int, int], tuple[str | None, str | None]] = {}
    if not any(_usage(p.get("usage")) for p in payloads) and any(_usage_of(p) for p in payloads):
        return "the usage stands in `x_groq` only, which the SDK does not know"
    for payload in payloads:
        for choice in payload.get("choices") or []:
            message = choice.get("delta" if stream else "message")
            if message is None:
                return "a choice without a message: the text stands in `text`"
            if isinstance(message.get("content"), list):
                return "content is a list of parts: the SDK keeps the list"
            if isinstance(message.get("content"), dict):
                return "content is an object: the SDK keeps the object"
            for call in message.get("tool_calls") or []:
                if any(
                    v is not None and not isinstance(v, str) for v in (call.get("function") or {}).values() if v != ""
                ):
                    return "a function field is no text"
                if not stream:
                    continue
                index = call.get("index")
                if not isinstance(index, int) or index < 0:
                    return f"tool call index {index!r}: the SDK takes it as a list position"
                ident, name = call.get("id") or None, (call.get("function") or {}).get("name") or None
                key = (choice.get("index", 0), index)
                old_id, old_name = seen.get(key, (None, None))
                if ident and old_id and ident != old_id:
                    return "several calls under one index: the SDK joins them to one"
                if (ident and old_id) or (name and old_name):
                    return "id or name repeated in later pieces: the SDK concatenates them"
                seen[key] = (ident or old_id, name or old_name)
    return None


# -- the plain reading


def _content(value: Any) -> str:
    if isinstance(value, list):
        return "".join(p.get("text", "") for p in value if p.get("type") == "text")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value or ""


def _arguments(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def plain_thinking(payloads: list[Any], *, stream: bool) -> dict[int, str]:
    """The reasoning per choice: of the fields that a message has for it, the first that says something."""
    said: dict[int, str] = {}
    for payload in payloads:
        for at, choice in enumerate(payload.get("choices") or []):
            message = choice.get("delta" if stream else "message") or {}
            index = choice.get("index", 0) if stream else at
            details = "".join(d.get("text") or d.get("summary") or "" for d in message.get("reasoning_details") or [])
            listed = ""
            if isinstance(message.get("content"), list):
                thoughts = [p for p in message["content"] if p.get("type") == "thinking"]
                listed = "".join(t.get("text", "") for p in thoughts for t in p["thinking"])
            text = message.get("reasoning_content") or message.get("reasoning") or details or listed
            said[index] = said.get(index, "") + text
    return said


def plain_body(body: dict[str, Any]) -> Reading:
    reading = Reading(usage=_usage(body.get("usage")))
    for at, choice in enumerate(body["choices"]):
        message = choice.get("message") or {"content": choice.get("text")}
        calls = [
            (c.get("id") or None, c["function"]["name"], _arguments(c["function"].get("arguments")))
            for c in message.get("tool_calls") or []
        ]
        reading.choices[at] = Choice(
            _content(message.get("content")), message.get("refusal") or "", calls, choice.get("finish_reason") or None
        )
    return reading


def plain_stream(events: list[Any]) -> Reading:
    """Every piece of a call is put beside the pieces with its id, else beside the last call of its index."""
    reading = Reading()
    pieces: dict[int, list[dict[str, Any]]] = {}
    for event in events:
        reading.usage = _usage_of(event) or reading.usage
        for choice in event.get("choices") or []:
            index = choice.get("index", 0)
            into, calls = reading.choices.setdefault(index, Choice()), pieces.setdefault(index, [])
            delta = choice.get("delta")
            if delta is None:
                delta = {"content": choice.get("text")}
            into.text += _content(delta.get("content"))
            into.refusal += delta.get("refusal") or ""
            into.finish = choice.get("finish_reason") or into.finish
            for piece in delta.get("tool_calls") or []:
                function, at = piece.get("function") or {}, piece.get("index")
                same_id = [c for c in calls if piece.get("id") and c["id"] == piece["id"]]
                same_index = [c for c in calls if c["index"] == at and not piece.get("id")]
                if same_id or same_index:
                    call = (same_id or same_index)[-1]
                else:
                    call = {"id": piece.get("id") or None, "index": at, "name": "", "arguments": ""}
                    calls.append(call)
                call["name"] = call["name"] or function.get("name") or ""
                call["arguments"] += _arguments(function.get("arguments"))
    for index, calls in pieces.items():
        reading.choices[index].calls = [(c["id"], c["name"], c["arguments"]) for c in calls]
    return reading
