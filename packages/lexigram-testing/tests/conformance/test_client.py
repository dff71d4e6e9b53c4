"""A good client passes the kit; each deliberately wrong one fails where it is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from broken import failing

from lexigram.contracts.ai import (
    Attempt,
    Completion,
    CompletionRequest,
    LLMClientProtocol,
    LLMError,
    StreamChunk,
    Timeouts,
    ToolCall,
    Usage,
)
from lexigram.contracts.ai.client import ClientBase
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidMessageError, LLMRateLimitError, LLMTimeoutError, StreamError
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing.conformance.client import ClientConformance, Situation

PIECES = ["Hello", " there."]


class GoodClient(ClientBase):
    """Plays a provider in a situation, and takes a few turns of the loop for everything."""

    def __init__(self, situation: Situation, key: str) -> None:
        self.situation = situation
        self.__key = key

    def make_request(self, messages, model, temperature, max_tokens, tools, stop_sequences, options):  # type: ignore[no-untyped-def]
        return build_request(messages, model=model or "m-1", tools=tools, options=options)

    def key(self) -> str:
        return self.__key

    def refusal(self, request: CompletionRequest) -> LLMError:
        tried = (Attempt("acme", request.model, LLMRateLimitError.code),)
        return LLMRateLimitError("slow down", provider="acme", model=request.model, status=429, attempts=tried)

    def parts(self, request: CompletionRequest) -> Completion:
        usage = Usage(9, 3, 12, source="reported")
        if self.situation == "calls a tool":
            call = ToolCall("call-1", "weather", {"city": "Oslo"}, '{"city": "Oslo"}')
            return Completion(
                parts=(call,), finish_reason="tool_calls", usage=usage, model=request.model, provider="acme"
            )
        text = "".join(PIECES)
        return Completion(text, finish_reason="stop", usage=usage, model=request.model, provider="acme")

    async def turn(self, request: CompletionRequest) -> None:
        await asyncio.sleep(0)
        if self.situation == "hangs":
            total = (request.timeouts or Timeouts()).total
            await asyncio.sleep(3600 if total is None else total)
            raise LLMTimeoutError("too late", provider="acme", model=request.model)
        if self.situation == "refuses":
            raise self.refusal(request)

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        try:
            await self.turn(request)
        except LLMError as error:
            return Err(error)
        return Ok(self.parts(request))

    async def chunks(self, request: CompletionRequest) -> AsyncGenerator[StreamChunk, None]:
        await self.turn(request)
        if self.situation == "calls a tool":
            for chunk in chunks_of(self.parts(request)):
                yield chunk
            return
        yield StreamChunk(PIECES[0])
        await asyncio.sleep(0)
        if self.situation == "breaks off":
            raise StreamError("cut", provider="acme", model=request.model)
        yield StreamChunk(PIECES[1])
        yield StreamChunk(finish_reason="stop", usage=self.parts(request).usage, model=request.model)

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        return AsyncStream(self.chunks(request), fold=CompletionFold(provider="acme", model=request.model))

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        if self.situation != "hangs":
            return HealthCheckResult("acme", HealthStatus.HEALTHY)
        await asyncio.sleep(timeout)
        return HealthCheckResult("acme", HealthStatus.UNHEALTHY, "no answer")

    async def close(self) -> None:
        return None


class TestGoodClient(ClientConformance):
    claims = ClientConformance.ALL
    client_class: ClassVar[type[GoodClient]] = GoodClient
    patience = 8.0
    deadline = 0.05
    grace = 0.5

    def make(self, situation: Situation) -> LLMClientProtocol:
        return self.client_class(situation, self.canary.value)


class Shouts(GoodClient):
    def parts(self, request: CompletionRequest) -> Completion:
        made = super().parts(request)
        return made if self.situation != "answers" else replace(made, raw="x", finish_reason="length")


class SaysAllAtOnce(GoodClient):
    async def chunks(self, request: CompletionRequest) -> AsyncGenerator[StreamChunk, None]:
        await self.turn(request)
        yield StreamChunk("".join(PIECES[: 1 if self.situation == "breaks off" else 2]), model=request.model)
        await asyncio.sleep(0)
        if self.situation == "breaks off":
            raise StreamError("cut", provider="acme", model=request.model)
        if self.situation == "calls a tool":
            raise AssertionError
        yield StreamChunk(finish_reason="stop", usage=self.parts(request).usage)


class CountsNothing(GoodClient):
    def parts(self, request: CompletionRequest) -> Completion:
        return replace(super().parts(request), usage=Usage(0, 0, 0, source="reported"))


class NoArguments(GoodClient):
    def parts(self, request: CompletionRequest) -> Completion:
        made = super().parts(request)
        return replace(made, parts=tuple(replace(p, id="") if isinstance(p, ToolCall) else p for p in made.parts))


class TakesAnything(GoodClient):
    def make_request(self, *args: Any) -> CompletionRequest:
        options = {k: v for k, v in args[-1].items() if k in CompletionRequest.__dataclass_fields__}
        return super().make_request(*args[:-1], options)  # type: ignore[no-any-return]


class SaysNoPlace(GoodClient):
    def make_request(self, *args: Any) -> CompletionRequest:
        try:
            return super().make_request(*args)  # type: ignore[no-any-return]
        except InvalidMessageError:
            raise InvalidMessageError("something is wrong", path="somewhere") from None


class Raises(GoodClient):
    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        if self.situation == "refuses":
            raise self.refusal(request)
        return await super().complete_request(request)


class RaisesAnother(GoodClient):
    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        return _Twice(self.chunks(request), fold=CompletionFold(provider="acme", model=request.model))


class _Twice(AsyncStream[StreamChunk, LLMError]):
    def __aiter__(self) -> Any:
        inner = super().__aiter__()

        async def other() -> Any:
            try:
                async for chunk in inner:
                    yield chunk
            except LLMRateLimitError as error:
                again = LLMRateLimitError(error.message, provider="acme", model="m-1", status=429)
                again.attempts = error.attempts
                raise again from None
            finally:
                await inner.aclose()  # type: ignore[attr-defined]

        return other()


class TooPatient(GoodClient):
    async def turn(self, request: CompletionRequest) -> None:
        if self.situation == "hangs" and request.timeouts is not None:
            await asyncio.sleep(0.7)
        await super().turn(request)


class AlwaysWell(GoodClient):
    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        return HealthCheckResult("acme", HealthStatus.HEALTHY)


class _Eager(AsyncStream[StreamChunk, LLMError]):
    @property
    def outcome(self) -> Any:
        return super().outcome or Ok(Completion("".join(PIECES), finish_reason="stop", provider="acme"))


class SettledFromTheStart(GoodClient):
    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        stream = _Eager if self.situation == "answers" else AsyncStream
        return stream(self.chunks(request), fold=CompletionFold(provider="acme", model=request.model))


class TruncatesInSilence(GoodClient):
    async def chunks(self, request: CompletionRequest) -> AsyncGenerator[StreamChunk, None]:
        try:
            async for chunk in super().chunks(request):
                yield chunk
        except StreamError:
            yield StreamChunk(finish_reason="stop", model=request.model)


class ClosedIsWhole(GoodClient):
    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        return _Forgiving(self.chunks(request), fold=CompletionFold(provider="acme", model=request.model))


class _Forgiving(AsyncStream[StreamChunk, LLMError]):
    @property
    def outcome(self) -> Any:
        found = super().outcome
        closed = isinstance(found, Err) and found.err_value.code == "LEX_ERR_LLM_024"
        return Ok(self.so_far) if closed else found


class EatsCancellation(GoodClient):
    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        try:
            return await super().complete_request(request)
        except asyncio.CancelledError:
            return Err(LLMError("cancelled", provider="acme"))


class StreamsEatCancellation(GoodClient):
    async def chunks(self, request: CompletionRequest) -> AsyncGenerator[StreamChunk, None]:
        try:
            await self.turn(request)
        except asyncio.CancelledError:
            raise RuntimeError("what was that?") from None
        async for chunk in super().chunks(request):
            yield chunk


class OneAtATime(GoodClient):
    busy = False

    async def turn(self, request: CompletionRequest) -> None:
        if self.busy:
            raise LLMError("busy", provider="acme")
        self.busy = True
        try:
            await super().turn(request)
        finally:
            self.busy = False


class OneLoop(GoodClient):
    loop: Any = None

    async def turn(self, request: CompletionRequest) -> None:
        self.loop = self.loop or asyncio.get_running_loop()
        if self.loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")
        await super().turn(request)


class ClosesOnce(GoodClient):
    closed = False

    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


class Logs(GoodClient):
    async def turn(self, request: CompletionRequest) -> None:
        logging.getLogger("acme").debug("asking with %s", self.key())
        await super().turn(request)


class ShowsItself(GoodClient):
    def __repr__(self) -> str:
        return f"<ShowsItself {self.key()}>"


MUTANTS: list[tuple[str, type[GoodClient], set[str]]] = [
    (
        "answers",
        Shouts,
        {"answers_many_at_once", "closes_twice", "serves_several_event_loops", "settles_when_cancelled",
         "settles_when_left", "streams_what_it_completes", "survives_cancellation", "tells_usage"},
    ),
    ("streams_what_it_completes", SaysAllAtOnce, {"calls_tools", "settles_when_left"}),
    ("tells_usage", CountsNothing, set()),
    ("calls_tools", NoArguments, set()),
    ("refuses_unknown_options", TakesAnything, set()),
    ("refuses_wrong_messages", SaysNoPlace, set()),
    ("gives_failures_as_values", Raises, {"shows_no_secret"}),
    ("raises_in_a_stream_what_fails", RaisesAnother, set()),
    ("keeps_deadlines", TooPatient, set()),
    ("checks_health_in_bounded_time", AlwaysWell, set()),
    ("settles_when_read_to_the_end", SettledFromTheStart, {"settles_when_left"}),
    ("settles_when_left", ClosedIsWhole, set()),
    ("settles_when_cut", TruncatesInSilence, set()),
    ("settles_when_cancelled", StreamsEatCancellation, set()),
    ("survives_cancellation", EatsCancellation, set()),
    ("answers_many_at_once", OneAtATime, set()),
    ("serves_several_event_loops", OneLoop, set()),
    ("closes_twice", ClosesOnce, set()),
    ("shows_no_secret", Logs, set()),
    ("shows_no_secret", ShowsItself, set()),
]  # fmt: skip


def test_every_behaviour_has_its_mutant() -> None:
    assert {claim for claim, _, _ in MUTANTS} == ClientConformance.ALL


@pytest.mark.parametrize(("claim", "mutant", "also"), MUTANTS, ids=[m.__name__ for _, m, _ in MUTANTS])
def test_a_wrong_client_fails_where_it_is_wrong(claim: str, mutant: type[GoodClient], also: set[str]) -> None:
    found = failing(TestGoodClient, client_class=mutant)
    assert claim in found
    assert found <= {claim} | also
