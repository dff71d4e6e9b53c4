"""A client that asks nobody: for wiring an application up without a provider."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from lexigram.contracts.ai.client import ClientBase
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Ok, Result

__all__ = ["StubClient"]


class StubClient(ClientBase):
    """Checks every request as a real client does, and answers with nothing. Its answers' provider is ``stub``."""

    def __init__(self, model: str = "stub") -> None:
        self._model = model

    def make_request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        """Check what a caller gave, and freeze it."""
        return build_request(
            messages,
            model=model or self._model,
            temperature=temperature,
            max_tokens=max_tokens,
            tools=tools,
            stop_sequences=stop_sequences,
            options=options,
        )

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return an empty answer."""
        return Ok(self._answer(request.model))

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return a stream without text."""

        async def chunks() -> AsyncGenerator[StreamChunk, None]:
            for chunk in chunks_of(self._answer(request.model)):
                yield chunk

        return AsyncStream(chunks(), fold=CompletionFold(provider="stub", model=request.model))

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Say healthy."""
        return HealthCheckResult("stub", HealthStatus.HEALTHY, "a stub that asks nobody")

    async def close(self) -> None:
        """Do nothing."""

    def _answer(self, model: str) -> Completion:
        usage = Usage(0, 0, 0, source="reported")
        return Completion("", finish_reason="stop", raw_finish_reason="stop", usage=usage, model=model, provider="stub")
