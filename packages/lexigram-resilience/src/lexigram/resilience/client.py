"""A client under a policy: every call has one deadline, one owner of its retries, and a ledger."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Coroutine, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

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
from lexigram.resilience.policy import ResiliencePolicy
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
        try:
            while True:
                permit = call.try_admit() or await call.admit()
                try:
                    result, permit = await guard.run(self._ask(call, permit))
                except LLMError as error:
                    result = Err(error)
                except BaseException:
                    call.interrupted(permit)
                    raise
                if isinstance(result, Ok):
                    return Ok(call.succeeded(permit, result.ok_value))
                wait = call.failed(permit, result.err_value)
                if wait is None:
                    return Err(call.final(result.err_value))
                await call.pause(wait)
        except LLMError as refused:
            return Err(refused)
        finally:
            guard.close()
            await _settled(call)

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written. It is tried again only as long as no chunk was handed out."""
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
        timeouts = own or defaults
        told = timeouts.total is not None
        if not told:
            total = defaults.total if defaults.total is not None else policy.config.timeout
            timeouts = replace(timeouts, total=total)
            told = total is None
        lane = policy.lane(self.identity, request.model)
        return Call(policy, lane, request, timeouts, told=told, retry=self._retry)

    async def _ask(self, call: Call, permit: Permit) -> tuple[Result[Completion, LLMError], Permit]:
        request, latencies = call.prepared(), call.lane.latencies
        late = latencies.late_after() if latencies is not None else None
        if late is None:
            return await self._inner.complete_request(request), permit

        async def drop(held: Permit, completion: Completion) -> None:
            call.succeeded(held, completion)

        def ask() -> Coroutine[Any, Any, Result[Completion, LLMError]]:
            return self._inner.complete_request(request)

        return await race(call, permit, late=late, ask=ask, hedge=lambda: self._hedge(call), drop=drop)

    async def _begun(self, call: Call, permit: Permit, late: float) -> tuple[Result[_Begun, LLMError], Permit]:
        """Return a stream that has given its first chunk, and its permit: the faster of one or two."""
        request = call.prepared()

        async def ask() -> Result[_Begun, LLMError]:
            stream = self._inner.stream_request(request)
            try:
                return Ok(_Begun(stream, await anext(stream)))
            except StopAsyncIteration:
                return Ok(_Begun(stream, None))
            except LLMError as error:
                return Err(error)
            except BaseException:
                await stream.aclose()
                raise

        async def drop(held: Permit, begun: _Begun) -> None:
            call.interrupted(held)
            await begun.stream.aclose()

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
        first_chunks = call.lane.first_chunks
        try:
            while True:
                permit = call.try_admit() or await call.admit()
                stream: Stream | None = None
                handed_out = False
                try:
                    try:
                        late = first_chunks.late_after() if first_chunks is not None else None
                        if late is None:
                            stream = self._inner.stream_request(call.prepared())
                            relay.follow(stream, call, permit)
                            step = aiter(stream).__anext__
                        else:
                            begun, permit = await guard.run(self._begun(call, permit, late))
                            if isinstance(begun, Err):
                                raise begun.err_value
                            stream, first = begun.unwrap()
                            relay.follow(stream, call, permit)
                            step = stream.__anext__
                            if first is not None:
                                handed_out = True
                                call.heard(permit)
                                yield first
                        while True:
                            if guard.fired:
                                guard.begin()
                            else:
                                guard.task = task = asyncio.current_task()
                                guard.before = task.cancelling() if task is not None else 0
                            try:
                                chunk = await step()
                            except StopAsyncIteration:
                                break
                            except asyncio.CancelledError:
                                overran = guard.overran()
                                if overran is None:
                                    raise
                                raise overran from None
                            finally:
                                if guard.fired:
                                    guard.end()
                                else:
                                    guard.task = None
                            if not handed_out:
                                handed_out = True
                                if first_chunks is not None:
                                    call.heard(permit)
                            yield chunk
                    finally:
                        if stream is not None:
                            await stream.aclose()
                except LLMError as error:
                    failure = error
                except BaseException:
                    self._broken_off(call, permit, stream)
                    raise
                else:
                    call.succeeded(permit, stream.so_far or Completion())
                    return
                wait = call.failed(permit, failure, again=not handed_out)
                if wait is None:
                    raise call.final(failure)
                await call.pause(wait)
        finally:
            guard.close()
            await _settled(call)

    def _broken_off(self, call: Call, permit: Permit, stream: Stream | None) -> None:
        """Settle a stream that its consumer left: complete if its end had been seen, else unknown."""
        outcome = stream.outcome if stream is not None else None
        if isinstance(outcome, Ok):
            call.succeeded(permit, outcome.ok_value)
        else:
            call.interrupted(permit)


class _Begun(NamedTuple):
    """A stream, and its first chunk; None if it is empty."""

    stream: Stream
    first: StreamChunk | None


class _Relay:
    """The fold of the outer stream: what the stream inside has folded already, with the ledger of the call."""

    __slots__ = ("_call", "_permit", "_stream")

    def __init__(self) -> None:
        self._stream: AsyncStream[StreamChunk, Any] | None = None
        self._call: Call | None = None
        self._permit: Permit | None = None

    def follow(self, stream: AsyncStream[StreamChunk, Any], call: Call, permit: Permit) -> None:
        self._stream, self._call, self._permit = stream, call, permit

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


async def _settled(call: Call) -> None:
    """Wait until a shared limiter knows the end; if that is cancelled too, it is told all the same."""
    if call.pending is not None:
        await call.pending
