"""The native door, and the pool behind both doors: a shelf of buckets per event loop.

Owns what outlives a call: loops, threads, fork and the end of the process. Imports no httpx.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from math import inf

from ._bucket import Bucket
from ._errors import HttpStateError, InvalidRequest, StaleConnection
from ._limits import Deadlines, Limits
from ._reply import Reply
from ._request import HeaderBlock, HeaderPairs, Origin, Prepared

_DEADLINES = Deadlines()
_MANY_ORIGINS = 256


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A moment's count over all event loops of the process.

    Attributes:
        open: Connections open.
        idle: Of these, kept for reuse.
        in_use: Of these, in an exchange or on their way to one.
        connecting: Slots held by connections being made.
        waiters: Callers waiting for a slot.
        opened: Connections made so far, on loops still in use.
        reused_retries: Requests sent once more because a reused connection had died, ever.
    """

    open: int
    idle: int
    in_use: int
    connecting: int
    waiters: int
    opened: int
    reused_retries: int


class _Shelf:
    """The buckets of one event loop."""

    __slots__ = ("__weakref__", "_sentinel", "buckets", "loop", "opened")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.buckets: dict[Origin, Bucket] = {}
        self.opened = 0
        # asyncio.run ends every asynchronous generator before it closes the loop: the last moment at which
        # connections can be closed through their transports. Primed by hand, since nobody awaits it.
        self._sentinel: AsyncGenerator[None, None] | None = _sentinel(weakref.ref(self))
        with contextlib.suppress(StopIteration):
            self._sentinel.__anext__().send(None)

    def add(self, origin: Origin, limits: Limits, context: ssl.SSLContext | None) -> Bucket:
        """Makes the bucket of an origin; forgets unused ones when there are many."""
        if len(self.buckets) >= _MANY_ORIGINS:
            for other in [other for other in self.buckets.values() if not (other.slots or other.pending)]:
                self.opened += other.opened
                del self.buckets[other.origin]
        bucket = self.buckets[origin] = Bucket(self.loop, origin, limits, context)
        return bucket

    def close(self) -> None:
        """Closes on the loop's own thread."""
        for bucket in list(self.buckets.values()):
            bucket.close()

    def retire(self) -> None:
        """Closes for good on the loop's own thread."""
        self.close()
        self._end_sentinel()

    def _end_sentinel(self) -> None:
        """Ends the generator by hand; collected unfinished, it would wake its loop."""
        sentinel, self._sentinel = self._sentinel, None
        if sentinel is not None:
            with contextlib.suppress(StopIteration, RuntimeError):
                sentinel.aclose().send(None)

    def bury(self) -> None:
        """Closes the sockets without the loop."""
        for bucket in list(self.buckets.values()):
            bucket.bury()
        self.buckets.clear()
        self._end_sentinel()


