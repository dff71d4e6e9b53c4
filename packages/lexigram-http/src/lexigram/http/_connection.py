"""One HTTP/1.1 connection: request bytes out, reply bytes in.

Belongs to one event loop and is touched by no other. One exchange at a time; between two it lies idle in its bucket.
Content coding is the reply's business, deadlines the clock's, choosing connections the pool's.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from typing import Protocol, cast

import httptools

from ._bury import bury
from ._clock import BODY, DEAD, DONE, HEAD, IDLE, Clock
from ._errors import HttpError, HttpProtocolError, HttpTimeout, Phase, StaleConnection
from ._limits import Deadlines, Limits
from ._reply import Reply
from ._request import Origin
from ._verdicts import bad_head, no_reply, tls_alert, too_large

_LARGE = 64 * 1024
_TLS_ALERT = b"\x15\x03"


class Home(Protocol):
    """Who a connection belongs to."""

    origin: Origin
    limits: Limits

    def release(self, conn: Connection) -> None:
        """Takes back a connection that is fit for another exchange."""
        ...

    def forget(self, conn: Connection, *, keep_slot: bool = False) -> None:
        """Learns that a connection is gone."""
        ...


class Connection(Clock, asyncio.Protocol):
    """The protocol object; its methods run on the loop's thread only."""

    __slots__ = (
        "__weakref__",
        "_acc",
        "_dirty",
        "_head",
        "_head_only",
        "_informational",
        "_keep",
        "_limits",
        "_lone",
        "_parser",
        "_parts",
        "_pos",
        "_ref",
        "_refusal",
        "_size",
        "_status",
        "exchanges",
        "future",
        "home",
        "lost",
        "on_body",
        "sock",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, home: Home, sock: socket.socket) -> None:
        super().__init__(loop)
        self.home = home
        self.sock = sock
        self.transport: asyncio.Transport | None = None
        self.exchanges = 0
        self.lost: Exception | None = None
        self.future: asyncio.Future[list[Reply]] | None = None
        self._ref: weakref.ref[Reply] | None = None
        self._parts: list[bytes] = []
        # The parser calls the list itself: no Python frame per chunk.
        self.on_body = self._parts.append
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._dirty = False
        self._acc: bytes | bytearray = b""
        self._refusal: HttpError | None = None

    def __repr__(self) -> str:
        return f"<Connection to {self.home.origin}: {('idle', 'head', 'body', 'done', 'dead')[self.state]}>"

    def start(
        self,
        head: bytes,
        body: bytes,
        deadlines: Deadlines,
        limits: Limits,
        now: float,
        total_by: float,
        head_only: bool,
        close: bool,
        manual: bool,
    ) -> asyncio.Future[list[Reply]]:
        """Sends a request; the future yields the reply, in a box, when its head is complete."""
        transport = self.transport
        assert transport is not None and self.state == IDLE
        self.state = HEAD
        self.exchanges += 1
        self._limits = limits
        self._head_only = head_only
        self._lone = close
        self._dirty = False
        self._acc = b""
        self._pos = self._informational = self._size = 0
        self._refusal = None
        self.future = future = self.loop.create_future()
        if len(body) < _LARGE:
            transport.write(head + body if body else head)
        else:
            transport.write(head)
            transport.write(body)
        self._start_clock(deadlines, now, total_by, manual)
        return future

    def abandon(self, future: asyncio.Future[list[Reply]]) -> None:
        """Ends the exchange that `future` stands for, if it still runs."""
        if future.done() and not future.cancelled():
            if future.exception() is None:
                for reply in future.result():
                    reply.close()
        elif self.future is future:
            self.discard()

    def usable(self) -> bool:
        """Whether another exchange may start, as far as one can know without writing."""
        return self.state == IDLE and self.transport is not None and not self.transport.is_closing()

    def drop(self, exchange: int) -> None:
        """Ends an exchange whose reply was dropped on another thread."""
        if self.exchanges == exchange and self.state == BODY:
            self.discard()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        self.transport = writer = cast(asyncio.Transport, transport)
        # Any unsent byte pauses writing, so that the end of the request is seen; TLS transports need high > 0.
        writer.set_write_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser, then moves on by what it found."""
        state = self.state
        if state == HEAD:
            if self._acc:
                if not isinstance(self._acc, bytearray):
                    self._acc = bytearray(self._acc)
                self._acc += data
            else:
                self._acc = data
        elif state != BODY:
            if state != DEAD:
                self.discard()
            return
        parser = self._parser
        assert parser is not None
        failure: BaseException | None = None
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            failure = error
        if state == HEAD:
            if self.state == HEAD:
                self._head_incomplete(failure)
                return
            reply = self._open_reply()
            if reply is None:
                return
        else:
            assert self._ref is not None
            found = self._ref()
            if found is None:
                self.discard()
                return
            reply = found
        parts = self._parts
        if self.state == DONE and len(parts) != self._keep:
            self._dirty = True
            del parts[self._keep :]
        if parts:
            body = parts[0] if len(parts) == 1 else b"".join(parts)
            parts.clear()
            self._size += len(body)
            if not self._manual:
                self._begun = True
                self._last = self._time()
            reply.framing = 0
            if reply.push(body) and self.state == BODY and self.transport is not None:
                self.transport.pause_reading()
            if self._size > reply.cap:
                self._fail(too_large(self.home.origin, reply.cap_name, reply.cap))
                return
        elif state == BODY and self.state == BODY:
            reply.framing += len(data)
            if reply.framing > self._limits.header_bytes:
                self._fail(too_large(self.home.origin, "header_bytes", self._limits.header_bytes))
                return
        if self.state == DONE:
            self._finish(reply, failure is None and not self._dirty)
        elif failure is not None:
            self._fail(HttpProtocolError(f"{self.home.origin} broke the framing of its reply", kind="bad_body"))
        elif state == HEAD:
            self._last = self._time()
            self._arm()

    def eof_received(self) -> bool | None:
        """Ends a body that only the end of the connection delimits."""
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the exchange, if there is one."""
        if self.state == IDLE:
            self.lost = exc
        self._ended(exc)
        self.discard()

    def pause_writing(self) -> None:
        """The request waits in our buffers."""
        self._writing = True

    def resume_writing(self) -> None:
        """The request is out; the reply's clocks start."""
        self._writing = False
        if self.state == HEAD:
            self._start_reply_clocks(self._time())
            self._arm()

    def on_headers_complete(self) -> None:
        """Keeps the head, passes over informational ones."""
        if self.state != HEAD:
            self._dirty = True
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        acc, pos = self._acc, self._pos
        if acc[pos] in b"\r\n":
            pos += len(acc) - pos - len(acc[pos:].lstrip(b"\r\n"))
        end = acc.find(b"\r\n\r\n", pos)
        limits = self._limits
        head = bytes(acc[pos : end + 2])
        if end < 0 or not head.startswith(b"HTTP/1.") or status < 100 or self._parts:
            self._refuse(bad_head(self.home.origin))
        if len(head) > limits.header_bytes:
            self._refuse(too_large(self.home.origin, "header_bytes", limits.header_bytes))
        # A header line takes four bytes at least.
        if len(head) > 4 * limits.header_count and head.count(b"\r\n") - 1 > limits.header_count:
            self._refuse(too_large(self.home.origin, "header_count", limits.header_count))
        if status >= 200:
            self._head = head
            self._status = status
            self.state = BODY
            self._acc = b""
            if self._head_only:
                self._keep = 0
                self._lone = self._lone or not self._parser.should_keep_alive()
                self.state = DONE
            return
        if status == 101:
            self._refuse(HttpProtocolError(f"{self.home.origin} wants to switch protocols", kind="upgrade"))
        self._informational += 1
        if self._informational > limits.informational:
            self._refuse(too_large(self.home.origin, "informational", limits.informational))
        self._pos = end + 4

    def on_message_complete(self) -> None:
        """Marks where the body ends among the parts."""
        if self.state == BODY:
            self.state = DONE
            self._keep = len(self._parts)
            assert self._parser is not None
            if not self._parser.should_keep_alive():
                self._lone = True

    def _refuse(self, error: HttpError) -> None:
        self._refusal = error
        raise error

    def _head_incomplete(self, failure: BaseException | None) -> None:
        if failure is not None:
            if self._acc[:2] == _TLS_ALERT:
                self._fail(tls_alert(self.home.origin))
            else:
                self._fail(self._refusal or bad_head(self.home.origin))
        elif len(self._acc) > self._limits.header_bytes:
            self._fail(too_large(self.home.origin, "header_bytes", self._limits.header_bytes))

    def _open_reply(self) -> Reply | None:
        future = self.future
        self.future = None
        reply = Reply(self, self._status, self._head, self._limits)
        self._ref = weakref.ref(reply)
        if future is None or future.done():
            self.discard()
            return None
        # In a box to be emptied: the loop holds on to the future's result until the caller's next await.
        future.set_result([reply])
        return reply

    def _finish(self, reply: Reply, clean: bool) -> None:
        """The body is complete: the reply keeps its bytes, the connection goes its way."""
        reply.finish(None)
        self._ref = None
        transport = self.transport
        if not clean or self._lone or self._writing or transport is None or transport.is_closing():
            self.discard()
            return
        if self._head_only:
            # The parser still waits for the body that a reply to HEAD announces and never has.
            self._parser = httptools.HttpResponseParser(self)
        self.state = IDLE
        self._start_idle(self.home.limits.idle_seconds)
        self.home.release(self)

    def _ended(self, exc: Exception | None) -> None:
        """The peer closed or the socket broke."""
        if self.state == HEAD and self.future is not None:
            origin = self.home.origin
            if self._acc:
                self._fail(HttpProtocolError(f"{origin} closed in the head of its reply", kind="truncated"), exc)
                return
            self._fail(StaleConnection() if self.exchanges > 1 else no_reply(origin, exc))
        elif self.state == BODY:
            reply = self._ref() if self._ref is not None else None
            if reply is not None and exc is None and reply.delimited_by_close():
                self._finish(reply, clean=False)
            else:
                self._fail(HttpProtocolError(f"{self.home.origin} ended its reply early", kind="truncated"), exc)

    def _fail(self, error: HttpError | StaleConnection, cause: BaseException | None = None) -> None:
        if cause is not None:
            error.__cause__ = cause
        future, ref = self.future, self._ref
        self.future = self._ref = None
        if future is not None and not future.done():
            future.set_exception(error)
        reply = ref() if ref is not None else None
        if reply is not None and isinstance(error, HttpError):
            reply.finish(error)
        self.discard()

    def discard(self, *, keep_slot: bool = False) -> None:
        """Closes the connection at once and frees its slot; harmless when it is gone already."""
        if self.state == DEAD:
            return
        self.state = DEAD
        self._stop_clock()
        self._parser = None
        self._parts.clear()
        if self.loop.is_closed():
            self.bury()
            keep_slot = True
        elif self.transport is not None:
            # Not close(): a TLS one would wait for the peer's farewell with the socket open.
            self.transport.abort()
        reply = self._ref() if self._ref is not None else None
        self.home.forget(self, keep_slot=keep_slot)
        if reply is not None:
            reply.cut()

    def bury(self) -> None:
        """Closes the socket without the event loop: the loop is closed, or belongs to the parent process."""
        self.state = DEAD
        self._timer = self._parser = None
        bury(self.transport, self.sock)
        reply = self._ref() if self._ref is not None else None
        if reply is not None:
            reply.strand()

    def timed_out(self, phase: Phase) -> None:
        """Ends the exchange."""
        self._fail(HttpTimeout(f"{self.home.origin}: the {phase} deadline passed", phase=phase, sent=True))

    def unsent(self) -> int:
        """Bytes of the request not yet handed to the system."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def reader_busy(self) -> bool:
        """Whether there is something to read that the reader has not taken."""
        reply = self._ref() if self._ref is not None else None
        return reply is not None and reply.unread()

    def resume(self) -> None:
        """Reads on after back-pressure; the pause was the reader's time."""
        if self.transport is not None and self.state == BODY:
            self._last = self._time()
            self.transport.resume_reading()
