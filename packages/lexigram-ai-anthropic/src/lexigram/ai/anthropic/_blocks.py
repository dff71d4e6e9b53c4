"""Parts of messages as content blocks of the Messages wire.

What a part carries in ``opaque`` for this provider is merged into its block (``cache_control``, ``citations``,
``context``, a tool call's ``caller`` …), so blocks read from an answer go back as they came. What another
provider attached is left out and listed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    AudioPart,
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
from lexigram.contracts.wire import Endpoint, Loss

__all__ = ["Outgoing", "assistant_blocks", "container_id", "user_blocks"]

FILES_BETA: Final = "files-api-2025-04-14"
_ID: Final = re.compile(r"[A-Za-z0-9_-]+")


class Outgoing:
    """One request in the making: where it goes, what it loses, which beta features its parts need."""

    __slots__ = ("betas", "endpoint", "losses")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.losses: list[Loss] = []
        self.betas: list[str] = []

    def lose(self, path: str, reason: str) -> None:
        """List something that does not go out as it was given."""
        self.losses.append(Loss(path, reason))

    def refused(self, where: str, what: str, hint: str | None = None) -> InvalidRequestError:
        """Return the error for a part that the wire cannot carry."""
        return InvalidRequestError(
            f"{where}: the Messages wire cannot carry {what}", provider=self.endpoint.provider, hint=hint
        )

    def own(self, opaque: Opaque | None) -> Mapping[str, Any] | None:
        """Return what the same provider attached, else None."""
        return opaque.data if opaque is not None and opaque.provider == self.endpoint.provider else None

    def attached(self, opaque: Opaque | None, where: str) -> Mapping[str, Any]:
        """Return what is merged into the part's block; what another provider attached is listed as lost."""
        if opaque is not None and opaque.provider != self.endpoint.provider and opaque.data:
            self.lose(where, f"what {opaque.provider} attached means nothing to {self.endpoint.provider}: left out")
        return self.own(opaque) or {}


def user_blocks(parts: tuple[Part, ...], where: str, out: Outgoing) -> list[dict[str, Any]]:
    """Return the blocks of a user or tool message.

    Raises:
        InvalidRequestError: for a part that the wire has no block for.
    """
    found = [_user_block(part, f"{where}.parts[{i}]", out) for i, part in enumerate(parts)]
    return [block for block in found if block is not None]


def _user_block(part: Part, where: str, out: Outgoing) -> dict[str, Any] | None:
    match part:
        case TextPart():
            return _text(part, where, out)
        case ImagePart():
            return _image(part, where, out)
        case FilePart():
            return _file(part, where, out)
        case ToolResultPart():
            return _tool_result(part, where, out)
        case OpaquePart():
            return _opaque(part, where, out)
        case AudioPart():
            raise out.refused(where, "audio", "send a transcript as text")
        case _:
            raise out.refused(where, f"a {type(part).__name__} in a user message")


def assistant_blocks(parts: tuple[Part, ...], where: str, out: Outgoing) -> list[dict[str, Any]]:
    """Return the blocks of an assistant message, in order. Empty text, which the wire refuses, is left out."""
    found = [_assistant_block(part, f"{where}.parts[{i}]", out) for i, part in enumerate(parts)]
    return [block for block in found if block is not None and not (block.get("type") == "text" and not block["text"])]


def _assistant_block(part: Part, where: str, out: Outgoing) -> dict[str, Any] | None:
    match part:
        case TextPart():
            return _text(part, where, out)
        case ThinkingPart():
            return _thinking(part, where, out)
        case ToolCall():
            return _tool_use(part, where, out)
        case OpaquePart():
            return _opaque(part, where, out)
        case RefusalPart():
            if "stop_details" in (out.own(part.opaque) or {}):
                return None  # the provider's explanation of a refusal, no words of the answer
            return {"type": "text", "text": part.text, **out.attached(part.opaque, where)}
        case AudioPart():
            out.lose(
                where, "audio of an answer cannot go back on this wire: its transcript goes instead, if it has one"
            )
            return {"type": "text", "text": part.transcript or ""}
        case ImagePart() | FilePart():
            out.lose(where, "an assistant message holds no images or files on this wire: left out")
            return None
        case _:
            raise out.refused(where, f"a {type(part).__name__} in an assistant message")


def _text(part: TextPart, where: str, out: Outgoing) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": part.text, **out.attached(part.opaque, where)}
    if part.annotations:
        if out.own(part.opaque) is not None:
            block["citations"] = [_citation(c) for c in part.annotations]
        else:
            out.lose(f"{where}.annotations", "citations of another provider: left out")
    return block


