"""``lex simulate``: as a process, as people and scripts use it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lexigram.testing.simulator import Answer, Call, Failure, When
from lexigram.testing.simulator._script_file import read_script

LEX = [sys.executable, "-c", "import sys; from lexigram.ai.llm.cli import main; sys.exit(main())", "simulate"]
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([*LEX, *arguments], env=env, text=True, cwd=tmp_path, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def addresses(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first, process.communicate()
    found = {first.split()[0]: first.split()[1]}
    while "anthropic" not in found:
        vendor, url = process.stdout.readline().split()
        found[vendor] = url
    return found


def test_it_prints_addresses_answers_and_ends_with_130(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("- Hello\n- failure: overloaded\n", encoding="utf-8")
    process = start("--script", str(script), "--requests-per-minute", "2")
    url = addresses(process)["openai"] + "/chat/completions"
    replies = [httpx.post(url, json=BODY) for _ in range(3)]
    assert replies[0].json()["choices"][0]["message"]["content"] == "Hello"
    assert [reply.status_code for reply in replies] == [200, 503, 429]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert out.splitlines()[-1].startswith("1 answered · 1 over a limit · 1 refused · ")
    assert err == ""


def test_it_ends_while_a_reply_is_awaited(start: Start) -> None:
    process = start("--latency", "60")
    url = addresses(process)["anthropic"]
    with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1].partition("/")[0]))) as client:
        body = json.dumps(BODY).encode()
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130


def test_a_wrong_script_is_said_and_ends_with_2(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text('[{"txt": "Hi"}]', encoding="utf-8")
    out, err = start("--script", str(script)).communicate(timeout=20)
    assert (out, err.startswith("error: script.json[0] has the field 'txt'")) == ("", True)
    missing = start("--script", "nowhere.json")
    missing.communicate(timeout=20)
    assert missing.returncode == 2


def test_a_port_that_is_taken_is_said_and_ends_with_1(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("--port", str(taken.getsockname()[1]))
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "in use" in err


def test_the_script_in_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    script = tmp_path / "script.yaml"
    script.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    assert read_script(script) == [
        When("(?i)weather", Answer(thinking="I have to look.", tool_calls=(Call("weather", {"city": "Bern"}),))),
        When("busy", Failure("overloaded", retry_after=2)),
    ]
