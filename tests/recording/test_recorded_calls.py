"""What the client made of real sockets it makes again of their recording: answers, chunks and errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import AsyncStream, LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError, LLMTimeoutError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.http import HttpTransport
from lexigram.testing import Canary, forbid_network
from lexigram.testing.faults import FaultServer
from lexigram.testing.recording import Cassette

USER = [{"role": "user", "content": "Hi"}]

FAULTS = [
    "ok", "status=401", "status=429", "status=500", "status=503", "html200", "empty200", "trunc_json", "gzip", "gzip_lie",
    "short_cl", "bad_chunk", "cookie", "s_utf8split", "s_rst", "s_eof_close", "s_err", "s_bom", "rst_request", "bad_status",
]  # fmt: skip


def plain(value: Any) -> Any:
    """Return the outcome without what is measured anew each time."""
    match value:
        case Ok(inner):
            return "ok", plain(inner)
        case Err(error):
            return "err", plain(error)
        case LLMError():
            told = {name: getattr(value, name) for name in ("status", "request_id", "retryable", "retry_after", "hint")}
            partial = getattr(value, "partial", None)
            return type(value), str(value), told, plain(partial) if partial is not None else None
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if field.name not in ("attempts", "latency", "created")
    }


async def ask(transport: httpx.AsyncBaseTransport, base: str, key: str) -> list[Any]:
    """Ask whole and as a stream, and return everything that came of it."""
    config = {"provider": "openai_compatible", "model": "m", "api_base": base, "api_key": key, "timeout": 5}
    async with Application(modules=[LLMModule.configure(config, transport=transport)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        whole: Result[Any, LLMError] = await llm.complete(USER)
        stream: AsyncStream[Any, LLMError] = llm.stream_chat(USER)
        chunks: list[Any] = []
        try:
            async for chunk in stream:
                chunks.append(chunk)
        except LLMError as error:
            chunks.append(plain(error))
        return [plain(whole), chunks, plain(await stream.completion())]


@pytest.mark.parametrize("inner", [httpx.AsyncHTTPTransport, HttpTransport], ids=["httpx", "lexigram-http"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_recorded_call_ends_as_the_real_one_did(
    fault: str, inner: type[Any], tmp_path: Path, canary: Canary, fault_server: FaultServer
) -> None:
    path = tmp_path / "call.json"
    base = fault_server.url(fault)
    async with inner() as road:
        with Cassette(path, "all") as cassette:
            real = await ask(cassette.transport(road), base, canary.value)
    assert len(fault_server.journal.requests) >= 1
    fault_server.stop()
    assert not canary.is_in(path.read_bytes())
    with Cassette(path) as cassette, forbid_network():
        played = await ask(cassette.transport(), base, "another key")
        cassette.assert_played()
    assert played == real
    canary.assert_absent(played)


async def test_nobody_listening_is_recorded_too(tmp_path: Path, fault_server: FaultServer) -> None:
    fault_server.close_port()
    path = tmp_path / "refused.json"
    with Cassette(path, "all") as cassette:
        real = await ask(cassette.transport(), fault_server.url(), "a key of mine")
    with Cassette(path) as cassette, forbid_network():
        assert await ask(cassette.transport(), fault_server.url(), "a key of mine") == real
    assert "refused" in str(real[0])


async def test_a_call_that_ran_out_of_time_before_its_reply_is_not_kept(
    tmp_path: Path, fault_server: FaultServer
) -> None:
    path = tmp_path / "slow.json"
    config = {"provider": "openai_compatible", "model": "m", "api_base": fault_server.url("sleep=5"), "timeout": 0.2}
    with Cassette(path, "all") as cassette:
        async with Application(modules=[LLMModule.configure(config, transport=cassette.transport())]) as app:
            llm = await app.container.resolve(LLMClientProtocol)
            assert isinstance((await llm.complete(USER)).unwrap_err(), LLMTimeoutError)
    assert not path.exists()
