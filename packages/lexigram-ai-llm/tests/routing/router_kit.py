"""Providers for routers of tests: scripted ones, and ones that answer when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from lexigram.ai.llm.routing import LLMConfig, LLMRouter, Target
from lexigram.contracts.ai import AsyncStream, Completion, CompletionRequest, LLMError, StreamChunk
from lexigram.contracts.result import Result
from lexigram.testing import FakeLLM
from lexigram.testing.fake import Reply

USER = [{"role": "user", "content": "Hi"}]


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Late(FakeLLM):
    """Answers after its ``event`` is set; says how often it was asked, and how often broken off."""

    def __init__(self, *replies: Reply, provider: str) -> None:
        super().__init__(*replies, provider=provider)
        self.event = asyncio.Event()
        self.asked = self.broken_off = 0

    async def _wait(self) -> None:
        self.asked += 1
        try:
            await self.event.wait()
        except asyncio.CancelledError:
            self.broken_off += 1
            raise

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        await self._wait()
        return await super().complete_request(request)

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        inner = super().stream_request(request)

        async def chunks() -> AsyncGenerator[StreamChunk, None]:
            await self._wait()
            async for chunk in inner:
                yield chunk

        return AsyncStream(chunks())


def router(*clients: FakeLLM, clock: Any = None, rng: Any = None, targets: Any = None, **config: Any) -> LLMRouter:
    """Return a router over scripted clients, each a target of its provider's name."""
    made = targets or [Target(c.identity.provider, c, f"{c.identity.provider}-model") for c in clients]
    more = {} if clock is None else {"clock": clock}
    return LLMRouter(made, LLMConfig(**config), rng=rng, **more)
