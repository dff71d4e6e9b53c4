"""Messages' parts as content blocks of the Converse wire."""

from __future__ import annotations

import re
from typing import Any, Final

from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.wire import Endpoint, Loss
from lexigram.contracts.wire.shapes import (
    arguments_object,
    base64_text,
    foreign,
    inline_data,
    own_data,
    unsupported,
)

__all__ = ["PartWriter"]

_IMAGES: Final = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/jpg": "jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
}
_DOCUMENTS: Final = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")


class PartWriter:
    """Writes blocks, and keeps what had to be left out and which names of documents are taken."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.losses: list[Loss] = []
        self._names: set[str] = set()

    def system(self, message: ChatMessage, where: str) -> list[dict[str, Any]]:
        """Return the blocks of instructions: text, and the provider's own (cache points, guarded content)."""
        out: list[dict[str, Any]] = []
        for i, part in enumerate(message.parts):
            out += self._common(part, f"{where}.content[{i}]", "instructions")
        return out

    def user(self, message: ChatMessage, where: str) -> list[dict[str, Any]]:
        """Return the blocks of what the user says."""
        out: list[dict[str, Any]] = []
        for i, part in enumerate(message.parts):
            place = f"{where}.content[{i}]"
            match part:
                case ImagePart() | FilePart() | AudioPart():
                    self.losses += foreign(part.opaque, place, self.endpoint)
                    out.append(self._media(part, place))
                case _:
                    out += self._common(part, place, "a user message")
        return out

    def assistant(self, message: ChatMessage, where: str) -> list[dict[str, Any]]:
        """Return the blocks of what the model said."""
        out: list[dict[str, Any]] = []
        for i, part in enumerate(message.parts):
            place = f"{where}.content[{i}]"
            match part:
                case ThinkingPart():
                    out += self._thinking(part, place)
                case ToolCall():
                    self.losses += foreign(part.opaque, place, self.endpoint)
                    arguments = arguments_object(part, place, self.endpoint, self.losses)
                    out.append({"toolUse": {"toolUseId": part.id, "name": part.name, "input": arguments}})
                case RefusalPart():
                    out.append({"text": part.text})
                case TextPart() if citations := own_data(part.opaque, self.endpoint).get("citations"):
                    out.append({"citationsContent": {"content": [{"text": part.text}], "citations": citations}})
                case _:
                    out += self._common(part, place, "an assistant message")
        return out

    def result(self, result: ToolResultPart, where: str) -> dict[str, Any]:
        """Return the block of a tool's result."""
        self.losses += foreign(result.opaque, where, self.endpoint)
        content: list[dict[str, Any]] = []
        if isinstance(result.content, str):
            content.append({"text": result.content})
        else:
            for part in result.content:
                match part:
                    case ImagePart() | FilePart():
                        content.append(self._media(part, where))
                    case TextPart():
                        content.append({"text": part.text})
                    case _:
                        content += self._common(part, where, "a tool's result")
        block: dict[str, Any] = {"toolUseId": result.tool_call_id, "content": content}
        if result.is_error:
            block["status"] = "error"
        return {"toolResult": block}

    def _common(self, part: Part, where: str, role: str) -> list[dict[str, Any]]:
        """Text and blocks of the provider's own; blank text is refused by the wire and says nothing."""
        if not isinstance(part, TextPart | OpaquePart):
            raise unsupported(f"a {type(part).__name__} in {role}", where, self.endpoint)
        self.losses += foreign(part.opaque, where, self.endpoint)
        if isinstance(part, TextPart):
            return [{"text": part.text}] if part.text else []
        own = own_data(part.opaque, self.endpoint)
        return [dict(own)] if own else []

    def _thinking(self, part: ThinkingPart, where: str) -> list[dict[str, Any]]:
        """Reasoning goes back with its signature only: without one the models of this wire refuse it."""
        self.losses += foreign(part.opaque, where, self.endpoint)
        signature = own_data(part.opaque, self.endpoint).get("signature")
        if signature is None:
            if part.opaque is None:
                self.losses.append(Loss(where, "reasoning without a signature is not taken back; it is left out"))
            return []
        return [{"reasoningContent": {"reasoningText": {"text": part.text, "signature": signature}}}]

    def _media(self, part: ImagePart | FilePart | AudioPart, where: str) -> dict[str, Any]:
        match part:
            case ImagePart():
                source, media = self._source(part, where, "an image by url")
                return {"image": {"format": self._format(_IMAGES, media, part.url, where), "source": source}}
            case FilePart():
                source, media = self._source(part, where, "a file by url or id")
                form = self._format(_DOCUMENTS, media, part.url or part.filename, where)
                return {"document": {"format": form, "name": self._name(part), "source": source}}
            case AudioPart():
                if part.data is None:
                    raise unsupported("audio by id", where, self.endpoint, "give the audio's data")
                return {"audio": {"format": part.format, "source": {"bytes": base64_text(part.data)}}}

    def _source(self, part: ImagePart | FilePart, where: str, what: str) -> tuple[dict[str, Any], str]:
        inline = inline_data(part)
        if inline is not None:
            return {"bytes": inline[0]}, inline[1]
        if part.url is None or not part.url.startswith("s3://"):
            raise unsupported(what, where, self.endpoint, "give the data, or an s3:// address")
        return {"s3Location": {"uri": part.url}}, part.media_type or ""

    def _format(self, known: dict[str, str], media: str, name: str | None, where: str) -> str:
        found = known.get(media.split(";")[0].strip().lower())
        suffix = (name or "").rpartition(".")[2].lower()
        if found is None and suffix in known.values():
            found = suffix
        if found is None:
            allowed = ", ".join(sorted(set(known.values())))
            raise unsupported(f"the media type {media!r}", where, self.endpoint, f"it takes {allowed}")
        return found

    def _name(self, part: FilePart) -> str:
        """Names hold letters, digits, spaces, hyphens and brackets only, and each stands for one document."""
        stem = (part.filename or "document").rpartition(".")
        wanted = " ".join(_NOT_IN_NAMES.sub("-", stem[0] or stem[2]).split()).strip("-") or "document"
        name, n = wanted, 1
        while name in self._names:
            n += 1
            name = f"{wanted} {n}"
        self._names.add(name)
        return name
