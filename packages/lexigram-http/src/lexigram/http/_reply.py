"""A reply: status, headers, and a body read whole or in pieces, decoded on the way and never beyond its limits.

Buffers what has arrived; owns no socket. Dropping a reply half-read drops its connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ._decode import Decoder, make_decoder
from ._errors import HttpError, HttpProtocolError, HttpStateError
from ._headers import Headers
from ._limits import Limits

if TYPE_CHECKING:
    from ._connection import Connection

_ROOM = 64 * 1024


class Reply:
    """The answer to one request. Read it on the event loop it came from, by one task at a time.

    Attributes:
        status: The status code, 200 to 999; redirects are handed up like any other.
        reconnected: Whether a reused connection had died and the request was sent once more.
    """

    __slots__ = (
        "__weakref__",
        "_conn",
        "_content",
        "_decoded",
        "_decoder",
        "_done",
        "_error",
        "_head",
        "_headers",
        "_limits",
        "_parts",
        "_paused",
        "_plain",
        "_size",
        "_waiter",
        "_whole",
        "cap",
        "cap_name",
        "framing",
        "reconnected",
        "status",
    )

    def __init__(self, conn: Connection, status: int, head: bytes, limits: Limits) -> None:
        self.status = status
        self._headers: Headers | None = None
        self.reconnected = False
        self.framing = 0
        self.cap = limits.body_wire
        self.cap_name = "body_wire"
        self._conn: Connection | None = conn
        self._head = head
        self._limits = limits
        self._parts: list[bytes] = []
        self._size = self._decoded = 0
        self._waiter: asyncio.Future[None] | None = None
        self._done = self._paused = self._whole = False
        self._error: HttpError | None = None
        self._content: bytes | None = None
        self._decoder: Decoder | None = None
        self._plain = False

    def __repr__(self) -> str:
        state = "open" if self._conn is not None else "failed" if self._error is not None else "complete"
        return f"<Reply {self.status}, {state}>"

    def __del__(self) -> None:
        conn = getattr(self, "_conn", None)
        if conn is None:
            return
        try:
            loop = conn.loop
            if loop.is_closed():
                conn.discard()
            elif asyncio._get_running_loop() is loop:  # pyright: ignore[reportPrivateUsage]
                # Not at once: a collection may run in the middle of the pool's own bookkeeping.
                conn.loop.call_soon(conn.drop, conn.exchanges)
            else:
                loop.call_soon_threadsafe(conn.drop, conn.exchanges)
        except Exception:  # noqa: BLE001
            # A finaliser may run when the loop, or the interpreter, is already half gone.
            return

    @property
    def headers(self) -> Headers:
        """The reply's headers."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(self._head)
        return headers

    @property
    def reason(self) -> bytes:
        """The reason phrase, as received."""
        return self._head[13 : self._head.find(b"\r\n")]

    @property
    def http_version(self) -> bytes:
        """b"HTTP/1.1" or b"HTTP/1.0"."""
        return self._head[:8]

    @property
    def complete(self) -> bool:
        """Whether the whole body has arrived (it may still be unread)."""
        return self._done and self._error is None

    async def read(self) -> bytes:
        """Returns the whole body, decoded; again and again if asked.

        Raises:
            HttpProtocolError: For a truncated, malformed, wrongly encoded or too large body.
            HttpTimeout: When a deadline passes.
            HttpStateError: When the reply was closed or partly read in pieces before.
        """
        if self._content is not None:
            return self._content
        if self._decoded:
            raise HttpStateError("the body has been read in pieces")
        limit = self._limits.body_decoded
        if (self._plain or self._settle()) and self._decoder is None:
            self._whole = True
            if limit < self.cap:
                self.cap, self.cap_name = limit, "body_decoded"
            if self._paused:
                self._resume()
            while not self._done:
                if self._size > limit:
                    break
                await self._wait()
            if self._size > limit:
                self._give_up(self._too_large("body_decoded", limit))
            self._check()
            parts = self._parts
            content = parts[0] if len(parts) == 1 else b"".join(parts)
            self._parts = []
        else:
            pieces: list[bytes] = []
            while piece := await self._decoded_piece(limit, "body_decoded"):
                pieces.append(piece)
            content = b"".join(pieces)
        self._content = content
        return content

    async def next_chunk(self) -> bytes:
        r"""Returns everything decoded that has arrived, at once if there is something; b"" at the end of the body.

        Cancelling it drops the connection.

        Raises:
            HttpProtocolError: For a truncated, malformed, wrongly encoded or too large body.
            HttpTimeout: When a deadline passes.
            HttpStateError: When the reply was closed, or another task waits in it.
        """
        if self._content is not None:
            content, self._content = self._content, b""
            return content
        if not self._plain:
            self._settle()
        if self._decoder is not None:
            return await self._decoded_piece(self._limits.stream_decoded, "stream_decoded")
        data = await self._raw_piece() if not self._parts else self._take()
        self._decoded += len(data)
        if self._decoded > self._limits.stream_decoded:
            self._give_up(self._too_large("stream_decoded", self._limits.stream_decoded))
            self._check()
        return data

    def __aiter__(self) -> Reply:
        """Iterates over the body by `next_chunk`."""
        return self

    async def __anext__(self) -> bytes:
        if chunk := await self.next_chunk():
            return chunk
        raise StopAsyncIteration

    def progress(self) -> None:
        """Says that the reader got on: restarts the idle clock, and stops the first-byte clock."""
        if self._conn is not None:
            self._conn.progress()

    def manual_progress(self, on: bool = True) -> None:
        """Chooses whether only `progress()` restarts the idle clock, or any body byte does."""
        if self._conn is not None:
            self._conn.watch(on)

    def close(self) -> None:
        """Drops the connection unless the body is complete; reading on raises `HttpStateError`. May be repeated."""
        conn = self._conn
        if conn is not None:
            conn.discard()
            self._parts.clear()
            self._size = 0

    async def aclose(self) -> None:
        """Closes, and lets the socket go before returning."""
        if self._conn is not None:
            self.close()
            await asyncio.sleep(0)

    def push(self, body: bytes) -> bool:
        """Takes body bytes; True asks to stop reading."""
        self._parts.append(body)
        self._size += len(body)
        if self._whole:
            return False
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)
        if self._size > self._limits.buffer and not self._paused:
            self._paused = True
            return True
        return False

    def finish(self, error: HttpError | None) -> None:
        """Learns that no more bytes come, and why."""
        self._conn = None
        if not self._done:
            self._done = True
            self._error = error
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def cut(self) -> None:
        """Learns that the connection is gone."""
        self.finish(HttpStateError("the reply is closed"))

    def strand(self) -> None:
        """Learns that its event loop will never run again here; wakes nobody."""
        self._conn = None
        self._done = True
        self._error = HttpStateError("the reply is closed")

    def unread(self) -> bool:
        """Whether the reader, not the peer, is the one to wait for."""
        return self._paused or (self._waiter is None and bool(self._parts))

    def delimited_by_close(self) -> bool:
        """Whether only the end of the connection ends the body."""
        find = self.headers.find
        coding = find(b"transfer-encoding")
        return (coding is None or coding.lower() != b"chunked") and find(b"content-length") is None

    def _settle(self) -> bool:
        """Decides how the body is decoded."""
        if b"-encoding:" not in self._head.lower():
            self._plain = True
            return True
        find = self.headers.find
        coding = find(b"transfer-encoding")
        try:
            if coding is not None and coding.lower() != b"chunked":
                raise HttpProtocolError("the reply's Transfer-Encoding is not supported", kind="encoding")
            value = find(b"content-encoding")
            if value is not None:
                self._decoder = make_decoder(value.decode("latin-1"), self._limits.encodings)
        except HttpProtocolError as error:
            self._give_up(error)
            raise
        self._plain = True
        return True

    def _take(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = 0
        if self._paused:
            self._resume()
        return data

    def _resume(self) -> None:
        self._paused = False
        if self._conn is not None:
            self._conn.resume()

    async def _raw_piece(self) -> bytes:
        while not self._parts:
            if self._done:
                self._check()
                return b""
            await self._wait()
        return self._take()

    async def _decoded_piece(self, limit: int, name: str) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        try:
            while not (out := decoder.take(_ROOM)):
                raw = await self._raw_piece()
                if not raw:
                    decoder.finish()
                    return b""
                decoder.feed(raw)
        except HttpProtocolError as error:
            self._give_up(error)
            raise
        self._decoded += len(out)
        if self._decoded > limit:
            self._give_up(self._too_large(name, limit))
            self._check()
        return out

    async def _wait(self) -> None:
        conn = self._conn
        if self._waiter is not None or conn is None:
            raise HttpStateError("another task reads this reply")
        waiter = self._waiter = conn.loop.create_future()
        try:
            await waiter
        except BaseException:
            self.close()
            raise
        finally:
            if self._waiter is waiter:
                self._waiter = None

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _give_up(self, error: HttpError) -> None:
        """Ends reading for a reason found on this side of the buffer."""
        self.close()
        self._done = True
        self._error = error
        self._parts.clear()
        self._size = 0

    def _too_large(self, name: str, limit: int) -> HttpProtocolError:
        return HttpProtocolError(f"the body passes the limit {name}={limit}", kind="too_large", limit=name)
