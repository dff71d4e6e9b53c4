"""Messages and their parts.

A message holds its parts in the order in which they were said; ``text``, ``thinking`` and ``tool_calls`` are
views of them. A part that a provider wants back unchanged (a signature, encrypted reasoning) carries it in
``opaque``; a block that only its provider understands is an :class:`OpaquePart`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from lexigram.contracts.values import JSON

__all__ = [
    "AudioPart",
    "ChatMessage",
    "ChatMessageProtocol",
    "FilePart",
    "ImagePart",
    "Opaque",
    "OpaquePart",
    "Part",
    "RefusalPart",
    "Role",
    "TextPart",
    "ThinkingPart",
    "ToolCall",
    "ToolResultPart",
]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool"]
"""Who speaks. ``developer`` is OpenAI's newer word for ``system``."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """What one provider attached to a part and wants back byte for byte.

    Attributes:
        provider: the vendor that wrote it; nobody else is sent it.
        data: JSON values, never interpreted outside the provider's dialect.
    """

    provider: str
    data: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text. ``annotations`` are citations and the like, as the provider wrote them."""

    text: str
    annotations: tuple[Mapping[str, Any], ...] = ()
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model's refusal, in its own words."""

    text: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ThinkingPart:
    """Reasoning that the model shows; ``text`` may be empty where only ``opaque`` is given (hidden reasoning)."""

    text: str
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, by ``url`` (http, https or data) or by ``data``; exactly one of them.

    Attributes:
        media_type: e.g. ``image/png``; needed with ``data``.
        detail: ``auto``, ``low`` or ``high``, where the provider knows it.
    """

    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    detail: Literal["auto", "low", "high"] | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class AudioPart:
    """Audio: ``data`` with its ``format`` (``wav``, ``mp3`` …), or the ``id`` of audio that the model made.

    ``transcript`` is what is said in it, where known.
    """

    data: bytes | None = field(default=None, repr=False)
    format: str = "wav"
    id: str | None = None
    transcript: str | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: ``data`` with ``media_type`` and ``filename``, a provider's ``file_id``, or a ``url``; exactly one."""

    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    filename: str | None = None
    file_id: str | None = None
    url: str | None = None
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a tool.

    Attributes:
        id: pairs the call with its result; made up by the client where the provider gives none.
        name: the tool.
        arguments: the arguments, ``{}`` when there are none or when they cannot be read.
        raw_arguments: the text that the model wrote.
        arguments_error: why ``raw_arguments`` cannot be read as a JSON object, or None. Do not run the tool then.
        kind: ``custom`` tools take free text, which is in ``raw_arguments``.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    raw_arguments: str = ""
    arguments_error: str | None = None
    kind: Literal["function", "custom"] = "function"
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """What a tool gave back. ``content`` is text, or parts where the provider takes them."""

    tool_call_id: str
    content: str | tuple[Part, ...] = ""
    name: str | None = None
    is_error: bool = False
    opaque: Opaque | None = None


@dataclass(frozen=True, slots=True)
class OpaquePart:
    """A whole block that only ``opaque.provider`` understands (server tools, redacted thinking …)."""

    opaque: Opaque
    kind: str = ""


Part: TypeAlias = (
    TextPart | RefusalPart | ThinkingPart | ImagePart | AudioPart | FilePart | ToolCall | ToolResultPart | OpaquePart
)
"""One piece of a message."""


@runtime_checkable
class ChatMessageProtocol(Protocol):
    """Anything with a role and a content is a message; :class:`ChatMessage` is ours."""

    @property
    def role(self) -> str:
        """Who speaks."""
        ...

    @property
    def content(self) -> Any:
        """Text, or parts."""
        ...


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation.

    Attributes:
        role: who speaks.
        content: text, or parts in order.
        name: the speaker's name, where the provider takes one.
        author: ``provider:model`` that wrote it, where it came from a completion. No provider is sent it; a router
            reads it for ``prefer_model="last"``.
    """

    role: Role
    content: str | tuple[Part, ...] = ""
    name: str | None = None
    author: str | None = field(default=None, compare=False)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts; text is one :class:`TextPart`, empty text none."""
        content = self.content
        if isinstance(content, str):
            return (TextPart(content),) if content else ()
        return content

    @property
    def text(self) -> str:
        """The text parts, joined with nothing between."""
        content = self.content
        if isinstance(content, str):
            return content
        return "".join([p.text for p in content if isinstance(p, TextPart)])

    @property
    def thinking(self) -> str | None:
        """The thinking parts' text, or None when there are none."""
        texts = [p.text for p in self.parts if isinstance(p, ThinkingPart)]
        return "".join(texts) if texts else None

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the message asks for."""
        return tuple([p for p in self.parts if isinstance(p, ToolCall)])
