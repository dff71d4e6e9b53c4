"""How requests of Google's Gemini API are read.

Field names may be written in camel case or with underscores, as in every JSON that Google's servers read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from lexigram.testing.simulator._values import Call, Question, Tool, ToolResult, Turn
from lexigram.testing.simulator._wire import Request, invalid

__all__ = ["SIGNED", "field_of", "object_of", "objects_of", "read_conversation", "read_question"]

SIGNED: Final = b"\x12simulated thought\x00"
"""What the signatures of thoughts begin with."""

_ACCEPTED_DUMMIES: Final = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
_NO_SIGNATURE: Final = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:{name}` , position {position}. Please refer to "
    "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)


def field_of(value: Mapping[str, Any], name: str) -> Any:
    """Return a field, in camel case or with underscores."""
    if name in value:
        return value[name]
    return value.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def object_of(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field that is an object; empty where there is none."""
    found = field_of(value, name)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def objects_of(value: object, field: str) -> Sequence[Mapping[str, Any]]:
    """Return a repeated field; a single object stands for a list of one."""
    listed: list[Any] = value if isinstance(value, list) else [] if value is None else [value]
    for item in listed:
        if not isinstance(item, dict):
            raise invalid(f"Invalid value at '{field}' (type.googleapis.com/google.ai.generativelanguage), {item!r}")
    return listed


def read_question(wire: str, request: Request, *, stream: bool) -> Question:
    """Return what a ``GenerateContentRequest`` asks.

    Raises:
        Refused: as Google refuses it.
    """
    body = request.json
    turns, tools = read_conversation(body, request.params["model"])
    config = object_of(body, "generationConfig")
    thinking = object_of(config, "thinkingConfig")
    calling = object_of(object_of(body, "toolConfig"), "functionCallingConfig")
    choice, tools = _tool_choice(calling, tools)
    return Question(
        wire=wire,
        model=request.params["model"],
        turns=turns,
        tools=tools,
        tool_choice=choice,
        schema=_schema(config),
        stream=stream,
        max_tokens=_positive(config, "maxOutputTokens"),
        stop=tuple(field_of(config, "stopSequences") or ()),
        choices=_positive(config, "candidateCount") or 1,
        thinking=bool(field_of(thinking, "includeThoughts")),
        key_id=request.key_id,
        body=body,
    )


def read_conversation(body: Mapping[str, Any], model: str) -> tuple[tuple[Turn, ...], tuple[Tool, ...]]:
    """Return a request's turns, instructions first, and its functions.

    Raises:
        Refused: for contents that Google refuses.
    """
    contents = objects_of(field_of(body, "contents"), "contents")
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    begun = max((i for i, content in enumerate(contents) if _asks(content)), default=-1)
    turns = [_turn(content, i, model, current=i > begun) for i, content in enumerate(contents)]
    system = object_of(body, "systemInstruction")
    if system:
        text = "".join(part.get("text", "") for part in objects_of(system.get("parts"), "system_instruction.parts"))
        turns.insert(0, Turn("system", text))
    tools = [
        Tool(str(declared.get("name", "")), _parameters(declared), str(declared.get("description", "")))
        for tool in objects_of(field_of(body, "tools"), "tools")
        for declared in objects_of(field_of(tool, "functionDeclarations"), "tools.function_declarations")
    ]
    return tuple(turns), tuple(tools)


def _asks(content: Mapping[str, Any]) -> bool:
    """Whether the user says something of his own, with which the current turn begins."""
    parts = objects_of(content.get("parts"), "contents.parts")
    return content.get("role", "user") == "user" and any("text" in part for part in parts)


