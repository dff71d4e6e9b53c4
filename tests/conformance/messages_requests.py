"""Recorded request bodies of the Messages wire, read into Lexigram's own values and encoded again.

A body is expressible when every key has an option of its own; the rest would go through ``extra_body`` and prove
nothing. Compared is the meaning: what the wire defines as the same (text as text or as one block, turns of one role
in a row, a default written out, null) is the same.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import messages_corpus as corpus

from lexigram.ai.anthropic import messages, vertex
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import (
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    ToolChoice,
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint, HttpRequest

_KNOWN = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "thinking", "temperature", "top_p", "top_k",
    "stop_sequences", "stream", "metadata", "output_config", "anthropic_version",
}  # fmt: skip
_TOOL = {"name", "description", "input_schema", "strict"}


class Inexpressible(Exception):
    """The request needs ``extra_body``."""


def _opaque(block: dict[str, Any], provider: str, *known: str, always: bool = False) -> Opaque | None:
    rest = {k: v for k, v in block.items() if k not in ("type", *known) and v is not None}
    return Opaque(provider, rest) if rest or always else None


def _media(block: dict[str, Any], provider: str) -> Part:
    source, image = block["source"], block["type"] == "image"
    opaque = _opaque(block, provider, "source", "title")
    name = block.get("title")
    match source["type"]:
        case "base64" if image:
            return ImagePart(data=base64.b64decode(source["data"]), media_type=source["media_type"], opaque=opaque)
        case "url" if image:
            return ImagePart(url=source["url"], opaque=opaque)
        case "base64":
            return FilePart(base64.b64decode(source["data"]), source["media_type"], name, opaque=opaque)
        case "text":
            return FilePart(source["data"].encode(), "text/plain", name, opaque=opaque)
        case "url":
            return FilePart(url=source["url"], filename=name, opaque=opaque)
        case "file":
            return FilePart(file_id=source["file_id"], media_type="image/*" if image else None, opaque=opaque)
        case other:
            raise Inexpressible(f"a source of type {other}")


def part(block: dict[str, Any], provider: str) -> Part:
    match block["type"]:
        case "text":
            notes = tuple(block.get("citations") or ())
            opaque = _opaque(block, provider, "text", "citations", always=bool(notes))
            return TextPart(block["text"], notes, opaque)
        case "thinking":
            return ThinkingPart(block["thinking"], _opaque(block, provider, "thinking"))
        case "tool_use":
            opaque = _opaque(block, provider, "id", "name", "input")
            return ToolCall(block["id"], block["name"], block["input"], json.dumps(block["input"]), opaque=opaque)
        case "tool_result":
            content = block.get("content") or ""
            inner = content if isinstance(content, str) else tuple([part(b, provider) for b in content])
            opaque = _opaque(block, provider, "tool_use_id", "content", "is_error")
            return ToolResultPart(block["tool_use_id"], inner, is_error=bool(block.get("is_error")), opaque=opaque)
        case "image" | "document":
            return _media(block, provider)
        case kind:
            return OpaquePart(Opaque(provider, {k: v for k, v in block.items() if v is not None}), kind)


def _message(role: str, content: Any, provider: str) -> ChatMessage:
    if isinstance(content, str):
        return ChatMessage(role, content)  # type: ignore[arg-type]
    return ChatMessage(role, tuple([part(b, provider) for b in content]))  # type: ignore[arg-type]


def _thinking(body: dict[str, Any]) -> ThinkingConfig | None:
    asked, config = body.get("thinking"), body.get("output_config") or {}
    effort = config.get("effort")
    if config.keys() - {"effort", "format"}:
        raise Inexpressible("key output_config beyond effort and format: extra_body")
    if asked is None:
        if effort is not None:
            raise Inexpressible("an effort without thinking: extra_body")
        return None
    if asked.get("display") is not None:
        raise Inexpressible("key thinking.display: extra_body")
    if asked["type"] == "disabled":
        return ThinkingConfig(suppress=True)
    if asked["type"] == "adaptive":
        return ThinkingConfig(effort=effort) if effort else ThinkingConfig(level="adaptive")
    return ThinkingConfig(budget_tokens=asked["budget_tokens"], effort=effort)


def to_request(record: dict[str, Any]) -> tuple[CompletionRequest, Endpoint]:
    """Return the request in our values.

    Raises:
        Inexpressible: saying what our words have no place for.
    """
    body, provider = record["request_body"], record["provider"]
    if unknown := sorted(k for k in body if k not in _KNOWN and body[k] is not None):
        raise Inexpressible(f"key {unknown[0]}: extra_body")
    choice = dict(body.get("tool_choice") or {})
    parallel = choice.pop("disable_parallel_tool_use", None)
    modes = {"auto": "auto", "any": "required", "none": "none", "tool": "tool"}
    form = (body.get("output_config") or {}).get("format")
    told = body.get("system")
    talk = [_message("system", told, provider)] if told else []
    talk += [_message(m["role"], m["content"], provider) for m in body["messages"]]
    tools = [
        ToolDefinition(t["name"], t.get("description") or "", t["input_schema"], t.get("strict"))
        if "type" not in t and t.keys() <= _TOOL
        else ProviderTool({k: v for k, v in t.items() if v is not None})
        for t in body.get("tools") or []
    ]
    request = CompletionRequest(
        messages=tuple(talk),
        model=body.get("model") or record["url"].rsplit("/", 1)[-1].split(":")[0],
        max_tokens=body.get("max_tokens"),
        tools=tuple(tools),
        tool_choice=ToolChoice(modes[choice["type"]], choice.get("name")) if choice else None,  # type: ignore[arg-type]
        parallel_tool_calls=None if parallel is None else not parallel,
        thinking=_thinking(body),
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        top_k=body.get("top_k"),
        stop_sequences=tuple(body.get("stop_sequences") or ()),
        user=(body.get("metadata") or {}).get("user_id"),
        response_format=ResponseFormat("json_schema", form["schema"]) if form else None,
        extra_headers={"anthropic-beta": record["request_headers"].get("anthropic-beta", "")},
    )
    return request, Endpoint(provider, "https://host.invalid/v1", params={"system_messages": "inline"})


def expressible(record: dict[str, Any]) -> str | None:
    """Say why a request cannot be written in our words, or None."""
    body = record["request_body"]
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return "no request recorded"
    if record["status"] != 200:
        return "the provider refused the request"
    try:
        to_request(record)
    except Inexpressible as why:
        return str(why)
    return None


def reencode(record: dict[str, Any]) -> HttpRequest:
    request, endpoint = to_request(record)
    dialect: Any = vertex if record["provider"] == "vertex" else messages
    try:
        if corpus.is_count(record):
            return dialect.encode_count(request, endpoint)  # type: ignore[no-any-return]
        return dialect.encode_request(request, endpoint, stream=bool(record["request_body"].get("stream")))  # type: ignore[no-any-return]
    except InvalidRequestError as error:
        raise AssertionError(f"{record['id']}: {error}") from error


# -- meaning


def _blocks(content: Any) -> list[Any]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else [_block(b) for b in content]


def _block(value: Any) -> Any:
    if isinstance(value, list):
        return [_block(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {k: _block(v) for k, v in value.items() if v is not None}
    if out.get("type") == "tool_result":
        out["content"] = _blocks(value.get("content") or [])
        if not out.get("is_error"):
            out.pop("is_error", None)
    if out.get("type") == "text" and not out.get("citations"):
        out.pop("citations", None)
    return out


def _tool(tool: dict[str, Any]) -> Any:
    out = {k: v for k, v in tool.items() if v is not None and (k, v) != ("description", "")}
    if "input_schema" in out:
        out["input_schema"] = {"type": "object", **out["input_schema"]}
    return out


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what makes no difference on the wire."""
    out = {k: v for k, v in body.items() if v not in (None, [], "") and k != "stream"}
    turns: list[dict[str, Any]] = []
    for message in body["messages"]:
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += _blocks(message["content"])
        else:
            turns.append({"role": message["role"], "content": _blocks(message["content"])})
    out["messages"] = turns
    if body.get("system"):
        out["system"] = _blocks(body["system"])
    if body.get("tools"):
        out["tools"] = [_tool(t) for t in body["tools"]]
    choice = out.get("tool_choice")
    if choice and not choice.get("disable_parallel_tool_use"):
        out["tool_choice"] = {k: v for k, v in choice.items() if k != "disable_parallel_tool_use"}
    if not any((body.get("metadata") or {}).values()):
        out.pop("metadata", None)
    out["stream"] = bool(body.get("stream"))
    return out


def shares() -> tuple[int, int, dict[str, int]]:
    """How many recorded requests there are, how many are expressible, and why the others are not."""
    total, good, reasons = 0, 0, {}
    for api in corpus.apis():
        for record in corpus.records(api):
            why = expressible(record)
            if why in ("no request recorded", "the provider refused the request"):
                continue
            total += 1
            if why is None:
                good += 1
            else:
                reasons[why] = reasons.get(why, 0) + 1
    return total, good, reasons
