"""What a Messages answer says, read from the same bytes by the official SDK.

Whole bodies go through the SDK's response types, streams through its accumulator. ``unfit`` says, from the JSON
alone, where a field of that reading is no measure; ``plain_stream`` then reads instead: a naive reader that shares
no code and no idea with the dialect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from anthropic._models import construct_type
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent

Call = tuple[str, str, Any]


@dataclass
class Reading:
    text: str = ""
    thinking: str = ""
    signatures: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)
    opaque: list[dict[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: tuple[int | None, ...] = ()
    model: str = ""
    id: str = ""
    container: str | None = None


def _read(message: dict[str, Any]) -> Reading:
    out = Reading(
        finish=message.get("stop_reason") or None, model=message.get("model") or "", id=message.get("id") or ""
    )
    out.container = (message.get("container") or {}).get("id")
    for block in message.get("content") or []:
        match block["type"]:
            case "text":
                out.text += block["text"]
                out.citations += block.get("citations") or []
            case "thinking":
                out.thinking += block["thinking"]
                out.signatures += [block["signature"]] if block.get("signature") else []
            case "tool_use":
                out.calls.append((block["id"], block["name"], block["input"]))
            case _:
                out.opaque.append(block)
    counts = message.get("usage") or {}
    cached, written = counts.get("cache_read_input_tokens"), counts.get("cache_creation_input_tokens")
    given = counts.get("input_tokens")
    thinking = (counts.get("output_tokens_details") or {}).get("thinking_tokens")
    if given is not None:
        given += (cached or 0) + (written or 0)
    out.usage = (given, counts.get("output_tokens"), cached, written, thinking)
    return out


def sdk_body(body: dict[str, Any]) -> Reading:
    made = construct_type(type_=Message, value=body)
    return _read(made.to_dict(mode="json", warnings=False))  # type: ignore[attr-defined]


def sdk_stream(payloads: list[Any]) -> Reading:
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for payload in payloads:
        if payload.get("type") in ("ping", "error"):
            continue
        event: Any = construct_type(type_=RawMessageStreamEvent, value=payload)
        snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return _read(snapshot.to_dict(mode="json", warnings=False))


def unfit(payloads: list[Any]) -> str | None:
    """Say why the SDK's reading of a stream is no measure, or None. Decided by the bytes, not by a difference."""
    pieces: dict[int, str] = {}
    kinds: dict[int, str] = {}
    for payload in payloads:
        if payload.get("type") == "content_block_start":
            kinds[payload["index"]] = payload["content_block"]["type"]
        if payload.get("type") == "content_block_delta":
            delta = payload["delta"]
            if delta["type"] == "compaction_delta":
                return "a compaction_delta, which the SDK's accumulator for the plain API does not know"
            if delta["type"] == "input_json_delta":
                at = payload["index"]
                if not kinds[at].endswith("tool_use") or kinds[at] == "mcp_tool_use":
                    return f"JSON for a {kinds[at]}, which the SDK's accumulator for the plain API leaves out"
                pieces[at] = pieces.get(at, "") + delta["partial_json"]
    for text in pieces.values():
        try:
            json.loads(text or "{}")
        except ValueError:
            return "arguments cut off by the token limit: the SDK completes them by guessing"
    return None


def plain_stream(payloads: list[Any]) -> Reading:
    """Every block is put together by its number; JSON that cannot be read is its text."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    texts: dict[int, str] = {}
    for payload in payloads:
        match payload.get("type"):
            case "message_start":
                message = dict(payload["message"])
                message["usage"] = dict(message.get("usage") or {})
            case "content_block_start":
                blocks[payload["index"]] = dict(payload["content_block"])
            case "content_block_delta":
                block, delta = blocks[payload["index"]], payload["delta"]
                for key, value in delta.items():
                    if key == "partial_json":
                        texts[payload["index"]] = texts.get(payload["index"], "") + value
                    elif key == "citation":
                        block["citations"] = [*(block.get("citations") or []), value]
                    elif key == "signature":
                        block[key] = value
                    elif key in ("text", "thinking", "content"):
                        block[key] = (block.get(key) or "") + value
            case "message_delta":
                message["stop_reason"] = payload["delta"].get("stop_reason")
                message["usage"].update({k: v for k, v in (payload.get("usage") or {}).items() if v is not None})
    for index, text in texts.items():
        try:
            blocks[index]["input"] = json.loads(text) if text else {}
        except ValueError:
            blocks[index]["input"] = text
    message["content"] = [blocks[i] for i in sorted(blocks)]
    return _read(message)
