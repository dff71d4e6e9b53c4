"""A client over canned replies, and a loopback server that sends exactly the bytes a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, LLMClient, ProviderRegistry
from lexigram.ai.llm.factory import build_client

Handler = Callable[[httpx.Request], httpx.Response]
MakeClient = Callable[..., LLMClient]


@pytest.fixture
def make_client() -> MakeClient:
    """Make a client of a vendor, by default over a handler instead of the network."""

    def make(handler: Handler | None = None, *, provider: str = "openai", **fields: object) -> LLMClient:
        config = ClientConfig.model_validate({"provider": provider, "model": "m-1", "api_key": "sk-test", **fields})
        vendor = ProviderRegistry().get(config.provider)
        transport = httpx.MockTransport(handler) if handler is not None else None
        return build_client(config, vendor, transport=transport)

    return make


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Loopback:
    """A server on 127.0.0.1 that runs one function a connection, after it has read the request."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    open: int = 0

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


@pytest.fixture
async def loopback() -> AsyncIterator[Callable[[Serve], Awaitable[Loopback]]]:
    """Start a server: ``server = await loopback(serve)``."""
    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def start(serve: Serve) -> Loopback:
        state = Loopback()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            state.open += 1
            try:
                await state.read_request(reader)
                await serve(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                state.open -= 1
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return state

    yield start
    for writer in writers:
        writer.transport.abort()
    for server in servers:
        server.close()
    await asyncio.sleep(0)