def _citation(citation: Mapping[str, Any]) -> dict[str, Any]:
    """Answers name the ``file_id`` of a cited document; requests have no key for it (API reference, citations)."""
    return {k: v for k, v in citation.items() if k != "file_id"}


def _thinking(part: ThinkingPart, where: str, out: Outgoing) -> dict[str, Any] | None:
    own = out.own(part.opaque)
    if own is None:
        out.lose(where, "reasoning that this provider has not signed is refused by it: left out")
        return None
    if not own.get("signature"):
        out.lose(where, "reasoning without its signature (a stream that was cut) is refused: left out")
        return None
    return {"type": "thinking", "thinking": part.text, **own}


def _opaque(part: OpaquePart, where: str, out: Outgoing) -> dict[str, Any] | None:
    own = out.own(part.opaque)
    if own is None:
        who = part.opaque.provider
        out.lose(where, f"a {part.kind or 'part'} that only {who} understands: left out")
        return None
    return dict(own) if part.kind != "container" else None


def container_id(parts: tuple[Part, ...], out: Outgoing) -> str | None:
    """Return the id of the container in which the server tools of an answer ran, or None."""
    for part in parts:
        if isinstance(part, OpaquePart) and part.kind == "container":
            container = (out.own(part.opaque) or {}).get("container")
            ident = cast("Mapping[str, Any]", container).get("id") if isinstance(container, Mapping) else None
            if isinstance(ident, str):
                return ident
    return None


# -- tools


def _call_id(ident: str) -> str:
    """Ids are letters, digits, ``_`` and ``-`` on this wire; another vendor's id is rewritten, the same everywhere."""
    if _ID.fullmatch(ident):
        return ident
    digest = hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', ident)}_{digest}"


def _tool_use(call: ToolCall, where: str, out: Outgoing) -> dict[str, Any]:
    given: dict[str, Any] = dict(call.arguments)
    if call.kind == "custom":
        out.lose(where, 'this wire has no free-text calls: the text goes as {"input": …}')
        given = {"input": call.raw_arguments}
    elif call.arguments_error is not None:
        # Anthropic's docs, "Fine-grained tool streaming": broken JSON goes back wrapped in a valid object.
        given = {"INVALID_JSON": call.raw_arguments}
    return {
        "type": "tool_use",
        "id": _call_id(call.id),
        "name": call.name,
        "input": given,
        **out.attached(call.opaque, where),
    }


def _tool_result(result: ToolResultPart, where: str, out: Outgoing) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": _call_id(result.tool_call_id)}
    content = result.content
    if not isinstance(content, str):
        block["content"] = [b for b in user_blocks(content, where, out) if b.get("text") != ""]
    elif content:
        block["content"] = content
    if result.is_error:
        block["is_error"] = True
    return {**block, **out.attached(result.opaque, where)}


# -- images and documents


def _base64(data: bytes | None, media_type: str) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": base64.b64encode(data or b"").decode("ascii")}


def _image(part: ImagePart, where: str, out: Outgoing) -> dict[str, Any]:
    if part.detail not in (None, "auto"):
        out.lose(f"{where}.detail", "this wire has no detail of images: left out")
    url = part.url
    if url is None:
        source = _base64(part.data, part.media_type or "")
    elif url.startswith("data:"):
        head, _, body = url.removeprefix("data:").partition(",")
        media, encoding, _ = head.partition(";base64")
        if not encoding or not media:
            raise out.refused(where, "a data URL that is not base64 with a media type")
        source = {"type": "base64", "media_type": media, "data": body}
    else:
        source = {"type": "url", "url": url}
    return {"type": "image", "source": source, **out.attached(part.opaque, where)}


def _file(part: FilePart, where: str, out: Outgoing) -> dict[str, Any]:
    media = part.media_type or ""
    is_image = media.startswith("image/")
    if part.file_id is not None:
        source: dict[str, Any] = {"type": "file", "file_id": part.file_id}
        if FILES_BETA not in out.betas:
            out.betas.append(FILES_BETA)
    elif part.url is not None:
        source = {"type": "url", "url": part.url}
    elif media == "application/pdf" or is_image:
        source = _base64(part.data, media)
    elif media.startswith("text/"):
        try:
            source = {"type": "text", "media_type": "text/plain", "data": (part.data or b"").decode()}
        except UnicodeDecodeError:
            raise out.refused(where, "a text that is not UTF-8") from None
    else:
        raise out.refused(where, f"a file of type {media or 'unknown'}", "send a PDF, text, an image, or a file_id")
    block: dict[str, Any] = {"type": "image" if is_image else "document", "source": source}
    if part.filename is not None and not is_image:
        block["title"] = part.filename
    return {**block, **out.attached(part.opaque, where)}
