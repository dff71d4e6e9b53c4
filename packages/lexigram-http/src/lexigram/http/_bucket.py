"""The connections of one origin on one event loop: idle ones last in first out, waiters first in first out.

Slots are counted here and nowhere else: an open or opening connection holds one, and a slot that is freed while
somebody waits passes to the first waiter without being counted down.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from math import inf

from ._connect import connect
from ._connection import Connection
from ._errors import HttpStateError, HttpTimeout, Phase, PoolFull
from ._limits import Limits
from ._request import Origin

_Waiter = asyncio.Future[Connection | None]


class Bucket:
    """Connections to one origin. Touched on its loop's thread only."""

    __slots__ = ("conns", "context", "idle", "limits", "loop", "opened", "origin", "pending", "slots", "waiters")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        origin: Origin,
        limits: Limits,
        context: ssl.SSLContext | None,
    ) -> None:
        self.loop = loop
        self.origin = origin
        self.limits = limits
        self.context = context
        self.idle: dict[Connection, None] = {}
        self.conns: set[Connection] = set()
        self.waiters: OrderedDict[_Waiter, None] = OrderedDict()
        self.slots = 0
        self.opened = 0
        self.pending = 0

    def pop_idle(self) -> Connection | None:
        """Returns the idle connection used last, dropping those found dead."""
        idle = self.idle
        while idle:
            conn = idle.popitem()[0]
            if conn.usable():
                return conn
            conn.discard()
        return None

    async def acquire(self, pool_by: float, connect_seconds: float, total_by: float, *, fresh: bool) -> Connection:
        """Returns a connection nobody else uses.

        Args:
            pool_by: Loop time until which to wait for a slot.
            connect_seconds: Time for opening one, from when there is a slot for it.
            total_by: Loop time at which the whole call must be done.
            fresh: Whether it must be a new one; such a caller goes to the head of the line.

        Raises:
            PoolFull: Too many wait already.
            HttpTimeout: phase "pool", or as `connect` says.
            HttpConnectError: As `connect` says.
        """
        self.pending += 1
        try:
            return await self._acquire(pool_by, connect_seconds, total_by, fresh)
        finally:
            self.pending -= 1

    async def _acquire(self, pool_by: float, connect_seconds: float, total_by: float, fresh: bool) -> Connection:
        front = fresh
        while True:
            if not fresh and (conn := self.pop_idle()) is not None:
                return conn
            if self.slots < self.limits.connections:
                self.slots += 1
                break
            if fresh and self.idle:
                next(iter(self.idle)).discard()
                continue
            given = await self._wait(pool_by, total_by, front=front)
            front = True
            if given is None:
                break
            if not given.usable():
                given.discard()
            elif not fresh:
                return given
            else:
                given.discard(keep_slot=True)
                break
        try:
            conn = await connect(self, self.context, self.loop.time() + connect_seconds, total_by)
        except BaseException:
            self._free()
            raise
        self.conns.add(conn)
        self.opened += 1
        return conn

    async def _wait(self, pool_by: float, total_by: float, *, front: bool) -> Connection | None:
        if len(self.waiters) >= self.limits.waiters:
            raise PoolFull(f"{len(self.waiters)} callers wait for a connection to {self.origin}")
        waiter: _Waiter = self.loop.create_future()
        self.waiters[waiter] = None
        if front:
            self.waiters.move_to_end(waiter, last=False)
        due = min(pool_by, total_by)
        timer = None
        if due < inf:
            timer = self.loop.call_at(due, self._expire, waiter, "pool" if pool_by <= total_by else "total")
        try:
            return await waiter
        except BaseException:
            self.waiters.pop(waiter, None)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                # Cancelled in the turn in which it was served: what it was given goes to the next.
                given = waiter.result()
                if given is None:
                    self._free()
                elif given.usable():
                    self.release(given)
                else:
                    given.discard()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, waiter: _Waiter, phase: Phase) -> None:
        if not waiter.done():
            self.waiters.pop(waiter, None)
            message = f"no connection to {self.origin} became free before the {phase} deadline"
            waiter.set_exception(HttpTimeout(message, phase=phase))

    def _serve(self, given: Connection | None) -> bool:
        while self.waiters:
            waiter = self.waiters.popitem(last=False)[0]
            if not waiter.done():
                waiter.set_result(given)
                return True
        return False

    def _free(self) -> None:
        if not self._serve(None):
            self.slots -= 1

    def release(self, conn: Connection) -> None:
        """Takes back a connection fit for another exchange."""
        if self._serve(conn):
            return
        self.idle[conn] = None
        if len(self.idle) > self.limits.idle_connections:
            next(iter(self.idle)).discard()

    def forget(self, conn: Connection, *, keep_slot: bool = False) -> None:
        """Learns that a connection is gone and, unless told otherwise, frees its slot."""
        self.idle.pop(conn, None)
        if conn in self.conns:
            self.conns.remove(conn)
            if not keep_slot:
                self._free()

    def close(self) -> None:
        """Drops every connection and turns every waiter away."""
        while self.waiters:
            waiter = self.waiters.popitem()[0]
            if not waiter.done():
                waiter.set_exception(HttpStateError("the pool is closed"))
        for conn in list(self.conns):
            conn.discard()

    def bury(self) -> None:
        """Closes every socket without the event loop."""
        for conn in self.conns:
            conn.bury()
        self.conns.clear()
        self.idle.clear()
        self.waiters.clear()
        self.slots = 0