async def _sentinel(shelf: weakref.ref[_Shelf]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        if (found := shelf()) is not None:
            found.close()


class Pool:
    """Keep-alive connections to any number of origins, for any number of event loops and threads.

    Each event loop has connections of its own; a forked child starts with none. Use it as an asynchronous context
    manager or call `aclose`; a pool that is dropped closes its connections as well.
    """

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Creates an empty pool; opens, reads and starts nothing.

        Args:
            limits: Hard limits for every call; per call only those about the reply can be replaced.
            deadlines: Deadlines of calls that bring none.
            ssl_context: For https; None takes the process's shared one at the first https call.
        """
        self.limits = limits if limits is not None else Limits()
        self.deadlines = deadlines if deadlines is not None else _DEADLINES
        self._context = ssl_context
        self._shelves: dict[asyncio.AbstractEventLoop, _Shelf] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._retries = 0
        _pools.add(self)

    def __repr__(self) -> str:
        return f"<Pool: {'closed' if self._closed else 'open'}, {self.stats().open} connections>"

    async def __aenter__(self) -> Pool:
        """Returns itself."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Closes."""
        await self.aclose()

    def __del__(self) -> None:
        if getattr(self, "_shelves", None):
            with contextlib.suppress(Exception):
                self.close()

    async def request(
        self,
        method: bytes | str,
        origin: Origin,
        target: bytes | str,
        headers: HeaderBlock | HeaderPairs = (),
        body: bytes = b"",
        *,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        manual_progress: bool = False,
    ) -> Reply:
        """Sends one request and returns when the head of its reply is there; see `send`."""
        prepared = Prepared(method, origin, target, headers)
        return await self.send(prepared, body, deadlines=deadlines, limits=limits, manual_progress=manual_progress)

    async def send(
        self,
        prepared: Prepared,
        body: bytes = b"",
        *,
        deadlines: Deadlines | None = None,
        limits: Limits | None = None,
        manual_progress: bool = False,
    ) -> Reply:
        """Sends a prepared request and returns when the head of its reply is there.

        Args:
            prepared: Where to and with which head.
            body: The whole request body.
            deadlines: Instead of the pool's.
            limits: Instead of the pool's, for what concerns the reply.
            manual_progress: Only `Reply.progress()`, not body bytes, stops the first-byte and restarts the idle clock.

        Returns:
            The reply, whatever its status. Read it to the end, close it or drop it.

        Raises:
            HttpConnectError: There was no connection, or it died before a byte of the reply.
            HttpTimeout: A deadline passed.
            HttpProtocolError: The peer broke HTTP or a limit.
            PoolFull: Too many callers wait for this origin.
            InvalidRequest: The body is not bytes.
            HttpStateError: The pool is closed.
        """
        if not isinstance(body, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidRequest("the body is not bytes", part="body")
        loop = asyncio.get_running_loop()
        shelf = self._shelves.get(loop)
        if shelf is None or self._closed:
            shelf = self._open_shelf(loop)
        bucket = shelf.buckets.get(prepared.origin)
        if bucket is None:
            bucket = shelf.add(prepared.origin, self.limits, self._context)
        bounds = self.deadlines if deadlines is None else deadlines
        checks = self.limits if limits is None else limits
        now = loop.time()
        total_by = inf if bounds.total is None else now + bounds.total
        head = prepared.wire(len(body))
        conn = bucket.pop_idle()
        fresh = reconnected = False
        while True:
            if conn is None:
                pool_by = inf if bounds.pool is None else now + bounds.pool
                seconds = inf if bounds.connect is None else bounds.connect
                conn = await bucket.acquire(pool_by, seconds, total_by, fresh=fresh)
                now = loop.time()
            try:
                future = conn.start(
                    head, body, bounds, checks, now, total_by, prepared.head_only, prepared.close, manual_progress
                )
            except BaseException:
                conn.discard()
                raise
            try:
                reply = (await future).pop()
            except StaleConnection:
                self._retries += 1
                fresh = reconnected = True
                conn = None
                now = loop.time()
                if shelf.buckets.get(prepared.origin) is not bucket:
                    bucket = shelf.add(prepared.origin, self.limits, self._context)
                continue
            except BaseException:
                conn.abandon(future)
                raise
            if reconnected:
                reply.reconnected = True
            return reply

    def stats(self) -> PoolStats:
        """Counts; exact on the loop's own thread, a fair guess from others."""
        shelves = list(self._shelves.values())
        buckets = [bucket for shelf in shelves for bucket in list(shelf.buckets.values())]
        total = sum(len(bucket.conns) for bucket in buckets)
        idle = sum(len(bucket.idle) for bucket in buckets)
        return PoolStats(
            open=total,
            idle=idle,
            in_use=total - idle,
            connecting=sum(bucket.slots for bucket in buckets) - total,
            waiters=sum(len(bucket.waiters) for bucket in buckets),
            opened=sum(bucket.opened for bucket in buckets) + sum(shelf.opened for shelf in shelves),
            reused_retries=self._retries,
        )

    def _open_shelf(self, loop: asyncio.AbstractEventLoop) -> _Shelf:
        if self._closed:
            raise HttpStateError("the pool is closed")
        with self._lock:
            for other in [other for other in self._shelves if other.is_closed()]:
                self._shelves.pop(other).bury()
            return self._shelves.setdefault(loop, _Shelf(loop))

    def close(self) -> None:
        """Closes for good, from any thread; calls under way on other threads' loops fail there. May be repeated."""
        self._closed = True
        with self._lock:
            shelves = list(self._shelves.values())
            self._shelves.clear()
        running = asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage]
        for shelf in shelves:
            if shelf.loop is running:
                shelf.retire()
            elif shelf.loop.is_running():
                with contextlib.suppress(RuntimeError):
                    shelf.loop.call_soon_threadsafe(shelf.retire)
            elif shelf.loop.is_closed():
                shelf.bury()
            else:
                shelf.retire()

    async def aclose(self) -> None:
        """Closes for good and lets the sockets go before returning. May be repeated."""
        self.close()
        # One turn for the transports, one more for those below TLS.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def bury(self) -> None:
        """Closes every socket without touching an event loop, and starts afresh: for a forked child or at exit."""
        self._lock = threading.Lock()
        shelves = list(self._shelves.values())
        self._shelves = {}
        for shelf in shelves:
            shelf.bury()


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()


def _bury_all() -> None:
    for pool in list(_pools):
        pool.bury()


# A child must not touch its parent's loops: their selectors are shared, and unregistering there would deafen the
# parent. At exit the loops are closed or will never run again.
os.register_at_fork(after_in_child=_bury_all)
atexit.register(_bury_all)
