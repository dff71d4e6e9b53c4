"""Recorded request bodies of the Responses wire, read into Lexigram's own values and encoded again.

Compared is the meaning: a message's content as text or as one text part, a default written out, ``strict`` left out
or false (it is always written, see the dialect), and encrypted reasoning asked for where nothing is stored, are the
same.
"""

from __future__ import annotations

import json
from typing import Any

import responses_corpus as corpus
from chat_requests import _arguments, strict_form

from lexigram.ai.openai import responses
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidMessageError
from lexigram.contracts.ai.messages import (
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ResponseFormat, ThinkingConfig
from lexigram.contracts.wire import Endpoint

_SAME = ("top_p", "parallel_tool_calls", "service_tier", "user", "metadata", "top_logprobs", "tool_choice")
_OWN = {
    *_SAME, "model", "input", "stream", "store", "temperature", "max_output_tokens", "tools", "text", "reasoning",
    "prompt_cache_key",
}  # fmt: skip


class NotOurs(Exception):
    """Why a request cannot be written in our words."""


def _given(part: dict[str, Any]) -> Part:
    kind, known = part["type"], set(part) - {"type"}
    if kind in ("input_text", "output_text") and known <= {"text", "annotations", "logprobs"}:
        return TextPart(part["text"], tuple(part.get("annotations") or ()))
    if kind == "refusal":
        return RefusalPart(part["refusal"])
    if kind == "input_image" and "image_url" in part:
        return ImagePart(url=part["image_url"], detail=part.get("detail"))
    if kind == "input_file" and "file_url" in part:
        return FilePart(url=part["file_url"])
    if kind == "input_file" and "file_data" in part and part["file_data"].startswith("data:"):
        import base64

        head, _, body = part["file_data"].partition(";base64,")
        return FilePart(data=base64.b64decode(body), media_type=head[5:], filename=part.get("filename"))
    raise NotOurs(f"a part {kind} with {sorted(known)}")


def _messages(items: Any, provider: str) -> list[ChatMessage]:
    if isinstance(items, str):
        return [ChatMessage("user", items)]
    out: list[ChatMessage] = []
    said: list[Part] = []

    def flush() -> None:
        if said:
            out.append(ChatMessage("assistant", tuple(said)))
            said.clear()

    for item in items:
        kind, role = item.get("type", "message"), item.get("role")
        own = Opaque(provider, {"item": item})
        if kind == "message" and role == "assistant":
            head = Opaque(provider, {"item": {k: v for k, v in item.items() if k != "content"}})
            content = item["content"]
            parts = [TextPart(content)] if isinstance(content, str) else [_given(p) for p in content]
            if "id" not in item:
                flush()
            if len(parts) != 1 and "id" not in item:
                raise NotOurs("an assistant message of several parts without an id")
            said += [type(p)(p.text, **({"annotations": p.annotations} if isinstance(p, TextPart) else {}), opaque=head)
                     for p in parts if isinstance(p, TextPart | RefusalPart)]  # fmt: skip
        elif kind == "message":
            flush()
            content = item["content"]
            if role == "tool":
                raise NotOurs("a message of the role tool, which the wire does not have")
            out.append(ChatMessage(role, content if isinstance(content, str) else tuple(map(_given, content))))
        elif kind == "reasoning":
            said.append(ThinkingPart("", own))
        elif kind == "function_call":
            said.append(ToolCall(item["call_id"], item["name"], raw_arguments=item["arguments"], opaque=own))
        elif kind == "function_call_output":
            flush()
            content = item["output"]
            result = content if isinstance(content, str) else tuple(map(_given, content))
            out.append(ChatMessage("tool", (ToolResultPart(item["call_id"], result, opaque=Opaque(provider, {
                "item": {k: v for k, v in item.items() if k == "status"}})),)))  # fmt: skip
        elif item.get("role") in ("developer", "system", "user"):
            flush()
            out.append(ChatMessage(item["role"], (OpaquePart(own),)))
        else:
            said.append(OpaquePart(own))
    flush()
    return out


def reencode(record: dict[str, Any]) -> dict[str, Any]:
    """Return our body for a recorded one.

    Raises:
        NotOurs: where our words do not have it.
    """
    body = record["request_body"]
    options: dict[str, Any] = {k: body[k] for k in _SAME if body.get(k) is not None}
    extra: dict[str, Any] = {k: v for k, v in body.items() if k not in _OWN and v is not None}
    options["store"] = body.get("store") if body.get("store") is not None else True
    if body.get("prompt_cache_key"):
        options["prompt_cache"] = body["prompt_cache_key"]
    text = body.get("text") or {}
    fmt = text.get("format")
    if fmt:
        options["response_format"] = ResponseFormat(
            fmt["type"], fmt.get("schema"), fmt.get("name", "response"), fmt.get("description"), fmt.get("strict")
        )
    reasoning = body.get("reasoning") or {}
    if reasoning.get("effort"):
        options["thinking"] = ThinkingConfig(effort=reasoning["effort"])
    rest = {k: v for k, v in reasoning.items() if k != "effort" and (k, v) != ("summary", "auto")}
    if rest:
        extra["reasoning"] = rest
    try:
        request = build_request(
            _messages(body["input"], record["provider"]),
            model=body["model"],
            temperature=body.get("temperature"),
            max_tokens=body.get("max_output_tokens"),
            tools=body.get("tools"),
            options={**options, **({"extra_body": extra} if extra else {})},
        )
    except (InvalidMessageError, TypeError) as error:
        raise NotOurs(str(error).splitlines()[0]) from None
    sent = responses.encode_request(
        request, Endpoint(record["provider"], "https://host.invalid/v1"), stream=bool(body.get("stream"))
    )
    made: dict[str, Any] = json.loads(json.dumps(sent.json))
    return made


def _item(item: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in item.items() if v is not None}
    if out.get("type") == "message":
        del out["type"]
    for name in ("content", "output"):
        content = out.get(name)
        if not isinstance(content, list) or out.get("type") == "reasoning":
            continue
        if all(set(p) >= {"text"} and p["type"].endswith("_text") and not p.get("annotations") for p in content):
            out[name] = "".join(p["text"] for p in content)
        else:
            out[name] = [_part(p) for p in content]
    if "arguments" in out:
        out["arguments"] = _arguments(out["arguments"] or "{}")
    if out.get("role") == "assistant" and "id" not in out:
        out.pop("status", None)  # says nothing without an id
    return out


def _part(part: dict[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"detail": "auto", "logprobs": [], "annotations": []}
    return {k: v for k, v in part.items() if v != defaults.get(k, ...)}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    out = {k: v for k, v in tool.items() if v not in (None, "", False)}
    if out.get("type") == "function":
        out["parameters"] = out.get("parameters") or {"type": "object", "properties": {}}
        out["parameters"] = strict_form(out["parameters"], out.get("strict"))
    return out


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what makes no difference on the wire."""
    out = {
        k: v for k, v in body.items() if v not in (None, [], {}) and k not in ("input", "stream", "include", "tools")
    }
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    out["input"] = [_item(i) for i in items]
    out["stream"] = bool(body.get("stream"))
    out["store"] = body.get("store") if body.get("store") is not None else True
    include = [i for i in body.get("include") or [] if out["store"] or i != "reasoning.encrypted_content"]
    out["include"] = sorted(include)
    out["tools"] = [_tool(t) for t in body.get("tools") or []]
    reasoning = {
        k: v for k, v in (body.get("reasoning") or {}).items() if v is not None and (k, v) != ("summary", "auto")
    }
    out["reasoning"] = reasoning
    if isinstance(out.get("text"), dict) and isinstance(out["text"].get("format"), dict):
        form = {k: v for k, v in out["text"]["format"].items() if v is not None}
        if isinstance(form.get("schema"), dict):
            form["schema"] = strict_form(form["schema"], form.get("strict"))
        out["text"] = {"format": form}
    return out


def expressible(record: dict[str, Any]) -> str | None:
    """Say why a request is not compared, or None."""
    body = record["request_body"]
    if not isinstance(body, dict) or "input" not in body or record["method"] != "POST":
        return "no request recorded"
    if record["status"] != 200 or corpus.out_of_scope(record):
        return "the provider refused the request, or it is another call"
    if body["input"] is None or not body.get("model"):
        return "no input or no model: a stored prompt"
    try:
        reencode(record)
    except NotOurs as error:
        return f"not ours: {error}"
    return None


def shares() -> tuple[int, int, dict[str, int]]:
    """How many recorded requests there are, how many are expressible, and why the others are not."""
    total, good, reasons = 0, 0, {}
    for api in corpus.apis():
        for record in corpus.records(api):
            why = expressible(record)
            if why in ("no request recorded", "the provider refused the request, or it is another call"):
                continue
            total += 1
            if why is None:
                good += 1
            else:
                reasons[why] = reasons.get(why, 0) + 1
    return total, good, reasons
