"""Ollama's native chat: what the official SDK's types read, and how recorded requests are read into our words."""

from __future__ import annotations

from typing import Any

import ollama
from chat_requests import _tool as tool
from wire_corpus import NotOurs, Reading, Wire

from lexigram.ai.ollama import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.messages import ChatMessage, Part, TextPart, ThinkingPart, ToolCall, ToolResultPart
from lexigram.contracts.ai.request import CompletionRequest, ResponseFormat, ThinkingConfig


def body(value: Any) -> Reading:
    return stream([(None, value)])


def stream(events: list[tuple[str | None, Any]]) -> Reading:
    lines = [ollama.ChatResponse(**value) for _, value in events]
    last = next(line for line in reversed(lines) if line.done)
    calls = [c.function for line in lines for c in line.message.tool_calls or []]
    return {
        "text": "".join(line.message.content or "" for line in lines),
        "thinking": "".join(line.message.thinking or "" for line in lines),
        "calls": [(c.name, dict(c.arguments)) for c in calls],
        "finish": last.done_reason,
        "usage": (last.prompt_eval_count, last.eval_count),
    }


def fails(events: list[tuple[str | None, Any]]) -> bool:
    return any("error" in value for _, value in events)


_KNOWN = {"model", "messages", "tools", "stream", "options", "format", "think", "keep_alive"}
_OPTIONS = {"temperature", "top_p", "top_k", "seed", "num_predict", "stop"}


def request(record: dict[str, Any]) -> CompletionRequest:
    sent = {k: v for k, v in record["request_body"].items() if v not in (None, "")}
    options = {k: v for k, v in (sent.get("options") or {}).items() if v is not None}
    unknown = sorted(set(sent) - _KNOWN) or sorted(f"options.{k}" for k in set(options) - _OPTIONS)
    if unknown:
        raise NotOurs(f"key {unknown[0]}: extra_body")
    messages: list[ChatMessage] = []
    ids: list[tuple[str, str]] = []
    for i, message in enumerate(sent["messages"]):
        if message["role"] == "tool":
            at = next((n for n, (_, name) in enumerate(ids) if name == message.get("tool_name")), 0)
            ident, name = ids.pop(at) if ids else (f"lost{i}", message.get("tool_name"))
            messages.append(ChatMessage("tool", (ToolResultPart(ident, message["content"], name=name),)))
            continue
        parts: list[Part] = [ThinkingPart(message["thinking"])] if message.get("thinking") else []
        parts += [TextPart(message["content"])] if message["content"] else []
        for call in message.get("tool_calls") or []:
            ids.append((call.get("id") or f"c{i}-{len(ids)}", call["function"]["name"]))
            parts.append(ToolCall(*ids[-1], call["function"]["arguments"]))
        messages.append(ChatMessage(message["role"], tuple(parts)))
    words: dict[str, Any] = {k: options[k] for k in ("top_p", "top_k", "seed") if k in options}
    form, think = sent.get("format"), sent.get("think")
    if form is not None:
        words["response_format"] = "json_object" if form == "json" else ResponseFormat("json_schema", form)
    if think is not None:
        words["thinking"] = ThinkingConfig(suppress=think is False, level={True: "on", False: None}.get(think, think))
    return build_request(
        messages,
        model=sent["model"],
        temperature=options.get("temperature"),
        max_tokens=options.get("num_predict"),
        tools=sent.get("tools"),
        stop_sequences=options.get("stop"),
        options=words,
    )


def _said(message: dict[str, Any]) -> Any:
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]
    out = {"role": message["role"], "content": message["content"], "calls": calls}
    out |= {k: message[k] for k in ("thinking", "images") if message.get(k)}
    if message.get("tool_name"):
        out["tool_name"] = message["tool_name"]
    return out


def meaning(sent: dict[str, Any]) -> Any:
    out = {k: v for k, v in sent.items() if v not in (None, "", {}) and k not in ("messages", "tools")}
    out["stream"] = sent.get("stream", True)
    out["messages"] = [_said(m) for m in sent["messages"]]
    names = [name for m in out["messages"] for name, _ in m["calls"]]
    if len(set(names)) == 1:  # a result that names no tool can only be meant for the one that was called
        out["messages"] = [{**m, "tool_name": names[0]} if m["role"] == "tool" else m for m in out["messages"]]
    out["tools"] = [tool(t) for t in sent.get("tools") or []]
    return out


WIRE = Wire("ollama", chat, ("ollama.chat",), body, stream, fails, request, meaning)
