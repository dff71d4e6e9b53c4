"""What an ``httpx.AsyncBaseTransport`` promises, against a server that misbehaves. The only file here that knows httpx.

class TestMyTransport(TransportConformance):
    claims = TransportConformance.ALL - {"serves_several_event_loops"}

    def make(self, connections=None):
        return MyTransport(max_connections=connections)
"""

from __future__ import annotations

import asyncio
import socket
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import ClassVar, Final

import httpx

from lexigram.testing.canary import Canary
from lexigram.testing.conformance.suite import Conformance, behaviour, check
from lexigram.testing.faults import PLAIN, FaultServer
from lexigram.testing.invariants import until
from lexigram.testing.stepping import Step, sweep

__all__ = ["TransportConformance"]

CUT: Final = ("short_cl", "trunc_chunked", "no_last_chunk", "half_head", "close_silent", "rst_request", "s_rst")
MISFRAMED: Final = ("bad_status", "not_http", "two_cl", "negative_cl", "bad_chunk")
MISCODED: Final = ("gzip_lie", "gzip_trunc", "deflate_lie")
FIRST: Final = PLAIN.events[0]


class TransportConformance(Conformance):
    """The behaviours of a transport. Each class has a server of its own, on this machine.

    Attributes:
        server: the server; its journal tells what was sent.
        limit: seconds after which a request that should have been answered has failed.
        grace: seconds that a deadline may be passed by.
    """

    server: ClassVar[FaultServer]
    limit: ClassVar[float] = 10.0
    grace: ClassVar[float] = 3.0

    @abstractmethod
    def make(self, connections: int | None = None) -> httpx.AsyncBaseTransport:
        """Return a fresh transport with at most so many connections, or as many as it likes."""
        raise NotImplementedError

    @classmethod
    def setup_class(cls) -> None:
        """Start the server."""
        cls.server = FaultServer()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the server."""
        cls.server.stop()

    @asynccontextmanager
    async def transport(self, connections: int | None = None) -> AsyncGenerator[httpx.AsyncBaseTransport, None]:
        """Make a transport for a server that is well, and close it afterwards."""
        await until(self._nobody_is_connected)  # what an earlier test has closed may still be on its way
        self.server.reset()
        made = self.make(connections)
        try:
            yield made
        finally:
            await made.aclose()

    def _nobody_is_connected(self) -> bool:
        return self.server.journal.gone >= self.server.journal.connections

    def request(self, path: str = "ok", **timeouts: float) -> httpx.Request:
        """Return a request of the scenario that the path names. Timeouts are those of httpx: connect, read, pool."""
        bounds = {**dict.fromkeys(("connect", "read", "write", "pool"), self.limit), **timeouts}
        return httpx.Request("GET", self.server.url(path), extensions={"timeout": bounds})

    async def get(self, over: httpx.AsyncBaseTransport, path: str = "ok", **timeouts: float) -> httpx.Response:
        """Return the whole reply."""
        reply = await over.handle_async_request(self.request(path, **timeouts))
        try:
            await reply.aread()
        finally:
            await reply.aclose()
        return reply

    async def works(self, over: httpx.AsyncBaseTransport) -> None:
        """Check that the transport answers now."""
        reply = await asyncio.wait_for(self.get(over), self.limit)
        check((reply.status_code, reply.content) == (200, PLAIN.body), f"the next request gave {_short(reply)}")

    # -- connections

    @behaviour
    async def test_reuses_connections(self) -> None:
        """Requests one after the other go over one connection."""
        async with self.transport() as over:
            for _ in range(5):
                await self.works(over)
            opened = self.server.journal.connections
            check(opened == 1, f"5 requests one after the other opened {opened} connections")

    @behaviour
    async def test_keeps_to_its_connections(self) -> None:
        """Many requests at once open no more connections than are allowed, and all are answered."""
        async with self.transport(2) as over:
            replies = await asyncio.wait_for(
                asyncio.gather(*[self.get(over, "sleep=0.02") for _ in range(10)]), self.limit
            )
            check(all(r.content == PLAIN.body for r in replies), "a request was not answered")
            opened = self.server.journal.connections
            check(opened <= 2, f"{opened} connections were opened; allowed: 2")

    @behaviour
    async def test_gives_every_request_its_own_reply(self) -> None:
        """Of many requests at once each gets the reply to itself."""
        async with self.transport(4) as over:

            async def one(number: int) -> None:
                reply = await self.get(over, f"echo/{number}")
                told = reply.json()["path"]
                check(told.endswith(f"/{number}"), f"request {number} got the reply of {told}")

            await asyncio.wait_for(asyncio.gather(*[one(n) for n in range(40)]), self.limit)

    @behaviour
    async def test_survives_closed_idle_connections(self) -> None:
        """A kept connection that the server has closed meanwhile is not used: the next request works."""
        async with self.transport() as over:
            await self.get(over, "keepalive_close")
            await until(lambda: self.server.journal.gone == 1)
            await asyncio.sleep(0.05)
            await self.works(over)

    @behaviour
    async def test_survives_the_keep_alive_race(self) -> None:
        """A kept connection that is reset by the next request is a typed error or a new try; the one after works."""
        async with self.transport() as over:
            await self.get(over, "keepalive_race")
            try:
                reply = await self.get(over)
            except httpx.TransportError:
                pass
            else:
                check(reply.content == PLAIN.body, f"the raced request gave {_short(reply)}")
            await self.works(over)

    @behaviour
    async def test_takes_no_reply_that_nobody_asked_for(self) -> None:
        """What a server sends beyond its reply never becomes the reply to another request."""
        async with self.transport() as over:
            for path in ("unsolicited", "second_after", "garbage_after"):
                with suppress(httpx.TransportError):
                    await self.get(over, path)
                await asyncio.sleep(0.1)
                await self.works(over)

    @behaviour
    async def test_closes_its_connections(self) -> None:
        """``aclose`` leaves no connection open, neither a kept one nor one of a reply that is not read."""
        async with self.transport() as over:
            left = await over.handle_async_request(self.request("s_stall"))
            await left.aclose()
            await self.works(over)
        await over.aclose()
        closed = await until(self._nobody_is_connected, self.limit)
        journal = self.server.journal
        check(closed, f"{journal.connections - journal.gone} connections are open after aclose()")

    @behaviour
    def test_serves_several_event_loops(self) -> None:
        """One object works in an event loop after another one has ended."""
        self.server.reset()
        over = self.make()

        async def last() -> None:
            await self.works(over)
            await over.aclose()

        asyncio.run(self.works(over))
        asyncio.run(last())

    # -- replies

    @behaviour
    async def test_streams_as_it_comes(self) -> None:
        """The head and the first piece are there while the server has not sent the rest, and never will."""
        async with self.transport() as over:
            reply = await asyncio.wait_for(over.handle_async_request(self.request("s_stall")), self.limit)
            pieces = reply.aiter_raw()
            first = await asyncio.wait_for(anext(pieces), self.limit)
            check(first == FIRST, f"the first piece is {first!r}; expected {FIRST!r}")
            await reply.aclose()

    @behaviour
    async def test_drops_a_reply_that_is_left(self) -> None:
        """Closing a reply that is not read to its end ends its connection, and the next request works."""
        async with self.transport(1) as over:
            for path in ("s_stall", "s_infinite"):
                reply = await over.handle_async_request(self.request(path))
                await anext(reply.aiter_raw())
                await reply.aclose()
                gone = await until(self._nobody_is_connected, self.limit)
                check(gone, f"{path}: the connection of a reply that was left is still open")
            await self.works(over)

    @behaviour
    async def test_decodes_codings(self) -> None:
        """What was compressed comes out as it was."""
        async with self.transport() as over:
            for path in ("gzip", "deflate", "identity", "early", "trailers", "nocl_eof"):
                reply = await self.get(over, path)
                check(reply.content == PLAIN.body, f"{path} gave {_short(reply)}")

    @behaviour
    async def test_fails_on_cut_replies(self) -> None:
        """A reply that breaks off is an error, whichever way it does: never a shorter reply."""
        await self._all_fail(CUT)

    @behaviour
    async def test_fails_on_bad_framing(self) -> None:
        """What is not HTTP, or contradicts itself about its length, is an error."""
        await self._all_fail(MISFRAMED)

    @behaviour
    async def test_fails_on_damaged_codings(self) -> None:
        """Compressed bytes that are cut or wrong are an error, not half a text."""
        await self._all_fail(MISCODED)

    @behaviour
    async def test_bounds_heads(self) -> None:
        """A head without end is an error."""
        await self._all_fail(("huge_headers",))

    @behaviour
    async def test_bounds_bodies(self) -> None:
        """A small reply that unpacks to 300 MB is an error."""
        await self._all_fail(("gzip_bomb=300",))

    async def _all_fail(self, paths: Iterable[str]) -> None:
        async with self.transport() as over:
            for path in paths:
                try:
                    reply = await asyncio.wait_for(self.get(over, path), self.limit * 2)
                except httpx.RequestError:
                    await self.works(over)
                except Exception as error:
                    raise AssertionError(f"{path} gave {error!r}; expected an httpx.RequestError") from error
                else:
                    raise AssertionError(f"{path} passed for a good reply: {_short(reply)}")

    # -- deadlines

    @behaviour
    async def test_keeps_the_read_timeout(self) -> None:
        """A server that says nothing, at once or in mid-reply, is a ReadTimeout."""
        async with self.transport() as over:
            for path in ("hang", "s_stall"):
                await self._times_out(self.get(over, path, read=0.3), httpx.ReadTimeout, path)
            await self.works(over)

    @behaviour
    async def test_keeps_the_pool_timeout(self) -> None:
        """Who waits too long for a free connection gets a PoolTimeout, and the connection serves others afterwards."""
        async with self.transport(1) as over:
            held = await over.handle_async_request(self.request("s_stall"))
            await self._times_out(self.get(over, pool=0.2), httpx.PoolTimeout, "a full pool")
            await held.aclose()
            await self.works(over)

    @behaviour
    async def test_bounds_slow_heads(self) -> None:
        """A head that comes in single bytes does not outlast the read timeout."""
        async with self.transport() as over:
            await self._times_out(self.get(over, "slow_headers", read=0.3), httpx.ReadTimeout, "slow_headers")

    async def _times_out(self, work: object, wanted: type[Exception], what: str) -> None:
        started = time.monotonic()
        try:
            await asyncio.wait_for(work, 0.3 + self.grace)  # type: ignore[arg-type]
        except wanted:
            seconds = time.monotonic() - started
            check(seconds < 0.3 + self.grace, f"{what}: the timeout came after {seconds:.1f} s")
        except Exception as error:
            raise AssertionError(f"{what} gave {error!r}; expected {wanted.__name__}") from error
        else:
            raise AssertionError(f"{what} gave a reply; expected {wanted.__name__}")

    # -- cancellation

    @behaviour
    async def test_leaks_nothing_when_cancelled(self) -> None:
        """A request cancelled at any moment, once or twice, gives its connection back or drops it."""
        async with self.transport(2) as over:

            async def call() -> None:
                await self.get(over)

            await self._sweeps(over, call)

    @behaviour
    async def test_leaks_nothing_when_a_stream_is_cancelled(self) -> None:
        """A reply that is read piece by piece, cancelled at any moment, gives its connection back or drops it."""
        async with self.transport(2) as over:

            async def read() -> None:
                reply = await over.handle_async_request(self.request("stream=0.002"))
                try:
                    async for _ in reply.aiter_raw():
                        await asyncio.sleep(0)
                finally:
                    await reply.aclose()

            await self._sweeps(over, read)

    @behaviour
    async def test_leaks_nothing_when_cancelled_under_contention(self) -> None:
        """The same while more requests wait than there are connections."""
        async with self.transport(1) as over:

            async def call() -> None:
                others = [asyncio.ensure_future(self.get(over, "sleep=0.002")) for _ in range(3)]
                try:
                    await self.get(over)
                finally:
                    for other in others:
                        other.cancel()
                    await asyncio.gather(*others, return_exceptions=True)

            await self._sweeps(over, call)

    async def _sweeps(self, over: httpx.AsyncBaseTransport, call: object) -> None:
        async def healthy(found: Step) -> None:
            check(found.outcome in ("cancelled", "returned"), f"cancelled, the call {found.outcome}: {found.error!r}")
            try:
                await asyncio.wait_for(asyncio.gather(*[self.works(over) for _ in range(3)]), self.limit)
            except (TimeoutError, httpx.TimeoutException):
                raise AssertionError(f"cancelled after {found.turns} turns, the transport answers no more") from None

        for again in (None, 0, 1):
            await sweep(call, healthy, again=again)  # type: ignore[arg-type]

    # -- what is not a transport's business

    @behaviour
    async def test_follows_no_redirect(self) -> None:
        """A redirect is handed over as it is; a key must not go to another host."""
        async with self.transport() as over:
            reply = await self.get(over, "redirect")
            sent = len(self.server.journal.requests)
            check((reply.status_code, sent) == (307, 1), f"a redirect gave {reply.status_code} after {sent} requests")

    @behaviour
    async def test_replays_no_cookie(self) -> None:
        """A cookie of one reply is in no later request."""
        async with self.transport() as over:
            await self.get(over, "cookie")
            told = (await self.get(over, "echo")).json()
            check("cookie" not in told["headers"], f"the next request carried {told['headers'].get('cookie')!r}")

    @behaviour
    async def test_refuses_to_be_injected(self) -> None:
        """A line's end in a header is refused before anything is sent, and its value shown to nobody."""
        canary = Canary()
        async with self.transport() as over:
            request = self.request()
            request.headers["x-key"] = f"{canary.value}\r\nx-forged: 1"
            try:
                await over.handle_async_request(request)
            except (httpx.RequestError, ValueError) as error:
                canary.assert_absent(str(error))
            else:
                raise AssertionError("a header with a line's end in it was sent")
            check(not self.server.journal.requests, "the request went out")
            await self.works(over)

    @behaviour
    async def test_types_connection_errors(self) -> None:
        """An address where nobody listens is a ConnectError; a reset is a RequestError; neither shows the key."""
        canary = Canary()
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            async with self.transport() as over:
                for url, wanted in (
                    (f"http://127.0.0.1:{nobody.getsockname()[1]}/", httpx.ConnectError),
                    (self.server.url("x", port="rst"), httpx.RequestError),
                    (self.server.url("x", port="eof"), httpx.RequestError),
                ):
                    request = httpx.Request("GET", url, headers={"authorization": f"Bearer {canary.value}"})
                    try:
                        await over.handle_async_request(request)
                    except wanted as error:
                        canary.assert_absent(str(error), repr(error))
                    except Exception as error:
                        raise AssertionError(f"{url} gave {error!r}; expected {wanted.__name__}") from error
                    else:
                        raise AssertionError(f"{url} gave a reply")


def _short(reply: httpx.Response) -> str:
    return f"HTTP {reply.status_code} {reply.content[:60]!r}"
