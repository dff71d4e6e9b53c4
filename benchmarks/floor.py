"""The floor: the least that an asyncio client in Python can do for a call. A yardstick, not a client.

Bytes prepared beforehand, orjson, a list of idle connections. No TLS, no deadlines, no limits, no typed values, and it
believes every reply to be what the mock provider sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from orjson import dumps, loads


class _Connection(asyncio.Protocol):
    __slots__ = ("blocks", "buffer", "streaming", "transport", "waiter")

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.waiter: asyncio.Future[bytes] | None = None
        self.buffer = b""
        self.streaming = False
        self.blocks: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.streaming:
            if self.buffer:
                data = self.buffer + data
            end = data.find(b"\r\n\r\n")
            at = data.find(b"content-length: ", 0, end)
            if end < 0 or (at >= 0 and len(data) < end + 4 + int(data[at + 16 : data.find(b"\r", at)])):
                self.buffer = data
                return
            self.buffer = b""
            data = data[end + 4 :]
            if at < 0:
                self.streaming = True
                if not data:
                    return
        waiter, self.waiter = self.waiter, None
        if waiter is None:
            self.blocks.append(data)
        elif not waiter.done():
            waiter.set_result(data)


class Floor:
    """Asks the mock provider at a base URL."""

    def __init__(self, base: str, model: str, key: str) -> None:
        parts = urlsplit(base)
        self._address = (parts.hostname, parts.port)
        self._idle: list[_Connection] = []
        self._before = b'{"model":"%b","messages":[{"role":"user","content":' % model.encode()
        self._head = (
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n"
            "accept: */*\r\ncontent-type: application/json\r\ncontent-length: "
        ).encode()

    async def _send(self, prompt: str, after: bytes) -> tuple[_Connection, asyncio.Future[bytes]]:
        loop = asyncio.get_running_loop()
        if self._idle:
            connection = self._idle.pop()
        else:
            connection = (await loop.create_connection(_Connection, *self._address))[1]
        body = self._before + dumps(prompt) + after
        connection.waiter = waiter = loop.create_future()
        connection.transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        return connection, waiter

    async def complete(self, prompt: str) -> str:
        """Return the answer's text."""
        connection, waiter = await self._send(prompt, b"}]}")
        answer = loads(await waiter)
        self._idle.append(connection)
        return answer["choices"][0]["message"]["content"]

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        """Yield the pieces of the answer's text."""
        loop = asyncio.get_running_loop()
        end = b'}],"stream":true,"stream_options":{"include_usage":true}}'
        connection, waiter = await self._send(prompt, end)
        blocks = connection.blocks
        wire = text = b""
        done = False
        data = await waiter
        while True:
            wire = wire + data if wire else data
            at, parts = 0, []
            while (line := wire.find(b"\r\n", at)) >= 0:
                size = int(wire[at:line], 16)
                if len(wire) < line + 4 + size:
                    break
                parts.append(wire[line + 2 : line + 2 + size])
                at = line + 4 + size
                done = not size
            wire = wire[at:]
            *events, text = (text + b"".join(parts)).split(b"\n\n")
            for event in events:
                if event != b"data: [DONE]":
                    choices = loads(event[6:])["choices"]
                    if choices and (piece := choices[0]["delta"].get("content")):
                        yield piece
            if done:
                break
            if blocks:
                data = b"".join(blocks)
                blocks.clear()
            else:
                connection.waiter = waiter = loop.create_future()
                data = await waiter
        connection.streaming = False
        self._idle.append(connection)

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._idle:
            connection.transport.close()
