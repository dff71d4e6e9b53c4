"""What a program does not pay for: an SSL context before an https call, packages that nothing asked for."""

from __future__ import annotations

import runpy
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

BUDGET = Path(__file__).parents[2] / "benchmarks" / "budget.py"

PREPARE = """
    import asyncio, ssl, sys

    made = []
    for cls in {ssl.SSLContext, ssl.create_default_context.__globals__["SSLContext"]}:
        new = cls.__new__
        def counted(cls, *args, _new=new, **kwargs):
            made.append(cls)
            return _new(cls, *args, **kwargs)
        cls.__new__ = counted

    from lexigram.ai.llm import ClientConfig, LLMModule
    from lexigram.app import Application
    from lexigram.contracts.ai import LLMClientProtocol

    BODY = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}'

    async def serve(reader, writer):
        await reader.readuntil(b"\\r\\n\\r\\n")
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%b" % (len(BODY), BODY))
        await writer.drain()
        writer.close()

    async def ask(base):
        settings = ClientConfig(provider="openai", model="m", api_key="sk-test", api_base=base, timeout=20)
        async with Application(modules=[LLMModule.configure(settings)]) as app:
            return await (await app.container.resolve(LLMClientProtocol)).complete([{"role": "user", "content": "Hi"}])

    async def over_http():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            return await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
"""


def run(code: str) -> None:
    program = textwrap.dedent(PREPARE) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_no_ssl_context_is_made_before_an_https_call() -> None:
    run("""
        assert asyncio.run(over_http()).is_ok()
        assert not made, made
        result = asyncio.run(ask("https://127.0.0.1:1/v1"))
        assert result.is_err() and made, "the count would not have seen one"
    """)


def test_what_reads_the_environment_and_yaml_is_imported_when_there_is_something_to_read() -> None:
    run("""
        assert asyncio.run(over_http()).is_ok()
        early = {"pydantic_settings", "yaml", "httpx", "openai", "tiktoken", "jsonschema_rs"} & set(sys.modules)
        assert not early, early
    """)


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [(100, 102, ""), (100, 103, "WORSE"), (100, 97, "better"), (9, 10, "WORSE"), (0, 1, "WORSE"), (None, 1, "new")],
)
def test_the_budget_allows_two_percent_and_no_more(was: int | None, now: int, said: str) -> None:
    assert runpy.run_path(str(BUDGET))["verdict"](was, now) == said
