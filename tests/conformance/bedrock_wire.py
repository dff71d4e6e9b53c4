"""Bedrock Converse: what botocore reads (its framing and parser included), and recorded requests in our words."""

from __future__ import annotations

import base64
import json
from typing import Any

import botocore.session
from botocore.eventstream import EventStream
from botocore.parsers import EventStreamJSONParser, create_parser
from wire_corpus import NotOurs, Reading, Wire

from lexigram.ai.bedrock import converse
from lexigram.contracts.ai.coerce import build_request
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
from lexigram.contracts.ai.request import CompletionRequest, ResponseFormat

_MODEL = botocore.session.Session().get_service_model("bedrock-runtime")
CONVERSE = _MODEL.operation_model("Converse")
_STREAM = _MODEL.operation_model("ConverseStream").output_shape.members["stream"]

# -- botocore's reading


def _usage(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    given = usage.get("inputTokens")
    if given is not None:
        given += usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return given, usage.get("outputTokens")


def body(value: Any) -> Reading:
    raw = {"body": json.dumps(value).encode(), "headers": {}, "status_code": 200}
    made = create_parser("rest-json").parse(raw, CONVERSE.output_shape)
    text, thinking, calls, notes = "", "", [], []
    for block in made["output"]["message"]["content"]:
        text += block.get("text", "")
        cited = block.get("citationsContent", {})
        text += "".join(c["text"] for c in cited.get("content", ()))
        notes += cited.get("citations", ())
        thinking += block.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
        call = block.get("toolUse", {})
        if call and call.get("type") != "server_tool_use":
            calls.append((call["name"], call["input"]))
    return {
        "text": text,
        "thinking": thinking,
        "calls": calls,
        "finish": made["stopReason"],
        "usage": _usage(made["usage"]),
        "notes": notes,
    }


class _Raw:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def stream(self) -> Any:
        yield self.data


def raw_stream(data: bytes) -> Reading:
    text, thinking, notes, finish, usage = "", "", [], None, {}
    blocks: dict[int, Any] = {}
    for event in EventStream(_Raw(data), _STREAM, EventStreamJSONParser(), "ConverseStream"):
        [(name, value)] = event.items()
        if name == "contentBlockStart" and "toolUse" in value["start"]:
            call = value["start"]["toolUse"]
            blocks[value["contentBlockIndex"]] = [call["name"], "", call.get("type")]
        elif name == "contentBlockDelta":
            delta = value["delta"]
            text += delta.get("text", "")
            thinking += delta.get("reasoningContent", {}).get("text", "")
            notes += [delta["citation"]] if "citation" in delta else []
            if "toolUse" in delta:
                blocks[value["contentBlockIndex"]][1] += delta["toolUse"]["input"]
        elif name == "messageStop":
            finish = value["stopReason"]
        elif name == "metadata":
            usage = value["usage"]
    calls = [(n, json.loads(t or "{}")) for n, t, kind in blocks.values() if kind != "server_tool_use"]
    return {
        "text": text,
        "thinking": thinking,
        "calls": calls,
        "finish": finish,
        "usage": _usage(usage),
        "notes": notes,
    }


def fails(events: list[tuple[str | None, Any]]) -> bool:
    return any((name or "").startswith("exception:") for name, _ in events)


# -- recorded requests

_IMAGES = {"png": "image/png", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
_FILES = {"pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown", "csv": "text/csv", "html": "text/html"}
_KNOWN = {
    "messages", "system", "inferenceConfig", "toolConfig", "outputConfig", "guardrailConfig",
    "additionalModelRequestFields", "requestMetadata", "serviceTier", "performanceConfig",
}  # fmt: skip
_EXTRA = ("guardrailConfig", "additionalModelRequestFields", "performanceConfig")


def _media(block: dict[str, Any]) -> Part | None:
    if "image" in block and set(block["image"]) == {"format", "source"} and "bytes" in block["image"]["source"]:
        image = block["image"]
        return ImagePart(data=base64.b64decode(image["source"]["bytes"]), media_type=_IMAGES[image["format"]])
    if "document" in block and set(block["document"]) == {"format", "name", "source"}:
        file = block["document"]
        if "bytes" in file["source"]:
            data = base64.b64decode(file["source"]["bytes"])
            return FilePart(data, _FILES.get(file["format"]), f"{file['name']}.{file['format']}")
    return None


def _part(block: dict[str, Any]) -> Part:
    media = _media(block)
    if media is not None:
        return media
    if "text" in block:
        return TextPart(block["text"])
    if "toolUse" in block and block["toolUse"].get("type") is None:
        call = block["toolUse"]
        return ToolCall(call["toolUseId"], call["name"], call["input"])
    if "toolResult" in block and block["toolResult"].get("type") is None:
        result = block["toolResult"]
        if any(set(c) - {"text"} and _media(c) is None for c in result["content"]):
            raise NotOurs("a tool's result as json, video, search result or from S3: ours are text, images and files")
        parts = tuple([_media(c) or TextPart(c["text"]) for c in result["content"]])
        return ToolResultPart(result["toolUseId"], parts, is_error=result.get("status") == "error")
    reasoning = block.get("reasoningContent", {}).get("reasoningText")
    if reasoning is not None:
        return ThinkingPart(reasoning["text"], Opaque("bedrock", {"signature": reasoning["signature"]}))
    return OpaquePart(Opaque("bedrock", block))


def request(record: dict[str, Any]) -> CompletionRequest:
    sent = record["request_body"]
    if unknown := sorted(set(sent) - _KNOWN):
        raise NotOurs(f"key {unknown[0]}: extra_body")
    messages = [ChatMessage("system", tuple([_part(b) for b in sent["system"]]))] if sent.get("system") else []
    messages += [ChatMessage(m["role"], tuple([_part(b) for b in m["content"]])) for m in sent["messages"]]
    inference, config = sent.get("inferenceConfig") or {}, sent.get("toolConfig") or {}
    options: dict[str, Any] = {"top_p": inference.get("topP"), "metadata": sent.get("requestMetadata")}
    choice = config.get("toolChoice")
    if choice is not None:
        options["tool_choice"] = "auto" if "auto" in choice else "required" if "any" in choice else choice
    form = (sent.get("outputConfig") or {}).get("textFormat")
    if form is not None:
        schema = form["structure"]["jsonSchema"]
        options["response_format"] = ResponseFormat(
            "json_schema", json.loads(schema["schema"]), schema["name"], schema.get("description")
        )
    extra = {k: sent[k] for k in _EXTRA if sent.get(k)}
    if extra:
        options["extra_body"] = extra
    tools: list[Any] = []
    for tool in config.get("tools", ()):
        spec = tool.get("toolSpec")
        if spec is None:
            tools.append({"type": next(iter(tool)), **tool})
            continue
        function = {k: spec[k] for k in ("name", "description", "strict") if k in spec}
        tools.append({"type": "function", "function": {**function, "parameters": spec["inputSchema"]["json"]}})
    return build_request(
        messages,
        model="m",
        temperature=inference.get("temperature"),
        max_tokens=inference.get("maxTokens"),
        stop_sequences=inference.get("stopSequences"),
        tools=tools,
        options=options,
    )


def _block(block: dict[str, Any]) -> Any:
    if "document" in block:  # the documented names have no underscore: ours get a hyphen
        return {"document": {**block["document"], "name": block["document"]["name"].replace("_", "-")}}
    if "toolResult" in block:
        result = {k: v for k, v in block["toolResult"].items() if (k, v) != ("status", "success")}
        return {"toolResult": result}
    return block


def meaning(sent: dict[str, Any]) -> Any:
    """Messages of one role in a row are one; blank text and empty objects say nothing; a schema is read."""
    out = {k: v for k, v in sent.items() if v}
    turns: list[dict[str, Any]] = []
    for message in sent["messages"]:
        blocks = [_block(b) for b in message["content"] if b != {"text": ""}]
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": message["role"], "content": blocks})
    out["messages"] = turns
    if "inferenceConfig" in out:
        out["inferenceConfig"] = {k: v for k, v in out["inferenceConfig"].items() if v not in (None, [])}
    if "outputConfig" in out:
        form = json.loads(json.dumps(out["outputConfig"]))
        schema = form["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
        out["outputConfig"] = form
    config = json.loads(json.dumps(out.get("toolConfig") or {}))
    for tool in config.get("tools", ()):
        schema = tool.get("toolSpec", {}).get("inputSchema")
        if schema is not None:
            schema["json"] = schema["json"] or {"type": "object", "properties": {}}
    out["toolConfig"] = config
    return {k: v for k, v in out.items() if v not in ({}, [], None)}


WIRE = Wire(
    "bedrock",
    converse,
    ("bedrock.converse",),
    body,
    stream=lambda _: {},
    fails=fails,
    request=request,
    meaning=meaning,
    raw_stream=raw_stream,
)
