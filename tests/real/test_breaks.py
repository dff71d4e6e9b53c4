"""What happens when the real server dies, or its consumer turns away."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lexigram.ai.llm import ClientConfig, LLMModule
from lexigram.ai.llm.local import LlamaServer
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import DecodeError, LLMError, ProviderConnectionError, StreamClosedError, StreamError

from .conftest import HELLO, ask, busy_slots, config_for, connections_to, resolved

ENDLESS = {"ignore_eos": True}


async def until(condition: Callable[[], bool], seconds: float = 2.0) -> float:
    """Return how long it took until the condition held."""
    began = time.perf_counter()
    while not await asyncio.to_thread(condition):
        assert time.perf_counter() - began < seconds, f"still not so after {seconds} s"
        await asyncio.sleep(0.002)
    return time.perf_counter() - began


async def read_some(llm: LLMClientProtocol) -> None:
    """Read a few chunks of an endless answer and break off."""
    async for chunk in llm.stream_chat(HELLO, max_tokens=15_000, extra_body=ENDLESS):
        if len(chunk.delta) > 2:
            break


async def close_some(llm: LLMClientProtocol) -> None:
    async with llm.stream_chat(HELLO, max_tokens=15_000, extra_body=ENDLESS) as stream:
        await anext(stream)
    assert stream.outcome is not None
    assert isinstance(stream.outcome.unwrap_err(), StreamClosedError)


async def cancel_some(llm: LLMClientProtocol) -> None:
    started = asyncio.Event()

    async def read() -> None:
        async for _ in llm.stream_chat(HELLO, max_tokens=15_000, extra_body=ENDLESS):
            started.set()

    reading = asyncio.create_task(read())
    await started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("leave", [read_some, close_some, cancel_some])
async def test_a_consumer_that_turns_away_frees_the_slot_and_leaves_no_connection(
    server: LlamaServer, llm: LLMClientProtocol, leave: Callable[[LLMClientProtocol], Awaitable[None]]
) -> None:
    await until(lambda: busy_slots(server) == 0)
    await leave(llm)
    print(f"{leave.__name__}: slot free after {await until(lambda: busy_slots(server) == 0) * 1000:.0f} ms")
    assert connections_to(server) == 0


async def test_a_cancelled_call_leaves_no_connection(server: LlamaServer, llm: LLMClientProtocol) -> None:
    asking = asyncio.create_task(llm.complete(HELLO, max_tokens=3_000, extra_body=ENDLESS))
    await until(lambda: busy_slots(server) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: connections_to(server) == 0, seconds=0.5)
    # llama.cpp does not look after the connection of an answer that it does not stream: it goes on to the end.
    await until(lambda: busy_slots(server) == 0, seconds=30)


async def test_a_finished_stream_gives_its_connection_back(server: LlamaServer) -> None:
    async with resolved(config_for(server)) as llm:
        for seed in range(5):
            assert (await ask(llm, seed, streamed=True)).is_ok()
        assert (await ask(llm, 5)).is_ok()
        assert connections_to(server) == 1
    await until(lambda: connections_to(server) == 0)


async def test_a_server_killed_amid_a_stream_gives_a_typed_error_with_the_partial_text(cache_dir: Path) -> None:
    async with LlamaServer(cache_dir=cache_dir, context=16_384, slots=1) as own, resolved(config_for(own)) as llm:
        stream = llm.stream_chat(HELLO, max_tokens=15_000, extra_body=ENDLESS)
        seen = ""
        with pytest.raises(LLMError) as caught:
            async for chunk in stream:
                seen += chunk.delta
                if len(seen) > 40 and own.crash is None:
                    assert own.pid is not None
                    os.kill(own.pid, signal.SIGKILL)
        assert isinstance(caught.value, StreamError | ProviderConnectionError | DecodeError)
        assert caught.value.partial is not None
        assert caught.value.partial.content == seen
        assert len(seen) > 40
        assert (await stream.completion()).unwrap_err() is caught.value
        assert isinstance((await llm.complete(HELLO)).unwrap_err(), ProviderConnectionError)


async def test_the_crash_of_an_embedded_server_is_told_with_its_exit_code(cache_dir: Path) -> None:
    config = ClientConfig(provider="llamacpp", extra={"cache_dir": str(cache_dir), "context": 1024, "slots": 1})
    before = children()
    async with Application(modules=[LLMModule.configure(config)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        (await llm.complete(HELLO, max_tokens=5)).unwrap()
        (child,) = children() - before
        os.kill(child, signal.SIGKILL)
        await until(lambda: has_ended(child))
        error = (await llm.complete(HELLO)).unwrap_err()
        assert isinstance(error, ProviderConnectionError)
        assert "exit code -9, killed by signal 9 SIGKILL" in str(error)
        assert not (await llm.health_check()).healthy


async def test_the_application_takes_its_server_with_it(cache_dir: Path) -> None:
    config = ClientConfig(provider="llamacpp", extra={"cache_dir": str(cache_dir), "context": 1024, "slots": 1})
    before = children()
    async with resolved(config):
        assert len(children() - before) == 1
    assert children() == before


def has_ended(child: int) -> bool:
    """Tell whether the child has ended with all its threads, and waits to be reaped."""
    state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z" and len(os.listdir(f"/proc/{child}/task")) == 1


def children() -> set[int]:
    """Return the process ids of this process's children, those included that wait to be reaped."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
