"""A transport that is wrong fails where it is wrong."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from broken import failing

from lexigram.http import Deadlines, HttpTransport, Limits
from lexigram.testing.conformance.transport import TransportConformance
from lexigram.testing.faults import PLAIN


class Wrong(httpx.AsyncBaseTransport):
    """lexigram-http's, with something wrong around it."""

    def __init__(self, connections: int | None = None, **limits: Any) -> None:
        bounds = {"connections": connections or 64, "stream_decoded": 64 << 20, **limits}
        self.inner = HttpTransport(limits=Limits(**bounds), deadlines=Deadlines(total=20.0))
        self.slots = asyncio.Semaphore(2)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


class TestRight(TransportConformance):
    claims = TransportConformance.ALL
    transport_class: ClassVar[type[Wrong]] = Wrong
    limit = 1.0
    grace = 2.0

    def make(self, connections: int | None = None) -> httpx.AsyncBaseTransport:
        return self.transport_class(connections)


class _Body(httpx.AsyncByteStream):
    def __init__(self, pieces: AsyncIterator[bytes], close: Any) -> None:
        self.pieces, self.close = pieces, close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        await self.close()


def told(reply: httpx.Response, pieces: AsyncIterator[bytes], close: Any = None) -> httpx.Response:
    return httpx.Response(reply.status_code, headers=reply.headers, stream=_Body(pieces, close or reply.aclose))


