"""The server itself: a thread with an event loop of its own, listeners, the plan, the journal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeAlias

from lexigram.testing.faults._voices import PLAIN, VOICES, Voice

__all__ = ["FaultServer", "Journal", "Peer", "ReceivedRequest", "Scenario", "accepting", "scenario", "scenarios"]

Scenario: TypeAlias = "Callable[[Peer, list[str]], Awaitable[bool | None]]"
"""Answers one request; False closes the connection. The list holds the scenario's arguments."""

scenarios: Final[dict[str, Scenario]] = {}
"""What may happen to a request, by name."""

accepting: Final[dict[str, Scenario]] = {}
"""What may happen to a connection before any request; each has a port of its own, named as it is."""

_ACCEPT: Final = "accept:"


def scenario(function: Scenario) -> Scenario:
    """Add a scenario under its function's name, without trailing underscores."""
    scenarios[getattr(function, "__name__", "").rstrip("_")] = function
    return function


@dataclass
class ReceivedRequest:
    """A request as it came.

    Attributes:
        connection: the number of its connection, from 1.
        method: the method.
        path: path and query.
        headers: by lower-case name.
        body: the whole body.
        at: when its head had come, by this machine's monotonic clock.
    """

    connection: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = 0.0

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for, in the body or by the path's last segment (Gemini, Bedrock, Vertex)."""
        last = self.path.partition("?")[0].rpartition("/")[2]
        return b'"stream":true' in self.body.replace(b" ", b"") or "stream" in last.lower()


@dataclass
class Journal:
    """What the server has seen.

    Attributes:
        requests: every request whose body came whole.
        connections: connections accepted.
        gone: connections over.
        sent: bytes that the system has taken.
    """

    requests: list[ReceivedRequest] = field(default_factory=list[ReceivedRequest])
    connections: int = 0
    gone: int = 0
    sent: int = 0

    def clear(self) -> None:
        """Forget everything."""
        self.requests.clear()
        self.connections = self.gone = self.sent = 0


