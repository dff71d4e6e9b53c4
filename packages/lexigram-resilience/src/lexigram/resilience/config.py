"""The settings of the section ``resilience``: arguments, ``LEX_RESILIENCE__…`` and YAML."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = [
    "SECTION",
    "BreakerConfig",
    "BudgetConfig",
    "BulkheadConfig",
    "HedgeConfig",
    "LimiterConfig",
    "RedisConfig",
    "ResilienceConfig",
    "RetryConfig",
]

SECTION: Final = "resilience"


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetryConfig(_Settings):
    """When a failed try is made again.

    Attributes:
        max_attempts: most tries of one call, the first included; 1 retries nothing.
        base, cap: the pause before the n-th further try is drawn from 0 … ``min(cap, base · 2ⁿ)`` seconds.
        max_hint: a provider that asks to wait longer than this many seconds is not waited for.
        min_attempt: no further try starts with fewer seconds left of the deadline.
        idempotency_key: whether all tries of a call carry the same ``idempotency-key`` header.
    """

    max_attempts: int = Field(default=3, ge=1)
    base: float = Field(default=1.0, gt=0)
    cap: float = Field(default=20.0, gt=0)
    max_hint: float = Field(default=60.0, ge=0)
    min_attempt: float = Field(default=0.1, ge=0)
    idempotency_key: bool = True


class BudgetConfig(_Settings):
    """How many retries there may be for all calls of a provider together.

    Attributes:
        enabled: whether there is a budget.
        ratio: retries that each call pays in.
        reserve: retries that may be saved up, and are there at the start.
        per_second: retries that time pays in where calls are too rare for ``ratio`` to.
    """

    enabled: bool = True
    ratio: float = Field(default=0.1, ge=0)
    reserve: float = Field(default=20.0, ge=0)
    per_second: float = Field(default=0.1, ge=0)


class RedisConfig(_Settings):
    """Limits that several processes share.

    Attributes:
        url: ``redis://…``; it may hold a password.
        prefix: of every key; in a cluster with a hash tag, e.g. ``{lex}:limit``, so that all are on one node.
        lease_seconds: a worker that says nothing for so long is dead, and its leases are free.
        timeout: seconds for one command; then Redis counts as gone.
        retry_seconds: how long Redis is left alone after it was gone.
    """

    url: SecretStr
    prefix: str = Field(default="lex:limit", min_length=1)
    lease_seconds: float = Field(default=15.0, gt=0)
    timeout: float = Field(default=1.0, gt=0)
    retry_seconds: float = Field(default=5.0, gt=0)


class LimiterConfig(_Settings):
    """What may be sent, for each provider, model and key apart. None is no limit of one's own.

    Attributes:
        requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute: in any 60 seconds.
        concurrency: most calls at the same time.
        burst_seconds: most requests at once are those of so many seconds; 60 is a whole minute's.
        learn: whether limits, and what is left of them, are also learnt from the replies' headers.
        output_tokens: estimate of an answer's tokens where the call gives no ``max_tokens``.
        freeze: seconds without a call after a 429 that does not say how long to wait.
        max_freeze: the longest freeze.
        redis: the Redis that shares the limits, or None for this process's own.
        workers: in how many parts the limits are divided while Redis is gone.
    """

    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    input_tokens_per_minute: int | None = Field(default=None, ge=1)
    output_tokens_per_minute: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1)
    burst_seconds: float = Field(default=60.0, gt=0, le=60)
    learn: bool = True
    output_tokens: int = Field(default=1024, ge=1)
    freeze: float = Field(default=0.0, ge=0)
    max_freeze: float = Field(default=60.0, ge=0)
    redis: RedisConfig | None = None
    workers: int = Field(default=1, ge=1)


class BreakerConfig(_Settings):
    """When a provider's model is left alone, for each base URL apart.

    Attributes:
        enabled: whether there is a breaker.
        failures: the share of failed calls that opens it.
        min_calls: so many calls must have been seen.
        window: seconds that are looked back on.
        open_seconds: how long it stays open before it lets probes through.
        probes: how many at once, and how many must succeed.
        slow_seconds: a call that took longer counts as failed; None counts none.
    """

    enabled: bool = True
    failures: float = Field(default=0.5, gt=0, le=1)
    min_calls: int = Field(default=20, ge=1)
    window: float = Field(default=30.0, gt=0)
    open_seconds: float = Field(default=10.0, gt=0)
    probes: int = Field(default=2, ge=1)
    slow_seconds: float | None = Field(default=None, gt=0)


class BulkheadConfig(_Settings):
    """How much of this process one provider may take.

    Attributes:
        max_calls: calls of a provider at the same time; None is no bulkhead.
        max_waiting: further calls that may wait; more are refused at once.
    """

    max_calls: int | None = Field(default=None, ge=1)
    max_waiting: int = Field(default=1000, ge=0)


class HedgeConfig(_Settings):
    """Ask twice when the first answer is late; of a stream, when its first chunk is.

    Attributes:
        enabled: whether to; every hedge may cost a second answer.
        quantile: of the durations seen, those of whole answers and those to a first chunk apart; what takes longer is
            late.
        min_samples: so many durations must have been seen.
        min_delay: seconds that a call is waited for in any case.
    """

    enabled: bool = False
    quantile: float = Field(default=0.95, gt=0, lt=1)
    min_samples: int = Field(default=20, ge=2)
    min_delay: float = Field(default=0.05, ge=0)


class ResilienceConfig(_Settings):
    """The settings of ``lexigram.resilience``; each may also come from ``LEX_RESILIENCE__<PART>__<FIELD>``.

    Attributes:
        timeout: the total deadline where neither the call nor the client has one; None is none.
        share: whose turn it is while calls wait: ``user`` goes round the calls' ``user``, ``none`` is one queue.
        retry, budget, limiter, breaker, bulkhead, hedge: the parts.
    """

    timeout: float | None = Field(default=60.0, gt=0)
    share: Literal["user", "none"] = "user"
    retry: RetryConfig = RetryConfig()
    budget: BudgetConfig = BudgetConfig()
    limiter: LimiterConfig = LimiterConfig()
    breaker: BreakerConfig = BreakerConfig()
    bulkhead: BulkheadConfig = BulkheadConfig()
    hedge: HedgeConfig = HedgeConfig()

    @classmethod
    def of(cls, **parts: Any) -> ResilienceConfig:
        """Return settings from keywords, e.g. ``ResilienceConfig.of(retry={"max_attempts": 5})``."""
        return cls.model_validate(parts)
