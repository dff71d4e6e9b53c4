"""Where the rows are played: a server that misbehaves, and an application whose client talks to it over real sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import httpx
import trustme

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.transport import Limits
from lexigram.ai.llm.transport.over_http import HttpSender
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Result
from lexigram.resilience import MemoryLimiter, ResilienceModule, ResiliencePolicy, ResilientClient
from lexigram.testing import Canary
from lexigram.testing.faults import FaultServer

Road = Literal["full", "ours", "httpx"]
"""What the client is made of: everything a user has, the engine on its own transport alone, the engine on httpx's."""

Mode = Literal["complete", "stream"]
QUESTION: Final[Any] = [{"role": "user", "content": "Hi"}]
QUICK: Final[dict[str, dict[str, Any]]] = {
    "retry": {"base": 0.02, "cap": 0.05},
    "limiter": {"concurrency": 256},
    "bulkhead": {"max_calls": 256},
}
"""The full stack's settings where a row has none: all parts at work, short pauses."""


class Ground:
    """What all rows share: the server and its certificates."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.good = self.authority.issue_cert("127.0.0.1", "localhost", "*.localhost")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.good.configure_cert(self.context)
        self.trusting = ssl.create_default_context()
        self.authority.configure_trust(self.trusting)
        self.server = FaultServer({"tls": self.context})

    @contextlib.contextmanager
    def cert(self, cert: trustme.LeafCert) -> Iterator[None]:
        """Another certificate for a while; the handshake after it sees the good one again."""
        cert.configure_cert(self.context)
        try:
            yield
        finally:
            self.good.configure_cert(self.context)


@dataclass
class World:
    """A client out of the container, and the server that it talks to."""

    ground: Ground
    road: Road
    client: LLMClientProtocol
    canary: Canary
    transport: httpx.AsyncHTTPTransport | None = None
    policy: ResiliencePolicy | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> FaultServer:
        return self.ground.server

    @property
    def pool(self) -> Any:
        engine: Any = self.client._inner if isinstance(self.client, ResilientClient) else self.client
        return engine._sender.pool if isinstance(engine._sender, HttpSender) else None

    def slots(self) -> int:
        """Everything a call takes and has to give back: connections, leases, places."""
        return self._connections() + self._permits()

    def _connections(self) -> int:
        if self.pool is not None:
            stats = self.pool.stats()
            return int(stats.in_use + stats.connecting + stats.waiters)
        if self.transport is None:
            return 0
        inner: Any = self.transport._pool
        return len(inner._requests) + sum(not c.is_idle() and not c.is_closed() for c in inner._connections)

    def leases(self) -> int:
        """Permits of the limiter that are out."""
        limiter: Any = self.policy.limiter if self.policy is not None else None
        if isinstance(limiter, MemoryLimiter):
            return sum(map(limiter.in_flight, limiter._doors))
        # Over Redis: what is out, and what is being given back.
        return sum(len(link.leases) + len(link.tasks) for link in limiter._links.values()) if limiter else 0

    def _permits(self) -> int:
        if self.policy is None:
            return 0
        limiter = self.policy.limiter
        waiting = sum(map(limiter.waiting, limiter._doors)) if isinstance(limiter, MemoryLimiter) else 0
        return self.leases() + waiting + sum(bulkhead.inside for bulkhead in self.policy._bulkheads.values())

    def figure(self, text: str) -> None:
        """Say a number that the table shows."""
        self.notes["figure"] = text

    async def ask(self, mode: Mode, **options: Any) -> Result[Completion, LLMError]:
        if mode == "complete":
            return await self.client.complete(QUESTION, **options)
        return await self.client.stream_chat(QUESTION, **options).completion()


@contextlib.asynccontextmanager
async def open_world(
    ground: Ground,
    road: Road,
    *,
    canary: Canary | None = None,
    port: str = "plain",
    scheme: str | None = None,
    host: str = "",
    limits: Limits | None = None,
    policy: Mapping[str, Mapping[str, Any]] | None = None,
    **fields: Any,
) -> AsyncIterator[World]:
    """Boot an application and resolve its client.

    Args:
        ground: the server.
        road: what the client is made of.
        canary: the client's key.
        port, scheme, host: where the client finds the server.
        limits: the transport's.
        policy: parts of the resilience settings, over those of ``QUICK``.
        fields: further settings of the client.
    """
    secret = canary or Canary()
    transport = (
        httpx.AsyncHTTPTransport(verify=ground.trusting, limits=_httpx_limits(limits)) if road == "httpx" else None
    )
    config = {
        "provider": "openai_compatible",
        "model": "m-1",
        "api_key": secret.value,
        "api_base": ground.server.url(port=port, scheme=scheme, host=host),
        **fields,
    }
    modules = [LLMModule.configure(config, transport=transport, limits=limits)]
    if road == "full":
        parts = policy or {}
        settings = {part: {**QUICK.get(part, {}), **parts.get(part, {})} for part in {*QUICK, *parts}}
        modules.append(ResilienceModule.configure(settings))
    try:
        async with Application(modules=modules) as app:
            client = await app.container.resolve(LLMClientProtocol)
            found = await app.container.resolve(ResiliencePolicy) if road == "full" else None
            yield World(ground, road, client, secret, transport, found)
    finally:
        if transport is not None:
            await transport.aclose()


def _httpx_limits(limits: Limits | None) -> httpx.Limits:
    bounds = limits or Limits()
    return httpx.Limits(max_connections=bounds.connections, max_keepalive_connections=bounds.idle_connections)


@contextlib.contextmanager
def names(lookup: Callable[..., Any]) -> Iterator[None]:
    """Another resolver for a while."""
    real = socket.getaddrinfo
    socket.getaddrinfo = lookup  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = real


def addresses(*ips: str) -> Callable[..., Any]:
    """Return a resolver that gives these addresses."""

    def found(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, int(port))) for ip in ips]

    return found
