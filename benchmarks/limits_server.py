"""A provider that enforces limits, in a process of its own: ``limits_server.py '<json>'`` prints its port.

``requests`` and ``tokens`` are per minute. With ``burst_seconds`` it keeps buckets that hold so many seconds' worth
and refill steadily; without, logs of which no ``span`` seconds may hold more than the limit. Answers take ``latency``
seconds, the headers tell limits, what is left and the reset, and ``GET /log`` gives every request as
``[seconds, tokens, accepted]``. Tokens are the input's, four characters each, and as many more as a prompt asks for
with ``out=<number>``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from collections import deque
from typing import Any

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_PROMPT = re.compile(rb'"(?:content|text)":\s*"([^"]*?out=(\d+)[^"]*)"')


class Buckets:
    """A bucket for each unit."""

    def __init__(self, limits: dict[str, int], seconds: float) -> None:
        self.rates = {unit: limit / 60 for unit, limit in limits.items()}
        self.holds = {unit: rate * seconds for unit, rate in self.rates.items()}
        self.level = dict(self.holds)
        self.at = 0.0

    def take(self, costs: dict[str, int], now: float) -> bool:
        """Take all of it or nothing."""
        for unit, level in self.level.items():
            self.level[unit] = min(level + (now - self.at) * self.rates[unit], self.holds[unit])
        self.at = now
        if any(level < costs[unit] for unit, level in self.level.items()):
            return False
        for unit in self.level:
            self.level[unit] -= costs[unit]
        return True

    def said(self, unit: str, now: float) -> tuple[int, float]:
        """Return what is left, and the seconds until all of it is back."""
        return int(self.level[unit]), (self.holds[unit] - self.level[unit]) / self.rates[unit]

    def wait(self, costs: dict[str, int], now: float) -> float:
        """Return the seconds until it fits."""
        return max((costs[unit] - level) / self.rates[unit] for unit, level in self.level.items())


class Logs:
    """A log for each unit, of which no span holds more than the limit."""

    def __init__(self, limits: dict[str, int], span: float) -> None:
        self.limits = {unit: int(limit * span / 60) for unit, limit in limits.items()}
        self.span = span
        self.used = dict.fromkeys(limits, 0)
        self.seen: deque[tuple[float, dict[str, int]]] = deque()

    def take(self, costs: dict[str, int], now: float) -> bool:
        """Take all of it or nothing."""
        while self.seen and self.seen[0][0] + self.span <= now:
            for unit, cost in self.seen.popleft()[1].items():
                self.used[unit] -= cost
        if any(used + costs[unit] > self.limits[unit] for unit, used in self.used.items()):
            return False
        taken = {unit: costs[unit] for unit in self.used}
        self.seen.append((now, taken))
        for unit, cost in taken.items():
            self.used[unit] += cost
        return True

    def said(self, unit: str, now: float) -> tuple[int, float]:
        """Return what is left, and the seconds until all of it is back."""
        newest = self.seen[-1][0] if self.seen else now - self.span
        return self.limits[unit] - self.used[unit], newest + self.span - now

    def wait(self, costs: dict[str, int], now: float) -> float:
        """Return the seconds until the oldest is gone."""
        return self.seen[0][0] + self.span - now if self.seen else 0.0


class Provider:
    """What all connections share."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.limits: dict[str, int] = {unit: about[unit] for unit in ("requests", "tokens") if about.get(unit)}
        burst = about.get("burst_seconds")
        self.keeps = Buckets(self.limits, burst) if burst else Logs(self.limits, about.get("span", 60.0))
        self.latency: float = about.get("latency", 0.0)
        self.log: list[tuple[float, int, bool]] = []

    def answer(self, body: bytes) -> bytes:
        """Decide, write it down, and return the reply."""
        now = time.monotonic()
        found = _PROMPT.search(body)
        given, asked = (len(found[1]) // 4, int(found[2])) if found else (1, 1)
        costs = {"requests": 1, "tokens": given + asked}
        accepted = self.keeps.take(costs, now)
        self.log.append((now, costs["tokens"], accepted))
        headers = ""
        for unit, limit in self.limits.items():
            left, reset = self.keeps.said(unit, now)
            headers += (
                f"x-ratelimit-limit-{unit}: {limit}\r\nx-ratelimit-remaining-{unit}: {left}\r\n"
                f"x-ratelimit-reset-{unit}: {reset * 1000:.0f}ms\r\n"
            )
        if not accepted:
            wait = self.keeps.wait(costs, now)
            headers += f"retry-after: {wait:.0f}\r\nretry-after-ms: {wait * 1000:.0f}\r\n"
            return reply(429, {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, headers)
        message = {"role": "assistant", "content": "Done."}
        usage = {"prompt_tokens": given, "completion_tokens": asked, "total_tokens": given + asked}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        answer = {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": choices,
            "usage": usage,
        }
        return reply(200, answer, headers)


def reply(status: int, body: object, headers: str = "") -> bytes:
    """Return a reply with its length."""
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {len(data)}\r\n\r\n"
    return head.encode() + data


class Connection(asyncio.Protocol):
    """One connection, one request after the other."""

    def __init__(self, provider: Provider, loop: asyncio.AbstractEventLoop) -> None:
        self._provider = provider
        self._loop = loop
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers once the request is whole."""
        data = self._seen + data if self._seen else data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end) if end >= 0 else None
        if end < 0 or (length is not None and len(data) < end + 4 + int(length[1])):
            self._seen = data
            return
        self._seen = b""
        if data.startswith(b"GET /log"):
            self._write(reply(200, self._provider.log))
        else:
            self._loop.call_later(self._provider.latency, self._write, self._provider.answer(data[end:]))

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)


async def serve(about: dict[str, Any]) -> None:
    """Listen on a free port, say which, and serve until ended."""
    loop, provider = asyncio.get_running_loop(), Provider(about)
    server = await loop.create_server(lambda: Connection(provider, loop), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(json.loads(sys.argv[1])))
