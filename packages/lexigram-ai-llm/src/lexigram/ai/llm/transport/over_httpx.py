"""httpx as the road: its objects stay in this file."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Final

import httpx

from lexigram.ai.llm.transport import Limits, Reply, WireRequest
from lexigram.contracts.ai.errors import DecodeError, LLMError, LLMTimeoutError, ProviderConnectionError, TimeoutPhase
from lexigram.contracts.ai.request import Timeouts

__all__ = ["HttpxSender"]

_PHASES: Final[tuple[tuple[type[Exception], TimeoutPhase], ...]] = (
    (httpx.PoolTimeout, "pool"),
    (httpx.ConnectTimeout, "connect"),
    (httpx.WriteTimeout, "write"),
    (httpx.ReadTimeout, "idle"),
)

_Pools = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncBaseTransport]


class HttpxSender:
    """Sends over one httpx transport per event loop and process, or over the injected transport or client."""

    def __init__(self, injected: httpx.AsyncBaseTransport | httpx.AsyncClient | None, limits: Limits) -> None:
        self._injected = injected
        self._limits = limits
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._context: ssl.SSLContext | None = None
        self._pools = _Pools()
        self._guards: weakref.WeakKeyDictionary[httpx.AsyncBaseTransport, AsyncGenerator[None, None]] = (
            weakref.WeakKeyDictionary()
        )

    async def open(self, request: WireRequest, timeouts: Timeouts) -> Reply:
        """Send and return the reply's head; see :class:`lexigram.ai.llm.transport.Sender`."""
        url = httpx.URL(request.url)
        outgoing = httpx.Request(request.method, url, headers=dict(request.headers), content=request.body)
        outgoing.extensions["timeout"] = {
            "connect": timeouts.connect,
            "pool": timeouts.total,
            "read": None,
            "write": timeouts.total,
        }
        failure: LLMError
        try:
            if isinstance(self._injected, httpx.AsyncClient):
                response = await self._injected.send(outgoing, stream=True, follow_redirects=False)
            else:
                transport = self._injected or self._pool(url)
                response = await transport.handle_async_request(outgoing)
            return _HttpxReply(response, url.host)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            failure = _typed(error, url.host)
        except RuntimeError as error:
            if "closed" not in str(error):
                raise
            failure = ProviderConnectionError("the client or its event loop is closed", reason="closed")
        # Raised out here, the typed error does not drag httpx's along, which holds the request and its key.
        raise failure

    def _pool(self, url: httpx.URL) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._pid != os.getpid():
                # A forked child must not touch the parent's sockets, not even to close them.
                self._pid, self._pools = os.getpid(), _Pools()
            pool = self._pools.get(loop)
            if pool is None:
                pool = self._pools[loop] = self._new_pool(secure=url.scheme == "https")
            elif url.scheme == "https" and self._context is None:
                pool = self._pools[loop] = self._new_pool(secure=True)
            return pool

    def _new_pool(self, *, secure: bool) -> httpx.AsyncBaseTransport:
        if secure and self._context is None:
            self._context = httpx.create_ssl_context()
        limits = httpx.Limits(
            max_connections=self._limits.connections,
            max_keepalive_connections=self._limits.idle_connections,
            keepalive_expiry=self._limits.idle_seconds,
        )
        # A plain http pool never verifies anything; it is spared the 15 ms of building a context.
        verify = self._context if self._context is not None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pool = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False)
        self._guards[pool] = _close_with_the_loop(pool)
        return pool

    async def aclose(self) -> None:
        """Close the pools; those of other event loops are left to their loops' end."""
        with self._lock:
            pools, self._pools = self._pools, _Pools()
            own = pools.get(asyncio.get_running_loop()) if self._pid == os.getpid() else None
        if own is not None:
            await self._guards.pop(own).aclose()


def _close_with_the_loop(pool: httpx.AsyncBaseTransport) -> AsyncGenerator[None, None]:
    """Have the running loop close the pool when it ends, as it closes the async generators that began in it."""

    async def guard() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await pool.aclose()

    generator = guard()
    with suppress(StopIteration):
        generator.__anext__().send(None)
    return generator


class _HttpxReply:
    """A reply over httpx."""

    __slots__ = ("_chunks", "_host", "_response", "headers", "status")

    def __init__(self, response: httpx.Response, host: str) -> None:
        self._response = response
        self._host = host
        self._chunks: AsyncIterator[bytes] | None = None
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunk(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._response.aiter_bytes()
        try:
            async for data in self._chunks:
                if data:
                    return data
            return b""
        except (httpx.HTTPError, httpx.StreamError) as error:
            failure = _typed(error, self._host)
        raise failure

    async def read(self, limit: int) -> bytes:
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise DecodeError(f"the reply is larger than {limit} bytes", reason="too_large")
        pieces: list[bytes] = []
        size = 0
        while data := await self.chunk():
            size += len(data)
            if size > limit:
                raise DecodeError(f"the reply is larger than {limit} bytes", reason="too_large")
            pieces.append(data)
        return b"".join(pieces)

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except httpx.HTTPError:
            # The connection was broken already; there is nothing left to give back.
            return


def _typed(error: Exception, host: str) -> LLMError:
    """Return the typed error. The text of httpx's errors holds no header and no body."""
    for cls, phase in _PHASES:
        if isinstance(error, cls):
            return LLMTimeoutError(f"the deadline for {phase} passed at {host}", phase=phase)
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.DecodingError):
        return DecodeError(f"the reply from {host} is not what its content-encoding says: {text}", reason="encoding")
    if isinstance(error, httpx.RemoteProtocolError):
        if "incomplete" in text or "peer closed" in text:
            return DecodeError(f"the reply from {host} was cut off: {text}", reason="truncated", retryable=True)
        if "without sending" in text:
            return ProviderConnectionError(f"{host} closed the connection without a reply", reason="closed")
        return ProviderConnectionError(f"{host} does not speak proper HTTP: {text}", reason="protocol")
    if isinstance(error, httpx.ProxyError):
        return ProviderConnectionError(f"the proxy on the way to {host} failed", reason="proxy")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return ProviderConnectionError(
            f"the request to {host or 'the provider'} cannot be sent", reason="protocol", retryable=False
        )
    reason, said = _connection_reason(error, text)
    return ProviderConnectionError(f"{said} {host}", reason=reason, retryable=reason != "tls", hint=_HINTS.get(reason))


_HINTS: Final = {
    "refused": "nothing listens there: check api_base, and that the server runs",
    "dns": "check the host name in api_base, and the network",
    "tls": "the certificate is not trusted or the port does not speak TLS: check api_base's scheme and host",
}


def _connection_reason(error: BaseException, text: str) -> tuple[str, str]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(c, ssl.SSLError) for c in causes) or "SSL" in text or "certificate" in text.lower():
        return "tls", "no TLS connection to"
    if any(type(c).__name__ == "gaierror" for c in causes) or "Name or service" in text or "name resolution" in text:
        return "dns", "cannot resolve"
    if any(isinstance(c, ConnectionRefusedError) for c in causes) or "All connection attempts failed" in text:
        return "refused", "connection refused by"
    if any(isinstance(c, ConnectionResetError | BrokenPipeError) for c in causes):
        return "reset", "connection reset by"
    return "closed", "the connection broke to"
