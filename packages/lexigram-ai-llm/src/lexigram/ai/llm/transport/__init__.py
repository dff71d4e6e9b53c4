"""The road between engine and network: the only folder here that knows httpx or lexigram.http.

The engine speaks :class:`Sender`. Behind it stands lexigram-http's pool by default, through its native door; httpx's
own transport where a proxy applies to the address; or whatever the caller injects. Failures come out as the transport's
own exceptions (``Sender.failures``), and ``Sender.explain`` turns one into a typed error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from lexigram.contracts.ai.errors import LLMError
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
        connections: most connections at once, per address and event loop; further calls wait.
        idle_connections: most kept open without use.
        idle_seconds: how long one is kept without use.
        body_bytes: most bytes of a whole reply, content encoding undone.
        stream_bytes: most bytes of a stream, content encoding undone.
        event_bytes: most bytes of one event of a stream.
        header_bytes: most bytes of a reply's head.
    """

    connections: int = 256
    idle_connections: int = 256
    idle_seconds: float = 30.0
    body_bytes: int = 32 * 1024 * 1024
    stream_bytes: int = 256 * 1024 * 1024
    event_bytes: int = 16 * 1024 * 1024
    header_bytes: int = 64 * 1024


class WireRequest(NamedTuple):
    """Exactly what goes out. ``headers`` holds the key: never show it.

    ``headers`` may be the same object for many calls, so that a transport prepares it once; ``more`` are the headers of
    this call alone, none of which is in ``headers``.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    more: Mapping[str, str] = MappingProxyType({})

    @property
    def all_headers(self) -> Mapping[str, str]:
        """The headers of every call and those of this one."""
        return {**self.headers, **self.more} if self.more else self.headers

    def __repr__(self) -> str:
        return f"WireRequest({self.method} {self.url}, {len(self.body)} bytes)"


class Reply(Protocol):
    """A reply whose head has come. Close it, however it is used."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case."""
        ...

    async def read(self) -> bytes:
        """Return the whole body, within the limits."""
        ...

    async def next_chunk(self) -> bytes:
        """Return the next bytes of the body, ``b""`` at its end."""
        ...

    def progress(self) -> None:
        """Say that content came: the deadline for the first token ends, the one for idleness begins anew."""
        ...

    async def aclose(self) -> None:
        """Give the connection back if the body has been read, else drop it."""
        ...


class Sender(Protocol):
    """Sends requests. Works from any event loop and thread, and after fork."""

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What ``open`` and a reply's methods raise when the road fails."""
        ...

    def explain(self, error: Exception) -> LLMError:
        """Return the typed error for one of ``failures``. It holds nothing of the request."""
        ...

    async def open(self, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> Reply:
        """Send and return the reply's head. The deadlines hold until the reply has been read.

        Args:
            request: what goes out.
            timeouts: the call's deadlines; ``first_token`` and ``idle`` hold for streams.
            stream: whether the body is read in pieces, with ``progress`` said for content.
        """
        ...

    async def aclose(self) -> None:
        """Close what this sender opened; an injected transport stays open."""
        ...


def make_sender(injected: Transport | None, base_url: str, *, limits: Limits | None = None) -> Sender:
    """Return the sender for an address: over ``injected``, httpx where a proxy applies, else lexigram-http."""
    bounds = limits or Limits()
    if injected is None:
        from lexigram.ai.llm.transport.proxies import proxy_for

        proxy = proxy_for(base_url)
        if proxy is None:
            from lexigram.ai.llm.transport.over_http import HttpSender

            return HttpSender(bounds)
    else:
        proxy = None
    from lexigram.ai.llm.transport.over_httpx import HttpxSender

    return HttpxSender(injected, bounds, proxy=proxy)
