"""From what callers write (dicts, objects, names) to the frozen values, with errors that give the place.

Accepted message dicts are OpenAI's (``role``, ``content`` as text or parts, ``tool_calls``, ``tool_call_id``,
``name``, ``refusal``, ``reasoning_content``) and our own JSON form (:mod:`lexigram.contracts.ai.jsonform`).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast, get_args

from lexigram.contracts.ai.errors import InvalidMessageError
from lexigram.contracts.ai.jsonform import part_from_dict
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    Role,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import (
    CompletionOptions,
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    Timeouts,
    ToolChoice,
    ToolDefinition,
)
from lexigram.contracts.values import sparse

__all__ = ["build_request", "coerce_message", "coerce_messages", "coerce_tools", "make_tool_call"]

ROLES: tuple[str, ...] = get_args(Role)
OPTIONS: frozenset[str] = frozenset(CompletionOptions.__annotations__)
_MESSAGE_KEYS = {
    "role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning",
    "function_call", "audio", "annotations", "author",
}  # fmt: skip

_PLAIN_ROLES = ("user", "system", "assistant", "developer")
_TOOL_KEYS = {"name", "description", "parameters", "strict"}


def coerce_messages(messages: object) -> tuple[ChatMessage, ...]:
    """Return the messages as values.

    Raises:
        InvalidMessageError: naming the index and field of the first wrong one.
    """
    if type(messages) is not list and (
        isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable)
    ):
        hint = 'write [{"role": "user", "content": "…"}]'
        raise InvalidMessageError(f"expected a sequence of messages, got {type(messages).__name__}", hint=hint)
    given: Iterable[object] = messages
    out = tuple([_plain(m) or coerce_message(m, f"messages[{i}]") for i, m in enumerate(given)])
    if not out:
        raise InvalidMessageError("at least one message is needed")
    return out


def _plain(message: Any) -> ChatMessage | None:
    """Return a message of nothing but text, as nearly all are, the short way; else None."""
    if type(message) is ChatMessage:
        return message if type(message.content) is str and message.role in ROLES else None
    if type(message) is dict and len(message) == 2:
        content = message.get("content")
        if type(content) is str and message.get("role") in _PLAIN_ROLES:
            return ChatMessage(message["role"], content)
    return None


def coerce_message(message: object, path: str = "message") -> ChatMessage:
    """Return one message as a value; ``path`` is how errors name it."""
    if isinstance(message, Mapping):
        return _from_mapping(cast("Mapping[str, Any]", message), path)
    try:
        role, content = message.role, message.content  # type: ignore[attr-defined]
    except AttributeError:
        raise InvalidMessageError(
            f"expected a dict or an object with role and content, got {type(message).__name__}", path=path
        ) from None
    if isinstance(message, ChatMessage):
        _role(role, path)
        return ChatMessage(role, _content(content, path), message.name, message.author)
    fields: dict[str, Any] = {"role": str(role), "content": content}
    for key in ("name", "tool_calls", "tool_call_id"):
        value = getattr(message, key, None)
        if value:
            fields[key] = value
    return _from_mapping(fields, path)


def _from_mapping(data: Mapping[str, Any], path: str) -> ChatMessage:
    unknown = [k for k in data if k not in _MESSAGE_KEYS]
    if unknown:
        raise InvalidMessageError(f"unknown key {_named(unknown[0], _MESSAGE_KEYS)}", path=path)
    if "role" not in data:
        raise InvalidMessageError(f"is missing; allowed: {', '.join(ROLES)}", path=f"{path}.role")
    role = _role(data["role"], path)
    name = data.get("name")
    if name is not None and not isinstance(name, str):
        raise InvalidMessageError(f"expected text, got {type(name).__name__}", path=f"{path}.name")
    author = data.get("author")
    if author is not None and (role != "assistant" or not isinstance(author, str)):
        what = "only an assistant's has one" if role != "assistant" else f"expected text, got {type(author).__name__}"
        raise InvalidMessageError(what, path=f"{path}.author")
    if role == "tool":
        return _tool_message(data, path, name)
    if "tool_call_id" in data:
        raise InvalidMessageError(f"only a tool message has one; this is a {role} message", path=f"{path}.tool_call_id")
    if role != "assistant":
        if "content" not in data:
            raise InvalidMessageError("is missing", path=f"{path}.content")
        return ChatMessage(role, _content(data["content"], path), name)
    return _assistant_message(data, path, name, author)


def _assistant_message(data: Mapping[str, Any], path: str, name: str | None, author: str | None) -> ChatMessage:
    parts: list[Part] = []
    reasoning = data.get("reasoning_content") or data.get("reasoning")
    if reasoning:
        parts.append(ThinkingPart(_text(reasoning, f"{path}.reasoning_content")))
    content = data.get("content")
    body = () if content is None else _content(content, path)
    parts.extend((TextPart(body),) if isinstance(body, str) and body else () if isinstance(body, str) else body)
    if data.get("refusal"):
        parts.append(RefusalPart(_text(data["refusal"], f"{path}.refusal")))
    audio = data.get("audio")
    if isinstance(audio, Mapping) and "id" in audio:
        parts.append(AudioPart(id=str(cast("Mapping[str, Any]", audio)["id"])))
    for i, call in enumerate(data.get("tool_calls") or ()):
        parts.append(_tool_call(call, f"{path}.tool_calls[{i}]"))
    if data.get("function_call"):
        parts.append(_tool_call({"id": "", "function": data["function_call"]}, f"{path}.function_call"))
    if len(parts) == 1 and isinstance(parts[0], TextPart) and isinstance(body, str):
        return ChatMessage("assistant", body, name, author)
    if not parts and content is None:
        raise InvalidMessageError("an assistant message needs content or tool_calls", path=f"{path}.content")
    return ChatMessage("assistant", tuple(parts), name, author)


def _tool_message(data: Mapping[str, Any], path: str, name: str | None) -> ChatMessage:
    content = data.get("content")
    body = "" if content is None else _content(content, path)
    if not isinstance(body, str) and body and all(isinstance(p, ToolResultPart) for p in body):
        return ChatMessage("tool", body, name)
    call_id = data.get("tool_call_id")
    if not isinstance(call_id, str):
        raise InvalidMessageError(
            "a tool message needs the id of the call that it answers", path=f"{path}.tool_call_id"
        )
    return ChatMessage("tool", (ToolResultPart(call_id, body, name),))


def _role(role: object, path: str) -> Role:
    if isinstance(role, str) and role in ROLES:
        return cast("Role", str(role))
    raise InvalidMessageError(f"{role!r} is not a role; allowed: {', '.join(ROLES)}", path=f"{path}.role")


def _content(content: object, path: str) -> str | tuple[Part, ...]:
    if isinstance(content, str):
        return content
    where = f"{path}.content"
    if content is None:
        raise InvalidMessageError("is None; expected text or a list of parts", path=where)
    if isinstance(content, Mapping | bytes) or not isinstance(content, Iterable):
        raise InvalidMessageError(f"expected text or a list of parts, got {type(content).__name__}", path=where)
    return tuple([_part(p, f"{where}[{i}]") for i, p in enumerate(cast("Iterable[object]", content))])


def _part(part: object, path: str) -> Part:
    if isinstance(part, str):
        return TextPart(part)
    if isinstance(part, get_args(Part)):
        return _checked(cast("Part", part), path)
    if not isinstance(part, Mapping):
        raise InvalidMessageError(
            f"expected a part (a dict with a type, or text), got {type(part).__name__}", path=path
        )
    data = cast("Mapping[str, Any]", part)
    kind = data.get("type")
    reader = _PART_READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise InvalidMessageError(f"{kind!r} is not a part; allowed: {', '.join(_PART_READERS)}", path=f"{path}.type")
    try:
        return _checked(reader(data, path), path)
    except KeyError as missing:
        raise InvalidMessageError("is missing", path=f"{path}.{missing.args[0]}") from None
    except (TypeError, AttributeError, binascii.Error) as wrong:
        raise InvalidMessageError(f"cannot be read as {kind}: {wrong}", path=path) from None


def _checked(part: Part, path: str) -> Part:
    if isinstance(part, ImagePart) and (part.url is None) == (part.data is None):
        raise InvalidMessageError("an image has either a url or data", path=path)
    if isinstance(part, ImagePart) and part.data is not None and not part.media_type:
        raise InvalidMessageError(
            "an image given as data needs its media type, e.g. 'image/png'", path=f"{path}.media_type"
        )
    if isinstance(part, FilePart) and sum(x is not None for x in (part.data, part.file_id, part.url)) != 1:
        raise InvalidMessageError("a file has exactly one of data, file_id and url", path=path)
    if isinstance(part, AudioPart) and part.data is None and part.id is None:
        raise InvalidMessageError("audio has data or an id", path=path)
    return part


def _text(value: object, path: str) -> str:
    if isinstance(value, str):
        return value
    raise InvalidMessageError(f"expected text, got {type(value).__name__}", path=path)


def _image_url(data: Mapping[str, Any], path: str) -> Part:
    image = data["image_url"]
    if isinstance(image, str):
        return ImagePart(url=image)
    return ImagePart(url=_text(image["url"], f"{path}.image_url.url"), detail=image.get("detail"))


def _input_audio(data: Mapping[str, Any], path: str) -> Part:
    audio = data["input_audio"]
    return AudioPart(data=base64.b64decode(audio["data"], validate=True), format=audio["format"])


def _file(data: Mapping[str, Any], path: str) -> Part:
    if "file" not in data:
        return part_from_dict(data)
    file = data["file"]
    raw = file.get("file_data")
    if raw is None:
        return FilePart(file_id=file["file_id"], filename=file.get("filename"))
    head, _, body = _text(raw, f"{path}.file.file_data").rpartition(",")
    media = head.removeprefix("data:").removesuffix(";base64") or None
    return FilePart(data=base64.b64decode(body, validate=True), media_type=media, filename=file.get("filename"))


def _own(data: Mapping[str, Any], path: str) -> Part:
    return part_from_dict(data)


_PART_READERS: dict[str, Callable[[Mapping[str, Any], str], Part]] = {
    "text": lambda d, p: TextPart(_text(d["text"], f"{p}.text")) if set(d) <= {"type", "text"} else part_from_dict(d),
    "refusal": lambda d, p: RefusalPart(_text(d["refusal"] if "refusal" in d else d["text"], f"{p}.refusal")),
    "image_url": _image_url,
    "input_audio": _input_audio,
    "file": _file,
    "image": _own,
    "audio": _own,
    "thinking": _own,
    "tool_call": _own,
    "tool_result": _own,
    "opaque": _own,
}


def _tool_call(call: object, path: str) -> ToolCall:
    if isinstance(call, ToolCall):
        return call
    if not isinstance(call, Mapping):
        raise InvalidMessageError(f"expected a tool call, got {type(call).__name__}", path=path)
    data = cast("Mapping[str, Any]", call)
    if data.get("type") == "custom":
        custom = data.get("custom") or {}
        return ToolCall(
            str(data.get("id", "")),
            str(custom.get("name", "")),
            raw_arguments=str(custom.get("input", "")),
            kind="custom",
        )
    body = data.get("function", data)
    if not isinstance(body, Mapping) or not isinstance(cast("Mapping[str, Any]", body).get("name"), str):
        raise InvalidMessageError("is missing", path=f"{path}.function.name")
    fields = cast("Mapping[str, Any]", body)
    arguments = fields.get("arguments", "")
    if isinstance(arguments, Mapping):
        return ToolCall(
            str(data.get("id", "")), fields["name"], dict(cast("Mapping[str, Any]", arguments)), json.dumps(arguments)
        )
    return make_tool_call(str(data.get("id", "")), fields["name"], _text(arguments, f"{path}.function.arguments"))


def make_tool_call(id: str, name: str, raw_arguments: str, *, opaque: Any = None) -> ToolCall:
    """Return the call with its arguments parsed; nothing at all, or ``null``, means no arguments.

    Arguments that are not a JSON object leave ``arguments`` empty and say why in ``arguments_error``.
    """
    text = raw_arguments.strip()
    if not text or text == "null" or text == "{}":
        return ToolCall(id, name, {}, raw_arguments, opaque=opaque)
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as wrong:
        return ToolCall(id, name, {}, raw_arguments, f"not JSON: {wrong}", opaque=opaque)
    if not isinstance(value, dict):
        return ToolCall(
            id, name, {}, raw_arguments, f"expected a JSON object, got {type(value).__name__}", opaque=opaque
        )
    return ToolCall(id, name, cast("dict[str, Any]", value), raw_arguments, opaque=opaque)


def coerce_tools(tools: object) -> tuple[ToolDefinition | ProviderTool, ...]:
    """Return the tools as values; dicts are OpenAI's function tools, or a vendor's own tools passed as they are.

    Raises:
        InvalidMessageError: naming the index and field of the first wrong one.
    """
    if tools is None:
        return ()
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise InvalidMessageError(f"expected a sequence of tools, got {type(tools).__name__}", path="tools")
    return tuple([_tool(t, f"tools[{i}]") for i, t in enumerate(cast("Iterable[object]", tools))])


def _tool(tool: object, path: str) -> ToolDefinition | ProviderTool:
    if isinstance(tool, ToolDefinition | ProviderTool):
        return tool
    if not isinstance(tool, Mapping):
        raise InvalidMessageError(f"expected a ToolDefinition or a dict, got {type(tool).__name__}", path=path)
    data = cast("Mapping[str, Any]", tool)
    if data.get("type", "function") != "function":
        return ProviderTool(data)
    body = cast("Mapping[str, Any]", data.get("function", data))
    known = _TOOL_KEYS if body is not data else {*_TOOL_KEYS, "type"}
    unknown = [k for k in body if k not in known] + [
        k for k in data if body is not data and k not in ("type", "function")
    ]
    if unknown:
        hint = "what only the vendor knows is passed as it is with ProviderTool"
        raise InvalidMessageError(f"unknown key {_named(unknown[0], known)}", path=path, hint=hint)
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidMessageError("is missing", path=f"{path}.name")
    parameters = body.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, Mapping):
        raise InvalidMessageError(
            f"expected a JSON schema object, got {type(parameters).__name__}", path=f"{path}.parameters"
        )
    strict = body.get("strict")
    return ToolDefinition(name, body.get("description") or "", cast("Mapping[str, Any]", parameters), strict)


def _tool_choice(choice: object, tools: Sequence[ToolDefinition | ProviderTool]) -> ToolChoice | Mapping[str, Any]:
    if isinstance(choice, ToolChoice):
        return choice
    if isinstance(choice, Mapping):
        data = cast("Mapping[str, Any]", choice)
        if data.get("type") == "function" and isinstance(data.get("function"), Mapping):
            return ToolChoice("tool", data["function"].get("name"))
        return data
    if choice in ("auto", "none", "required"):
        return ToolChoice(choice)
    names = [t.name for t in tools if isinstance(t, ToolDefinition)]
    if isinstance(choice, str) and choice in names:
        return ToolChoice("tool", choice)
    allowed = ", ".join(["auto", "none", "required", *names])
    raise InvalidMessageError(f"{choice!r} is neither a mode nor a tool; allowed: {allowed}", path="tool_choice")


def coerce_response_format(value: object) -> ResponseFormat:
    """Return the format; a class with ``model_json_schema`` (pydantic) gives its schema and name."""
    if isinstance(value, ResponseFormat):
        return value
    if value in ("text", "json_object", "json"):
        return ResponseFormat("text" if value == "text" else "json_object")
    schema_of = getattr(value, "model_json_schema", None)
    if isinstance(value, type) and callable(schema_of):
        schema = cast("Mapping[str, Any]", schema_of())
        return ResponseFormat("json_schema", schema, value.__name__, schema.get("description"))
    if isinstance(value, Mapping):
        data = cast("Mapping[str, Any]", value)
        kind = data.get("type")
        if kind in ("text", "json_object"):
            return ResponseFormat(kind)
        body = data.get("json_schema")
        if kind == "json_schema" and isinstance(body, Mapping):
            wrapped = cast("Mapping[str, Any]", body)
            return ResponseFormat(
                "json_schema",
                wrapped.get("schema"),
                wrapped.get("name") or "response",
                wrapped.get("description"),
                wrapped.get("strict"),
            )
    raise InvalidMessageError(
        "expected 'text', 'json_object', a ResponseFormat, a pydantic model class, or OpenAI's response_format dict",
        path="response_format",
    )


def _named(name: object, known: Iterable[str]) -> str:
    near = get_close_matches(str(name), list(known), n=1)
    return f"{name!r}" + (f" (did you mean {near[0]!r}?)" if near else "")


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse an option that does not exist.

    Raises:
        TypeError: naming the near name, and ``extra_body`` for what only the vendor knows.
    """
    for name in options:
        if name not in OPTIONS:
            known = OPTIONS | {"temperature", "max_tokens", "tools", "stop_sequences", "model"}
            hint = f"what only the vendor knows goes into extra_body={{{name!r}: …}}"
            raise TypeError(f"unknown option {_named(name, known)}; {hint}")


