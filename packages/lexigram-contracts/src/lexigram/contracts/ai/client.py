"""The base of clients: the published signature once, over frozen requests.

A client implements three methods over :class:`CompletionRequest`; ``complete`` and ``stream_chat`` come from here. What
wraps a client (retries, routing, a cache) works on the same frozen requests, whatever client is inside: see
:func:`over_requests`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

from typing_extensions import Unpack

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion, StreamChunk
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol, Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult
from lexigram.contracts.result import Result

__all__ = [
    "ClientBase",
    "ClientIdentity",
    "IdentifiedClientProtocol",
    "RequestClientProtocol",
    "RetryingClientProtocol",
    "options_of",
    "over_requests",
]


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Whom a client asks. Limits, breakers and metrics are kept apart by it.

    Attributes:
        provider: the vendor.
        base_url: its address, or ``""``.
        account: a short digest of the key, which cannot be had back from it; ``""`` without a key.
    """

    provider: str
    base_url: str = ""
    account: str = ""


@runtime_checkable
class IdentifiedClientProtocol(Protocol):
    """A client that says whom it asks, and for how long."""

    @property
    def identity(self) -> ClientIdentity:
        """Whom it asks."""
        ...

    @property
    def timeouts(self) -> Timeouts:
        """The deadlines of a call that names none."""
        ...


@runtime_checkable
class RequestClientProtocol(LLMClientProtocol, Protocol):
    """A client that can be asked with a request that is checked already."""

    def make_request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        """Check what a caller gave, fill in the client's defaults, and freeze it."""
        ...

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return the whole answer."""
        ...

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written; nothing is sent before it is read."""
        ...


@runtime_checkable
class RetryingClientProtocol(RequestClientProtocol, Protocol):
    """A client that tries a call again by itself, and can be told how often.

    What has several such clients to choose from keeps the tries of one call together with it.
    """

    @property
    def max_attempts(self) -> int:
        """Most tries of one call, the first included."""
        ...

    def with_attempts(self, attempts: int) -> RequestClientProtocol:
        """Return the same client with other tries a call, ≥ 1."""
        ...


class ClientBase(ABC):
    """``complete`` and ``stream_chat`` over the three methods that a client implements."""

    @abstractmethod
    def make_request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        """Check what a caller gave, fill in the client's defaults, and freeze it.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """

    @abstractmethod
    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return the whole answer, or an ``Err`` that says what failed."""

    @abstractmethod
    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written; nothing is sent before it is read."""

    @abstractmethod
    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask whether the client would answer, within ``timeout`` seconds; a failure is a result."""

    @abstractmethod
    async def close(self) -> None:
        """Give back what the client holds. Safe to call again."""

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
        """Return the whole answer, or an ``Err`` that says what failed.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """
        return await self.complete_request(
            self.make_request(messages, model, temperature, max_tokens, tools, stop_sequences, options)
        )

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
        """Return the answer as it is written; nothing is sent before it is read.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """
        return self.stream_request(
            self.make_request(messages, model, temperature, max_tokens, tools, stop_sequences, options)
        )


_NAMED = ("messages", "model", "temperature", "max_tokens", "tools", "stop_sequences")


def options_of(request: CompletionRequest) -> CompletionOptions:
    """Return the request's options as the keywords that give it again."""
    # A request stores what was given; what it leaves to its class is None.
    found = {name: value for name, value in vars(request).items() if name not in _NAMED and value is not None}
    return cast("CompletionOptions", found)


def over_requests(client: LLMClientProtocol) -> RequestClientProtocol:
    """Return a client that takes frozen requests: itself, or an adapter around one that knows only ``complete``."""
    return client if isinstance(client, RequestClientProtocol) else _Adapter(client)


class _Adapter(ClientBase):
    """A client of the published protocol, asked with requests. An empty model is its own default."""

    def __init__(self, client: LLMClientProtocol) -> None:
        self._client = client

    def make_request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        return build_request(
            messages,
            model=model or "",
            temperature=temperature,
            max_tokens=max_tokens,
            tools=tools,
            stop_sequences=stop_sequences,
            options=options,
        )

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        return await self._client.complete(
            request.messages,
            model=request.model or None,
            temperature=request.temperature,
            max_tokens=request.max_tokens,
            tools=request.tools or None,
            stop_sequences=request.stop_sequences or None,
            **options_of(request),
        )

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        return self._client.stream_chat(
            request.messages,
            model=request.model or None,
            temperature=request.temperature,
            max_tokens=request.max_tokens,
            tools=request.tools or None,
            stop_sequences=request.stop_sequences or None,
            **options_of(request),
        )

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        return await self._client.health_check(timeout)

    async def close(self) -> None:
        await self._client.close()
