"""The road between engine and network. This folder is the only place of the package that knows httpx.

The engine speaks :class:`Sender`; behind it stands any ``httpx.AsyncBaseTransport``: httpx's own by default, one pool
per event loop, or the one that the caller injects. Failures leave this room as typed errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from lexigram.contracts.ai.request import Timeouts

if TYPE_CHECKING:
    import httpx

__all__ = ["Limits", "Reply", "Sender", "Transport", "WireRequest", "make_sender"]

Transport: TypeAlias = "httpx.AsyncBaseTransport | httpx.AsyncClient"
"""What a user may inject to send the requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits of the road.

    Attributes:
        connections: most connections at once, per event loop.
        idle_connections: most kept open without use.
        idle_seconds: how long one is kept without use.
        body_bytes: most bytes of a whole reply, content encoding undone.
        event_bytes: most bytes of one event of a stream.
    """

    connections: int = 200
    idle_connections: int = 50
    idle_seconds: float = 30.0
    body_bytes: int = 64 * 1024 * 1024
    event_bytes: int = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WireRequest:
    """Exactly what goes out. ``headers`` holds the key: never show it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        return f"WireRequest({self.method} {self.url}, {len(self.body or b'')} bytes)"


class Reply(Protocol):
    """A reply whose head has come. Close it, however it is used."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        ...

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            DecodeError: with reason ``too_large`` above ``limit`` bytes.
        """
        ...

    async def chunk(self) -> bytes:
        """Return the next bytes of the body, ``b""`` at its end."""
        ...

    async def aclose(self) -> None:
        """Give the connection back if the body has been read, else drop it."""
        ...


class Sender(Protocol):
    """Sends requests. Works from any event loop and thread, and after fork."""

    async def open(self, request: WireRequest, timeouts: Timeouts) -> Reply:
        """Send and return the reply's head.

        Raises:
            ProviderConnectionError: no connection, or it broke.
            LLMTimeoutError: with phase ``pool`` or ``connect``.
        """
        ...

    async def aclose(self) -> None:
        """Close what this sender opened; an injected transport stays open."""
        ...


def make_sender(injected: Transport | None = None, *, limits: Limits | None = None) -> Sender:
    """Return a sender over httpx's own transport, or over the injected transport or client."""
    from lexigram.ai.llm.transport.over_httpx import HttpxSender

    return HttpxSender(injected, limits or Limits())
