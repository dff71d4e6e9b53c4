"""What a response says, read by the official SDK's types and its stream accumulator.

Where the SDK provably cannot read the bytes, ``sdk_unfit`` says why and ``plain_stream`` reads instead.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

CALLS = ("function_call", "custom_tool_call")
SPOKEN = ("message", "reasoning", *CALLS)


@dataclass
class Reading:
    text: str = ""
    refusal: str = ""
    thinking: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    status: str = ""
    usage: tuple[int | None, ...] | None = None


def _plain(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else value


def read(response: Any, items: list[Any] | None = None) -> Reading:
    """Read a response of the SDK's, or its JSON."""
    data = _plain(response)
    reading = Reading(status=(data.get("incomplete_details") or {}).get("reason") or data.get("status") or "completed")
    for item in map(_plain, data.get("output") or [] if items is None else items):
        kind = item["type"]
        if kind == "message":
            for part in item["content"]:
                if part["type"] == "refusal":
                    reading.refusal += part["refusal"]
                else:
                    reading.text += part["text"]
        elif kind == "reasoning":
            texts = [p["text"] for p in (item.get("summary") or []) + (item.get("content") or [])]
            reading.thinking.append("".join(texts))
        elif kind in CALLS:
            said = item["arguments"] if kind == "function_call" else item["input"]
            reading.calls.append((item.get("call_id") or item.get("id"), item["name"], said))
        if kind not in SPOKEN:
            reading.kinds.append(kind)
    usage = data.get("usage")
    if usage:
        into, out = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
        reading.usage = (
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            usage.get("total_tokens"),
            into.get("cached_tokens"),
            out.get("reasoning_tokens"),
        )
    return reading


@contextlib.contextmanager
def _as_it_is() -> Iterator[None]:
    """The SDK's objects warn where a vendor's value is not of the declared type; that is what is looked at here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@_as_it_is()
def sdk_body(body: dict[str, Any]) -> Reading:
    return read(construct_type(type_=Response, value=body))


@_as_it_is()
def sdk_stream(events: list[Any]) -> Reading:
    """The SDK's own accumulator: what its final snapshot holds."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    final: Any = None
    for event in events:
        made: Any = construct_type(type_=ResponseStreamEvent, value=event)
        for out in state.handle_event(made):
            if out.type == "response.completed":
                final = out.response
        if made.type == "response.incomplete":
            final = made.response
    return read(final)


def sdk_unfit(events: list[Any]) -> str | None:
    """Say why the SDK's reading of these events is no measure, or None. Decided by the bytes, not by a difference."""
    final = [e["response"] for e in events if e.get("type") in ("response.completed", "response.incomplete")]
    kinds = {e.get("type") for e in events}
    if final and not final[-1].get("output") and "response.output_item.done" in kinds:
        return "the final event's output is empty: the items stand in output_item.done only"
    if len({e["response"].get("id") for e in events if "response" in e}) > 1:
        return "the events of one stream give the response different ids, which the SDK refuses"
    ids: dict[Any, str] = {}
    for event in events:
        if event.get("type") in ("response.output_item.added", "response.output_item.done"):
            ident = f"{event['item'].get('id')} {event['item'].get('call_id')}"
            if ids.setdefault(event.get("output_index"), ident) != ident:
                return "an item has other ids when it is done than when it was added, which the SDK refuses"
    if "response.reasoning_text.delta" in kinds and "response.reasoning_part.added" in kinds:
        return "reasoning parts are opened by an event of another name, which the SDK does not know"
    return None


def plain_stream(events: list[Any]) -> Reading:
    """The final event, with the items of ``output_item.done``."""
    final = next(e["response"] for e in reversed(events) if e.get("type", "").endswith(("completed", "incomplete")))
    return read(final, [e["item"] for e in events if e.get("type") == "response.output_item.done"])
