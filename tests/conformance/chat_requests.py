"""Recorded request bodies, read into Lexigram's own values and encoded again.

A body is expressible when ``lexigram.contracts.ai.coerce`` reads its messages and every other key has an option of
its own; the rest would go through ``extra_body`` and prove nothing. Compared is the meaning: what the wire defines
as the same (``content`` as text or as one text part, absent or null or empty beside calls, ``system`` and
``developer``, a default written out) is the same.
"""

from __future__ import annotations

import json
from typing import Any

import chat_corpus as corpus

from lexigram.ai.openai import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidMessageError, InvalidRequestError
from lexigram.contracts.wire import Endpoint, Quirks
from lexigram.contracts.wire.schema import compile_schema

_SAME = (
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "service_tier",
    "verbosity",
    "store",
    "user",
    "modalities",
    "audio",
    "metadata",
    "top_k",
)
_NAMED = {
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "stop",
    "model",
    "messages",
    "stream",
    "stream_options",
}


def _options(body: dict[str, Any]) -> tuple[dict[str, Any], Quirks]:
    options = {k: body[k] for k in _SAME if body.get(k) is not None}
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    field = "max_completion_tokens" if body.get("max_completion_tokens") else "max_tokens"
    named = {
        "temperature": body.get("temperature"),
        "max_tokens": limit,
        "tools": body.get("tools"),
        "stop_sequences": body.get("stop"),
    }
    quirks = Quirks(
        max_tokens_field=field,
        stream_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        thinking_field=_thinking_field(body),
        accepts=frozenset({"top_k"}),
    )
    return {**named, "options": options}, quirks


def _thinking_field(body: dict[str, Any]) -> Any:
    return next((f for f in ("reasoning_content", "reasoning") for m in body["messages"] if m.get(f)), None)


def expressible(record: dict[str, Any]) -> str | None:
    """Say why a request cannot be written in our words, or None."""
    body = record["request_body"]
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return "no request recorded"
    if record["status"] != 200:
        return "the provider refused the request"
    if not body.get("model"):
        return "the model stands in the path (Azure's deployments, Hugging Face's old inference)"
    if any(m.get("role") == "tool" and not isinstance(_content(m.get("content")), str) for m in body["messages"]):
        return "an image in a tool message: moved into the next user message by design"
    unknown = sorted(
        k for k in body if k not in _SAME and k not in _NAMED and body[k] is not None and (k, body[k]) != ("n", 1)
    )
    if unknown:
        return f"key {unknown[0]}: extra_body"
    functions = [t.get("function") or {} for t in body.get("tools") or []]
    if any(f.keys() - {"name", "description", "parameters", "strict"} for f in functions):
        return "a function with keys of the client's own, which the wire does not have"
    try:
        arguments, _ = _options(body)
        build_request(body["messages"], model=body.get("model") or "m", **arguments)
    except (InvalidMessageError, TypeError) as error:
        return f"not ours: {str(error).splitlines()[0]}"
    return None


def reencode(record: dict[str, Any]) -> dict[str, Any]:
    body = record["request_body"]
    arguments, quirks = _options(body)
    request = build_request(body["messages"], model=body.get("model") or "m", **arguments)
    endpoint = Endpoint(record["provider"], "https://host.invalid/v1", quirks)
    try:
        sent = chat.encode_request(request, endpoint, stream=bool(body.get("stream")))
    except InvalidRequestError as error:
        raise AssertionError(f"{record['id']}: {error}") from error
    made: dict[str, Any] = json.loads(json.dumps(sent.json))
    return made


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def _content(content: Any) -> Any:
    if content is None or content in ("", []):
        return ""
    if isinstance(content, list):
        if all(p.get("type") == "text" for p in content):
            return "".join(p["text"] for p in content)
        return [_part(p) for p in content]
    return content


def _part(part: dict[str, Any]) -> Any:
    if part.get("type") == "image_url" and isinstance(part["image_url"], str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    return {k: v for k, v in part.items() if v is not None}


def _message(message: dict[str, Any]) -> Any:
    role = "system" if message["role"] == "developer" else message["role"]
    out = {"role": role, "content": _content(message.get("content"))}
    thinking = message.get("reasoning_content") or message.get("reasoning")
    if thinking:
        out["thinking"] = thinking  # recorded clients write the same text into both fields; we write one
    for name in ("refusal", "tool_call_id"):
        if message.get(name):
            out[name] = message[name]
    if message.get("name") and role != "tool":
        out["name"] = message["name"]
    calls = message.get("tool_calls") or []
    if calls:
        out["tool_calls"] = [
            (
                c.get("id", ""),
                (c.get("function") or c.get("custom") or {}).get("name"),
                _arguments((c.get("function") or {}).get("arguments") or "{}"),
            )
            for c in calls
        ]
    return out


def _tool(tool: dict[str, Any]) -> Any:
    if tool.get("type", "function") != "function":
        return tool
    function = tool.get("function") or {k: v for k, v in tool.items() if k != "type"}
    body = {k: v for k, v in function.items() if v not in (None, "")}
    body["parameters"] = strict_form(body.get("parameters"), body.get("strict")) or {"type": "object", "properties": {}}
    return body


def strict_form(schema: Any, strict: Any) -> Any:
    """A schema that the vendor shall hold the model to, as it is compiled: recorded clients wrote many others, which
    vendors took or not. What compiling may change is held by its own tests (test_schema.py)."""
    return compile_schema(schema, "openai-strict").schema if strict and schema is not None else schema


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what makes no difference on the wire."""
    out = {
        k: v
        for k, v in body.items()
        if v is not None and k not in ("messages", "tools", "stream", "stream_options", "stop")
    }
    out["messages"] = [_message(m) for m in body["messages"]]
    if body.get("tools"):
        out["tools"] = [_tool(t) for t in body["tools"]]
    stop = body.get("stop")
    if stop:
        out["stop"] = [stop] if isinstance(stop, str) else stop
    if out.get("n") == 1:
        del out["n"]  # the default, written out
    out["stream"] = bool(body.get("stream"))
    if body.get("top_logprobs") is not None:
        out["logprobs"] = True
    if "max_completion_tokens" in out:
        out.pop("max_tokens", None)
    form = out.get("response_format")
    if isinstance(form, dict) and isinstance(form.get("json_schema"), dict):
        inner = {"name": "response"} | {k: v for k, v in form["json_schema"].items() if v is not None}
        if "schema" in inner:
            inner["schema"] = strict_form(inner["schema"], inner.get("strict"))
        out["response_format"] = {"type": form["type"], "json_schema": inner}
    choice = out.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "function":
        out["tool_choice"] = {"type": "function", "function": choice.get("function")}
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
