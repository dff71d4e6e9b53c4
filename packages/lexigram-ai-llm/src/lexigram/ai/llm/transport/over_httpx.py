"""httpx as the road: its objects stay in this file."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

import httpx

from lexigram.ai.llm.transport import Limits, Reply, Transport, WireRequest
from lexigram.contracts.ai.errors import DecodeError, LLMError, LLMTimeoutError, ProviderConnectionError, TimeoutPhase
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.values import Secret

__all__ = ["HttpxSender"]

_PHASES: Final[tuple[tuple[type[Exception], TimeoutPhase], ...]] = (
    (httpx.PoolTimeout, "pool"),
    (httpx.ConnectTimeout, "connect"),
    (httpx.WriteTimeout, "write"),
    (httpx.ReadTimeout, "idle"),
)


class ClosedError(Exception):
    """The transport was closed before the call."""


class TooLargeError(Exception):
    """The reply passes the limit."""


class _Deadline(Exception):
    """A deadline passed; the argument is its phase."""


_Pools = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncBaseTransport]


class HttpxSender:
    """Sends over one httpx transport per event loop and process, or over the injected transport or client."""

    failures: tuple[type[Exception], ...] = (
        httpx.HTTPError,
        httpx.InvalidURL,
        httpx.StreamError,
        ssl.SSLError,
        ClosedError,
        TooLargeError,
        _Deadline,
    )

    def __init__(self, injected: Transport | None, limits: Limits, *, proxy: str | None = None) -> None:
        self._injected = injected
        self._limits = limits
        self._proxy = Secret(proxy) if proxy is not None else None  # it may hold a password
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._context: ssl.SSLContext | None = None
        self._pools = _Pools()
        self._guards: weakref.WeakKeyDictionary[httpx.AsyncBaseTransport, AsyncGenerator[None, None]] = (
            weakref.WeakKeyDictionary()
        )

    async def open(self, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> Reply:
        """Send and return the reply's head; see :class:`lexigram.ai.llm.transport.Sender`."""
        url = httpx.URL(request.url)
        outgoing = httpx.Request(request.method, url, headers=dict(request.all_headers), content=request.body or None)
        outgoing.extensions["timeout"] = {
            "connect": timeouts.connect,
            "pool": timeouts.total,
            "read": None,
            "write": timeouts.total,
        }
        clock = _Clock(timeouts, stream=stream)
        async with clock.waiting():
            try:
                if isinstance(self._injected, httpx.AsyncClient):
                    response = await self._injected.send(outgoing, stream=True, follow_redirects=False)
                else:
                    transport = self._injected or self._pool(url)
                    response = await transport.handle_async_request(outgoing)
                return _HttpxReply(response, clock, self._limits)
            except RuntimeError as error:
                if "closed" not in str(error):
                    raise
        # Raised out here, the error does not drag the other along, which holds the request and its key.
        raise ClosedError("the client or its event loop is closed")

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
        proxy = self._proxy.reveal() if self._proxy is not None else None
        pool = httpx.AsyncHTTPTransport(verify=verify, limits=limits, trust_env=False, proxy=proxy)
        self._guards[pool] = _close_with_the_loop(pool)
        return pool

    def explain(self, error: Exception) -> LLMError:
        """Return the typed error."""
        request = getattr(error, "_request", None)
        host = request.url.host if request is not None else "the provider"
        typed = _typed(error, host)
        if self._proxy is None or not isinstance(typed, ProviderConnectionError) or typed.reason not in _UNREACHED:
            return typed
        # It was the proxy that was connected to; what lies behind it cannot be refused or looked up from here.
        said = f"the proxy on the way to {host} cannot be reached ({typed.reason})"
        hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and that the proxy runs"
        return ProviderConnectionError(said, reason="proxy", retryable=typed.retryable, hint=hint)

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

    __slots__ = ("_chunks", "_clock", "_left", "_limits", "_response", "headers", "progress", "status")

    def __init__(self, response: httpx.Response, clock: _Clock, limits: Limits) -> None:
        self._response = response
        self._clock = clock
        self._limits = limits
        self._left = limits.stream_bytes
        self._chunks: AsyncIterator[bytes] | None = None
        self.progress = clock.progress
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def next_chunk(self) -> bytes:
        if self._chunks is None:
            self._chunks = self._response.aiter_bytes()
        async with self._clock.waiting():
            async for data in self._chunks:
                if data:
                    self._left -= len(data)
                    if self._left < 0:
                        raise TooLargeError(f"the stream is larger than {self._limits.stream_bytes} bytes")
                    return data
        return b""

    async def read(self) -> bytes:
        limit = self._limits.body_bytes
        pieces: list[bytes] = []
        size = 0
        declared = self.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise TooLargeError(f"the reply is larger than {limit} bytes")
        while data := await self.next_chunk():
            size += len(data)
            if size > limit:
                raise TooLargeError(f"the reply is larger than {limit} bytes")
            pieces.append(data)
        return b"".join(pieces)

    async def aclose(self) -> None:
        try:
            await self._response.aclose()
        except httpx.HTTPError:
            # The connection was broken already; there is nothing left to give back.
            return


