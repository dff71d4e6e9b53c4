"""The router: a client over several providers, whoever of them answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Final

from lexigram.ai.llm.routing.config import LLMConfig
from lexigram.ai.llm.routing.journey import Ask, Journey, T
from lexigram.ai.llm.routing.strategies import Strategy, by_cost, by_latency, sequential, weighted
from lexigram.ai.llm.routing.target import Measured, Place, Target
from lexigram.ai.llm.steps import check_headers, merged
from lexigram.contracts.ai.client import ClientBase, ClientIdentity, RequestClientProtocol
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Attempt, Completion, StreamChunk
from lexigram.contracts.ai.errors import InvalidRequestError, LLMConfigurationError, LLMError, ModelNotFoundError
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["LLMRouter"]

LAST: Final = "last"


@dataclass(slots=True)
class _Opened:
    """A stream that has begun: what was read of it so far, and the rest."""

    chunks: list[StreamChunk]
    stream: AsyncStream[StreamChunk, LLMError]

    async def close(self) -> None:
        await self.stream.aclose()


class LLMRouter(ClientBase):
    """Asks one of several providers, and others when it fails. Satisfies ``LLMClientProtocol``.

    Args:
        targets: the providers, in their order; at least one.
        config: the strategy and the rest; its ``providers`` are not read.
        timeouts: the deadlines of a call that names none.
        order: a strategy of your own, instead of the configured one.
        clock: the time, in seconds.
        rng: the dice of ``weighted``.

    Attributes:
        config: the same.
        targets: by name.

    Raises:
        LLMConfigurationError: for a name that stands twice, a chain that names nobody, or a missing price.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        config: LLMConfig | None = None,
        *,
        timeouts: Timeouts | None = None,
        order: Strategy | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config or LLMConfig()
        self.timeouts = timeouts or Timeouts(total=60.0)
        self.identity = ClientIdentity("router")
        self.targets: dict[str, Target] = {}
        self._clock = clock
        self._preferred: dict[str, str] = {}
        for target in targets:
            self.add(target)
        if not self.targets:
            raise LLMConfigurationError("a router needs at least one provider")
        self._attempts: int | None = None
        self._chain = [self._link(name) for name in self.config.fallback_models]
        self._order = order or self._strategy(rng or random.Random())  # noqa: S311 - shares, not secrets

    def __repr__(self) -> str:
        return f"<LLMRouter {self.config.strategy} over {', '.join(self.targets)}>"

    # -- who may be asked

    def add(self, target: Target) -> None:
        """Let a further provider be asked, from the next call on.

        Raises:
            LLMConfigurationError: there is one of its name.
        """
        if target.name in self.targets:
            raise LLMConfigurationError(f"there are two providers named {target.name!r}")
        self.targets = {**self.targets, target.name: target}

    def remove(self, name: str) -> Target:
        """Ask a provider no more; calls that run are let be. Its client stays open, for the caller to close.

        Raises:
            LLMConfigurationError: there is none of the name, or it is the last.
        """
        if name not in self.targets or len(self.targets) == 1:
            why = "it is the last one" if name in self.targets else f"there are {', '.join(self.targets)}"
            raise LLMConfigurationError(f"provider {name!r} cannot be removed: {why}")
        removed = self.targets[name]
        self.targets = {other: target for other, target in self.targets.items() if other != name}
        self._chain = [place for place in self._chain if place.target is not removed]
        return removed

    def unblock(self, name: str | None = None) -> None:
        """Ask a provider again, or all of them, that was passed over for its failures."""
        for target in self.targets.values():
            if name in (None, target.name):
                target.unblock()

    def set_preferred_providers(self, preferred: dict[str, str | None]) -> None:
        """Set who is asked first for a model, by names; None clears a preference.

        Raises:
            LLMConfigurationError: for an unknown provider, naming those there are.
        """
        for provider in preferred.values():
            if provider is not None and not self._named(provider):
                raise LLMConfigurationError(
                    f"there is no provider {provider!r}", hint=f"there are: {', '.join(self.targets)}"
                )
        known = {**self._preferred, **preferred}
        self._preferred = {model: provider for model, provider in known.items() if provider is not None}

    # -- a call

    @property
    def max_attempts(self) -> int:
        """Most tries of one call over all providers: as many as one alone would make, and one for each at least."""
        if self._attempts is not None:
            return self._attempts
        return max(len(self.targets), *(target.max_attempts for target in self.targets.values()))

    def with_attempts(self, attempts: int) -> LLMRouter:
        """Return the same router, with other tries a call."""
        other = copy(self)
        other._attempts = attempts
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
        """Check what a caller gave, and freeze it. Each provider fills in its own defaults."""
        request = build_request(
            messages,
            model=model or "",
            temperature=temperature,
            max_tokens=max_tokens,
            tools=tools,
            stop_sequences=stop_sequences,
            options=options,
        )
        if request.extra_headers:
            check_headers(request.extra_headers)
        return request

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return the whole answer, or an ``Err`` that says what failed and everyone who was asked."""
        try:
            journey = self._journey(request, "whole", _answer)
            completion = await self._go(journey, _nothing)
        except LLMError as error:
            return Err(error)
        return Ok(_with_ledger(completion, journey.attempts))

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written. Another provider is asked only as long as nothing was handed out."""
        relay = _Relay()
        return AsyncStream(self._chunks(request, relay), fold=relay)

    async def _chunks(self, request: CompletionRequest, relay: _Relay) -> AsyncGenerator[StreamChunk, None]:
        journey = self._journey(request, "first", _begin)
        opened = await self._go(journey, _Opened.close)
        relay.follow(opened.stream, journey.attempts)
        try:
            for chunk in opened.chunks:
                yield chunk
            async for chunk in opened.stream:
                yield chunk
        except LLMError as error:
            raise journey.broke(error) from None
        finally:
            await opened.stream.aclose()

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask every provider: healthy if all are, degraded as long as one is."""
        targets = list(self.targets.values())
        started = time.monotonic()
        results = await asyncio.gather(*(target.client.health_check(timeout) for target in targets))
        elapsed = (time.monotonic() - started) * 1000
        well = sum(result.healthy for result in results)
        status = HealthStatus.HEALTHY if well == len(results) else HealthStatus.DEGRADED
        if not well:
            status = HealthStatus.UNHEALTHY
        ill = [f"{t.name}: {r.message or r.status}" for t, r in zip(targets, results, strict=True) if not r.healthy]
        details = {t.name: str(r.status) for t, r in zip(targets, results, strict=True)}
        return HealthCheckResult("router", status, "; ".join(ill) or None, elapsed, details)

    async def close(self) -> None:
        """Close the clients of all providers. Safe to call again."""
        closed = await asyncio.gather(*(t.client.close() for t in self.targets.values()), return_exceptions=True)
        for outcome in closed:
            if isinstance(outcome, BaseException):
                raise outcome

    # -- the way of a call

    async def _go(self, journey: Journey[T], discard: Callable[[T], Any]) -> T:
        if self.config.strategy == "parallel_race":
            return await journey.all_at_once(discard)
        return await journey.one_by_one()

    def _journey(self, request: CompletionRequest, of: Measured, ask: Ask[T]) -> Journey[T]:
        places = self._places(request, of)[: self._attempts]
        tries = max(len(places), *(place.target.max_attempts for place in places))
        own, usual = request.timeouts, self.timeouts
        impatient = own is not None and own.total is not None and usual.total is not None and own.total < usual.total
        return Journey(
            request,
            places,
            of=of,
            ask=ask,
            timeouts=merged(own, usual) if own is not None else usual,
            impatient=impatient,
            tries=self._attempts or tries,
            per_place=self.config.attempts_before_failover,
            reserve=self.config.reserve,
            cooldown=self.config.cooldown,
            clock=self._clock,
        )

    def _places(self, request: CompletionRequest, of: Measured) -> list[Place]:
        """Return where a call goes, in order.

        Raises:
            LLMError: nobody serves the model, or nobody has the preferred name.
        """
        start = self._serving(request.model)
        places = self._order(start, request, of) if len(start) > 1 else list(start)
        if (wanted := self._wanted(request, places)) is not None:
            places = [wanted, *(p for p in places if p != wanted)]
        if self._chain and (not request.model or any(place in self._chain for place in start)):
            places = self._along_the_chain(places)
        now = self._clock()
        waits = {id(p): p.target.available_at(p.model) for p in places}
        now_open = [p for p in places if waits[id(p)] <= now]
        return now_open or sorted(places, key=lambda p: waits[id(p)])

    def _serving(self, model: str) -> Sequence[Place]:
        targets = self.targets.values()
        if not model:
            return [Place(target, "") for target in targets]
        if found := self._places_of(model):
            return found
        if len(self.targets) == 1:
            return [Place(next(iter(targets)), model)]
        known = dict.fromkeys(name for t in targets for name in (t.name, t.model, *t.models) if name)
        raise ModelNotFoundError(
            f"no provider of this router serves the model {model!r}",
            model=model,
            hint=f"there are: {', '.join(known)}; or provider:model",
        )

    def _places_of(self, model: str) -> list[Place]:
        """Return the places of a model; of ``provider:model`` those first that were told of the model."""
        own = ((target, target.serves(model)) for target in self.targets.values())
        found = [Place(target, "" if name == target.model else name) for target, name in own if name is not None]
        return sorted(found, key=lambda place: place.model not in ("", *place.target.models.values()))

    def _wanted(self, request: CompletionRequest, places: Sequence[Place]) -> Place | None:
        """Return the place that the call asks for first, if it is among its places.

        Raises:
            InvalidRequestError: there is none of the name at all.
        """
        provider = request.prefer_provider
        if provider is not None and not self._named(provider):
            raise InvalidRequestError(
                f"prefer_provider: there is no provider {provider!r}", hint=f"there are: {', '.join(self.targets)}"
            )
        provider = provider or self._preferred.get(request.model)
        if provider is not None:
            named = self._named(provider)
            return next((place for place in places if place.target in named), None)
        model = request.prefer_model
        if model is None:
            return None
        if model == LAST:
            author = next((m.author for m in reversed(request.messages) if m.role == "assistant"), None)
            preferred = self._places_of(author) if author is not None else []
        else:
            preferred = list(self._serving(model))
        if not request.model:
            return preferred[0] if preferred else None
        return next((place for place in preferred if place in places), None)

    def _named(self, name: str) -> list[Target]:
        exact = self.targets.get(name)
        return [exact] if exact is not None else [t for t in self.targets.values() if t.provider == name]

    def _along_the_chain(self, places: list[Place]) -> list[Place]:
        """Return the first place, then the chain from there on and round its end."""
        first, chain = places[0], self._chain
        start = chain.index(first) + 1 if first in chain else 0
        return [first, *(p for p in (*chain[start:], *chain[:start]) if p != first)]

    def _link(self, name: str) -> Place:
        try:
            return self._serving(name)[0]
        except ModelNotFoundError as error:
            raise LLMConfigurationError(f"fallback_models: {error.message}", hint=error.hint) from None

    def _strategy(self, rng: random.Random) -> Strategy:
        config = self.config
        match config.strategy:
            case "weighted":
                if not any(target.weight > 0 for target in self.targets.values()):
                    raise LLMConfigurationError("weighted: at least one provider needs a weight above 0")
                return weighted(rng)
            case "cost_optimized":
                from lexigram.ai.llm.routing.prices import price_lookup

                return by_cost(price_lookup([Place(target, "") for target in self.targets.values()]))
            case "latency_optimized":
                return by_latency(self._clock, config.forget_after)
            case "sequential" | "parallel_race":
                return sequential


async def _answer(client: RequestClientProtocol, request: CompletionRequest) -> Completion:
    result = await client.complete_request(request)
    if isinstance(result, Err):
        raise result.err_value
    return result.ok_value


async def _begin(client: RequestClientProtocol, request: CompletionRequest) -> _Opened:
    """Read a stream up to its first content: until then nothing of it is handed out."""
    stream = client.stream_request(request)
    chunks: list[StreamChunk] = []
    try:
        while not (chunks and chunks[-1].has_content):
            try:
                chunks.append(await anext(stream))
            except StopAsyncIteration:
                break
    except BaseException:
        await stream.aclose()
        raise
    return _Opened(chunks, stream)


async def _nothing(_: object) -> None:
    """An answer that came too late holds nothing."""


def _with_ledger(completion: Completion, before: tuple[Attempt, ...]) -> Completion:
    if not before:
        return completion
    own = completion.attempts or (Attempt(completion.provider, completion.model, "ok", usage=completion.usage),)
    return replace(completion, attempts=(*before, *own))


class _Relay:
    """The fold of the router's stream: what the chosen stream has folded already, with the ledger of the call."""

    __slots__ = ("_before", "_stream")

    def __init__(self) -> None:
        self._stream: AsyncStream[StreamChunk, LLMError] | None = None
        self._before: tuple[Attempt, ...] = ()

    def follow(self, stream: AsyncStream[StreamChunk, LLMError], before: tuple[Attempt, ...]) -> None:
        self._stream, self._before = stream, before

    @property
    def finished(self) -> bool:
        answer = self._stream.so_far if self._stream is not None else None
        return answer is not None and answer.finish_reason is not None

    def add(self, chunk: StreamChunk, /) -> None:
        """Do nothing: the stream inside adds it up."""

    def completion(self) -> Completion:
        answer = self._stream.so_far if self._stream is not None else None
        return _with_ledger(answer or Completion(), self._before)
