"""One call on its way through the places that may answer it: who is asked next, for how long, and what came of it.

A provider's failure sends the call to the next place; the router waits nowhere and tries no place twice. What is tried
again at one place is the business of the client there, which is told how often it may.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from lexigram.ai.llm.routing.target import Measured, Place
from lexigram.contracts.ai.client import RequestClientProtocol, options_of
from lexigram.contracts.ai.completion import Attempt
from lexigram.contracts.ai.errors import (
    LLMConfigurationError,
    LLMContentFilterError,
    LLMError,
    LLMTimeoutError,
    StreamClosedError,
)
from lexigram.contracts.ai.request import CompletionRequest, Timeouts

__all__ = ["Journey"]

T = TypeVar("T")

_FINAL: Final = (LLMContentFilterError, LLMConfigurationError, StreamClosedError)
_LEAST: Final = 0.001

Ask = Callable[[RequestClientProtocol, CompletionRequest], Coroutine[Any, Any, T]]
"""Asks a client: returns what it gave, or raises its :class:`LLMError`."""


class Journey(Generic[T]):
    """The way of one call.

    Args:
        request: the call, with no provider's defaults in it.
        places: where it may go, in order; at least one.
        of: what is measured.
        ask: asks one client.
        timeouts: the call's deadlines.
        impatient: whether the call waits for less than calls usually do, so that its end says nothing of a place.
        tries: of the call, over all places; at least one for each.
        per_place: tries at one place before the next untried one is asked.
        reserve: share of the total that is kept for each place not asked yet.
        cooldown: see :class:`LLMConfig`.
        clock: the time, in seconds.

    Attributes:
        attempts: what was tried so far and gave no answer, oldest first.
        answered: the place that gave the answer, or None.
    """

    def __init__(
        self,
        request: CompletionRequest,
        places: Sequence[Place],
        *,
        of: Measured,
        ask: Ask[T],
        timeouts: Timeouts,
        impatient: bool = False,
        tries: int,
        per_place: int,
        reserve: float,
        cooldown: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.attempts: tuple[Attempt, ...] = ()
        self.answered: Place | None = None
        self._request = request
        self._places = places
        self._of: Measured = of
        self._ask_client = ask
        self._timeouts = timeouts
        self._impatient = impatient
        self._reserve = reserve
        self._per_place = per_place
        self._cooldown = cooldown
        self._clock = clock
        self._end = None if timeouts.total is None else clock() + timeouts.total
        self._errors: list[LLMError] = []
        self._tries = tries

    async def one_by_one(self) -> T:
        """Ask each place after the failure of the one before; return the first good answer.

        Raises:
            LLMError: none gave one.
        """
        for index, place in enumerate(self._places):
            untried = len(self._places) - index - 1
            left = self._tries - len(self.attempts)
            tries = min(self._per_place, left - untried) if untried else left
            try:
                return await self._ask(place, max(tries, 1), untried)
            except LLMError as error:
                if isinstance(error, _FINAL) or not self._time_left():
                    break
        raise self._failure()

    async def all_at_once(self, discard: Callable[[T], Awaitable[None]]) -> T:
        """Ask every place at the same time; return the first good answer, and end what is still asked.

        Args:
            discard: gives back an answer that came too late.

        Raises:
            LLMError: none gave one.
        """
        tries = max(1, self._tries // len(self._places))
        began = self._clock()
        tasks = {asyncio.ensure_future(self._ask(place, tries, 0)): place for place in self._places}
        winner: asyncio.Task[T] | None = None
        try:
            waiting = set(tasks)
            while waiting and winner is None:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is not None and not isinstance(error, LLMError):
                        raise error  # a bug, which no other answer may hide
                # Of those that came in the same turn of the event loop the place that comes first wins.
                winner = next((t for t in tasks if t in done and t.exception() is None), None)
            await self._end_all([t for t in tasks if t is not winner], discard)
        except BaseException:
            await self._end_all(list(tasks), discard)
            raise
        for task, place in tasks.items():
            if task is not winner and (task.cancelled() or task.exception() is None):
                named = place.target.provider, self._named(place)
                self.attempts = (*self.attempts, Attempt(*named, "cancelled", duration=self._clock() - began))
        if winner is None:
            raise self._failure()
        self.answered = tasks[winner]
        return winner.result()

    async def _end_all(self, tasks: Sequence[asyncio.Task[T]], discard: Callable[[T], Awaitable[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                await discard(task.result())

    async def _ask(self, place: Place, tries: int, untried: int) -> T:
        began = self._clock()
        client = place.target.limited_to(tries)
        try:
            answer = await self._ask_client(client, self._request_for(client, place, untried))
        except LLMError as error:
            self._failed(place, error, self._clock() - began)
            raise
        now = self._clock()
        place.target.succeeded(place.model, self._of, now - began, now)
        self.answered = place
        return answer

    def broke(self, error: LLMError) -> LLMError:
        """Return the error of an answer that broke off after it had begun, with the whole ledger."""
        if self.answered is not None:
            self._take_down(self.answered, error)
        error.attempts = (*self.attempts, *error.attempts)
        return error

    def _failed(self, place: Place, error: LLMError, seconds: float) -> None:
        model = self._named(place)
        made = error.attempts or (
            Attempt(place.target.provider, model, error.code, retry_after=error.retry_after, duration=seconds),
        )
        self.attempts = (*self.attempts, *made)
        error.provider = error.provider or place.target.provider
        error.model = error.model or model or None
        self._take_down(place, error)
        self._errors.append(error)

    def _take_down(self, place: Place, error: LLMError) -> None:
        if self._impatient and isinstance(error, LLMTimeoutError) and error.phase == "total":
            return
        place.target.failed(place.model, error, self._clock(), self._cooldown)

    def _named(self, place: Place) -> str:
        return place.model or place.target.model

    def _time_left(self) -> bool:
        return self._end is None or self._end - self._clock() > _LEAST

    def _request_for(self, client: RequestClientProtocol, place: Place, untried: int) -> CompletionRequest:
        """Return the call as the client takes it: its defaults filled in, and its share of the time."""
        request = self._request
        options = options_of(request)
        options.pop("prefer_model", None)
        options.pop("prefer_provider", None)
        options["timeouts"] = self._share(place, untried)
        return client.make_request(
            request.messages,
            place.model or None,
            request.temperature,
            request.max_tokens,
            request.tools or None,
            request.stop_sequences or None,
            options,
        )

    def _share(self, place: Place, untried: int) -> Timeouts:
        """Return the deadlines of one place: what is left, less what is kept for those not asked yet."""
        own, limit = self._timeouts, place.target.timeout or math.inf
        if self._end is None or own.total is None:
            return replace(own, total=place.target.timeout)
        left = max(self._end - self._clock(), _LEAST)
        share = max(left - untried * self._reserve * own.total, left / (untried + 1))
        if self._of == "first" and untried:
            # A stream that has begun may take all that is left; only its beginning has to leave time for others.
            return replace(own, total=min(left, limit), first_token=min(share, own.first_token or math.inf))
        return replace(own, total=min(share, limit))

    def _failure(self) -> LLMError:
        """Return the error of a call that nobody answered: the one with most hope, and the whole ledger."""
        error = self._errors[-1]
        if not isinstance(error, _FINAL):
            error = min(self._errors, key=_hope)
        error.attempts = self.attempts
        others = [e for e in self._errors if e is not error]
        if others:
            said = "; ".join(f"{e.provider}/{e.model}: {type(e).__name__}" for e in others)
            error.hint = f"{error.hint}; also asked: {said}" if error.hint else f"also asked: {said}"
        return error


def _hope(error: LLMError) -> tuple[bool, bool, float]:
    return (not error.retryable, isinstance(error, LLMTimeoutError), error.retry_after or 0.0)
