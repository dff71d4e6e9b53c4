"""The dialects' streams through the real client: framing, decoding, folding, and what a cut stream settles as."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMRateLimitError, StreamError

HI = [{"role": "user", "content": "hi"}]


def _cohere() -> list[bytes]:
    def event(kind: str, **data: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()

    def text(piece: str) -> bytes:
        return event("content-delta", index=0, delta={"message": {"content": {"text": piece}}})

    usage = {"tokens": {"input_tokens": 3, "output_tokens": 2}}
    ended = event("message-end", delta={"finish_reason": "COMPLETE", "usage": usage})
    return [event("message-start", id="a", delta={}), text("Hel"), text("lo"), ended, b"data: [DONE]\n\n"]


def _ollama() -> list[bytes]:
    lines: list[dict[str, Any]] = [{"message": {"content": piece}, "done": False} for piece in ("Hel", "lo")]
    last = {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    return [json.dumps(line).encode() + b"\n" for line in (*lines, last)]


def _frame(name: str, data: Any, kind: str = "event") -> bytes:
    headers = b""
    for key, value in ((f":{kind}-type", name), (":message-type", kind)):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps(data).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _bedrock() -> list[bytes]:
    pieces = [_frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": t}}) for t in ("Hel", "lo")]
    usage = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
    return [
        _frame("messageStart", {"role": "assistant"}),
        *pieces,
        _frame("messageStop", {"stopReason": "end_turn"}),
        _frame("metadata", {"usage": usage}),
    ]


STREAMS: dict[str, tuple[Callable[[], list[bytes]], dict[str, Any]]] = {
    "bedrock": (_bedrock, {"extra": {"region": "eu-west-1"}}),
    "cohere": (_cohere, {}),
    "ollama": (_ollama, {}),
}


def _module(name: str, data: bytes, cut: int) -> LLMModule:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(data), cut):
            yield data[at : at + cut]

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=pieces()))
    config = {"provider": name, "model": "m", "api_key": "sk-test", **STREAMS[name][1]}
    module: LLMModule = LLMModule.configure(config, transport=transport)
    return module


@pytest.mark.parametrize("cut", [1, 7, 10_000])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_stream_folds_to_the_answer_however_it_is_cut(name: str, cut: int) -> None:
    async with Application(modules=[_module(name, b"".join(STREAMS[name][0]()), cut)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        made = (await llm.stream_chat(HI).completion()).unwrap()
    assert (made.content, made.finish_reason, made.provider) == ("Hello", "stop", name)
    assert (made.usage.input_tokens, made.usage.output_tokens) == (3, 2)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_cut_stream_is_an_error_that_keeps_the_text_so_far(name: str) -> None:
    whole = STREAMS[name][0]()
    at = next(i for i, piece in enumerate(whole) if b'"lo"' in piece)
    data = b"".join(whole[: at + 1]) + whole[at + 1][:-9]
    async with Application(modules=[_module(name, data, 50)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        error = (await llm.stream_chat(HI).completion()).unwrap_err()
    assert isinstance(error, StreamError)
    assert error.reason == "truncated"
    assert error.partial is not None
    assert error.partial.content == "Hello"


async def test_an_exception_frame_in_the_middle_is_the_typed_error() -> None:
    data = b"".join([*_bedrock()[:2], _frame("throttlingException", {"message": "slow down"}, "exception")])
    async with Application(modules=[_module("bedrock", data, 11)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        error = (await llm.stream_chat(HI).completion()).unwrap_err()
    assert isinstance(error, LLMRateLimitError)
    assert error.partial is not None
    assert error.partial.content == "Hel"
