"""One real llama.cpp server for all of these tests, and clients resolved from the container."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.llm import ClientConfig, Limits, LLMModule
from lexigram.ai.llm.local import LlamaServer
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Result

CONTEXT = 16_384
HELLO = [{"role": "user", "content": "Hello"}]


def config_for(server: LlamaServer, **settings: Any) -> ClientConfig:
    """Return settings that point to the server."""
    given = {"api_base": server.base_url, "api_key": server.api_key.reveal(), "model": server.model_name, **settings}
    return ClientConfig(provider="llamacpp", **given)


@asynccontextmanager
async def resolved(config: ClientConfig, limits: Limits | None = None) -> AsyncIterator[LLMClientProtocol]:
    """Give the client that an application's container resolves."""
    async with Application(modules=[LLMModule.configure(config, limits=limits)]) as app:
        yield await app.container.resolve(LLMClientProtocol)


async def ask(llm: LLMClientProtocol, seed: int, *, streamed: bool = False) -> Result[str, LLMError]:
    """Return the text of a short answer.

    After about one stream in two hundred, llama.cpp closes the kept-alive connection while the next request is on its
    way; the transport sends it again.
    """
    options: dict[str, Any] = {"seed": seed, "temperature": 0.8, "max_tokens": 40}
    stream = llm.stream_chat(HELLO, **options)
    result = await (stream.completion() if streamed else llm.complete(HELLO, **options))
    return result.map(lambda completion: completion.content)


def connections_to(server: LlamaServer) -> int:
    """Count this machine's established connections to the server, seen from the client's side."""
    port = int(server.base_url.removeprefix("http://127.0.0.1:").removesuffix("/v1"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(state == "01" and int(remote.split(":")[1], 16) == port for _, _, remote, state, *_ in rows)


def busy_slots(server: LlamaServer) -> int:
    """Ask the server how many of its slots are generating."""
    url = server.base_url.removesuffix("/v1") + "/slots"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {server.api_key.reveal()}"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return sum(slot["is_processing"] for slot in json.loads(reply.read()))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def server(cache_dir: Path) -> Iterator[LlamaServer]:
    server = LlamaServer(cache_dir=cache_dir, context=CONTEXT, slots=4)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())


@pytest.fixture
def open_client(server: LlamaServer) -> Callable[..., AbstractAsyncContextManager[LLMClientProtocol]]:
    """Return what opens a client of the server with further settings."""
    return lambda **settings: resolved(config_for(server, **settings))


@pytest.fixture
async def llm(server: LlamaServer) -> AsyncIterator[LLMClientProtocol]:
    """A client of the server."""
    async with resolved(config_for(server)) as client:
        yield client
