"""One server for the tests that only ask it; the others start their own."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lexigram.ai.llm.local import LlamaServer


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_gone(pid: int, seconds: float) -> float:
    """Return how many seconds it took until the process had ended."""
    began = time.monotonic()
    while is_alive(pid):
        assert time.monotonic() - began < seconds, f"process {pid} still runs after {seconds} s"
        time.sleep(0.005)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def server(cache_dir: Path) -> Iterator[LlamaServer]:
    server = LlamaServer(cache_dir=cache_dir, context=2048)
    asyncio.run(server.start())
    yield server
    asyncio.run(server.stop())
