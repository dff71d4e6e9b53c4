"""An exception frame in a stream of Bedrock's, through the real client. (What holds for every wire is in tests/kit.)"""

from __future__ import annotations

import json
import struct
import zlib

import httpx

from lexigram.ai.llm import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMRateLimitError
from lexigram.testing.conformance.samples import write_stream

SAID = write_stream([("messageStart", {}), ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}})], "aws-eventstream")  # fmt: skip


def exception(name: str, message: str) -> bytes:
    headers = b""
    for key, value in ((":exception-type", name), (":message-type", "exception")):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps({"message": message}).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


async def test_an_exception_frame_in_the_middle_is_the_typed_error() -> None:
    data = b"".join([*SAID, exception("throttlingException", "slow down")])
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=data))
    config = {"provider": "bedrock", "model": "m", "api_key": "sk-test", "extra": {"region": "eu-west-1"}}
    async with Application(modules=[LLMModule.configure(config, transport=transport)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        error = (await llm.stream_chat([{"role": "user", "content": "hi"}]).completion()).unwrap_err()
    assert isinstance(error, LLMRateLimitError)
    assert error.partial is not None
    assert error.partial.content == "Hel"
