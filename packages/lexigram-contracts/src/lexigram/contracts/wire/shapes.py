"""What every dialect does alike: reading JSON of any shape without failing, and the words of a refusal.

Nothing here knows a wire. A reader returns the empty value where the JSON is not of the expected type.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, cast

from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage, FilePart, ImagePart, Opaque, ToolCall, ToolResultPart
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire.dialect import Endpoint
from lexigram.contracts.wire.http import Loss

__all__ = [
    "OPTIONS",
    "arguments_object",
    "arguments_text",
    "as_count",
    "as_dict",
    "as_list",
    "as_text",
    "bad_shape",
    "base64_text",
    "foreign",
    "inline_data",
    "made_up_id",
    "merged",
    "own_data",
    "refuse_options",
    "refused",
    "split_results",
    "text_of_file",
    "unsupported",
]

_EMPTY: Final[Mapping[str, Any]] = {}

OPTIONS: Final = frozenset([f.name for f in fields(CompletionRequest)]) - {
    "messages",
    "model",
    "timeouts",
    "api",
    "prefer_model",
    "prefer_provider",
    "extra_body",
    "extra_headers",
}
"""The options of a request that a wire carries or refuses; the rest is the engine's, or a router's (prefer_…)."""

# -- reading


def as_dict(value: object) -> Mapping[str, Any]:
    """Return the object, or an empty one."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else _EMPTY


def as_list(value: object) -> Sequence[Any]:
    """Return the array, or an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def as_text(value: object) -> str:
    """Return the text, or none."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int | None:
    """Return a number that counts something, or None; ``7.0`` is 7, what is negative or absurd is unknown."""
    if type(value) is int:
        return value if value >= 0 else None
    if isinstance(value, float) and 0 <= value < 1e15:
        return int(value)
    return None


def bad_shape(what: str, endpoint: Endpoint) -> DecodeError:
    """Return the error for a reply that is not what the wire promises."""
    return DecodeError(what, reason="bad_shape", provider=endpoint.provider)


def made_up_id(*seed: object) -> str:
    """Return an id for a call to which the vendor gave none: the same for the same seed, nine letters and digits."""
    text = ":".join([str(s) for s in seed])
    return "c" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def arguments_text(value: object) -> str:
    """Return a call's arguments as text, where the wire has them as an object."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


# -- writing


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body with ``extra_body`` over it: objects key by key at every depth, everything else replaces."""
    out = dict(base)
    for name, value in extra.items():
        old = out.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            out[name] = merged(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value))
        else:
            out[name] = value
    return out


def refused(name: str, endpoint: Endpoint, hint: str | None = None) -> InvalidRequestError:
    """Return the refusal of an option by its name."""
    return InvalidRequestError(
        f"{endpoint.provider} has no parameter for {name!r}",
        provider=endpoint.provider,
        provider_code=f"unsupported_option:{name}",
        hint=hint or f"leave {name!r} out, or write what the vendor knows into extra_body",
    )


def refuse_options(request: CompletionRequest, carried: Iterable[str], endpoint: Endpoint) -> None:
    """Refuse the first option that is set and that the wire does not carry, or the vendor's row refuses.

    Raises:
        InvalidRequestError: naming it.
    """
    refuses = endpoint.quirks.refuses
    for name in sorted((OPTIONS - frozenset(carried)) | refuses):
        value: object = getattr(request, name, None)
        if value is not None and value != ():
            raise refused(name, endpoint)


def unsupported(what: str, where: str, endpoint: Endpoint, hint: str | None = None) -> InvalidRequestError:
    """Return the refusal of a part that the wire cannot carry, with its place."""
    return InvalidRequestError(f"{where}: this wire cannot carry {what}", provider=endpoint.provider, hint=hint)


def own_data(opaque: Opaque | None, endpoint: Endpoint) -> Mapping[str, Any]:
    """Return what the same provider attached to a part; what another one attached is nobody else's business."""
    return opaque.data if opaque is not None and opaque.provider == endpoint.provider else _EMPTY


def foreign(opaque: Opaque | None, path: str, endpoint: Endpoint) -> list[Loss]:
    """Return the loss of what another provider attached to a part, or nothing."""
    if opaque is None or opaque.provider == endpoint.provider:
        return []
    return [Loss(path, f"only {opaque.provider} understands this part of its reply; it is left out")]


def split_results(message: ChatMessage, where: str, endpoint: Endpoint) -> tuple[list[ToolResultPart], ChatMessage]:
    """Return the tool results of a message, and the message without them.

    Raises:
        InvalidRequestError: for a tool message that holds anything else, or nothing.
    """
    results = [p for p in message.parts if isinstance(p, ToolResultPart)]
    if message.role == "tool" and (not results or len(results) != len(message.parts)):
        raise unsupported("anything but tool results in a tool message", where, endpoint)
    if not results:
        return results, message
    rest = tuple([p for p in message.parts if not isinstance(p, ToolResultPart)])
    return results, ChatMessage(message.role, rest, message.name)


def arguments_object(call: ToolCall, where: str, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    """Return a call's arguments for a wire that has them as an object.

    Arguments that the model wrote wrongly cannot go back as they were: ``{}`` does, and the loss is listed.

    Raises:
        InvalidRequestError: for a custom tool, which takes free text.
    """
    if call.kind == "custom":
        raise unsupported("a custom tool call (free text)", where, endpoint)
    if call.arguments_error is not None:
        losses.append(Loss(f"{where}.arguments", "they are no JSON object, which the wire demands; {} is sent"))
    return dict(call.arguments)


def base64_text(data: bytes) -> str:
    """Return the bytes as base64 text."""
    return base64.b64encode(data).decode("ascii")


def inline_data(part: ImagePart | FilePart) -> tuple[str, str] | None:
    """Return base64 text and media type of a part that carries its bytes, as data or in a data URL; else None."""
    if part.data is not None:
        return base64_text(part.data), part.media_type or ""
    url = part.url or ""
    head, comma, body = url.partition(",")
    if not comma or head[:5].lower() != "data:" or not head.lower().endswith(";base64"):
        return None
    return body, part.media_type or head[5:].split(";")[0]


def text_of_file(part: FilePart) -> str | None:
    """Return the text of a file whose media type is text (JSON and XML too), or None."""
    media = (part.media_type or "").split(";")[0].strip().lower()
    texts = ("application/json", "application/xml", "application/yaml", "application/x-yaml")
    if part.data is None or not (media.startswith("text/") or media in texts):
        return None
    try:
        return part.data.decode("utf-8")
    except UnicodeDecodeError:
        return None
