"""``lex`` in this process and as a process, its environment empty but for what a test sets; a scripted provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

COMMAND = [sys.executable, "-c", "import sys; from lexigram.ai.llm.cli import main; sys.exit(main())"]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny model, made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def env(cache: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a newcomer."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(cache), "LANG": "C.UTF-8"}


@pytest.fixture
def invoke(env: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run a command in this process."""
    from lexigram.ai.llm.cli._app import app

    def run(*arguments: str, input: str | bytes | None = None, **more: str) -> Result:
        monkeypatch.chdir(tmp_path)
        for name in list(os.environ):
            if name not in env and name != "PYTEST_CURRENT_TEST":
                monkeypatch.delenv(name)
        for name, value in {**env, **more}.items():
            monkeypatch.setenv(name, value)
        return CliRunner().invoke(app, list(arguments), input=input, prog_name="lex")

    return run


@pytest.fixture
def start(env: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``lex`` as a process with pipes."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**env, **more},
            cwd=tmp_path,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


class Provider:
    """A provider on the loopback interface that speaks chat completions.

    Attributes:
        base_url: where it is.
        words: what every answer says; one event each in a stream.
        thought: what it thinks before.
        finish: why it ends.
        pause: seconds between the events.
        status: what it answers with, an error from 400 on.
        asked: the bodies of the requests.
    """

    def __init__(self) -> None:
        self.base_url = ""
        self.words: list[str] = ["Blue", " sky"]
        self.thought = ""
        self.finish = "stop"
        self.pause = 0.0
        self.status = 200
        self.asked: list[dict[str, Any]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        self.asked.append(body)
        if self.status >= 400:
            error = {"message": "no\x1b[31m such key", "type": "invalid_request_error", "code": "invalid_api_key"}
            _send(handler, self.status, {"error": error})
        elif body.get("stream"):
            handler.send_response(200)
            handler.send_header("content-type", "text/event-stream")
            handler.end_headers()
            thoughts = [{"reasoning_content": self.thought}] if self.thought else []
            for delta in [*thoughts, *({"content": word} for word in self.words)]:
                _event(handler, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
                time.sleep(self.pause)
            _event(handler, {"choices": [{"index": 0, "delta": {}, "finish_reason": self.finish}]})
            _event(handler, {"choices": [], "usage": _usage(len(self.words))})
            handler.wfile.write(b"data: [DONE]\n\n")
        else:
            message = {"role": "assistant", "content": "".join(self.words)}
            choice = {"index": 0, "message": message, "finish_reason": self.finish}
            _send(handler, 200, {"model": "m", "choices": [choice], "usage": _usage(len(self.words))})


def _usage(words: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": words, "total_tokens": 7 + words}


def _event(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
    handler.wfile.write(f"data: {json.dumps({'model': 'm', **body})}\n\n".encode())
    handler.wfile.flush()


def _send(handler: BaseHTTPRequestHandler, status: int, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A scripted provider, running."""
    script = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            try:
                script.answer(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def do_GET(self) -> None:
            _send(self, script.status, {"data": []})

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def at(provider: Provider) -> list[str]:
    """The options that lead to the scripted provider."""
    return ["--provider", "openai_compatible", "--model", "m", "--api-base", provider.base_url]