def _turn(content: Mapping[str, Any], number: int, model: str, *, current: bool) -> Turn:
    role = content.get("role", "user")
    if role not in ("user", "model", "function"):
        raise invalid("Please use a valid role: user, model.")
    parts = objects_of(content.get("parts"), f"contents[{number}].parts")
    if not parts:
        raise invalid(f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty.\n")
    text, thinking, calls, results = "", "", list[Call](), list[ToolResult]()
    for position, part in enumerate(parts, 1):
        call, result = object_of(part, "functionCall"), object_of(part, "functionResponse")
        if call:
            signature = field_of(part, "thoughtSignature")
            _check_signature(signature, str(call.get("name")), model, needed=current and not calls, at=position)
            calls.append(Call(str(call.get("name")), call.get("args") or {}, str(call.get("id", ""))))
        elif result:
            said = json.dumps(result.get("response"), ensure_ascii=False)
            results.append(ToolResult(str(result.get("id") or result.get("name")), said))
        elif part.get("thought"):
            thinking += str(part.get("text", ""))
        else:
            text += str(part.get("text", ""))
    named = "tool" if results and not text else {"model": "assistant", "function": "tool"}.get(role, role)
    return Turn(named, text, tuple(calls), tuple(results), thinking)


def _check_signature(signature: object, name: str, model: str, *, needed: bool, at: int) -> None:
    """Gemini 3 demands the signature of each first call of the current turn; no model takes a foreign one."""
    if signature is None:
        if needed and model.startswith("gemini-3"):
            raise invalid(_NO_SIGNATURE.format(name=name, position=at))
        return
    if signature in _ACCEPTED_DUMMIES:
        return
    try:
        if base64.b64decode(str(signature), validate=True).startswith(SIGNED):
            return
    except binascii.Error:
        raise invalid(
            "Invalid value at 'contents.parts.thought_signature' (TYPE_BYTES), Base64 decoding failed for "
            f'"{signature}"'
        ) from None
    raise invalid("Thought signature is not valid")


def _parameters(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = field_of(declared, "parametersJsonSchema")
    return schema if isinstance(schema, dict) else _json_schema(object_of(declared, "parameters"))


def _tool_choice(calling: Mapping[str, Any], tools: tuple[Tool, ...]) -> tuple[str, tuple[Tool, ...]]:
    mode = str(calling.get("mode", "AUTO")).upper()
    allowed = field_of(calling, "allowedFunctionNames") or ()
    if mode == "NONE":
        return "none", tools
    if mode != "ANY":
        return "auto", tools
    unknown = [name for name in allowed if name not in [tool.name for tool in tools]]
    if unknown or not tools:
        raise invalid("Function calling config is set without function_declarations that it allows.")
    return "required", tuple([tool for tool in tools if not allowed or tool.name in allowed])


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    plain = field_of(config, "responseJsonSchema")
    own = field_of(config, "responseSchema")
    if isinstance(plain, dict) or isinstance(own, dict):
        if field_of(config, "responseMimeType") not in ("application/json", "text/x.enum"):
            raise invalid(
                "For controlled generation of only-JSON output, the response_mime_type should be `application/json`."
            )
        return cast("Mapping[str, Any]", plain) if isinstance(plain, dict) else _json_schema(own)
    return {"type": "object"} if field_of(config, "responseMimeType") == "application/json" else None


def _json_schema(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return Google's schema (types in capitals, ``nullable``, counts as texts) as JSON Schema."""
    out: dict[str, Any] = {}
    for key, value in own.items():
        match key:
            case "type":
                out["type"] = str(value).lower()
            case "properties":
                out["properties"] = {name: _json_schema(inner) for name, inner in value.items()}
            case "items":
                out["items"] = _json_schema(value)
            case "anyOf" | "any_of":
                out["anyOf"] = [_json_schema(inner) for inner in value]
            case "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties":
                out[key] = int(value)
            case "nullable" | "propertyOrdering" | "property_ordering" | "example" | "format" | "title":
                continue
            case _:
                out[key] = value
    if own.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def _positive(config: Mapping[str, Any], name: str) -> int | None:
    value = field_of(config, name)
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise invalid(f"* GenerateContentRequest.generation_config.{name}: must be a positive integer.\n")
    return value
