"""What may be sent for one provider, model and key, and what keeps to it: the limiter protocol and its values.

The backends (this process's memory, Redis, another one) are rooms of their own.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

from lexigram.contracts.ai.completion import RateLimit, RateUnit

__all__ = [
    "MINUTE",
    "Allowance",
    "Cost",
    "FrozenError",
    "ImpossibleError",
    "Lease",
    "LimitKey",
    "LimiterProtocol",
    "Report",
]

MINUTE: Final = 60.0
"""The seconds of an allowance's windows."""


class LimitKey(NamedTuple):
    """Whose limits: they are kept apart by all three."""

    provider: str
    model: str
    account: str = ""


class Cost(NamedTuple):
    """What a call takes of the limits, estimated or real."""

    input_tokens: int = 0
    output_tokens: int = 0

    def of(self, unit: RateUnit) -> int:
        """Return the cost in one unit."""
        if unit == "requests":
            return 1
        if unit == "tokens":
            return self.input_tokens + self.output_tokens
        return self.input_tokens if unit == "input_tokens" else self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be sent. None is no limit.

    Attributes:
        requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute: in any 60 seconds.
        concurrency: most calls at the same time.
        burst_seconds: most requests at once are those of so many seconds.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    concurrency: int | None = None
    burst_seconds: float = MINUTE

    def share(self, parts: int) -> Allowance:
        """Return one of ``parts`` equal parts, at least 1 of everything."""

        def part(limit: int | None) -> int | None:
            return None if limit is None else max(limit // parts, 1)

        return Allowance(
            requests_per_minute=part(self.requests_per_minute),
            tokens_per_minute=part(self.tokens_per_minute),
            input_tokens_per_minute=part(self.input_tokens_per_minute),
            output_tokens_per_minute=part(self.output_tokens_per_minute),
            concurrency=part(self.concurrency),
            burst_seconds=self.burst_seconds,
        )

    def windows(self) -> list[tuple[RateUnit, int, float]]:
        """Return the windows that hold it: unit, limit, seconds."""
        units: list[tuple[RateUnit, int | None]] = [
            ("requests", self.requests_per_minute),
            ("tokens", self.tokens_per_minute),
            ("input_tokens", self.input_tokens_per_minute),
            ("output_tokens", self.output_tokens_per_minute),
        ]
        found: list[tuple[RateUnit, int, float]] = [(u, limit, MINUTE) for u, limit in units if limit is not None]
        return [*found, *self.buckets()]

    def buckets(self) -> list[tuple[RateUnit, int, float]]:
        """Return the bursts: unit, what goes at once, seconds until it is back."""
        if self.requests_per_minute is None or self.burst_seconds >= MINUTE:
            return []
        burst = max(int(self.requests_per_minute * self.burst_seconds / MINUTE), 1)
        return [("requests", burst, self.burst_seconds)]


class ImpossibleError(Exception):
    """A call that costs more than a limit, and would wait for ever."""

    def __init__(self, unit: RateUnit, cost: int, limit: int, seconds: float) -> None:
        super().__init__(f"it takes {cost} {unit}, and the limit is {limit} in {seconds:g} s")


class Report(NamedTuple):
    """How a call ended, as far as limits go.

    Attributes:
        used: what it really cost; None if unknown, so that the estimate stays.
        request: whether the request itself counts; False if it never reached the provider.
        rate_limits: what the reply's headers said.
        freeze: seconds for which nobody shall go (a 429), or None.
    """

    used: Cost | None = None
    request: bool = True
    rate_limits: tuple[RateLimit, ...] = ()
    freeze: float | None = None


class FrozenError(Exception):
    """Nobody may go for longer than the caller would wait."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"frozen for {seconds:.3f} s")
        self.seconds = seconds


@runtime_checkable
class Lease(Protocol):
    """What one call holds of the limits."""

    def close(self, report: Report) -> asyncio.Future[None] | None:
        """Give it back; the second time nothing happens.

        Where that takes time a future is returned. It may be awaited or left alone; cancelling it stops nothing.
        """
        ...


@runtime_checkable
class LimiterProtocol(Protocol):
    """Keeps calls within limits."""

    def counts_tokens(self, key: LimitKey) -> bool:
        """Return whether tokens are counted, so that a call's cost has to be estimated."""
        ...

    def listens(self, key: LimitKey) -> bool:
        """Return whether what a reply says of the limits may be news now, so that it has to be read and reported."""
        ...

    def try_acquire(self, key: LimitKey, cost: Cost) -> Lease | None:
        """Return a lease if there is one without waiting and without I/O.

        Raises:
            ImpossibleError: there never is one for this cost.
        """
        ...

    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Lease:
        """Return a lease, waiting for it in turn.

        Raises:
            ImpossibleError: there never is one for this cost.
            FrozenError: there is none within ``timeout`` seconds, for the provider asked for a longer pause.
            TimeoutError: there was none within ``timeout`` seconds.
        """
        ...

    def set_allowance(self, allowance: Allowance, provider: str | None = None, model: str | None = None) -> None:
        """Change the configured limits, of one provider or model or of all; it holds at once, also for who waits."""
        ...

    async def aclose(self) -> None:
        """Give back what is held in the running event loop."""
        ...
