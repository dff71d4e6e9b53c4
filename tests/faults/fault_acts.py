"""What surrounds calls, calls that are more than a question, and conditions on their outcome."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import trustme
from fault_world import Ground, Mode, World, addresses, names

from lexigram.contracts.ai.request import Timeouts
from lexigram.testing.invariants import Observed

SHORT = Timeouts(total=0.5, connect=0.3)
TOTAL = "LLMTimeoutError(total)"
COMPLETE: tuple[Mode, ...] = ("complete",)
STREAM: tuple[Mode, ...] = ("stream",)
OK = ("Ok 'hello'",)
TRUNCATED = ("DecodeError(truncated)",)
CUT = ("StreamError(truncated)",)
TOO_LARGE = ("DecodeError(too_large)",)
ENCODING = ("DecodeError(encoding)",)


@contextlib.contextmanager
def closed(ground: Ground) -> Iterator[None]:
    ground.server.close_port()
    try:
        yield
    finally:
        ground.server.open_port()


def failing(code: int) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "no")

    return fail


def retryable(expected: bool) -> Any:
    def check(_: World, seen: Observed[Any]) -> list[str]:
        error: Any = seen.error
        return [] if error is None or error.retryable is expected else [f"retryable is {error.retryable}"]

    return check


def hinted(word: str) -> Any:
    def check(_: World, seen: Observed[Any]) -> list[str]:
        error: Any = seen.error
        return [] if word in f"{error.message} {error.hint}" else [f"no word of {word!r} in {error.message!r}"]

    return check


def fresh_connection(world: World, _: Observed[Any]) -> list[str]:
    used = {request.connection for request in world.server.journal.requests}
    return [] if len(used) == len(world.server.journal.requests) else ["a connection with bytes left over was reused"]


def no_cookie(world: World, _: Observed[Any]) -> list[str]:
    sent = [request for request in world.server.journal.requests if "cookie" in request.headers]
    return ["a cookie was replayed"] if sent else []


def decodable_only(world: World, _: Observed[Any]) -> list[str]:
    offered = {
        c.strip()
        for r in world.server.journal.requests
        for c in r.headers.get("accept-encoding", "identity").split(",")
    }
    return [] if offered <= {"gzip", "deflate", "br", "zstd", "identity"} else [f"offered {offered}"]


def quick(seconds: float) -> Any:
    return lambda _, seen: [] if seen.seconds < seconds else [f"took {seen.seconds:.1f} s"]


async def after_another(world: World, mode: Mode) -> Any:
    """The call before it leaves its mark on the connection."""
    first = await world.ask(mode)
    assert first.is_ok(), first
    return await world.ask(mode)


@contextlib.contextmanager
def blocked_resolver(ground: Ground) -> Iterator[threading.Event]:
    gate = threading.Event()

    def block(*_: Any, **__: Any) -> Any:
        gate.wait(10)
        raise socket.gaierror(socket.EAI_NONAME, "no")

    real = socket.getaddrinfo
    socket.getaddrinfo = block  # type: ignore[assignment]
    try:
        yield gate
    finally:
        gate.set()
        socket.getaddrinfo = real


async def hundred(world: World, mode: Mode) -> Any:
    before = threading.active_count()
    results = await asyncio.gather(*[world.ask(mode) for _ in range(100)])
    world.notes["threads"] = threading.active_count() - before
    kinds = {type(result.err()).__name__ for result in results}
    assert len(kinds) == 1, kinds
    return results[0]


def few_threads(world: World, _: Observed[Any]) -> list[str]:
    return [] if world.notes["threads"] <= 8 else [f"{world.notes['threads']} threads wait for the resolver"]


@contextlib.contextmanager
def black_hole(ground: Ground) -> Iterator[None]:
    """A listener whose backlog is full swallows connection attempts; the next address of the name is good."""
    with socket.socket() as hole, socket.socket() as filler, socket.socket() as second:
        hole.bind(("127.0.0.2", ground.server.ports["plain"]))
        hole.listen(0)
        for sock in (filler, second):
            sock.setblocking(False)
            sock.connect_ex(hole.getsockname())
        with names(addresses("127.0.0.2", "127.0.0.1")):
            yield


def with_cert(make: Any) -> Any:
    return lambda ground: ground.cert(make(ground))


def expired(ground: Ground) -> trustme.LeafCert:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    return ground.authority.issue_cert("127.0.0.1", not_before=past, not_after=past + datetime.timedelta(days=1))


def proxied(url: str) -> Any:
    @contextlib.contextmanager
    def around(ground: Ground) -> Iterator[None]:
        old = os.environ.get("HTTP_PROXY")
        os.environ["HTTP_PROXY"] = url.format(port=ground.server.ports["plain"])
        try:
            yield
        finally:
            os.environ.pop("HTTP_PROXY") if old is None else os.environ.update(HTTP_PROXY=old)

    return around


def no_password(world: World, seen: Observed[Any]) -> list[str]:
    return ["the proxy's password is shown"] if "pa55word" in f"{seen.error!r}{vars(seen.error)}" else []


async def encodable(world: World, mode: Mode) -> Any:
    """What came goes out again on the next turn."""
    first = await world.ask(mode)
    text = first.unwrap().content
    again = await world.client.complete([{"role": "assistant", "content": text}, {"role": "user", "content": "Go on"}])
    assert again.is_ok(), again
    return first


def keepalive_set(world: World, _: Observed[Any]) -> list[str]:
    if world.pool is None:
        return []
    conns = [c for shelf in world.pool._shelves.values() for b in shelf.buckets.values() for c in b.conns]
    off = [c for c in conns if not c.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
    return ["SO_KEEPALIVE is off"] if off else []
