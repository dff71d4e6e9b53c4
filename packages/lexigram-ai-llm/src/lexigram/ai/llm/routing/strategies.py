"""Who is asked first. A strategy puts the places of a call into an order; it changes nothing and asks nobody."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from lexigram.ai.llm.routing.target import Measured, Place
from lexigram.ai.llm.tokens import CharEstimateCounter
from lexigram.contracts.ai.request import CompletionRequest

if TYPE_CHECKING:
    from lexigram.ai.llm.routing.prices import PriceOf

__all__ = ["Strategy", "by_cost", "by_latency", "sequential", "weighted"]

Strategy: TypeAlias = Callable[[Sequence[Place], CompletionRequest, Measured], list[Place]]
"""Returns the places in the order in which they are asked: of a request, for a whole answer or a stream."""

_OUTPUT_TOKENS: Final = 500


def sequential(places: Sequence[Place], request: CompletionRequest, of: Measured) -> list[Place]:
    """In the order in which they were configured."""
    return list(places)


def weighted(rng: random.Random) -> Strategy:
    """At random, by weight; those without weight come last, in their order."""

    def order(places: Sequence[Place], request: CompletionRequest, of: Measured) -> list[Place]:
        # Efraimidis & Spirakis, "Weighted random sampling with a reservoir": the smallest of -log(u)/w first.
        drawn = [(-math.log(1.0 - rng.random()) / p.target.weight, p) for p in places if p.target.weight > 0]
        return [p for _, p in sorted(drawn, key=lambda pair: pair[0])] + [p for p in places if p.target.weight <= 0]

    return order


def by_cost(price_of: PriceOf) -> Strategy:
    """The cheapest first for the request's tokens; those of unknown price last. Equal ones stay in their order."""
    counter = CharEstimateCounter()

    def order(places: Sequence[Place], request: CompletionRequest, of: Measured) -> list[Place]:
        tokens = counter.count_messages(request.messages, request.tools).tokens
        answer = request.max_tokens or _OUTPUT_TOKENS

        def cost(place: Place) -> float:
            price = price_of(place)
            return math.inf if price is None else tokens * price.input + answer * price.output

        return sorted(places, key=cost)

    return order


def by_latency(clock: Callable[[], float], forget_after: float) -> Strategy:
    """Those not measured of late first, then the fastest."""

    def order(places: Sequence[Place], request: CompletionRequest, of: Measured) -> list[Place]:
        now = clock()
        return sorted(places, key=lambda p: p.target.latency(of, now, forget_after) or 0.0)

    return order