class _Clock:
    """The deadlines of one call, which httpx does not keep. Only content counts as progress of a stream."""

    __slots__ = ("_content", "_loop", "_mark", "_stream", "_timeouts", "_total")

    def __init__(self, timeouts: Timeouts, *, stream: bool) -> None:
        self._timeouts = timeouts
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._mark = self._loop.time()
        self._total = self._mark + timeouts.total if timeouts.total is not None else None
        self._content = False

    def progress(self) -> None:
        self._content = True
        self._mark = self._loop.time()

    def waiting(self) -> _Wait:
        phase: TimeoutPhase = "idle" if self._content else "first_token"
        limit = self._timeouts.idle if self._content else self._timeouts.first_token
        when = self._mark + limit if limit is not None and self._stream else None
        if self._total is not None and (when is None or self._total <= when):
            when, phase = self._total, "total"
        return _Wait(when, phase)


class _Wait:
    """``asyncio.timeout_at`` whose expiry names the phase."""

    __slots__ = ("_phase", "_timeout")

    def __init__(self, when: float | None, phase: TimeoutPhase) -> None:
        self._timeout = asyncio.timeout_at(when)
        self._phase: TimeoutPhase = phase

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError:
            raise _Deadline(self._phase) from None


def _typed(error: Exception, host: str) -> LLMError:
    if isinstance(error, _Deadline):
        phase: TimeoutPhase = error.args[0]
        return LLMTimeoutError("the call was not finished within the deadline", phase=phase)
    if isinstance(error, TooLargeError):
        return DecodeError(str(error), reason="too_large")
    if isinstance(error, ClosedError):
        return ProviderConnectionError(str(error), reason="closed", retryable=False)
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
            said = f"{host} closed the connection without a reply"
            return ProviderConnectionError(said, reason="closed", hint="check that api_base has the right scheme")
        return ProviderConnectionError(f"{host} does not speak proper HTTP: {text}", reason="protocol")
    if isinstance(error, httpx.ProxyError):
        return ProviderConnectionError(f"the proxy on the way to {host} failed", reason="proxy")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return ProviderConnectionError(
            f"the request to {host or 'the provider'} cannot be sent", reason="protocol", retryable=False
        )
    reason, said = _connection_reason(error, text)
    lasting = reason == "tls" or (reason == "dns" and not _temporary(error))
    return ProviderConnectionError(f"{said} {host}", reason=reason, retryable=not lasting, hint=_HINTS.get(reason))


_UNREACHED: Final = ("refused", "dns")
_HINTS: Final = {
    "refused": "nothing listens there: check api_base, and that the server runs",
    "dns": "check the host name in api_base, and the network",
    "tls": "the certificate is not trusted or the port does not speak TLS: check api_base's scheme and host",
}


def _causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _temporary(error: BaseException) -> bool:
    """Whether the resolver said to try again."""
    return any(isinstance(c, socket.gaierror) and c.errno == socket.EAI_AGAIN for c in _causes(error))


def _connection_reason(error: BaseException, text: str) -> tuple[str, str]:
    causes = _causes(error)
    if any(isinstance(c, ssl.SSLError) for c in causes) or "SSL" in text or "certificate" in text.lower():
        return "tls", "no TLS connection to"
    if any(type(c).__name__ == "gaierror" for c in causes) or "Name or service" in text or "name resolution" in text:
        return "dns", "cannot resolve"
    if any(isinstance(c, ConnectionRefusedError) for c in causes) or "All connection attempts failed" in text:
        return "refused", "connection refused by"
    if any(isinstance(c, ConnectionResetError | BrokenPipeError) for c in causes):
        return "reset", "connection reset by"
    return "closed", "the connection broke to"
