"""A server that misbehaves by name: raw asyncio on a thread of its own, loopback only, with a journal.

The first segment of the request path names the scenario, the rest are its arguments: /status/503, /sleep/0.2.
Ports named in `accepting` misbehave before any request. Helpers for tests; knows nothing of the package under test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from canned import BOMBS, CHUNKED, CODED, EVENTS, OK, RAW, SSE, chunk, response

Scenario = Callable[["Peer", list[str]], Awaitable[bool | None]]
scenarios: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    scenarios[function.__name__.rstrip("_")] = function
    return function


@dataclass
class Request:
    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Journal:
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    sent: int = 0

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


class Peer:
    def __init__(self, server: Faultd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.request: Request | None = None

    async def send(self, data: bytes) -> None:
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()
        self.server.journal.sent += len(data)

    def rst(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Waits until the client has closed."""
        while await self.reader.read(65536):
            pass

    async def pause(self, seconds: float) -> None:
        """Sleeps, or ends at once when the client closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone(), seconds)
            raise ConnectionResetError


class Faultd:
    def __init__(self, contexts: dict[str, ssl.SSLContext]) -> None:
        self.journal = Journal()
        self.ports: dict[str, int] = {}
        self.loop = asyncio.new_event_loop()
        self._contexts = contexts
        self._ready = threading.Event()
        self._seen: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        self._ready.set()
        self.loop.run_forever()
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0.01))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5)

    def reset(self) -> None:
        self.journal.clear()
        self._seen.clear()

    def times(self, name: str) -> int:
        self._seen[name] = self._seen.get(name, 0) + 1
        return self._seen[name]

    async def _listen(self) -> None:
        names = ["plain", *accepting, *self._contexts]
        for name in names:
            server = await asyncio.start_server(
                lambda r, w, name=name: self._accepted(name, r, w),
                "127.0.0.1",
                0,
                ssl=self._contexts.get(name),
            )
            self._servers.append(server)
            self.ports[name] = server.sockets[0].getsockname()[1]

    async def _accepted(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.journal.connections += 1
        number = self.journal.connections
        peer = Peer(self, reader, writer)
        try:
            if name in accepting and not await accepting[name](peer, []):
                return
            while await self._serve(peer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.journal.gone += 1
            writer.close()

    async def _serve(self, peer: Peer, number: int) -> bool:
        try:
            head = (await peer.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return False
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        name, *args = path.partition("?")[0].strip("/").split("/")
        peer.request = Request(number, method, path, headers, b"")
        if name == "early_reply":
            self.journal.requests.append(peer.request)
            await peer.send(response(b"too much", "Connection: close", status="413 Too Large"))
        if name == "sip":
            left = int(headers.pop("content-length"))
            while left:
                left -= len(await peer.reader.read(1 << 18))
                await asyncio.sleep(0.01)
        peer.request.body = await peer.reader.readexactly(int(headers.get("content-length", "0")))
        if name == "early_reply":
            return False
        self.journal.requests.append(peer.request)
        return await scenarios[name](peer, args) is not False


async def _rst(peer: Peer, _: list[str]) -> bool:
    peer.rst()
    return False


async def _rst_once(peer: Peer, _: list[str]) -> bool:
    if peer.server.times("rst_once") == 1:
        peer.rst()
        return False
    return True


async def _eof(peer: Peer, _: list[str]) -> bool:
    return False


async def _hang(peer: Peer, _: list[str]) -> bool:
    await peer.gone()
    return False


async def _deaf(peer: Peer, _: list[str]) -> bool:
    transport = peer.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    await asyncio.sleep(0.5)
    transport.resume_reading()
    await peer.gone()
    return False


accepting: dict[str, Scenario] = {"deaf": _deaf, "rst": _rst, "rst_once": _rst_once, "eof": _eof, "hang": _hang}  # type: ignore[dict-item]


@scenario
async def ok(peer: Peer, args: list[str]) -> None:
    await peer.send(response())


@scenario
async def sip(peer: Peer, args: list[str]) -> None:
    """The request body is read slowly, see `_serve`."""
    await peer.send(response())


@scenario
async def echo(peer: Peer, args: list[str]) -> None:
    request = peer.request
    assert request is not None
    told = {"method": request.method, "path": request.path, "headers": request.headers, "size": len(request.body)}
    await peer.send(response(json.dumps(told).encode()))


@scenario
async def status(peer: Peer, args: list[str]) -> None:
    await peer.send(response(b"" if args[0] in ("204", "304") else OK, status=f"{args[0]} X", length=args[0] != "204"))


@scenario
async def not_modified(peer: Peer, args: list[str]) -> None:
    await peer.send(response(b"", "Content-Length: 100", status="304 Not Modified", length=False))


@scenario
async def head_(peer: Peer, args: list[str]) -> None:
    body = b"x" * 100
    data = response(body)
    await peer.send(data[:-100] if peer.request is not None and peer.request.method == "HEAD" else data)


@scenario
async def sleep(peer: Peer, args: list[str]) -> None:
    await peer.pause(float(args[0]))
    await peer.send(response())


@scenario
async def hang(peer: Peer, args: list[str]) -> bool:
    await peer.gone()
    return False


@scenario
async def close_silent(peer: Peer, args: list[str]) -> bool:
    return False


@scenario
async def rst_request(peer: Peer, args: list[str]) -> bool:
    peer.rst()
    return False


@scenario
async def slow_headers(peer: Peer, args: list[str]) -> None:
    for byte in response(OK, *[f"X-{n}: y" for n in range(200)]):
        await peer.send(bytes([byte]))
        await peer.pause(0.02)


@scenario
async def dribble(peer: Peer, args: list[str]) -> None:
    await peer.send(response(b"", "Content-Length: 100000", length=False))
    while True:
        await peer.send(b"x")
        await peer.pause(0.02)


@scenario
async def raw(peer: Peer, args: list[str]) -> None:
    """Sends a canned head or reply, and would serve on."""
    await peer.send(RAW[args[0]])


@scenario
async def cut(peer: Peer, args: list[str]) -> bool:
    """Sends a canned reply, then closes."""
    await peer.send(RAW[args[0]])
    return False


@scenario
async def bomb(peer: Peer, args: list[str]) -> None:
    """args: megabytes, coding."""
    body = await asyncio.to_thread(BOMBS[args[1]], int(args[0]))
    await peer.send(response(body, CODED + args[1]))


@scenario
async def giant(peer: Peer, args: list[str]) -> None:
    """args: megabytes."""
    await peer.send(response(b"", f"Content-Length: {int(args[0]) << 20}", length=False))
    for _ in range(int(args[0])):
        await peer.send(bytes(1 << 20))


@scenario
async def infinite(peer: Peer, args: list[str]) -> None:
    await peer.send(CHUNKED)
    data = chunk(EVENTS[0]) * 50
    while True:
        await peer.send(data)
        await asyncio.sleep(0)


@scenario
async def keepalive_race(peer: Peer, args: list[str]) -> bool:
    """Answers as if to keep the connection, then resets it when the next request comes."""
    await peer.send(response())
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.rst()
    return False


@scenario
async def keepalive_close(peer: Peer, args: list[str]) -> bool:
    await peer.send(response())
    return False


@scenario
async def unsolicited(peer: Peer, args: list[str]) -> bool:
    """Answers, and a little later answers what nobody asked."""
    await peer.send(response())
    await peer.pause(0.05)
    await peer.send(response(b"forged"))
    await peer.gone()
    return False


@scenario
async def stream(peer: Peer, args: list[str]) -> None:
    """args: pause between events."""
    await peer.send(CHUNKED)
    for event in EVENTS:
        await peer.send(chunk(event))
        if args:
            await peer.pause(float(args[0]))
    await peer.send(b"0\r\n\r\n")


@scenario
async def s_rst(peer: Peer, args: list[str]) -> bool:
    await peer.send(CHUNKED + chunk(EVENTS[0]))
    await asyncio.sleep(0.05)
    peer.rst()
    return False


@scenario
async def s_stall(peer: Peer, args: list[str]) -> bool:
    await peer.send(CHUNKED + chunk(EVENTS[0]))
    await peer.gone()
    return False


@scenario
async def s_deaf(peer: Peer, args: list[str]) -> bool:
    """Sends an event, then hears nothing for a while, not even a farewell."""
    await peer.send(CHUNKED + chunk(EVENTS[0]))
    transport = peer.writer.transport
    assert isinstance(transport, asyncio.Transport)
    transport.pause_reading()
    await asyncio.sleep(1)
    transport.resume_reading()
    await peer.gone()
    return False


@scenario
async def s_headers_only(peer: Peer, args: list[str]) -> bool:
    await peer.send(CHUNKED)
    await peer.gone()
    return False


@scenario
async def s_comments(peer: Peer, args: list[str]) -> bool:
    await peer.send(CHUNKED)
    while True:
        await peer.send(chunk(b": keep-alive\n\n"))
        await peer.pause(0.02)


@scenario
async def s_gzip(peer: Peer, args: list[str]) -> None:
    """Flushes every event, and waits for as long as it takes the client to ask for more."""
    packer = zlib.compressobj(wbits=31)
    await peer.send(response(b"", SSE, "Transfer-Encoding: chunked", CODED + "gzip", length=False))
    for event in EVENTS:
        await peer.send(chunk(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)))
        await peer.pause(0.1)
    await peer.send(chunk(packer.flush()) + b"0\r\n\r\n")


@scenario
async def drip_chunks(peer: Peer, args: list[str]) -> None:
    """Chunk heads and chunk bodies in writes of their own."""
    await peer.send(CHUNKED)
    for _ in range(60):
        for piece in (b"2\r\n", b"ab\r\n"):
            await peer.send(piece)
            await asyncio.sleep(0.002)
    await peer.send(b"0\r\n\r\n")
