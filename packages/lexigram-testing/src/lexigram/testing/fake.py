"""A scripted client: answers what the test says, and keeps what it was asked."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias, Union

from lexigram.contracts.ai import (
    AsyncStream,
    Completion,
    CompletionOptions,
    CompletionRequest,
    LLMError,
    StreamChunk,
    TextPart,
    ThinkingPart,
    Timeouts,
    ToolCall,
    ToolCallDelta,
)
from lexigram.contracts.ai.client import ClientBase, ClientIdentity
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.fold import CompletionFold, settle_finish_reason
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["FakeLLM", "Reply", "ScriptExhaustedError"]

Reply: TypeAlias = Union[  # noqa: UP007 - the forward reference in the callable needs it
    str,
    Completion,
    LLMError,
    Sequence[StreamChunk | LLMError],
    Callable[[CompletionRequest], "Reply"],
]
"""One answer: its text; the whole completion; the error that the call ends with; the chunks of a stream, of which the
last may be an error; or a function that is given the request and returns one of these."""

_WORD: Final = re.compile(r"\s*\S+|\s+")


class ScriptExhaustedError(AssertionError):
    """The code under test asked more often than the script answers. Not an ``LLMError``, so that no retry hides it."""


class FakeLLM(ClientBase):
    """An ``LLMClientProtocol`` that answers from a script, in order.

    A stream gives the same answer as ``complete`` in pieces: text by words, a tool call's arguments in two halves.

    Args:
        replies: the answers.
        model: the model's name where a call names none.
        provider: the vendor that it plays; stamped on every answer.
        healthy: what :meth:`health_check` says.

    Attributes:
        identity, timeouts: the provider that it plays, and no deadlines.
        requests: what was asked, checked and frozen, oldest first; a stream counts once it is read.
        closed: whether :meth:`close` was called.
    """

    def __init__(
        self, *replies: Reply, model: str = "fake-model", provider: str = "fake", healthy: bool = True
    ) -> None:
        self.requests: list[CompletionRequest] = []
        self.closed = False
        self._replies: deque[Reply] = deque(replies)
        self._model = model
        self._provider = provider
        self._healthy = healthy
        self._lock = threading.Lock()
        self.identity = ClientIdentity(provider)
        self.timeouts = Timeouts()

    def script(self, *replies: Reply) -> FakeLLM:
        """Add answers to the end of the script, and return itself."""
        self._replies.extend(replies)
        return self

    @property
    def last_request(self) -> CompletionRequest:
        """The newest request.

        Raises:
            AssertionError: if nothing was asked.
        """
        if not self.requests:
            raise AssertionError("the fake model was asked nothing")
        return self.requests[-1]

    def assert_finished(self) -> None:
        """Check that every answer of the script was asked for.

        Raises:
            AssertionError: naming how many were not.
        """
        if self._replies:
            raise AssertionError(f"{len(self._replies)} answer(s) of the script were not asked for")

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
        """Return the next answer of the script."""
        reply = self._next(request)
        if isinstance(reply, LLMError):
            return Err(reply)
        if isinstance(reply, Completion):
            return Ok(reply)
        fold = CompletionFold(provider=self._provider, model=request.model)
        for chunk in reply:
            if isinstance(chunk, LLMError):
                chunk.partial = chunk.partial or fold.completion()
                return Err(chunk)
            fold.add(chunk)
        return Ok(fold.completion())

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the next answer of the script in pieces; it is taken when the stream is first read."""
        fold = CompletionFold(provider=self._provider, model=request.model)
        return AsyncStream(self._chunks(request), fold=fold)

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Return what the fake was told to say."""
        status = HealthStatus.HEALTHY if self._healthy else HealthStatus.UNHEALTHY
        return HealthCheckResult(component=f"{self._provider}:{self._model}", status=status, duration_ms=0.0)

    async def close(self) -> None:
        """Remember that it was called."""
        self.closed = True

    def _next(self, request: CompletionRequest) -> Completion | LLMError | Sequence[StreamChunk | LLMError]:
        with self._lock:
            self.requests.append(request)
            if not self._replies:
                raise ScriptExhaustedError(
                    f"the fake model was asked {len(self.requests)} time(s), but its script has "
                    f"{len(self.requests) - 1} answer(s); the last question: {_last_text(request)!r}"
                )
            reply = self._replies.popleft()
        while callable(reply):
            reply = reply(request)
        if isinstance(reply, str):
            return Completion(
                reply, finish_reason="stop", raw_finish_reason="stop", model=request.model, provider=self._provider
            )
        if isinstance(reply, Completion):
            return _whole(reply, request.model, self._provider)
        return reply

    async def _chunks(self, request: CompletionRequest) -> AsyncGenerator[StreamChunk, None]:
        reply = self._next(request)
        if isinstance(reply, LLMError):
            raise reply
        for chunk in _pieces(reply) if isinstance(reply, Completion) else reply:
            if isinstance(chunk, LLMError):
                raise chunk
            yield chunk


def _whole(completion: Completion, model: str, provider: str) -> Completion:
    """Fill in what a test leaves out and a provider always says, so that streams fold to the very same."""
    parts = tuple(
        replace(part, raw_arguments=json.dumps(dict(part.arguments)))
        if isinstance(part, ToolCall) and part.arguments and not part.raw_arguments
        else part
        for part in completion.parts
    )
    return replace(
        completion,
        parts=parts,
        finish_reason=settle_finish_reason(completion.finish_reason or "stop", parts),
        model=completion.model or model,
        provider=provider,
    )


def _last_text(request: CompletionRequest) -> str:
    content = request.messages[-1].content if request.messages else ""
    return content if isinstance(content, str) else " ".join(p.text for p in content if isinstance(p, TextPart))


def _pieces(completion: Completion) -> Iterator[StreamChunk]:
    """Give chunks that fold to the completion."""
    yield StreamChunk(role="assistant", model=completion.model, id=completion.id)
    calls = 0
    for part in completion.parts:
        if isinstance(part, TextPart) and not part.annotations and part.opaque is None:
            for word in _WORD.findall(part.text):
                yield StreamChunk(delta=word)
        elif isinstance(part, ThinkingPart) and part.opaque is None:
            for word in _WORD.findall(part.text):
                yield StreamChunk(thinking_delta=word)
        elif isinstance(part, ToolCall):
            half = len(part.raw_arguments) // 2
            head, tail = part.raw_arguments[:half], part.raw_arguments[half:]
            yield StreamChunk(tool_call_delta=ToolCallDelta(calls, part.id, part.name, head, part.kind, part.opaque))
            yield StreamChunk(tool_call_delta=ToolCallDelta(calls, arguments=tail, kind=part.kind))
            calls += 1
        else:
            yield StreamChunk(part=part)
    yield StreamChunk(
        finish_reason=completion.finish_reason,
        raw_finish_reason=completion.raw_finish_reason,
        usage=completion.usage,
        logprobs=completion.logprobs,
    )
