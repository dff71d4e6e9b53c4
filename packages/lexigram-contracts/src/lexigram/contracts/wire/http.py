"""Requests and replies as plain values, flows over several of them, and how a key is put on a request."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias, TypeVar

from lexigram.contracts.values import JSON

__all__ = ["AuthScheme", "Flow", "HeaderAuth", "HttpRequest", "HttpResponse", "Loss", "NoAuth", "Signer", "Sleep"]

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Loss:
    """Something of the caller's request that does not go out as it was given, though the request is sent.

    Attributes:
        path: what, e.g. ``messages[1].parts[0]`` or ``response_format.schema.properties.age.minimum``.
        reason: why, and what happens instead, in one sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a dialect wants sent. The engine writes ``json`` as bytes, once.

    Attributes:
        method: ``POST``, ``GET`` …
        url: absolute, with its query.
        headers: beyond what the engine adds (host, length, content type, user agent); no key.
        json: the body as JSON values, or None.
        content: the body as bytes, where it is not JSON.
        losses: what was left out or changed: parts that only another vendor understands, schema keywords that
            this one does not take. Options are never lost: they are refused.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    json: JSON = None
    content: bytes | None = None
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole reply. Header names are in lower case; ``content`` has its content encoding undone."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """A flow's wish to wait, in seconds; the call's deadline still holds."""

    seconds: float


Flow: TypeAlias = Generator[HttpRequest | Sleep, HttpResponse | None, R]
"""An operation of several exchanges: a generator that yields requests (or ``Sleep``), is sent the replies (None
after a sleep), and returns its value. The engine drives it; the flow itself does no I/O."""


class AuthScheme(Protocol):
    """How a vendor wants its key."""

    def apply(self, request: HttpRequest, secret: str) -> HttpRequest:
        """Return the request with the key on it. Pure."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderAuth:
    """The key in a header, behind a prefix: ``Authorization: Bearer …`` unless said otherwise."""

    header: str = "Authorization"
    prefix: str = "Bearer "

    def apply(self, request: HttpRequest, secret: str) -> HttpRequest:
        """Return the request with the header set."""
        return replace(request, headers={**request.headers, self.header: f"{self.prefix}{secret}"})


@dataclass(frozen=True, slots=True)
class NoAuth:
    """No key at all."""

    def apply(self, request: HttpRequest, secret: str) -> HttpRequest:
        """Return the request as it is."""
        return request


class Signer(Protocol):
    """Authenticates requests where one key in a header is not enough: short-lived tokens, signatures over the body."""

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """Return the headers to add. Fetching credentials happens off the event loop, and only when they expire.

        Raises:
            LLMAuthenticationError: when there are no valid credentials, saying where they are looked for.
        """
        ...
