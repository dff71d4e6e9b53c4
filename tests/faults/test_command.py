"""``lex faults``: as a process, as people and scripts use it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

LEX = [sys.executable, "-c", "import sys; from lexigram.ai.llm.cli import main; sys.exit(main())", "faults"]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([*LEX, *arguments], env=env, text=True, cwd=tmp_path, **pipes))  # type: ignore[call-overload]
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_it_misbehaves_by_the_name_in_the_path_tells_of_each_request_and_ends_with_130(start: Start) -> None:
    process = start("--always", "status=503")
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert httpx.post(f"{url}v1/chat/completions", json={}).status_code == 503
    assert httpx.post(f"{url}status=418/chat/completions", json={}).status_code == 418
    with pytest.raises(httpx.ReadError):
        httpx.post(f"{url}s_rst/chat/completions", json={"stream": True})
    told = [process.stdout.readline().split(" ", 1)[1].strip() for _ in range(3)]
    assert told == [f"POST /{name}/chat/completions" for name in ("v1", "status=418", "s_rst")]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "")
    assert out.strip() == "3 requests over 3 connections"


def test_a_name_that_is_no_fault_is_answered_with_a_near_one(start: Start) -> None:
    process = start("--always", "s_rts")
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert "there is no fault 's_rts'; did you mean s_rst?" in err


def test_a_port_that_is_taken_is_named(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (1, "")
    assert f"port {port}: " in err
