"""Messages and completions as JSON, and back, without loss: for journals, caches and stored conversations."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, cast

from lexigram.contracts.ai.completion import Attempt, Completion, Usage
from lexigram.contracts.ai.messages import (
    AudioPart,
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

__all__ = [
    "completion_from_dict",
    "completion_to_dict",
    "message_from_dict",
    "message_to_dict",
    "part_from_dict",
    "part_to_dict",
]

_TYPES: dict[str, type[Any]] = {
    "text": TextPart,
    "refusal": RefusalPart,
    "thinking": ThinkingPart,
    "image": ImagePart,
    "audio": AudioPart,
    "file": FilePart,
    "tool_call": ToolCall,
    "tool_result": ToolResultPart,
    "opaque": OpaquePart,
}
_NAMES = {cls: name for name, cls in _TYPES.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if type(value) in _NAMES:
        return part_to_dict(cast("Part", value))
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value) if getattr(value, f.name) != f.default}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in cast("tuple[Any, ...]", value)]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in cast("Mapping[str, Any]", value).items()}
    return value


def part_to_dict(part: Part) -> dict[str, Any]:
    """Return the part as JSON values, its kind under ``type``; fields at their default are left out."""
    out: dict[str, Any] = {"type": _NAMES[type(part)]}
    for f in fields(part):
        value = getattr(part, f.name)
        if value != f.default:
            out[f.name] = _plain(value)
    return out


def part_from_dict(data: Mapping[str, Any]) -> Part:
    """Read back what :func:`part_to_dict` wrote.

    Raises:
        KeyError: for a missing field.
        TypeError: for an unknown field.
    """
    given = dict(data)
    cls = _TYPES[given.pop("type")]
    for required in (f.name for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING):
        if required not in given:
            raise KeyError(required)
    if isinstance(given.get("data"), str):
        given["data"] = base64.b64decode(given["data"], validate=True)
    if isinstance(given.get("opaque"), Mapping):
        given["opaque"] = Opaque(**given["opaque"])
    if isinstance(given.get("annotations"), list):
        given["annotations"] = tuple(given["annotations"])
    if isinstance(given.get("content"), list):
        given["content"] = tuple(part_from_dict(p) for p in given["content"])
    return cast("Part", cls(**given))


def message_to_dict(message: ChatMessage) -> dict[str, Any]:
    """Return the message as JSON values; opaque data is kept as it is."""
    out: dict[str, Any] = {"role": message.role, "content": _plain(message.content)}
    if message.name is not None:
        out["name"] = message.name
    if message.author is not None:
        out["author"] = message.author
    return out


def message_from_dict(data: Mapping[str, Any]) -> ChatMessage:
    """Read back what :func:`message_to_dict` wrote."""
    content = data["content"]
    if not isinstance(content, str):
        content = tuple(part_from_dict(p) for p in content)
    return ChatMessage(data["role"], content, data.get("name"), data.get("author"))


def completion_to_dict(completion: Completion) -> dict[str, Any]:
    """Return the completion as JSON values, ``raw`` and ``rate_limits`` left out."""
    skip = {"raw", "content", "thinking", "tool_calls", "rate_limits"}
    return {f.name: _plain(getattr(completion, f.name)) for f in fields(completion) if f.name not in skip}


def completion_from_dict(data: Mapping[str, Any]) -> Completion:
    """Read back what :func:`completion_to_dict` wrote."""
    given = dict(data)
    given["parts"] = tuple(part_from_dict(p) for p in given.get("parts", ()))
    given["usage"] = Usage(**given.get("usage", {}))
    given["attempts"] = tuple(_attempt(a) for a in given.get("attempts", ()))
    given["logprobs"] = tuple(given.get("logprobs", ()))
    given["alternatives"] = tuple(completion_from_dict(c) for c in given.get("alternatives", ()))
    return Completion(**given)


def _attempt(data: Mapping[str, Any]) -> Attempt:
    fields_ = dict(data)
    usage = Usage(**fields_.pop("usage", {}))
    return Attempt(**fields_, usage=usage)
