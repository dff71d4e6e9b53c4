"""Whether a failed try is made again, and after how long. Pure: the clock and the dice are the caller's.

A try is made again only if the error says that the same call may succeed, and the pause that the provider asks for fits
into what is left of the deadline. 4xx are final but 408, 409 and 429, unless the provider itself said
``x-should-retry: true``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    LLMError,
    LLMQuotaExceededError,
    ProviderConnectionError,
    StreamClosedError,
)
from lexigram.resilience.config import RetryConfig

__all__ = ["Verdict", "Why", "backoff", "decide", "may_retry", "once_only"]

Why: TypeAlias = Literal["final", "attempts", "hint", "deadline", "budget"]
"""Why no further try is made: the error is final, all tries were made, the provider asks for too long a pause, no time
is left, or the retry budget is spent."""

_RETRIED_4XX: Final = (408, 409, 429)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows a failed try.

    Attributes:
        wait: seconds until the next try, or None to give up.
        why: the reason to give up.
    """

    wait: float | None
    why: Why | None = None


def may_retry(error: LLMError, *, idempotent: bool) -> bool:
    """Return whether another try may help at all.

    Args:
        error: how the try ended.
        idempotent: whether every try carries the same idempotency key; without one a conflict (409) is final.
    """
    if not error.retryable or isinstance(error, LLMQuotaExceededError | CircuitOpenError | StreamClosedError):
        return False
    status = error.status
    if status is None or not 400 <= status < 500:
        return True
    if status in _RETRIED_4XX:
        return status != 409 or idempotent
    # Retryable though its class is not: the provider's own x-should-retry. Otherwise the class is wider than the rule.
    return not type(error).default_retryable


def once_only(error: LLMError) -> bool:
    """Return whether one further try is enough: an unreadable reply is rarely readable the third time."""
    return isinstance(error, DecodeError) or (isinstance(error, ProviderConnectionError) and error.reason == "protocol")


def backoff(retry: int, config: RetryConfig, rng: random.Random) -> float:
    """Return the pause before the ``retry``-th further try, from 0: full jitter, ``rand(0, min(cap, base · 2ⁿ))``.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ has the reasons for full jitter.
    """
    return rng.uniform(0.0, min(config.cap, config.base * 2.0 ** min(retry, 64)))


def decide(
    error: LLMError, *, tries: int, left: float, config: RetryConfig, rng: random.Random, unreadable: int = 0
) -> Verdict:
    """Return what follows the ``tries``-th try, that ended with ``error``.

    The provider's hint is waited for in full, and the jitter comes on top, so that callers who were all sent away with
    the same hint do not come back together.

    Args:
        error: how the try ended.
        tries: how many were made, this one included.
        left: seconds that are left of the call's deadline.
        config: the rules.
        rng: the dice.
        unreadable: how many tries before this one ended with an unreadable reply.
    """
    if not may_retry(error, idempotent=config.idempotency_key):
        return Verdict(None, "final")
    if tries >= config.max_attempts or (unreadable and once_only(error)):
        return Verdict(None, "attempts")
    room = left - config.min_attempt
    if room <= 0:
        return Verdict(None, "deadline")
    hint = error.retry_after
    pause = backoff(tries - 1, config, rng)
    if hint is None or not hint > 0:
        # A pause that does not fit is shortened to what does: half a chance is better than none.
        return Verdict(pause if pause <= room else rng.uniform(0.0, room))
    if hint > config.max_hint:
        return Verdict(None, "hint")
    if hint > room:
        return Verdict(None, "deadline")
    return Verdict(min(hint + pause, room))
