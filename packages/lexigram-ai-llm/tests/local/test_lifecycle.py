from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lexigram.ai.llm.local import LlamaServer
from lexigram.contracts.ai.errors import LLMConfigurationError, LLMTimeoutError, ProviderConnectionError
from lexigram.contracts.health import HealthStatus

from .conftest import is_alive, wait_until_gone

PARENT = """
import asyncio, os, pathlib, sys, time
from lexigram.ai.llm.local import LlamaServer
server = LlamaServer(cache_dir=pathlib.Path(sys.argv[1]), context=512)
asyncio.run(server.start())
{then}
print(server.pid, flush=True)
time.sleep(60)
"""


def make(cache_dir: Path, **options: float) -> LlamaServer:
    return LlamaServer(cache_dir=cache_dir, context=512, slots=1, **options)  # type: ignore[arg-type]


async def crashed(server: LlamaServer, by: signal.Signals) -> None:
    """Return once the server has died by the signal."""
    assert server.pid is not None
    os.kill(server.pid, by)
    async with asyncio.timeout(5):
        while server.crash is None:
            await asyncio.sleep(0.005)


@contextlib.contextmanager
def parent(cache_dir: Path, then: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a process that has started a server; give it and the server's pid."""
    script = PARENT.format(then=then)
    process = subprocess.Popen([sys.executable, "-c", script, str(cache_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


async def test_it_is_ready_in_a_moment_and_gone_after_stop(cache_dir: Path) -> None:
    server = make(cache_dir)
    began = time.perf_counter()
    assert await server.start() is server
    print(f"ready after {time.perf_counter() - began:.3f} s")
    assert time.perf_counter() - began < 10
    pid = server.pid
    assert pid is not None
    server.ensure_running()
    await server.stop()
    assert not is_alive(pid)
    assert server.pid is None
    await server.stop()


async def test_leaving_the_block_ends_it_even_by_an_exception(cache_dir: Path) -> None:
    pid = None
    with pytest.raises(ZeroDivisionError):
        async with make(cache_dir) as server:
            pid = server.pid
            raise ZeroDivisionError
    assert pid is not None
    assert not is_alive(pid)


async def test_no_thread_or_descriptor_is_left(cache_dir: Path) -> None:
    async with make(cache_dir):
        pass
    descriptors, threads = len(os.listdir("/proc/self/fd")), set(threading.enumerate())
    for _ in range(3):
        async with make(cache_dir):
            pass
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert set(threading.enumerate()) <= threads


async def test_several_that_start_it_at_once_share_one_child(cache_dir: Path) -> None:
    server = make(cache_dir)
    try:
        await asyncio.gather(*(server.start() for _ in range(5)))
        pids = {server.pid}
        await server.start()
        assert {*pids, server.pid} == pids
        server.ensure_running()
    finally:
        await server.stop()


async def test_a_cancelled_start_leaves_no_child(cache_dir: Path) -> None:
    server = make(cache_dir)
    starting = asyncio.create_task(server.start())
    while server.pid is None:
        await asyncio.sleep(0.001)
    pid = server.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_alive(pid)
    assert server.pid is None


def test_it_outlives_the_loop_and_the_thread_that_started_it(cache_dir: Path) -> None:
    server = make(cache_dir)
    starter = threading.Thread(target=lambda: asyncio.run(server.start()))
    starter.start()
    starter.join()
    time.sleep(0.5)
    server.ensure_running()
    assert asyncio.run(server.health()).healthy
    asyncio.run(server.stop())


async def test_an_unready_server_has_no_address_and_says_what_to_do(cache_dir: Path) -> None:
    server = make(cache_dir)
    with pytest.raises(RuntimeError, match=r"await server.start\(\)"):
        _ = server.base_url
    with pytest.raises(RuntimeError, match=r"await server.start\(\)"):
        server.ensure_running()
    assert (await server.health()).status is HealthStatus.UNKNOWN
    assert repr(server) == "<LlamaServer 'tiny' not started>"


# -- crashes


async def test_a_crash_is_reported_with_exit_code_and_way_out(cache_dir: Path) -> None:
    async with make(cache_dir) as server:
        await crashed(server, signal.SIGKILL)
        with pytest.raises(ProviderConnectionError, match="killed by signal 9 SIGKILL") as caught:
            server.ensure_running()
        error = caught.value
        assert (error.provider, error.model, error.retryable) == ("llamacpp", "tiny", False)
        assert error.details == {"exit_code": -9, "log": []}
        assert "restart" in (error.hint or "")
        health = await server.health()
        assert health.status is HealthStatus.UNHEALTHY
        assert "SIGKILL" in (health.message or "")
        assert "dead" in repr(server)


async def test_a_crash_is_not_hidden_by_start_but_undone_by_restart(cache_dir: Path) -> None:
    async with make(cache_dir) as server:
        address, key, pid = server.base_url, server.api_key, server.pid
        await crashed(server, signal.SIGSEGV)
        with pytest.raises(ProviderConnectionError, match="SIGSEGV"):
            await server.start()
        await server.restart()
        assert (server.base_url, server.api_key) == (address, key)
        assert server.pid != pid
        assert (await server.health()).healthy


async def test_the_last_words_of_a_child_that_refuses_are_in_the_error(cache_dir: Path) -> None:
    async with make(cache_dir) as server:
        port = urlsplit(server.base_url).port
        await server.stop()
        with contextlib.ExitStack() as taken:
            with contextlib.suppress(OSError):  # somebody else has taken it already
                taken.enter_context(socket.create_server(("127.0.0.1", port or 0)))
            with pytest.raises(LLMConfigurationError, match=f"port: {port}") as caught:
                await server.start()
    assert caught.value.details["exit_code"] == 3


async def test_a_child_that_prints_much_is_never_blocked_and_only_its_last_words_are_kept(cache_dir: Path) -> None:
    async with make(cache_dir) as server:
        process = server._process
        assert process is not None
        with open(f"/proc/{server.pid}/fd/2", "w") as its_stderr:
            for number in range(20_000):
                its_stderr.write(f"line {number} {server.api_key.reveal()}\n")
        while not (server.log and server.log[-1].startswith("line 19999 ")):
            await asyncio.sleep(0.01)
        assert len(server.log) == 40
        assert server.log[-1] == "line 19999 **********"


# -- orphans


def test_a_killed_parent_leaves_no_orphan(cache_dir: Path) -> None:
    with parent(cache_dir) as (process, pid):
        assert is_alive(pid)
        process.kill()
        print(f"gone after {wait_until_gone(pid, 1.0):.3f} s")


def test_a_killed_parent_leaves_no_orphan_though_its_fork_lives_on(cache_dir: Path) -> None:
    then = "fork = os.fork()\nif fork == 0:\n    time.sleep(60)\nprint(fork)"
    script = PARENT.format(then=then)
    process = subprocess.Popen([sys.executable, "-c", script, str(cache_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        fork, pid = int(process.stdout.readline()), int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            assert is_alive(fork)
            print(f"gone after {wait_until_gone(pid, 1.0):.3f} s")
        finally:
            os.kill(fork, signal.SIGKILL)


def test_a_parent_that_just_exits_leaves_no_orphan(cache_dir: Path) -> None:
    with parent(cache_dir, then="print(server.pid, flush=True); sys.exit()") as (_, pid):
        wait_until_gone(pid, 2.0)


def test_a_fork_neither_ends_the_server_nor_needs_to(cache_dir: Path) -> None:
    then = """
fork = os.fork()
if fork == 0:
    server.ensure_running()
    assert asyncio.run(server.health()).healthy
    asyncio.run(server.stop())
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 7
server.ensure_running()
assert asyncio.run(server.health()).healthy
"""
    with parent(cache_dir, then) as (_, pid):
        assert is_alive(pid)


def test_a_fork_that_exits_with_the_server_in_hand_does_not_end_it(cache_dir: Path) -> None:
    then = """
fork = os.fork()
if fork == 0:
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 7
assert asyncio.run(server.health()).healthy
"""
    with parent(cache_dir, then) as (_, pid):
        assert is_alive(pid)


def test_a_forgotten_server_is_ended_and_warned_about(cache_dir: Path) -> None:
    server = make(cache_dir)
    asyncio.run(server.start())
    pid = server.pid
    assert pid is not None
    with pytest.warns(ResourceWarning, match=f"pid {pid}"):
        del server
        gc.collect()
    assert not is_alive(pid)


# -- what cannot start


async def test_a_start_that_takes_too_long_fails_in_time_and_leaves_no_child(cache_dir: Path) -> None:
    server = make(cache_dir, startup_timeout=0.001)
    with pytest.raises(LLMTimeoutError, match=r"not ready within 0\.001 s") as caught:
        await server.start()
    assert (caught.value.phase, caught.value.seconds) == ("connect", 0.001)
    assert "startup_timeout" in (caught.value.hint or "")
    assert server.pid is None


async def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(LLMConfigurationError, match="xllamacpp") as caught:
        await LlamaServer().start()
    assert caught.value.hint == 'pip install "lexigram-ai-llm[local]"'


async def test_a_path_without_a_file_is_named() -> None:
    with pytest.raises(LLMConfigurationError, match=r"/no/such\.gguf cannot be used: there is no such file"):
        await LlamaServer("/no/such.gguf").start()


@pytest.mark.parametrize(("content", "problem"), [(b"", "it is empty"), (b"<html>", r"not a GGUF file .*b'<htm'")])
async def test_a_file_that_is_no_gguf_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(LLMConfigurationError, match=f"{path} cannot be used: .*{problem}"):
        await LlamaServer(path).start()


async def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(LLMConfigurationError, match="it is a folder"):
        await LlamaServer(tmp_path).start()


async def test_a_damaged_gguf_is_named_with_what_llama_cpp_says_of_it(tmp_path: Path, cache_dir: Path) -> None:
    async with make(cache_dir):
        whole = next(cache_dir.glob("*.gguf")).read_bytes()
    path = tmp_path / "half.gguf"
    path.write_bytes(whole[: len(whole) // 2])
    server = LlamaServer(path)
    with pytest.raises(LLMConfigurationError, match="model is corrupted or incomplete") as caught:
        await server.start()
    assert str(path) in caught.value.message
    assert server.pid is None
