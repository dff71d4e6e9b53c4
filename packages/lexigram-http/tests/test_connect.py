"""Making connections: refusals, resets, names, TLS, and connections that die while idle."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import Any

import pytest
from http_world import OK, SLOW, World, threads

from lexigram.http import Deadlines, HttpConnectError, HttpTimeout, Limits, Origin, Pool
from lexigram.testing.invariants import until

SHORT = Deadlines(total=2.0, connect=0.2, headers=0.2, idle=0.2)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_refused_connection_says_refused_and_that_nothing_was_sent(world: World) -> None:
    error = await world.fails("/", origin=Origin("http", "127.0.0.1", free_port()))
    assert isinstance(error, HttpConnectError) and (error.kind, error.sent) == ("refused", False)


@pytest.mark.parametrize(("port", "kinds"), [("rst", {"reset"}), ("eof", {"closed", "reset"})])
async def test_a_connection_dropped_on_accept_is_reported_once_and_not_retried(
    world: World, port: str, kinds: set[str]
) -> None:
    error = await world.fails("/ok", port=port)
    assert isinstance(error, HttpConnectError) and error.kind in kinds
    assert world.journal.connections == 1
    assert world.pool.stats().reused_retries == 0


async def test_a_connection_that_dies_before_it_is_used_is_an_error_with_nothing_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = asyncio.BaseEventLoop.create_connection

    async def dawdle(*args: Any, **options: Any) -> Any:
        result = await made(*args, **options)
        await asyncio.sleep(0.05)
        return result

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", dawdle)
    error = await world.fails("/ok", port="eof")
    assert isinstance(error, HttpConnectError) and (error.kind, error.sent) == ("closed", False)


async def test_after_one_reset_the_callers_second_call_succeeds(world: World) -> None:
    assert isinstance(await world.fails("/ok", port="rst_once"), HttpConnectError)
    assert await world.get("/ok", port="rst_once") == (200, OK)


@pytest.mark.parametrize(("path", "kind"), [("/close_silent", "closed"), ("/rst_request", "reset")])
async def test_a_fresh_connection_that_dies_before_a_byte_is_not_retried(world: World, path: str, kind: str) -> None:
    error = await world.fails(path)
    assert isinstance(error, HttpConnectError) and (error.kind, error.sent) == (kind, True)
    assert len(world.journal.requests) == 1


async def test_a_server_that_accepts_and_never_answers_costs_the_headers_deadline(world: World) -> None:
    error = await world.fails("/ok", port="hang", deadlines=SHORT)
    assert isinstance(error, HttpTimeout) and (error.phase, error.sent) == ("headers", True)


@pytest.mark.parametrize(("code", "temporary"), [(socket.EAI_AGAIN, True), (socket.EAI_NONAME, False)])
async def test_an_unknown_name_is_a_dns_error_that_says_whether_to_try_again(
    world: World, monkeypatch: pytest.MonkeyPatch, code: int, temporary: bool
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = await world.fails("/", origin=Origin("http", "name.invalid", 80))
    assert isinstance(error, HttpConnectError) and (error.kind, error.temporary) == ("dns", temporary)


async def test_a_blocked_resolver_costs_the_connect_deadline_and_a_bounded_number_of_threads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()

    def block(*_: Any, **__: Any) -> Any:
        gate.wait(5)
        raise socket.gaierror(socket.EAI_NONAME, "no")

    monkeypatch.setattr(socket, "getaddrinfo", block)
    try:
        origins = [Origin("http", f"slow{n % 20}.invalid", 80) for n in range(100)]
        errors = await asyncio.gather(*[world.fails("/", origin=origin, deadlines=SHORT) for origin in origins])
        assert {(type(error), error.phase) for error in errors} == {(HttpTimeout, "connect")}
        assert 1 <= threads() <= 8
    finally:
        gate.set()
    assert await until(lambda: threads() == 0)


async def test_concurrent_lookups_of_one_name_share_one_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def found(host: str, port: int, **_: Any) -> Any:
        calls.append(host)
        time.sleep(0.05)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    origin = world.origin(host="shared.test")
    assert await asyncio.gather(*[world.get("/ok", origin=origin) for _ in range(5)]) == [(200, OK)] * 5
    assert calls == ["shared.test"]


@pytest.mark.parametrize("dead", ["refused", "black_hole"])
async def test_a_dead_first_address_is_passed_over_for_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch, dead: str
) -> None:
    """A listener whose backlog is full swallows connection attempts like a black hole."""
    with socket.socket() as hole, socket.socket() as filler, socket.socket() as second:
        hole.bind(("127.0.0.2", world.server.ports["plain"]))
        if dead == "black_hole":
            hole.listen(0)
            for sock in (filler, second):
                sock.setblocking(False)
                sock.connect_ex(hole.getsockname())

        def found(host: str, port: int, **_: Any) -> Any:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in ("127.0.0.2", "127.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", found)
        start = time.monotonic()
        assert await world.get("/ok", origin=world.origin(host="two.test")) == (200, OK)
        assert time.monotonic() - start < 1.5


async def test_https_is_spoken_and_the_connection_kept(world: World) -> None:
    for _ in range(3):
        assert await world.get("/ok", port="tls", scheme="https") == (200, OK)
    assert world.journal.connections == 1


@pytest.mark.parametrize("port", ["tls_self_signed", "tls_wrong_host"])
async def test_a_certificate_that_does_not_fit_is_a_tls_error_and_nothing_is_sent(world: World, port: str) -> None:
    error = await world.fails("/ok", port=port, scheme="https")
    assert isinstance(error, HttpConnectError) and (error.kind, error.sent) == ("tls", False)
    assert "127.0.0.1" in str(error) and not world.journal.requests


async def test_a_stalled_tls_handshake_counts_against_the_connect_deadline(world: World) -> None:
    error = await world.fails("/ok", port="hang", scheme="https", deadlines=SHORT)
    assert isinstance(error, HttpTimeout) and (error.phase, error.sent) == ("tls", False)


async def test_the_total_deadline_covers_connecting(world: World) -> None:
    error = await world.fails("/ok", port="hang", scheme="https", deadlines=Deadlines(total=0.1, connect=3))
    assert isinstance(error, HttpTimeout) and error.phase == "total"


async def test_https_to_a_plain_port_is_a_tls_error(world: World) -> None:
    error = await world.fails("/ok", port="plain", scheme="https", deadlines=SHORT)
    assert isinstance(error, HttpConnectError | HttpTimeout)
    assert getattr(error, "kind", getattr(error, "phase", "")) == "tls"


async def test_http_to_a_tls_port_hints_at_the_scheme(world: World) -> None:
    error = await world.fails("/ok", port="tls", deadlines=SLOW)
    assert isinstance(error, HttpConnectError) and error.kind == "closed" and "scheme" in str(error)


@pytest.mark.parametrize("path", ["/keepalive_race", "/keepalive_close"])
async def test_a_kept_connection_that_died_is_replaced_once_and_counted(world: World, path: str) -> None:
    assert await world.get(path) == (200, OK)
    # No turn of the loop for the client to notice: the race is lost every time.
    if path == "/keepalive_close":
        time.sleep(0.05)
    reply = await world.open("/ok")
    assert await reply.read() == OK
    assert reply.reconnected
    assert world.pool.stats().reused_retries == 1


async def test_the_retry_takes_a_new_connection_and_is_the_only_one(world: World) -> None:
    await asyncio.gather(*[world.get("/keepalive_race") for _ in range(3)])
    assert world.pool.stats().idle == 3
    error = await world.fails("/rst_request")
    assert isinstance(error, HttpConnectError) and error.kind == "reset"
    assert [request.path for request in world.journal.requests].count("/rst_request") == 1
    assert world.pool.stats().reused_retries == 1


async def test_no_retry_after_a_timeout_or_a_partial_head(world: World) -> None:
    await world.get("/ok")
    await world.fails("/hang", deadlines=SHORT)
    await world.get("/ok")
    await world.fails("/half_head")
    assert world.pool.stats().reused_retries == 0


async def test_a_reply_nobody_asked_for_costs_the_connection_and_confuses_no_one(world: World) -> None:
    assert await world.get("/unsolicited") == (200, OK)
    assert await until(lambda: world.pool.stats().open == 0)
    assert await world.get("/ok") == (200, OK)


async def test_sockets_have_keepalive_and_nodelay(world: World) -> None:
    await world.get("/ok")
    (bucket,) = next(iter(world.pool._shelves.values())).buckets.values()
    (conn,) = bucket.conns
    assert conn.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert conn.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_the_shared_context_honours_ssl_cert_file(
    world: World, authority: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with Pool(deadlines=SLOW, limits=Limits()) as pool:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        error = await world.fails("/ok", port="tls", scheme="https", pool=pool)
        assert isinstance(error, HttpConnectError) and error.kind == "tls"
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        assert await world.get("/ok", port="tls", scheme="https", pool=pool) == (200, OK)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
        error = await world.fails("/ok", port="tls_wrong_host", scheme="https", pool=pool)
        assert isinstance(error, HttpConnectError) and error.kind == "tls"


async def test_the_shared_context_is_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from lexigram.http import _tls

    built: list[Any] = []
    monkeypatch.setattr(_tls, "_built", {})
    monkeypatch.setattr(_tls, "_build", lambda key: built.append(key) or ssl.create_default_context())
    contexts = await asyncio.gather(*[_tls.shared_context() for _ in range(5)])
    assert len(built) == 1 and len(set(map(id, contexts))) == 1


async def test_a_server_that_takes_none_of_the_request_costs_the_write_deadline(world: World) -> None:
    error = await world.fails("/ok", port="deaf", body=bytes(32 << 20), deadlines=Deadlines(total=3, write=0.2))
    assert isinstance(error, HttpTimeout) and (error.phase, error.sent) == ("write", True)


async def test_a_server_that_sips_the_request_does_not_and_the_headers_clock_starts_after_it(world: World) -> None:
    bounds = Deadlines(total=20, write=2, headers=0.3)
    start = time.monotonic()
    reply = await world.open("/sip", body=bytes(16 << 20), deadlines=bounds)
    assert await reply.read() == OK
    assert time.monotonic() - start > 0.3
