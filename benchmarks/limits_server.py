"""A provider that enforces limits, in a process of its own: ``limits_server.py '<json>'`` prints its base URL.

It is the simulator of ``lexigram.testing``. ``requests`` and ``tokens`` are per minute. With ``burst_seconds`` they are
buckets that hold so many seconds' worth and refill steadily; without, no minute sees more than the limit. Answers take
``latency`` seconds and are as long as a request allows. When its input is closed it prints every request as
``[seconds, tokens, accepted]`` and ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from lexigram.testing.simulator import Answer, Fixed, Latency, Question, RateLimits, Simulator

MOST = 180


def whole(question: Question) -> Answer:
    """Say as much as the request allows."""
    return Answer("word" + " word" * (min(question.max_tokens or MOST, MOST) - 1))


def simulator(about: dict[str, Any]) -> Simulator:
    """Return the provider."""
    burst = about.get("burst_seconds")
    limits = RateLimits(
        requests_per_minute=about.get("requests"),
        tokens_per_minute=about.get("tokens"),
        reserve=True,
        burst=burst / 60 if burst else 1.0,
        window="bucket" if burst else "sliding",
    )
    return Simulator(whole, limits=limits, latency=Latency(Fixed(about.get("latency", 0.0))))


async def serve(about: dict[str, Any]) -> None:
    """Serve until the input ends, then print the journal."""
    provider = simulator(about)
    async with provider.serve() as server:
        print(server.api_bases["openai"], flush=True)
        await asyncio.to_thread(sys.stdin.read)
    entries = sorted((e.started, e.input_tokens + e.output_tokens, e.status < 400) for e in provider.journal)
    print(json.dumps(entries))


if __name__ == "__main__":
    asyncio.run(serve(json.loads(sys.argv[1])))
