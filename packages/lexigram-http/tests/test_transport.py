"""The httpx door: the interface as httpx uses it, and our errors behind httpx's."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from http_world import EVENTS, OK, SENTINEL, World

from lexigram.http import Deadlines, HttpError, HttpTransport, Limits
from lexigram.testing.faults import FaultServer
from lexigram.testing.invariants import until


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = HttpTransport(world.pool)
    headers = {"authorization": f"Bearer {SENTINEL}"}
    async with httpx.AsyncClient(
        transport=transport, base_url=str(world.origin()), timeout=httpx.Timeout(2), headers=headers
    ) as client:
        yield client


async def test_a_client_works_over_it(client: httpx.AsyncClient, world: World) -> None:
    response = await client.post("/ok", json={"a": 1})
    assert (response.status_code, response.json(), response.http_version, response.reason_phrase) == (
        200, {"ok": True}, "HTTP/1.1", "OK",
    )  # fmt: skip
    assert world.journal.requests[0].body == b'{"a":1}'
    assert response.request.method == "POST"


async def test_requests_arrive_as_httpx_made_them(client: httpx.AsyncClient, world: World) -> None:
    response = await client.put("/echo?a=b%20c", content=b"12345", headers={"X-A": "1", "Host": "other.test"})
    told = response.json()
    assert (told["method"], told["path"], told["size"]) == ("PUT", "/echo?a=b%20c", 5)
    assert (told["headers"]["x-a"], told["headers"]["host"], told["headers"]["content-length"]) == (
        "1",
        "other.test",
        "5",
    )
    told = (await client.get("/echo")).json()
    assert "content-length" not in told["headers"] and told["headers"]["host"] == world.origin().authority


async def test_a_streamed_request_body_is_sent(client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    assert (await client.post("/echo", content=body())).json()["size"] == 4


async def test_streams_and_raw_streams_and_early_exits(client: httpx.AsyncClient, world: World) -> None:
    async with client.stream("GET", "/stream=0.03") as response:
        assert [chunk async for chunk in response.aiter_raw()] == EVENTS
    async with client.stream("GET", "/stream") as response:
        assert [line async for line in response.aiter_lines() if line] == [e.decode().strip() for e in EVENTS]
    async with client.stream("GET", "/s_stall") as response:
        async for _ in response.aiter_bytes():
            break
    assert world.pool.stats().in_use == 0
    assert world.journal.connections == 1


@pytest.mark.parametrize("name", ["gzip", "deflate_raw", "gzip_gzip"])
async def test_bodies_are_decoded_once_and_the_coding_is_noted(client: httpx.AsyncClient, name: str) -> None:
    response = await client.get(f"/{name}")
    assert response.content == OK and "content-encoding" not in response.headers
    assert b"gzip" in response.extensions["content_encoding"] or name == "deflate_raw"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [("gzip, br;q=0.5, weird", "gzip, br;q=0.5"), ("weird", "identity"), ("identity", "identity")],
)
async def test_only_what_can_be_decoded_is_asked_for(client: httpx.AsyncClient, asked: str, sent: str) -> None:
    pytest.importorskip("brotli")
    told = (await client.get("/echo", headers={"accept-encoding": asked})).json()
    assert told["headers"]["accept-encoding"] == sent


ERRORS: list[tuple[str, type[Exception]]] = [
    ("/close_silent", httpx.RemoteProtocolError),
    ("/rst_request", httpx.ReadError),
    ("/bad_status", httpx.RemoteProtocolError),
    ("/huge_headers", httpx.RemoteProtocolError),
    ("/short_cl", httpx.RemoteProtocolError),
    ("/trunc_chunked", httpx.RemoteProtocolError),
    ("/gzip_trunc", httpx.RemoteProtocolError),
    ("/gzip_lie", httpx.DecodingError),
    ("/stacked", httpx.DecodingError),
    ("/gzip_bomb=40", httpx.RemoteProtocolError),
    ("/s_rst", httpx.RemoteProtocolError),
    ("/s_stall", httpx.ReadTimeout),
    ("/hang", httpx.ReadTimeout),
    ("/slow_headers", httpx.ReadTimeout),
    ("/dribble", httpx.ReadTimeout),
]


@pytest.mark.parametrize(("path", "expected"), ERRORS)
async def test_every_fault_is_an_httpx_error_caused_by_ours(world: World, path: str, expected: type[Exception]) -> None:
    seconds = 0.2 if expected is httpx.ReadTimeout else 10
    transport = HttpTransport(
        ssl_context=world.context, deadlines=Deadlines(total=seconds + 0.3), limits=Limits(stream_decoded=8 << 20)
    )
    async with httpx.AsyncClient(
        transport=transport, base_url=str(world.origin()), timeout=seconds, headers={"authorization": SENTINEL}
    ) as client:
        with pytest.raises(expected) as caught:
            await client.post(path, json={})
        assert isinstance(caught.value, expected) and isinstance(caught.value.__cause__, HttpError)
        assert isinstance(caught.value, httpx.RequestError) and caught.value.request.method == "POST"
        world.no_secret(caught.value.__cause__)
        assert (await client.get("/ok", timeout=10)).content == OK
        assert transport.stats().in_use == 0


async def test_connection_errors_are_httpx_connect_errors(client: httpx.AsyncClient, world: World) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{sock.getsockname()[1]}/")
    with pytest.raises(httpx.ConnectError):
        await client.get(f"https://127.0.0.1:{world.server.ports['tls_self_signed']}/ok")
    with pytest.raises(httpx.ConnectTimeout):
        await client.get(f"https://127.0.0.1:{world.server.ports['hang']}/ok", timeout=0.1)


async def test_a_full_pool_is_an_httpx_pool_timeout(world: World) -> None:
    transport = HttpTransport(limits=Limits(connections=1, waiters=1))
    async with httpx.AsyncClient(transport=transport, base_url=str(world.origin())) as client:
        async with client.stream("GET", "/s_stall"):
            with pytest.raises(httpx.PoolTimeout):
                await client.get("/ok", timeout=httpx.Timeout(2, pool=0.05))


async def test_deadlines_can_be_given_with_a_request(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/dribble", extensions={"deadlines": Deadlines(total=0.15)})


@pytest.mark.parametrize(
    ("url", "headers", "expected"),
    [
        ("/ok", {"x-key": f"{SENTINEL}\r\nx: y"}, httpx.LocalProtocolError),
        (f"http://user:{SENTINEL}@127.0.0.1/", {}, httpx.LocalProtocolError),
        ("ftp://127.0.0.1/", {}, httpx.UnsupportedProtocol),
    ],
)
async def test_what_cannot_be_sent_is_refused_unseen(
    world: World, url: str, headers: dict[str, str], expected: type[Exception]
) -> None:
    async with HttpTransport(world.pool) as transport:
        request = httpx.Request("GET", httpx.URL(str(world.origin())).join(url), headers=headers)
        with pytest.raises(expected) as caught:
            await transport.handle_async_request(request)
    assert SENTINEL not in str(caught.value) and not world.journal.connections


async def test_a_clients_cookies_and_redirects_stay_the_clients_business(
    client: httpx.AsyncClient, world: World
) -> None:
    response = await client.get("/redirect")
    assert response.status_code == 307 and len(world.journal.requests) == 1
    response = await client.get("/cookie")
    assert response.headers.get_list("set-cookie") == ["sid=1; Path=/", "b=2"]


async def test_head_and_empty_replies(client: httpx.AsyncClient) -> None:
    assert (await client.head("/head")).headers["content-length"] == "100"
    assert (await client.get("/status=204")).content == b""
    assert (await client.get("/not_modified")).status_code == 304


async def test_many_clients_at_once(client: httpx.AsyncClient, faultd: FaultServer) -> None:
    responses = await asyncio.gather(*[client.post("/echo", json={"n": n}) for n in range(40)])
    assert all(json.loads(response.content)["method"] == "POST" for response in responses)
    assert faultd.journal.connections <= 40


async def test_a_shared_pool_outlives_the_transport_and_an_owned_one_does_not(world: World) -> None:
    shared, owned = HttpTransport(world.pool), HttpTransport()
    request: Any = httpx.Request("GET", f"{world.origin()}/ok")
    for transport in (shared, owned):
        async with transport:
            assert await (await transport.handle_async_request(request)).aread() == OK
    assert await world.get("/ok") == (200, OK)
    with pytest.raises(httpx.TransportError):
        await owned.handle_async_request(request)
    assert await until(lambda: owned.stats().open == 0)
