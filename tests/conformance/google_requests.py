"""Recorded generateContent requests, read into Lexigram's own values and encoded again.

A body is expressible when every key of it has a word of ours; the rest would go through ``extra_body`` and prove
nothing. Compared is the meaning: names in snake_case or camelCase, a default written out, ``parameters`` or
``parametersJsonSchema``, words of enums in any case are the same on this wire.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import google_corpus as corpus

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidMessageError
from lexigram.contracts.ai.messages import (
    AudioPart,
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
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint, HttpRequest

_AS_IT_IS = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema", "labels"}
_SAME = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "stopSequences": "stop_sequences",
    "responseLogprobs": "logprobs",
    "logprobs": "top_logprobs",
    "responseModalities": "modalities",
}


class Inexpressible(Exception):
    """Why a request cannot be written in our words."""


_SNAKE = {"property_ordering": "propertyOrdering", "any_of": "anyOf"}
# What Google's list of keywords does not have: left out by us, with a Loss (see the tests of the dialect).
_NOT_TAKEN = {"$schema", "minLength", "maxLength", "pattern", "uniqueItems"}


def spelt(schema: Any) -> Any:
    """A schema with the wire's own spelling of its keywords."""
    if isinstance(schema, list):
        return [spelt(s) for s in schema]
    return {_SNAKE.get(k, k): spelt(v) for k, v in schema.items()} if isinstance(schema, dict) else schema


