"""The policy: one set of limits, breakers and budgets for every client that it wraps."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lexigram.contracts.ai.client import ClientIdentity
from lexigram.contracts.ai.protocols import LLMClientProtocol, TokenCounterProtocol
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.resilience.breaker import Breaker
from lexigram.resilience.budget import RetryBudget
from lexigram.resilience.bulkhead import Bulkhead
from lexigram.resilience.config import HedgeConfig, LimiterConfig, ResilienceConfig
from lexigram.resilience.hedge import Latencies
from lexigram.resilience.limiter import Allowance, Cost, LimiterProtocol, LimitKey, MemoryLimiter
from lexigram.resilience.tokens import estimate

__all__ = ["Counters", "Lane", "ResiliencePolicy", "make_limiter"]


@dataclass(slots=True)
class Counters:
    """What a policy has done since it was made.

    Attributes:
        calls: asked for.
        attempts: tries that reached the client inside, hedges included.
        retries: tries after a failed one.
        hedges: second tries beside a late one.
        budget_denied: retries and hedges that the budget did not give.
        circuit_open: calls that a breaker refused.
        limited: calls that had to wait for a permit.
    """

    calls: int = 0
    attempts: int = 0
    retries: int = 0
    hedges: int = 0
    budget_denied: int = 0
    circuit_open: int = 0
    limited: int = 0


class Lane:
    """What all calls to one model at one address with one key share."""

    __slots__ = ("breaker", "budget", "bulkhead", "first_chunks", "key", "latencies")

    def __init__(
        self,
        key: LimitKey,
        breaker: Breaker | None,
        budget: RetryBudget | None,
        bulkhead: Bulkhead | None,
        hedge: HedgeConfig | None,
    ) -> None:
        self.key = key
        self.breaker = breaker
        self.budget = budget
        self.bulkhead = bulkhead
        self.latencies = Latencies(hedge) if hedge is not None else None
        self.first_chunks = Latencies(hedge) if hedge is not None else None


class ResiliencePolicy:
    """Satisfies :class:`~lexigram.contracts.ai.ResiliencePolicyProtocol`.

    Args:
        config: the settings.
        limiter: instead of the one that the settings describe.
        counter: counts a request's tokens for the limits; an estimate without one.
        clock: the time, in seconds; that of the event loops' timers.
        rng: the dice of the pauses.

    Attributes:
        counters: what it has done.
    """

    def __init__(
        self,
        config: ResilienceConfig | None = None,
        *,
        limiter: LimiterProtocol | None = None,
        counter: TokenCounterProtocol | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.config = config or ResilienceConfig()
        self.limiter = limiter or make_limiter(self.config.limiter, clock)
        self.clock = clock
        self.rng = rng or random.Random()  # noqa: S311 - pauses, not secrets
        self.counters = Counters()
        self._counter = counter
        self._lock = threading.Lock()
        self._lanes: dict[tuple[ClientIdentity, str], Lane] = {}
        self._breakers: dict[tuple[str, str, str], Breaker] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._bulkheads: dict[str, Bulkhead] = {}

    def wrap(self, client: LLMClientProtocol) -> LLMClientProtocol:
        """Return a client that asks ``client`` under this policy; one that is under it already stays as it is."""
        from lexigram.resilience.client import ResilientClient

        if isinstance(client, ResilientClient) and client.policy is self:
            return client
        return ResilientClient(client, self)

    def set_limits(self, allowance: Allowance, *, provider: str | None = None, model: str | None = None) -> None:
        """Change the limits while calls run: of a provider, of a model, or of all that has none of its own."""
        self.limiter.set_allowance(allowance, provider, model)

    def lane(self, identity: ClientIdentity, model: str) -> Lane:
        """Return what the calls to a model share."""
        lane = self._lanes.get((identity, model))
        if lane is None:
            with self._lock:
                lane = self._lanes.get((identity, model)) or self._new_lane(identity, model)
                self._lanes[identity, model] = lane
        return lane

    def _new_lane(self, identity: ClientIdentity, model: str) -> Lane:
        config, provider = self.config, identity.provider
        breaker = budget = bulkhead = None
        if config.breaker.enabled:
            place = (provider, identity.base_url, model)
            name = "/".join(part for part in (provider, model) if part) or "the provider"
            breaker = self._breakers.setdefault(place, Breaker(config.breaker, self.clock, name=name))
        if config.budget.enabled:
            budget = self._budgets.setdefault(provider, RetryBudget(config.budget, self.clock))
        if config.bulkhead.max_calls is not None:
            made = Bulkhead(config.bulkhead.max_calls, config.bulkhead.max_waiting, self.clock)
            bulkhead = self._bulkheads.setdefault(provider, made)
        hedge = config.hedge if config.hedge.enabled else None
        return Lane(LimitKey(provider, model, identity.account), breaker, budget, bulkhead, hedge)

    def cost(self, lane: Lane, request: CompletionRequest) -> Cost:
        """Return what a call will take of the limits; nothing is counted where nothing is limited by it."""
        if not self.limiter.counts_tokens(lane.key):
            return Cost()
        return estimate(request, output_tokens=self.config.limiter.output_tokens, counter=self._counter)

    def share(self, request: CompletionRequest) -> str:
        """Return whose turn a waiting call takes."""
        return (request.user or "") if self.config.share == "user" else ""

    async def aclose(self) -> None:
        """Give back what the limiter holds in the running event loop."""
        await self.limiter.aclose()


def make_limiter(config: LimiterConfig, clock: Callable[[], float] = time.monotonic) -> LimiterProtocol:
    """Return the limiter that the settings describe.

    Raises:
        LLMConfigurationError: Redis is asked for, and its package is missing.
    """
    allowance = Allowance(
        requests_per_minute=config.requests_per_minute,
        tokens_per_minute=config.tokens_per_minute,
        input_tokens_per_minute=config.input_tokens_per_minute,
        output_tokens_per_minute=config.output_tokens_per_minute,
        concurrency=config.concurrency,
        burst_seconds=config.burst_seconds,
    )
    if config.redis is None:
        return MemoryLimiter(allowance, learn=config.learn, max_freeze=config.max_freeze, clock=clock)
    try:
        from lexigram.resilience.limiter.redis import RedisLimiter
    except ModuleNotFoundError as error:
        from lexigram.contracts.ai.errors import LLMConfigurationError

        raise LLMConfigurationError(
            "limits shared over Redis need its client", hint='pip install "redis>=5.2"'
        ) from error
    return RedisLimiter(
        config.redis,
        allowance,
        workers=config.workers,
        learn=config.learn,
        max_freeze=config.max_freeze,
        clock=clock,
    )
