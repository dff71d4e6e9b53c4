"""A loopback server that answers with recorded bytes: ``/{record id}/v1/…`` gives that record's reply, cut as recorded."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any


def cuts(record: Mapping[str, Any]) -> list[bytes]:
    """The body in the pieces in which the transport delivered it, else in random ones (the same each time)."""
    body = str(record["response_body"]).encode()
    sizes = record.get("chunk_sizes")
    if not sizes or sum(sizes) != len(body):
        rng = random.Random(record["id"])
        sizes = []
        while sum(sizes) < len(body):
            sizes.append(rng.randint(1, 400))
    pieces, start = [], 0
    for size in sizes:
        if size:
            pieces.append(body[start : start + size])
            start += size
    return [piece for piece in pieces if piece]


@asynccontextmanager
async def replaying(records: list[dict[str, Any]], context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve the records; gives the base URL, to which ``/{id}/v1`` is added."""
    by_id = {record["id"]: record for record in records}

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                record = by_id[head.split(b" ", 2)[1].split(b"/")[1].decode()]
                headers = {"content-type": "application/json", **record["response_headers"]}
                lines = [f"HTTP/1.1 {record['status']} X", *(f"{name}: {value}" for name, value in headers.items())]
                writer.write("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode())
                for piece in cuts(record):
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    scheme = "https" if context is not None else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
