"""Cohere v2 chat: what the official SDK's types read, and how recorded requests are read into our words."""

from __future__ import annotations

from typing import Any

from chat_requests import _arguments as arguments
from chat_requests import _content as content
from chat_requests import _tool as tool
from cohere.core.unchecked_base_model import construct_type
from cohere.v2 import V2ChatResponse, V2ChatStreamResponse
from wire_corpus import NotOurs, Reading, Wire

from lexigram.ai.cohere import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.messages import (
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import CompletionRequest, ResponseFormat, ThinkingConfig

# -- the SDK's reading


def _usage(usage: Any) -> tuple[int | None, int | None]:
    if usage is None or usage.tokens is None:
        return None, None
    return int(usage.tokens.input_tokens), int(usage.tokens.output_tokens)


def _note(citation: Any) -> tuple[Any, ...]:
    return citation.start, citation.end, citation.text, len(citation.sources or [])


def body(value: Any) -> Reading:
    made = construct_type(type_=V2ChatResponse, object_=value)
    message = made.message
    items = message.content or []
    return {
        "text": "".join(i.text for i in items if i.type == "text"),
        "thinking": "".join(i.thinking for i in items if i.type == "thinking") + (message.tool_plan or ""),
        "calls": [(c.function.name, arguments(c.function.arguments or "{}")) for c in message.tool_calls or []],
        "finish": made.finish_reason,
        "usage": _usage(made.usage),
        "notes": value["message"].get("citations") or [],
    }


def stream(events: list[tuple[str | None, Any]]) -> Reading:
    text, thinking, notes, calls = "", "", [], []
    finish, usage = None, None
    for _, value in events:
        event = construct_type(type_=V2ChatStreamResponse, object_=value)
        match event.type:
            case "content-start" | "content-delta":
                piece = event.delta.message.content
                text += getattr(piece, "text", None) or ""
                thinking += getattr(piece, "thinking", None) or ""
            case "tool-plan-delta":
                thinking += event.delta.message.tool_plan
            case "tool-call-start":
                function = event.delta.message.tool_calls.function
                calls.append([function.name, function.arguments or ""])
            case "tool-call-delta":
                calls[-1][1] += event.delta.message.tool_calls.function.arguments
            case "citation-start":
                notes.append(value["delta"]["message"]["citations"])
            case "message-end":
                finish, usage = event.delta.finish_reason, event.delta.usage
    made = [(name, arguments(text or "{}")) for name, text in calls]
    return {
        "text": text,
        "thinking": thinking,
        "calls": made,
        "finish": finish,
        "usage": _usage(usage),
        "notes": notes,
    }


def fails(events: list[tuple[str | None, Any]]) -> bool:
    return any((v.get("delta") or v).get("finish_reason") in ("ERROR", "TIMEOUT") for _, v in events)


# -- recorded requests

_KNOWN = {
    "model", "messages", "stream", "tools", "temperature", "max_tokens", "seed", "p", "k", "stop_sequences", "documents",
    "frequency_penalty", "presence_penalty", "response_format", "tool_choice", "thinking", "strict_tools",
}  # fmt: skip


def _part(item: dict[str, Any]) -> Part:
    match item["type"]:
        case "text":
            return TextPart(item["text"])
        case "image_url":
            return ImagePart(url=item["image_url"]["url"], detail=item["image_url"].get("detail"))
        case "thinking":
            return ThinkingPart(item["thinking"])
    raise NotOurs(f"a content item of type {item['type']}")


def _parts(value: Any) -> tuple[Part, ...]:
    return tuple([TextPart(value)] if isinstance(value, str) else [_part(i) for i in value or []])


def _message(message: dict[str, Any]) -> ChatMessage:
    parts: tuple[Part, ...]
    if message["role"] == "tool":
        if not isinstance(message["content"], str) and any(i["type"] == "document" for i in message["content"]):
            raise NotOurs("a document object as a tool's result: the tool's text goes out as text")
        return ChatMessage("tool", (ToolResultPart(message["tool_call_id"], _parts(message["content"])),))
    parts = _parts(message.get("content"))
    if message.get("tool_plan"):
        parts += (ThinkingPart(message["tool_plan"], Opaque("cohere", {"tool_plan": True})),)
    for call in message.get("tool_calls") or []:
        function = call["function"]
        parts += (ToolCall(call["id"], function["name"], raw_arguments=function["arguments"]),)
    return ChatMessage(message["role"], parts)


def request(record: dict[str, Any]) -> CompletionRequest:
    sent = {k: v for k, v in record["request_body"].items() if v is not None}
    if unknown := sorted(set(sent) - _KNOWN):
        raise NotOurs(f"key {unknown[0]}: extra_body")
    messages = [_message(m) for m in sent["messages"]]
    for document in sent.get("documents") or []:
        if set(document) - {"data"} or set(document["data"]) - {"text", "title"}:
            raise NotOurs("a document with an id or data of its own: extra_body")
        file = FilePart(document["data"]["text"].encode(), "text/plain", document["data"].get("title"))
        at = max(i for i, m in enumerate(messages) if m.role == "user")
        messages[at] = ChatMessage("user", (*messages[at].parts, file))
    options: dict[str, Any] = {
        "top_p": sent.get("p"),
        "top_k": sent.get("k") or None,
        "seed": sent.get("seed"),
        "frequency_penalty": sent.get("frequency_penalty"),
        "presence_penalty": sent.get("presence_penalty"),
        "tool_choice": sent["tool_choice"].lower() if "tool_choice" in sent else None,
    }
    form = sent.get("response_format")
    if form is not None:
        schema = form.get("json_schema")
        options["response_format"] = ResponseFormat("json_schema" if schema else form["type"], schema)
    if "thinking" in sent:
        said = sent["thinking"]
        options["thinking"] = ThinkingConfig(level=said["type"], budget_tokens=said.get("token_budget"))
    tools = [{**t, "function": {**t["function"], "strict": sent.get("strict_tools")}} for t in sent.get("tools") or []]
    return build_request(
        messages,
        model=sent["model"],
        temperature=sent.get("temperature"),
        max_tokens=sent.get("max_tokens"),
        tools=tools,
        stop_sequences=sent.get("stop_sequences"),
        options=options,
    )


def _said(message: dict[str, Any]) -> Any:
    out = {"role": message["role"], "content": content(message.get("content"))}
    out |= {k: message[k] for k in ("tool_call_id", "tool_plan") if message.get(k)}
    calls = [
        (c["id"], c["function"]["name"], arguments(c["function"]["arguments"])) for c in message.get("tool_calls") or []
    ]
    return {**out, "calls": calls}


def meaning(sent: dict[str, Any]) -> Any:
    out = {k: v for k, v in sent.items() if v is not None and k not in ("messages", "tools", "stream")}
    out["messages"] = [_said(m) for m in sent["messages"]]
    out["tools"] = [tool(t) for t in sent.get("tools") or []]
    out["stream"] = bool(sent.get("stream"))
    if out.get("k") == 0:
        del out["k"]  # the default, written out
    return {k: v for k, v in out.items() if v not in ([], None)}


WIRE = Wire("cohere", chat, ("cohere.v2.chat",), body, stream, fails, request, meaning)
