"""httpx's door to the pool: the only file that imports httpx.

Translates requests, replies and errors; decides nothing. Bodies are decoded behind the door, so the replies that
httpx sees carry no Content-Encoding.
"""

from __future__ import annotations

import functools
import ssl
from collections.abc import Mapping
from typing import Any

import httpx

from ._decode import accept_encoding, decodable
from ._errors import HttpConnectError, HttpError, HttpProtocolError, HttpTimeout, InvalidRequest, PoolFull
from ._limits import Deadlines, Limits
from ._pool import Pool, PoolStats
from ._reply import Reply
from ._request import Origin, Prepared

_COMPUTED = frozenset({b"host", b"content-length", b"transfer-encoding", b"accept-encoding"})
_DECODED_AWAY = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


@functools.lru_cache(64)
def _offer(wanted: bytes) -> bytes:
    """What may be advertised of the codings a client asks for."""
    kept = [part for part in wanted.lower().split(b",") if _name(part) in (*decodable(), "identity", "*")]
    if any(_name(part) == "*" for part in kept):
        return accept_encoding()
    return b",".join(kept).strip() or b"identity"


def _name(part: bytes) -> str:
    return part.partition(b";")[0].strip().decode("latin-1")


def _translate(error: HttpError, request: httpx.Request) -> Exception:
    made: type[httpx.TransportError] | type[httpx.DecodingError]
    match error:
        case HttpTimeout(phase="pool") | PoolFull():
            made = httpx.PoolTimeout
        case HttpTimeout(phase="connect" | "tls"):
            made = httpx.ConnectTimeout
        case HttpTimeout(phase="write"):
            made = httpx.WriteTimeout
        case HttpTimeout(sent=sent):
            made = httpx.ReadTimeout if sent else httpx.ConnectTimeout
        case HttpConnectError(sent=False):
            made = httpx.ConnectError
        case HttpConnectError(kind="reset"):
            made = httpx.ReadError
        case HttpProtocolError(kind="encoding"):
            made = httpx.DecodingError
        case HttpConnectError() | HttpProtocolError():
            made = httpx.RemoteProtocolError
        case InvalidRequest():
            made = httpx.LocalProtocolError
        case _:
            made = httpx.TransportError
    return made(str(error), request=request)


class _Body(httpx.AsyncByteStream):
    def __init__(self, reply: Reply, request: httpx.Request) -> None:
        self._reply = reply
        self._request = request

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._reply.next_chunk()
        except HttpError as error:
            raise _translate(error, self._request) from error
        if chunk:
            return chunk
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._reply.close()


class HttpTransport(httpx.AsyncBaseTransport):
    """An httpx transport over a `Pool`.

    Of `request.extensions["timeout"]`, "connect", "pool" and "write" map to the deadlines of those names, "read" to
    both `headers` and `idle`; `total` and `first_byte` stay as the pool has them. A `Deadlines` under
    `request.extensions["deadlines"]` replaces all of them. Request bodies are read whole before anything is sent.

    Every httpx error raised here has the `HttpError` it stands for as its `__cause__`. Replies carry
    "http_version" and "reason_phrase" in their extensions, and "content_encoding" when they were decoded.
    """

    def __init__(
        self,
        pool: Pool | None = None,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Wraps a pool.

        Args:
            pool: A pool to share, which then stays open when the transport is closed; None makes one.
            limits: For the pool made here.
            deadlines: For the pool made here.
            ssl_context: For the pool made here.
        """
        self._owned = pool is None
        self.pool = Pool(limits=limits, deadlines=deadlines, ssl_context=ssl_context) if pool is None else pool
        self._deadlines: dict[tuple[float | None, ...], Deadlines] = {}

    def __repr__(self) -> str:
        return f"<HttpTransport over {self.pool!r}>"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request; see `Pool.send` and the class for what is mapped.

        Raises:
            httpx.TransportError: One of its subclasses, caused by an `HttpError`.
        """
        try:
            prepared = self._prepare(request)
            content = getattr(request, "_content", None)
            body: bytes = content if content is not None else await request.aread()
            reply = await self.pool.send(prepared, body, deadlines=self._bounds(request.extensions))
        except HttpError as error:
            raise _translate(error, request) from error
        headers = reply.headers.raw
        extensions: dict[str, Any] = {"http_version": reply.http_version, "reason_phrase": reply.reason}
        encoding = reply.headers.find(b"content-encoding")
        if encoding is not None:
            headers = [pair for pair in headers if pair[0].lower() not in _DECODED_AWAY]
            extensions["content_encoding"] = encoding
        return httpx.Response(reply.status, headers=headers, stream=_Body(reply, request), extensions=extensions)

    def stats(self) -> PoolStats:
        """Counts of the pool behind this door."""
        return self.pool.stats()

    async def aclose(self) -> None:
        """Closes the pool if it was made here."""
        if self._owned:
            await self.pool.aclose()

    def _prepare(self, request: httpx.Request) -> Prepared:
        url = request.url
        scheme = url.scheme
        if scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("only http and https URLs can be requested", request=request)
        if url.userinfo:
            message = "user info in a URL is refused; send an Authorization header"
            raise InvalidRequest(message, part="url")
        origin = Origin.of(scheme, url.raw_host.decode("ascii"), url.port)
        host: bytes | None = None
        headers: list[tuple[bytes, bytes]] = []
        for name, value in request.headers.raw:
            low = name.lower()
            if low not in _COMPUTED:
                headers.append((name, value))
            elif low == b"host":
                host = value
            elif low == b"accept-encoding":
                headers.append((name, _offer(value)))
        return Prepared(request.method, origin, url.raw_path, headers, host=host)

    def _bounds(self, extensions: Mapping[str, Any]) -> Deadlines:
        given = extensions.get("deadlines")
        if isinstance(given, Deadlines):
            return given
        timeout: Mapping[str, float | None] | None = extensions.get("timeout")
        ours = self.pool.deadlines
        if not timeout:
            return ours
        read = timeout.get("read")
        key = (timeout.get("connect"), read, timeout.get("write"), timeout.get("pool"))
        bounds = self._deadlines.get(key)
        if bounds is None:
            if len(self._deadlines) > 64:
                self._deadlines.clear()
            bounds = self._deadlines[key] = Deadlines(
                total=ours.total,
                connect=key[0],
                headers=read,
                first_byte=ours.first_byte,
                idle=read,
                pool=key[3],
                write=key[2],
            )
        return bounds
