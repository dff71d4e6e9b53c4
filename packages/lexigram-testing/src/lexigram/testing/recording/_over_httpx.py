"""The transport of a recording: the only file of this package that knows httpx."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

import httpx

from lexigram.testing.recording._exchange import Asked, Exchange, Failure

if TYPE_CHECKING:
    from lexigram.testing.recording._cassette import Cassette, Slot

__all__ = ["CassetteTransport"]

_CAUSES: Final[dict[str, type[OSError]]] = {
    cls.__name__: cls for cls in (ConnectionRefusedError, ConnectionResetError, BrokenPipeError, socket.gaierror)
}
_CODED: Final = ("content-encoding", "content-length", "transfer-encoding")


class CassetteTransport(httpx.AsyncBaseTransport):
    """Plays what the cassette has, and sends and records what it may."""

    def __init__(self, cassette: Cassette, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._cassette = cassette
        # Nobody closes an injected transport, so the default keeps no connection that would have to be.
        self._inner = inner or httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the recorded reply, or the real one, which is recorded as it is read."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, str(request.url), headers, await request.aread())
        played = self._cassette.play(asked)
        try:
            return _played(played, request) if played is not None else await self._recorded(asked, request)
        except httpx.HTTPError as error:
            error.request = request  # as httpx's client does, so that played and real errors say the same
            raise

    async def _recorded(self, asked: Asked, request: httpx.Request) -> httpx.Response:
        # Without a content encoding the pieces are those that the caller's decoder sees.
        headers = {**asked.headers, "accept-encoding": "identity"}
        plain = httpx.Request(
            request.method, request.url, headers=headers, content=asked.body, extensions=request.extensions
        )
        slot = self._cassette.record(asked)
        try:
            response = await self._inner.handle_async_request(plain)
        except httpx.HTTPError as error:
            slot.fail(_failure(error))
            raise
        except BaseException:
            self._cassette.forget(slot)
            raise
        response.request = plain
        slot.status = response.status_code
        # Several of one name (cookies) stay apart, so that each of their secrets is known.
        slot.headers.reveal().update(
            {
                f"{name}#{i}" if name == "set-cookie" else name: v
                for i, (name, v) in enumerate(response.headers.multi_items())
            }
        )
        coded = "content-encoding" in response.headers
        head = [(n, v) for n, v in response.headers.multi_items() if not (coded and n in _CODED)]
        return httpx.Response(
            response.status_code, headers=head, stream=_Taped(response, slot), extensions=response.extensions
        )


class _Taped(httpx.AsyncByteStream):
    """A body that is recorded as it is read."""

    def __init__(self, response: httpx.Response, slot: Slot) -> None:
        self._response = response
        self._slot = slot

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                self._slot.add(piece)
                yield piece
        except httpx.HTTPError as error:
            self._slot.fail(_failure(error))
            raise
        self._slot.end = "complete"

    async def aclose(self) -> None:
        await self._response.aclose()


class _Tape(httpx.AsyncByteStream):
    """A recorded body. Where its reader had left it ends; where the transport had failed it fails."""

    def __init__(self, exchange: Exchange, request: httpx.Request) -> None:
        self._exchange = exchange
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._exchange.pieces:
            yield piece
        if self._exchange.failure is not None:
            raise _error(self._exchange.failure, self._request)


def _played(exchange: Exchange, request: httpx.Request) -> httpx.Response:
    if exchange.status is None:
        raise _error(exchange.failure or Failure("ReadError", "no reply was recorded"), request)
    return httpx.Response(exchange.status, headers=dict(exchange.headers), stream=_Tape(exchange, request))


def _failure(error: httpx.HTTPError) -> Failure:
    cause: BaseException | None = error
    while cause is not None and type(cause).__name__ not in _CAUSES:
        cause = cause.__cause__ or cause.__context__
    return Failure(type(error).__name__, str(error), type(cause).__name__ if cause is not None else None)


def _error(failure: Failure, request: httpx.Request) -> httpx.HTTPError:
    cls = getattr(httpx, failure.kind, None)
    if not (isinstance(cls, type) and issubclass(cls, httpx.TransportError | httpx.DecodingError)):
        cls = httpx.TransportError
    error: httpx.HTTPError = cls(failure.text)
    error.request = request
    if failure.cause in _CAUSES:
        error.__cause__ = _CAUSES[failure.cause]()
    return error