class NeverReuses(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["connection"] = "close"
        return await super().handle_async_request(request)


class IgnoresItsBound(Wrong):
    def __init__(self, connections: int | None = None) -> None:
        super().__init__(None)


class MixesReplies(Wrong):
    last: Any = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "echo/" in request.url.path:
            self.last = request
            await asyncio.sleep(0)
            return await super().handle_async_request(self.last)
        return await super().handle_async_request(request)


class TriesOnce(Wrong):
    """Fails on the first request after a connection has gone."""

    went = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        before, self.went = self.went, request.url.path
        if before.endswith("keepalive_close"):
            raise httpx.ReadError("reset")
        return await super().handle_async_request(request)


class RacesWithAForeignError(TriesOnce):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        before, self.went = self.went, request.url.path
        if before.endswith("keepalive_race"):
            raise ConnectionResetError
        return await Wrong.handle_async_request(self, request)


class TakesForged(TriesOnce):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        before, self.went = self.went, request.url.path
        if before.endswith("unsolicited"):
            return httpx.Response(200, content=b"forged")
        return await Wrong.handle_async_request(self, request)


class NeverCloses(Wrong):
    left: ClassVar[list[HttpTransport]] = []

    async def aclose(self) -> None:
        self.left.append(self.inner)


class OneLoop(Wrong):
    loop: Any = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")
        return await super().handle_async_request(request)


class ReadsAhead(Wrong):
    """Waits for the second piece before it gives the first."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await super().handle_async_request(request)
        if not request.url.path.endswith("s_stall") or request.extensions.get("timeout", {}).get("read", 9) < 1:
            return reply

        async def ahead() -> AsyncIterator[bytes]:
            pieces = [piece async for piece in reply.stream]  # type: ignore[union-attr]
            for piece in pieces:
                yield piece

        return told(reply, ahead())


class KeepsWhatIsLeft(Wrong):
    """Closing a reply closes nothing."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await super().handle_async_request(request)
        if not request.url.path.endswith("s_infinite"):
            return reply

        async def nothing() -> None:
            return

        return told(reply, reply.stream.__aiter__(), nothing)  # type: ignore[union-attr]


class DecodesNothing(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/gzip"):
            return await super().handle_async_request(request)
        return httpx.Response(200, stream=httpx.ByteStream(gzip.compress(PLAIN.body)))


class Forgives(Wrong):
    paths: ClassVar[tuple[str, ...]] = ()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.rpartition("/")[2] in self.paths:
            return httpx.Response(200, content=b"half")
        return await super().handle_async_request(request)


def forgiving(*paths: str) -> type[Wrong]:
    return type("Forgiving", (Forgives,), {"paths": paths})


class RaisesItsOwn(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.ConnectError:
            raise OSError("no") from None


class NoReadTimeout(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("hang"):
            raise httpx.ConnectTimeout("late")
        return await super().handle_async_request(request)


class NoPoolTimeout(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.extensions.get("timeout", {}).get("pool", 9) < 1:
            raise httpx.ReadTimeout("full")
        return await super().handle_async_request(request)


class SlowHeads(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("slow_headers"):
            await asyncio.sleep(3.0)
        return await super().handle_async_request(request)


class LosesSlots(Wrong):
    """Who is cancelled while it waits for its reply keeps its slot."""

    def cared(self, request: httpx.Request) -> bool:
        return request.url.path.endswith("/ok")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self.slots.acquire()
        try:
            reply = await super().handle_async_request(request)
        except asyncio.CancelledError:
            if not self.cared(request):
                self.slots.release()
            raise
        except BaseException:
            self.slots.release()
            raise
        self.slots.release()
        return reply


class LosesSlotsOfStreams(LosesSlots):
    def cared(self, request: httpx.Request) -> bool:
        return request.url.path.endswith("stream=0.002")


class LosesSlotsWhenFull(Wrong):
    """Who is cancelled while it waits for a slot takes one with it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            await self.slots.acquire()
        except asyncio.CancelledError:
            self.slots._value -= 1
            raise
        try:
            return await super().handle_async_request(request)
        finally:
            self.slots.release()


class Follows(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await super().handle_async_request(request)
        if reply.status_code != 307:
            return reply
        await reply.aread()
        return httpx.Response(200, content=b"moved")


class KeepsCookies(Wrong):
    cookie = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.cookie:
            request.headers["cookie"] = self.cookie
        reply = await super().handle_async_request(request)
        self.cookie = reply.headers.get("set-cookie", self.cookie)
        return reply


class ShowsWhatItRefuses(Wrong):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except httpx.LocalProtocolError:
            raise httpx.LocalProtocolError(f"no: {request.headers!r} {request.headers['x-key']}") from None


SWEEPS = {name for name in TransportConformance.ALL if name.startswith("leaks_nothing")}
WAITING = {"keeps_the_read_timeout", "keeps_the_pool_timeout", "takes_no_reply_that_nobody_asked_for"}
SLOW = SWEEPS | WAITING | {"bounds_bodies", "bounds_slow_heads"}
MUTANTS: dict[str, type[Wrong]] = {
    "reuses_connections": NeverReuses,
    "keeps_to_its_connections": IgnoresItsBound,
    "gives_every_request_its_own_reply": MixesReplies,
    "survives_closed_idle_connections": TriesOnce,
    "survives_the_keep_alive_race": RacesWithAForeignError,
    "takes_no_reply_that_nobody_asked_for": TakesForged,
    "closes_its_connections": NeverCloses,
    "serves_several_event_loops": OneLoop,
    "streams_as_it_comes": ReadsAhead,
    "drops_a_reply_that_is_left": KeepsWhatIsLeft,
    "decodes_codings": DecodesNothing,
    "fails_on_cut_replies": forgiving("short_cl"),
    "fails_on_bad_framing": forgiving("two_cl"),
    "fails_on_damaged_codings": forgiving("gzip_trunc"),
    "bounds_heads": forgiving("huge_headers"),
    "bounds_bodies": forgiving("gzip_bomb=300"),
    "keeps_the_read_timeout": NoReadTimeout,
    "keeps_the_pool_timeout": NoPoolTimeout,
    "bounds_slow_heads": SlowHeads,
    "leaks_nothing_when_cancelled": LosesSlots,
    "leaks_nothing_when_a_stream_is_cancelled": LosesSlotsOfStreams,
    "leaks_nothing_when_cancelled_under_contention": LosesSlotsWhenFull,
    "follows_no_redirect": Follows,
    "replays_no_cookie": KeepsCookies,
    "refuses_to_be_injected": ShowsWhatItRefuses,
    "types_connection_errors": RaisesItsOwn,
}
ALSO = {
    # What a connection a request costs shows where connections are few or counted.
    NeverReuses: {"keeps_to_its_connections"},
    IgnoresItsBound: {"keeps_the_pool_timeout"},
    LosesSlots: {"leaks_nothing_when_cancelled_under_contention"},
    ReadsAhead: {"drops_a_reply_that_is_left"},
}


def test_every_behaviour_has_its_mutant() -> None:
    assert set(MUTANTS) == TransportConformance.ALL


@pytest.mark.parametrize("claim", sorted(TransportConformance.ALL))
def test_a_wrong_transport_fails_where_it_is_wrong(claim: str) -> None:
    mutant = MUTANTS[claim]
    # What takes time is run for the mutants that it is about.
    found = failing(TestRight, (TransportConformance.ALL - SLOW) | {claim}, transport_class=mutant)
    assert claim in found
    assert found <= {claim} | ALSO.get(mutant, set())
