"""What the rooms ask of each other: the client and its helpers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from typing_extensions import Unpack

from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.errors import ExtractionError, LLMError
from lexigram.contracts.ai.messages import ChatMessage, ChatMessageProtocol
from lexigram.contracts.ai.request import CompletionOptions, ProviderTool, ToolDefinition
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult
from lexigram.contracts.result import Result

__all__ = [
    "EmbeddingClientProtocol",
    "Embeddings",
    "LLMClientProtocol",
    "Messages",
    "OutputParserProtocol",
    "ResiliencePolicyProtocol",
    "TokenCount",
    "TokenCounterProtocol",
    "Tools",
]

Messages: TypeAlias = Sequence[ChatMessage | ChatMessageProtocol | Mapping[str, Any]]
"""What a call takes as messages: values, objects with role and content, or dicts."""

Tools: TypeAlias = Sequence[ToolDefinition | ProviderTool | Mapping[str, Any]]
"""What a call takes as tools: values or dicts."""

T_co = TypeVar("T_co", covariant=True)


@runtime_checkable
class LLMClientProtocol(Protocol):
    """A language model, whoever serves it.

    A failure of the provider is an ``Err`` or, in a stream, a raised :class:`LLMError`. A mistake of the caller
    (a wrong message, an unknown option) is raised at once.
    """

    async def complete(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Tools | None = None,
        stop_sequences: Sequence[str] | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Result[Completion, LLMError]:
        """Return the whole answer."""
        ...

    def stream_chat(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Tools | None = None,
        stop_sequences: Sequence[str] | None = None,
        **options: Unpack[CompletionOptions],
    ) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written; nothing is sent before it is read."""
        ...

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask the provider whether it would answer, within ``timeout`` seconds; never raises for a failure."""
        ...

    async def close(self) -> None:
        """Give back connections. Safe to call again."""
        ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors in the order of the texts, and what they cost."""

    vectors: tuple[tuple[float, ...], ...]
    model: str
    usage: Usage


@runtime_checkable
class EmbeddingClientProtocol(Protocol):
    """A model that turns texts into vectors."""

    async def embed(
        self, texts: Sequence[str], *, model: str | None = None, dimensions: int | None = None
    ) -> Result[Embeddings, LLMError]:
        """Return one vector a text, in order."""
        ...


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens and how it was had: ``counted`` by the model's own tokenizer, or ``estimated``."""

    tokens: int
    source: Literal["counted", "estimated"]


@runtime_checkable
class TokenCounterProtocol(Protocol):
    """Counts tokens without network and without blocking."""

    @property
    def source(self) -> Literal["counted", "estimated"]:
        """How the counts are had."""
        ...

    def count(self, text: str) -> int:
        """Return the tokens of a text."""
        ...

    def count_messages(self, messages: Messages, tools: Tools | None = None) -> TokenCount:
        """Return the tokens of a request's messages and tools."""
        ...


@runtime_checkable
class OutputParserProtocol(Protocol[T_co]):
    """Reads a value from a model's text."""

    def parse(self, text: str) -> Result[T_co, ExtractionError]:
        """Return the value, or an error that holds the text."""
        ...

    def format_instructions(self) -> str:
        """Return what to tell the model so that it writes what :meth:`parse` reads."""
        ...


@runtime_checkable
class ResiliencePolicyProtocol(Protocol):
    """Wraps a client with retries, limits and breakers: the one owner of them."""

    def wrap(self, client: LLMClientProtocol) -> LLMClientProtocol:
        """Return a client that asks ``client`` under this policy."""
        ...
