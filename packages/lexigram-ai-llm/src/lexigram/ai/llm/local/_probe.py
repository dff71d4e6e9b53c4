"""Asks a llama.cpp server whether it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

__all__ = ["ask_health"]


async def ask_health(url: str, timeout: float) -> int:
    """Return the status of ``GET /health``, which llama.cpp answers without a key."""
    address = urlsplit(url)
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(f"GET /health HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
            status_line = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    words = status_line.split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionResetError("the connection was closed before a reply")
    return int(words[1])
