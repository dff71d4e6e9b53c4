"""A client under a policy: every call has one deadline, one owner of its retries, and a ledger."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Coroutine, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeAlias

from lexigram.contracts.ai.client import (
    ClientBase,
    ClientIdentity,
    IdentifiedClientProtocol,
    RetryingClientProtocol,
    over_requests,
)
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Completion, StreamChunk
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol, Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult
from lexigram.contracts.result import Err, Ok, Result
from lexigram.resilience.call import Call, Permit
from lexigram.resilience.deadline import Guard
from lexigram.resilience.ledger import CANCELLED
from lexigram.resilience.policy import Lane, ResiliencePolicy
from lexigram.resilience.race import race

__all__ = ["ResilientClient"]

Stream: TypeAlias = AsyncStream[StreamChunk, LLMError]
_unnamed = itertools.count(1)


class ResilientClient(ClientBase):
    """Asks ``inner`` under ``policy``. Satisfies :class:`~lexigram.contracts.ai.LLMClientProtocol`.

    Args:
        inner: the client that does the work. Retries of its own should be switched off.
        policy: limits, breakers and budgets, shared with all that it wraps.

    Attributes:
        policy: the same.
        identity, timeouts: those of the client inside.
    """

    def __init__(self, inner: LLMClientProtocol, policy: ResiliencePolicy) -> None:
        self.policy = policy
        self._inner = over_requests(inner)
        self._lanes: dict[str, Lane] = {}
        retry = policy.config.retry
        # One layer retries: where the client inside does so by itself, this one does not.
        retries = isinstance(self._inner, RetryingClientProtocol)
        self._retry = retry.model_copy(update={"max_attempts": 1}) if retries else retry
        if isinstance(inner, IdentifiedClientProtocol):
            self.identity, self.timeouts = inner.identity, inner.timeouts
        else:
            # Two clients that say nothing of themselves may ask two servers: their breakers stay apart.
            self.identity, self.timeouts = ClientIdentity(type(inner).__name__, f"#{next(_unnamed)}"), Timeouts()

    def __repr__(self) -> str:
        return f"<ResilientClient around {self._inner!r}>"

    @property
    def max_attempts(self) -> int:
        """Most tries of one call, the first included."""
        return self._retry.max_attempts

    def with_attempts(self, attempts: int) -> ResilientClient:
        """Return the same client under the same policy, with other tries a call."""
        if attempts == self._retry.max_attempts:
            return self
        other = copy(self)
        other._retry = self._retry.model_copy(update={"max_attempts": attempts})
        return other

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
        """Check what a caller gave, as the client inside does."""
        return self._inner.make_request(messages, model, temperature, max_tokens, tools, stop_sequences, options)

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return the whole answer, or an ``Err`` that says what failed and every try that was made."""
        call = self._call(request)
        guard = Guard(call.deadline)
        latencies = call.lane.latencies
        try:
            while True:
                permit = call.try_admit() or await call.admit()
                late = latencies.late_after() if latencies is not None else None
                try:
                    with guard:
                        if late is None:
                            result = await self._inner.complete_request(call.prepared())
                        else:
                            result, permit = await self._hedged(call, permit, late)
                except LLMError as error:
                    result = Err(error)
                except BaseException:
                    call.interrupted(permit)
                    raise
                if isinstance(result, Ok):
                    answer = result.ok_value
                    completed = call.succeeded(permit, answer)
                    return result if completed is answer else Ok(completed)
                wait = call.failed(permit, result.err_value)
                if wait is None:
                    return Err(call.final(result.err_value))
                await call.pause(wait)
        except LLMError as refused:
            return Err(refused)
        finally:
            guard.close()
            if call.pending is not None:
                await call.pending

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written. It is tried again only until its first content is handed out."""
        relay = _Relay()
        return AsyncStream(self._chunks(request, relay), fold=relay)

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask the client inside, past all limits."""
        return await self._inner.health_check(timeout)

    async def close(self) -> None:
        """Close the client inside. The policy may wrap others too and stays as it is."""
        await self._inner.close()

    # -- one call

    def _call(self, request: CompletionRequest) -> Call:
        policy, own, defaults = self.policy, request.timeouts, self.timeouts
        usual = defaults.total if defaults.total is not None else policy.config.timeout
        timeouts = own or defaults
        told = timeouts.total is not None or usual is None
        if not told:
            timeouts = replace(timeouts, total=usual)
        lane = self._lanes.get(request.model)
        if lane is None:
            lane = self._lanes[request.model] = policy.lane(self.identity, request.model)
        return Call(policy, lane, request, timeouts, told=told, usual=usual, retry=self._retry)

    async def _hedged(self, call: Call, permit: Permit, late: float) -> tuple[Result[Completion, LLMError], Permit]:
        request = call.prepared()

        def ask() -> Coroutine[Any, Any, Result[Completion, LLMError]]:
            return self._inner.complete_request(request)

        async def drop(held: Permit, completion: Completion) -> None:
            call.succeeded(held, completion)

        return await race(call, permit, late=late, ask=ask, hedge=lambda: self._hedge(call), drop=drop)

    async def _begin(self, call: Call, permit: Permit) -> tuple[Result[_Begun, LLMError], Permit]:
        """Return a stream that has begun to answer, and its permit: the faster of one or two."""
        request, first_chunks = call.prepared(), call.lane.first_chunks
        late = first_chunks.late_after() if first_chunks is not None else None

        def ask() -> Coroutine[Any, Any, Result[_Begun, LLMError]]:
            return _Begun(self._inner.stream_request(request)).read_first()

        async def drop(held: Permit, begun: _Begun) -> None:
            call.interrupted(held)
            await begun.stream.aclose()

        if late is None:
            return await ask(), permit
        return await race(call, permit, late=late, ask=ask, hedge=lambda: self._hedge(call), drop=drop)

    def _hedge(self, call: Call) -> Permit | None:
        policy, budget = self.policy, call.lane.budget
        if call.tries >= self._retry.max_attempts:
            return None
        if budget is not None and not budget.withdraw():
            policy.counters.budget_denied += 1
            return None
        try:
            permit = call.try_admit()
        except LLMError:
            return None
        if permit is not None:
            policy.counters.hedges += 1
        return permit

    async def _chunks(self, request: CompletionRequest, relay: _Relay) -> AsyncGenerator[StreamChunk, None]:
        call = self._call(request)
        guard = Guard(call.deadline)
        try:
            while True:
                permit = call.try_admit() or await call.admit()
                begun: _Begun | None = None
                relay.follow(call, permit)
                try:
                    with guard:
                        opened, permit = await self._begin(call, permit)
                    if isinstance(opened, Err):
                        raise opened.err_value
                    begun = opened.ok_value
                    if begun.first:
                        call.heard(permit)
                    relay.follow(call, permit, begun.stream)
                    async with begun.stream:
                        for chunk in begun.first:
                            yield chunk
                        with guard:
                            async for chunk in begun.rest:
                                guard.rest()
                                yield chunk
                                guard.watch()
                except LLMError as error:
                    failure = error
                except BaseException:
                    self._broken_off(call, permit, begun)
                    raise
                else:
                    call.succeeded(permit, begun.stream.so_far or Completion())
                    return
                wait = call.failed(permit, failure, again=begun is None)
                if wait is None:
                    raise call.final(failure)
                await call.pause(wait)
        finally:
            guard.close()
            if call.pending is not None:
                await call.pending

    def _broken_off(self, call: Call, permit: Permit, begun: _Begun | None) -> None:
        """Settle a stream that its consumer left: complete if its end had been seen, else unknown."""
        outcome = begun.stream.outcome if begun is not None else None
        if isinstance(outcome, Ok):
            call.succeeded(permit, outcome.ok_value)
        else:
            call.interrupted(permit)


