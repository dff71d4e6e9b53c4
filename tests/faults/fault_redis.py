"""A Redis of our own, and a proxy before it that can pause, cut and slow what it says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Literal

from fault_world import Ground

BINARY: Final = shutil.which("redis-server")
URL: Final = "LEX_RESILIENCE__LIMITER__REDIS__URL"
Way = Literal["relay", "pause", "cut", "slow"]


def with_redis(way: Way) -> Callable[[Ground], AbstractContextManager[None]]:
    """Return what surrounds a row: a Redis behind a proxy, named in the environment as an operator would.

    Args:
        way: ``relay`` passes everything on, ``pause`` nothing that Redis says, ``cut`` half of each reply and then the
            end, ``slow`` each reply after a moment.
    """

    @contextlib.contextmanager
    def around(_: Ground) -> Iterator[None]:
        with tempfile.TemporaryDirectory() as folder, _redis(folder) as port, _proxy(port, way) as before:
            with _named(f"redis://127.0.0.1:{before}/0"):
                yield

    return around


def without_redis(_: Ground) -> AbstractContextManager[None]:
    """Nobody listens at the address of Redis."""
    return _named(f"redis://127.0.0.1:{_free_port()}/0")


@contextlib.contextmanager
def _named(url: str) -> Iterator[None]:
    os.environ[URL] = url
    try:
        yield
    finally:
        del os.environ[URL]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _redis(folder: str) -> Iterator[int]:
    assert BINARY is not None
    port = _free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    process = subprocess.Popen([BINARY, *options], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait(timeout=10)


@contextlib.contextmanager
def _proxy(port: int, way: Way) -> Iterator[int]:
    """A thread that stands between; its sockets end with it."""
    loop, ready, mine = asyncio.new_event_loop(), threading.Event(), _free_port()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, asyncio.CancelledError):
            redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(redis_writer):
                await asyncio.gather(_pass_on(reader, redis_writer, "relay"), _pass_on(redis_reader, writer, way))

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(asyncio.start_server(accepted, "127.0.0.1", mine))
        ready.set()
        loop.run_forever()
        server.close()
        while tasks := asyncio.all_tasks(loop):  # a connection that was just accepted begins one more
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()

    thread = threading.Thread(target=run, name="redis-proxy", daemon=True)
    thread.start()
    ready.wait(5)
    try:
        yield mine
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    while data := await reader.read(65536):
        if way == "pause":
            continue
        if way == "slow":
            await asyncio.sleep(0.02)
        writer.write(data[: len(data) // 2] if way == "cut" else data)
        await writer.drain()
        if way == "cut":
            raise ConnectionResetError
    writer.close()
