"""Tests on a virtual event loop, and a client that takes its time."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Coroutine
from typing import Any

from lexigram.contracts.ai import Completion, CompletionRequest, LLMError, StreamChunk, Usage
from lexigram.contracts.ai.client import ClientBase, ClientIdentity
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result
from lexigram.resilience import ResilienceConfig, ResiliencePolicy
from lexigram.testing.virtual import VirtualLoop, run_virtually

__all__ = ["OFF", "USER", "Server", "VirtualLoop", "clock", "policy", "virtually"]


def virtually(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a virtual loop."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run_virtually(test(*args, **kwargs))

    return wrapper


def clock() -> float:
    """The time of the running loop."""
    return asyncio.get_running_loop().time()


def policy(seed: int = 0, **config: Any) -> ResiliencePolicy:
    return ResiliencePolicy(ResilienceConfig.of(**config), clock=clock, rng=random.Random(seed))


OFF: dict[str, Any] = {"budget": {"enabled": False}, "breaker": {"enabled": False}}
USER = [{"role": "user", "content": "Hi"}]

Step = Callable[[CompletionRequest], "Any"]


class Server(ClientBase):
    """A client that takes time: ``answer(number, request)`` gives text, a completion or an error, after ``seconds``."""

    def __init__(
        self, answer: Callable[[int, CompletionRequest], Any], seconds: float = 0.0, *, model: str = "m"
    ) -> None:
        self.answer = answer
        self.seconds = seconds
        self.model = model
        self.times: list[float] = []
        self.requests: list[CompletionRequest] = []
        self.running = self.most = self.cancelled = 0
        self.identity = ClientIdentity("acme", "http://acme.test", "k1")
        self.timeouts = Timeouts()

    def make_request(self, messages, model, temperature, max_tokens, tools, stop_sequences, options):  # type: ignore[no-untyped-def]
        return build_request(
            messages, model=model or self.model, temperature=temperature, max_tokens=max_tokens, tools=tools,
            stop_sequences=stop_sequences, options=options,
        )  # fmt: skip

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        number = len(self.requests)
        self.requests.append(request)
        self.times.append(clock())
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            reply = self.answer(number, request)
            seconds = self.seconds
            if isinstance(reply, tuple):
                seconds, reply = reply
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return Err(reply) if isinstance(reply, LLMError) else Ok(_completion(reply))

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        fold = CompletionFold(provider="acme", model=request.model)

        async def chunks():  # type: ignore[no-untyped-def]
            reply = self.answer(len(self.requests), request)
            self.requests.append(request)
            self.times.append(clock())
            if isinstance(reply, LLMError):
                await asyncio.sleep(self.seconds)
                raise reply
            for chunk in reply if isinstance(reply, list) else chunks_of(_completion(reply)):
                await asyncio.sleep(self.seconds)
                if isinstance(chunk, LLMError):
                    raise chunk
                yield chunk

        return AsyncStream(chunks(), fold=fold)

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        return HealthCheckResult("acme", HealthStatus.HEALTHY)

    async def close(self) -> None:
        return None


def _completion(reply: Any) -> Completion:
    if isinstance(reply, Completion):
        return reply
    usage = Usage(10, 5, 15, source="reported")
    return Completion(reply, finish_reason="stop", model="m", provider="acme", usage=usage)