_RANGES: dict[str, tuple[float, float, str]] = {
    "temperature": (0, 2, "0 … 2"),
    "top_p": (0, 1, "0 … 1"),
    "top_k": (1, math.inf, "≥ 1"),
    "frequency_penalty": (-2, 2, "-2 … 2"),
    "presence_penalty": (-2, 2, "-2 … 2"),
    "max_tokens": (1, math.inf, "≥ 1"),
    "top_logprobs": (0, 20, "0 … 20"),
}


def build_request(
    messages: object,
    *,
    model: str,
    temperature: float | None = None,
    max_tokens: int | None = None,
    tools: object = None,
    stop_sequences: object = None,
    options: Mapping[str, Any] | None = None,
) -> CompletionRequest:
    """Check everything that a caller gave and freeze it.

    Raises:
        InvalidMessageError: for a wrong message, tool or value, naming the place and what is allowed.
        TypeError: for an option that does not exist.
    """
    given: dict[str, Any] = {}
    if options:
        check_options(options)
        given = {k: v for k, v in options.items() if v is not None}
    if temperature is not None:
        given["temperature"] = temperature
    if max_tokens is not None:
        given["max_tokens"] = max_tokens
    defined = coerce_tools(tools)
    if given:
        _check(given, defined)
    if defined:
        given["tools"] = defined
    if stop_sequences is not None:
        given["stop_sequences"] = _stops(stop_sequences)
    given["messages"] = coerce_messages(messages)
    given["model"] = model
    return sparse(CompletionRequest, given)


def _check(given: dict[str, Any], tools: Sequence[ToolDefinition | ProviderTool]) -> None:
    """Check the options' values, and put those in place that may be written in several ways."""
    for name, (low, high, allowed) in _RANGES.items():
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidMessageError(f"{value!r} is out of range; allowed: {allowed}", path=name)
    if "tool_choice" in given:
        given["tool_choice"] = _tool_choice(given["tool_choice"], tools)
    if "response_format" in given:
        given["response_format"] = coerce_response_format(given["response_format"])
    if "timeouts" in given and not isinstance(given["timeouts"], Timeouts):
        given["timeouts"] = Timeouts(total=float(given["timeouts"]))
    if "modalities" in given:
        given["modalities"] = tuple(given["modalities"])
    thinking = given.get("thinking")
    if thinking is not None and not isinstance(thinking, ThinkingConfig):
        raise InvalidMessageError(f"expected a ThinkingConfig, got {type(thinking).__name__}", path="thinking")


def _stops(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        items = cast("Sequence[object]", value)
        if all(isinstance(s, str) for s in items):
            return tuple(cast("Sequence[str]", items))
    raise InvalidMessageError("expected text or a list of texts", path="stop_sequences")
