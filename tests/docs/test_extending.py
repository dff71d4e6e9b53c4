"""The package of docs/extending.md, built, installed and called: a new dialect needs no change of the engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SAMPLES = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")

PROGRAM = """
import asyncio, json
from lexigram.ai.llm import LLMModule, ProviderRegistry
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol

USER = [{"role": "user", "content": "Hi"}]
seen = []

async def serve(reader, writer):
    while True:
        try:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            break
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\\r")[0])
        body = json.loads(await reader.readexactly(length))
        seen.append((head, body))
        if b"x-acme-key: right" not in head:
            status, reply = b"401 Unauthorized", {"why": "who are you?"}
        else:
            status, reply = b"200 OK", {"text": "Beep beep", "tokens": {"in": 2, "out": 3}, "end": "done"}
        lines = [reply]
        if body["stream"] and status.startswith(b"200"):
            lines = [{"piece": "Beep "}, {"piece": "beep"}, {"end": "done", "tokens": {"in": 2, "out": 3}}]
        content = b"".join(json.dumps(line).encode() + b"\\n" for line in lines)
        writer.write(b"HTTP/1.1 %b\\r\\ncontent-length: %d\\r\\n\\r\\n" % (status, len(content)) + content)
    writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    assert "acme" in ProviderRegistry()
    for key in ("right", "wrong"):
        async with Application(modules=[LLMModule.configure({"provider": "acme", "api_base": base, "api_key": key})]) as app:
            llm = await app.container.resolve(LLMClientProtocol)
            whole = await llm.complete(USER, max_tokens=9)
            streamed = await llm.stream_chat(USER).completion()
            refused = await llm.complete(USER, temperature=0.5)
            if key == "right":
                assert whole.unwrap().content == streamed.unwrap().content == "Beep beep"
                assert whole.unwrap().usage == streamed.unwrap().usage
                assert (whole.unwrap().finish_reason, streamed.unwrap().provider) == ("stop", "acme")
            else:
                assert type(whole.err()).__name__ == type(streamed.err()).__name__ == "LLMAuthenticationError"
                assert "who are you?" in str(whole.err())
            assert "temperature" in str(refused.err())
    assert seen[0][1] == {"engine": "anvil-1", "lines": ["user: Hi"], "limit": 9, "stream": False}
    server.close()
    print("said: Beep beep")

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the page's package and install it, with its entry point, beside the workspace's own."""
    folder = tmp_path_factory.mktemp("acme")
    (toml,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.S | re.M)
    (folder / "pyproject.toml").write_text(toml)
    for name, code in re.findall(r"^```python\n# (acme_llm/\S+)\n(.*?)^```", PAGE, re.S | re.M):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    (samples,) = re.findall(r"^```json\n(.*?)^```", SAMPLES, re.S | re.M)
    (folder / "acme_llm" / "samples.json").write_text(samples)
    site = folder / "site"
    command = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        f"--python={sys.executable}",
        f"--target={site}",
        str(folder),
    ]
    subprocess.run(command, check=True, timeout=120)
    return site


def test_the_pages_package_is_found_and_answers(installed: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEX_")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env={**env, "PYTHONPATH": str(installed)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout == "said: Beep beep\n"


def test_the_kit_certifies_the_pages_package_by_its_name(installed: Path, tmp_path: Path) -> None:
    command = [
        "-q",
        "--pyargs",
        "lexigram.testing.conformance.provider",
        "--lex-provider=acme",
        "-p",
        "no:cacheprovider",
    ]
    env = {name: value for name, value in os.environ.items() if not name.startswith("LEX_")}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-o", "asyncio_default_fixture_loop_scope=function", *command],
        env={**env, "PYTHONPATH": str(installed)}, cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    assert "2 skipped" in run.stdout  # it has no tools and nothing opaque