def camel(value: Any) -> Any:
    """The body with the wire's own spelling of names; what the user named is kept."""
    if isinstance(value, list):
        return [camel(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {}
    for name, of in value.items():
        new = re.sub(r"_([a-z])", lambda m: m.group(1).upper(), name)
        out[new] = spelt(of) if "chema" in new or new == "parameters" else of if new in _AS_IT_IS else camel(of)
    return out


class _Reader:
    def __init__(self, record: dict[str, Any]) -> None:
        self.provider = record["provider"]
        self.body = camel(record["request_body"])
        self.open: list[ToolCall] = []
        self.made = 0

    def part(self, part: dict[str, Any], role: str) -> Part | None:
        kind = next((k for k in part if k not in ("thought", "thoughtSignature", "videoMetadata")), "text")
        beside = {k: v for k, v in part.items() if k != kind and not (k == "thought" and not v)}
        opaque = Opaque(self.provider, beside) if beside else None
        data = part.get(kind)
        if kind == "text":
            thought = beside.pop("thought", False)
            if not data and not beside:
                raise Inexpressible("an empty text part")
            return (ThinkingPart if thought else TextPart)(
                data or "", opaque=Opaque(self.provider, beside) if beside or thought else None
            )
        if kind == "functionCall":
            if "id" not in data:
                beside["id"] = None
                self.made += 1
            call = ToolCall(
                data.get("id") or f"made-{self.made}",
                data["name"],
                data.get("args") or {},
                opaque=Opaque(self.provider, beside) if beside else None,
            )
            self.open.append(call)
            return call
        if kind == "functionResponse":
            if data.keys() - {"id", "name", "response"}:
                raise Inexpressible(f"a key of functionResponse: {sorted(data.keys() - {'id', 'name', 'response'})}")
            same = [c for c in self.open if c.id == data.get("id")] or [c for c in self.open if c.name == data["name"]]
            if not same or ("id" in data) != (same[0].id == data.get("id")):
                raise Inexpressible("a result without its call in the history")
            self.open.remove(same[0])
            response, error = data.get("response") or {}, False
            text = json.dumps(response)
            for key in ("output", "error"):
                if response.keys() == {key} and isinstance(response[key], str):
                    text, error = response[key], key == "error"
            return ToolResultPart(same[0].id, text, is_error=error, opaque=opaque)
        if kind == "inlineData" and data.keys() == {"mimeType", "data"}:
            content = base64.b64decode(data["data"], altchars=b"-_" if set("-_") & set(data["data"]) else None)
            family, _, rest = data["mimeType"].partition("/")
            if family == "image":
                return ImagePart(data=content, media_type=data["mimeType"], opaque=opaque)
            if family == "audio":
                return AudioPart(data=content, format=rest, opaque=opaque)
            return FilePart(data=content, media_type=data["mimeType"], opaque=opaque)
        if kind == "fileData" and "mimeType" in data:
            return FilePart(url=data["fileUri"], media_type=data["mimeType"], opaque=opaque)
        if role == "model":
            return OpaquePart(Opaque(self.provider, part), kind)
        raise Inexpressible(f"a part {kind} of the user's")

    def messages(self) -> list[ChatMessage]:
        out = []
        system = self.body.get("systemInstruction")
        if system:
            parts = system["parts"] if isinstance(system["parts"], list) else [system["parts"]]
            out.append(ChatMessage("system", tuple(TextPart(p["text"]) for p in parts)))
        for content in self.body["contents"]:
            parts = [self.part(p, content.get("role", "user")) for p in content.get("parts") or []]
            if not parts:
                raise Inexpressible("an empty content")
            role: Any = "assistant" if content.get("role") == "model" else "user"
            if all(isinstance(p, ToolResultPart) for p in parts):
                role = "tool"
            out.append(ChatMessage(role, tuple(p for p in parts if p is not None)))
        return out

    def tools(self) -> list[Any]:
        out: list[Any] = []
        listed = self.body.get("tools") or []
        for tool in listed if isinstance(listed, list) else [listed]:
            for name, of in tool.items():
                if name != "functionDeclarations":
                    out.append(ProviderTool({name: of}))
                    continue
                for function in of:
                    if unknown := function.keys() - {"name", "description", "parameters", "parametersJsonSchema"}:
                        raise Inexpressible(f"a key of a function: {sorted(unknown)[0]}")
                    schema = function.get("parametersJsonSchema") or function.get("parameters") or {}
                    out.append(ToolDefinition(function["name"], function.get("description") or "", schema))
        return out

    def options(self) -> dict[str, Any]:
        config = dict(self.body.get("generationConfig") or {})
        out: dict[str, Any] = {_SAME[k]: config.pop(k) for k in [*config] if k in _SAME and config[k] is not None}
        if config.pop("candidateCount", 1) not in (1, None):
            raise Inexpressible("key candidateCount: extra_body")
        schema = config.pop("responseJsonSchema", None) or config.pop("responseSchema", None)
        mime = config.pop("responseMimeType", None)
        if schema:
            out["response_format"] = ResponseFormat("json_schema", schema)
        elif mime == "application/json":
            out["response_format"] = "json_object"
        thinking = config.pop("thinkingConfig", None)
        if thinking:
            out["thinking"] = self.thinking(thinking)
        if config:
            raise Inexpressible(f"key {sorted(config)[0]}: extra_body")
        if self.body.get("cachedContent"):
            out["prompt_cache"] = self.body["cachedContent"]
        if self.body.get("labels"):
            out["metadata"] = self.body["labels"]
        if self.body.get("toolConfig"):
            out["tool_choice"] = self.choice(self.body["toolConfig"])
        return out

    @staticmethod
    def thinking(config: dict[str, Any]) -> ThinkingConfig:
        if config.get("thinkingBudget") == 0 and not config.get("includeThoughts"):
            return ThinkingConfig(suppress=True)
        if not config.get("includeThoughts"):
            raise Inexpressible("a budget of thoughts that are not shown: extra_body")
        return ThinkingConfig(budget_tokens=config.get("thinkingBudget"), level=config.get("thinkingLevel"))

    def choice(self, config: dict[str, Any]) -> Any:
        calling = config.get("functionCallingConfig") or {}
        names, mode = calling.get("allowedFunctionNames") or [], str(calling.get("mode")).upper()
        if config.keys() == {"functionCallingConfig"} and mode in ("AUTO", "ANY", "NONE") and len(names) <= 1:
            declared = [t.name for t in self.tools() if isinstance(t, ToolDefinition)]
            if mode == "ANY" and names and names[0] in declared:
                return names[0]
            if not names:
                return {"AUTO": "auto", "ANY": "required", "NONE": "none"}[mode]
        return config

    def request(self, model: str) -> CompletionRequest:
        known = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "cachedContent", "labels"}
        for name, of in self.body.items():
            if name not in known | {"model"} and of:
                raise Inexpressible(f"key {name}: extra_body")
        options = self.options()
        named = {k: options.pop(k) for k in ("temperature", "max_tokens", "stop_sequences") if k in options}
        try:
            return build_request(self.messages(), model=model, tools=self.tools(), options=options, **named)
        except (InvalidMessageError, TypeError) as error:
            raise Inexpressible(f"not ours: {str(error).splitlines()[0]}") from None


def model_of(record: dict[str, Any]) -> str:
    return record["url"].partition("models/")[2].partition(":")[0] or "m"


def request_of(record: dict[str, Any]) -> CompletionRequest:
    body = record["request_body"]
    if not isinstance(body, dict) or "contents" not in body:
        raise Inexpressible("no request recorded")
    if record["status"] != 200:
        raise Inexpressible("the provider refused the request")
    return _Reader(record).request(model_of(record))


def reencode(record: dict[str, Any]) -> HttpRequest:
    sent: HttpRequest = corpus.dialect(record).encode_request(
        request_of(record), Endpoint(record["provider"], corpus.endpoint(record).base_url), stream=record["streaming"]
    )
    return sent


# -- meaning


def _lower_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_lower_types(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {}
    for name, value in schema.items():
        if name == "type" and isinstance(value, str):
            out[name] = value.lower()
        elif name in _NOT_TAKEN or ("$ref" in schema and name != "$ref"):
            continue
        elif name in ("enum", "required", "propertyOrdering"):
            out[name] = value
        elif name in ("properties", "$defs"):
            out[name] = {k: _lower_types(v) for k, v in value.items()}
        else:
            out[name] = _lower_types(value)
    return out


def _part(part: dict[str, Any]) -> Any:
    out = {k: v for k, v in part.items() if not (k == "thought" and not v)}
    if "functionCall" in out:
        out["functionCall"] = {"args": {}, **out["functionCall"]}
    if "functionResponse" in out:
        out["functionResponse"] = {"response": {}, **out["functionResponse"]}
    if "inlineData" in out:
        data = out["inlineData"]["data"].replace("-", "+").replace("_", "/")
        out["inlineData"] = {**out["inlineData"], "data": data.rstrip("=")}
    if not out.keys() - {"thought", "thoughtSignature"}:
        out["text"] = ""
    return out


def meaning(body: dict[str, Any]) -> dict[str, Any]:
    """The body without what makes no difference on the wire."""
    body = camel(body)
    out: dict[str, Any] = {"contents": []}
    for content in body["contents"]:
        parts = [_part(p) for p in content["parts"]]
        results = all("functionResponse" in p for p in parts)
        before = out["contents"][-1] if out["contents"] else None
        if results and before and before["results"]:
            before["parts"] += parts
            continue
        out["contents"].append({"role": content.get("role", "user"), "parts": parts, "results": results})
    system = (body.get("systemInstruction") or {}).get("parts") or []
    out["system"] = [p["text"] for p in (system if isinstance(system, list) else [system]) if p["text"]]
    out["functions"], out["tools"] = [], []
    listed = body.get("tools") or []
    for tool in listed if isinstance(listed, list) else [listed]:
        for name, of in tool.items():
            if name == "functionDeclarations":
                for f in of:
                    schema = f.get("parametersJsonSchema") or f.get("parameters") or {}
                    out["functions"].append((f["name"], f.get("description") or "", _lower_types(schema)))
            else:
                out["tools"].append({name: of})
    config = {k: v for k, v in (body.get("generationConfig") or {}).items() if v not in (None, [], {})}
    if config.get("candidateCount") == 1:
        del config["candidateCount"]
    schema = config.pop("responseJsonSchema", None) or config.pop("responseSchema", None)
    config["schema"] = _lower_types(schema) if schema else None
    if "thinkingConfig" in config:
        config["thinkingConfig"] = {
            k: v.lower() if isinstance(v, str) else v for k, v in config["thinkingConfig"].items() if v is not False
        }
    if "responseModalities" in config:
        config["responseModalities"] = [m.upper() for m in config["responseModalities"]]
    out["config"] = config
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    out["calling"] = {k: v.upper() if isinstance(v, str) else v for k, v in calling.items() if v}
    out["cachedContent"], out["labels"] = body.get("cachedContent"), body.get("labels")
    return out


def shares() -> tuple[int, int, dict[str, int]]:
    """How many recorded requests there are, how many are expressible, and why the others are not."""
    total, good, reasons = 0, 0, {}
    for api in corpus.GENERATE:
        for record in corpus.records(api):
            try:
                request_of(record)
            except Inexpressible as why:
                if str(why) in ("no request recorded", "the provider refused the request"):
                    continue
                reasons[str(why)] = reasons.get(str(why), 0) + 1
            else:
                good += 1
            total += 1
    return total, good, reasons