class _Begun:
    """A stream that is read up to its first content, for until then nothing of it is handed out.

    Attributes:
        stream: the same.
        first: what was read: chunks without content, and then one with it; without it if there is none.
        rest: the chunks after that.
    """

    __slots__ = ("first", "rest", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.first: list[StreamChunk] = []
        self.rest = aiter(stream)

    async def read_first(self) -> Result[_Begun, LLMError]:
        """Read up to the first content, or return why that failed."""
        first = self.first
        try:
            while not (first and first[-1].has_content):
                first.append(await anext(self.rest))
        except StopAsyncIteration:
            pass
        except LLMError as error:
            return Err(error)
        except BaseException:
            await self.stream.aclose()
            raise
        return Ok(self)


class _Relay:
    """The fold of the outer stream: what the stream inside has folded already, with the ledger of the call."""

    __slots__ = ("_call", "_permit", "_stream")

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._call: Call | None = None
        self._permit: Permit | None = None

    def follow(self, call: Call, permit: Permit, stream: Stream | None = None) -> None:
        self._call, self._permit, self._stream = call, permit, stream

    @property
    def finished(self) -> bool:
        answer = self._stream.so_far if self._stream is not None else None
        if answer is None:
            return False
        return all(a.finish_reason is not None for a in (answer, *answer.alternatives))

    def add(self, chunk: StreamChunk, /) -> None:
        """Do nothing: the stream inside adds it up."""

    def completion(self) -> Completion:
        answer = (self._stream.so_far if self._stream is not None else None) or Completion()
        if self._call is None or self._permit is None:
            return answer
        done = answer.finish_reason is not None
        usage = answer.usage if done else UNKNOWN_USAGE
        attempts = self._call.attempts_if(self._permit, "ok" if done else CANCELLED, usage)
        return replace(answer, attempts=attempts)