class Peer:
    """One connection, as scenarios see it.

    Attributes:
        server: the server.
        reader: what the client sends.
        writer: the way to the client; `send` counts and minds back-pressure.
        request: the request to be answered; unset before the first.
    """

    def __init__(self, server: FaultServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader = reader
        self.writer = writer
        self.request: ReceivedRequest

    @property
    def voice(self) -> Voice:
        """The wire that the request's path speaks."""
        path = self.request.path.partition("?")[0]
        return next((voice for end, voice in self.server.voices.items() if path.endswith(end)), PLAIN)

    async def send(self, data: bytes) -> None:
        """Send, as fast as the client takes it."""
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()
        self.server.journal.sent += len(data)

    def rst(self) -> None:
        """Reset the connection."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed."""
        while await self.reader.read(65536):
            pass

    async def pause(self, seconds: float) -> None:
        """Sleep, or end at once when the client closes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone(), seconds)
            raise ConnectionResetError

    async def deaf(self, seconds: float) -> None:
        """Hear nothing for a while, not even a farewell."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        await asyncio.sleep(seconds)
        transport.resume_reading()
        await self.gone()


class FaultServer:
    """A server on 127.0.0.1 that misbehaves as it is told. A context manager; started when made.

    Args:
        tls: further ports by name, that speak TLS with these contexts.
        voices: wires by the end of the request's path, instead of the known ones.
        port: number of the plain port; 0 takes a free one.

    Raises:
        OSError: where the port is taken.

    Attributes:
        journal: what it has seen.
        ports: by name: ``plain``, those of ``tls``, and one for each of ``accepting``.
        voices: see above.
    """

    def __init__(
        self,
        tls: Mapping[str, ssl.SSLContext] | None = None,
        *,
        voices: Mapping[str, Voice] | None = None,
        port: int = 0,
    ) -> None:
        self.journal = Journal()
        self.ports: dict[str, int] = {"plain": port}
        self._failed: OSError | None = None
        self.voices = VOICES if voices is None else voices
        self._loop = asyncio.new_event_loop()
        self._contexts = dict(tls or {})
        self._ready = threading.Event()
        self._seen: dict[str, int] = {}
        self._plans: dict[bool, deque[str]] = {True: deque(), False: deque()}
        self._always = {True: "", False: "ok"}
        self._servers: dict[str, asyncio.Server] = {}
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)
        self._thread.start()
        self._ready.wait(10)
        if self._failed is not None:
            self._thread.join(5)
            raise self._failed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<FaultServer {self.url()}>"

    def url(self, scenario: str = "v1", *, port: str = "plain", scheme: str | None = None, host: str = "") -> str:
        """Return a base URL without a slash at its end.

        Args:
            scenario: ``name`` or ``name=argument,…``; the default leaves it to `play`.
            port: the port's name.
            scheme: "https" for the ports of ``tls`` unless given.
            host: instead of 127.0.0.1.
        """
        known = scheme or ("https" if port in self._contexts else "http")
        return f"{known}://{host or '127.0.0.1'}:{self.ports[port]}/{scenario}"

    def play(self, *names: str) -> None:
        """Say what happens to the next requests whose path names no scenario; after them all is well.

        Args:
            names: ``name`` or ``name=argument,…``, one a request; ``accept:name`` is one connection's.
        """
        for name in names:
            self._plans[name.startswith(_ACCEPT)].append(name.removeprefix(_ACCEPT))

    def play_always(self, name: str) -> None:
        """Say what happens to every such request (or with ``accept:`` connection) until `reset`."""
        self._always[name.startswith(_ACCEPT)] = name.removeprefix(_ACCEPT)

    def reset(self) -> None:
        """Be well again, and forget what has been seen."""
        self.heal()
        self.journal.clear()

    def heal(self) -> None:
        """Be well again: forget what was to happen."""
        for plan in self._plans.values():
            plan.clear()
        self._always = {True: "", False: "ok"}
        self._seen.clear()

    def times(self, name: str) -> int:
        """Return how often this has been asked since `reset`, this time included."""
        self._seen[name] = self._seen.get(name, 0) + 1
        return self._seen[name]

    def close_port(self, port: str = "plain") -> None:
        """Listen no longer: connections are refused until `open_port`."""
        asyncio.run_coroutine_threadsafe(self._close(port), self._loop).result(5)

    def open_port(self, port: str = "plain") -> None:
        """Listen again, on the same number."""
        asyncio.run_coroutine_threadsafe(self._open(port), self._loop).result(5)

    def stop(self) -> None:
        """End. Safe to call again."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        try:
            for name in ("plain", *accepting, *self._contexts):
                loop.run_until_complete(self._open(name))
        except OSError as error:
            self._failed = error
        self._ready.set()
        if self._failed is None:
            loop.run_forever()
        for server in self._servers.values():
            server.close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    async def _open(self, name: str) -> None:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accepted(name, reader, writer)

        context = self._contexts.get(name)
        server = await asyncio.start_server(accepted, "127.0.0.1", self.ports.get(name, 0), ssl=context)
        self._servers[name] = server
        self.ports[name] = server.sockets[0].getsockname()[1]

    async def _close(self, name: str) -> None:
        self._servers[name].close()

    def _next(self, accept: bool) -> str:
        plan = self._plans[accept]
        return plan.popleft() if plan else self._always[accept]

    async def _accepted(self, port: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.journal.connections += 1
        number = self.journal.connections
        peer = Peer(self, reader, writer)
        try:
            first = accepting.get(port) or accepting.get(self._next(True))
            if first is not None and not await first(peer, []):
                return
            while await self._serve(peer, number):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            return
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
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        name, _, arguments = path.partition("?")[0].strip("/").partition("/")[0].partition("=")
        if name not in scenarios:
            name, _, arguments = self._next(False).partition("=")
        request = peer.request = ReceivedRequest(number, method, path, headers, b"", time.monotonic())
        if name != "early_reply":
            size = int(headers.get("content-length", "0"))
            request.body = await (_sip(peer, size) if name == "sip" else peer.reader.readexactly(size))
        self.journal.requests.append(request)
        return await scenarios[name](peer, arguments.split(",") if arguments else []) is not False


async def _sip(peer: Peer, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0:
        parts.append(await peer.reader.read(1 << 18))
        size -= len(parts[-1]) or size
        await asyncio.sleep(0.01)
    return b"".join(parts)
