"""What tests hold in their hands: a pool and the misbehaving server, with calls that check what every failure owes."""

from __future__ import annotations

import ssl
import threading
import time
import traceback
from typing import Any

from lexigram.http import Deadlines, HttpError, Origin, Pool, Reply
from lexigram.testing.faults import PLAIN, FaultServer

OK = PLAIN.body
EVENTS = list(PLAIN.events)
SENTINEL = "sk-SENTINEL-0123456789"
SLOW = Deadlines(total=5.0, connect=2.0, headers=2.0, idle=2.0, pool=2.0, write=2.0)


class World:
    """A pool, the server, and the ways tests talk through one to the other."""

    def __init__(self, server: FaultServer, context: ssl.SSLContext, **options: Any) -> None:
        self.server = server
        self.context = context
        self.pool = Pool(ssl_context=context, deadlines=options.pop("deadlines", SLOW), **options)

    def origin(self, port: str = "plain", scheme: str = "http", host: str = "127.0.0.1") -> Origin:
        return Origin.of(scheme, host, self.server.ports[port])

    @property
    def journal(self) -> Any:
        return self.server.journal

    async def open(self, target: str, *, port: str = "plain", scheme: str = "http", **options: Any) -> Reply:
        method = options.pop("method", "POST")
        body = options.pop("body", b"{}")
        pool = options.pop("pool", self.pool)
        headers = [("authorization", f"Bearer {SENTINEL}"), *options.pop("headers", [])]
        origin = options.pop("origin", None) or self.origin(port, scheme)
        return await pool.request(method, origin, target, headers, body, **options)

    async def get(self, target: str, **options: Any) -> tuple[int, bytes]:
        reply = await self.open(target, **options)
        return reply.status, await reply.read()

    async def fails(self, target: str, **options: Any) -> Any:
        """Makes a call that must fail with one of our errors, in time and without the secret; returns the error."""
        bounds: Deadlines = options.get("deadlines") or self.pool.deadlines
        start = time.monotonic()
        try:
            got = await self.get(target, **options)
        except HttpError as error:
            took = time.monotonic() - start
            assert bounds.total is None or took <= bounds.total + 0.5
            self.no_secret(error)
            return error
        raise AssertionError(f"{target} was expected to fail, got {got!r}")

    def no_secret(self, error: BaseException) -> None:
        shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error)) + repr(self.pool)
        assert SENTINEL not in shown


def threads() -> int:
    return sum(thread.name.startswith("lexigram") for thread in threading.enumerate())
