"""What a limiter is asked, whichever backend stands behind it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol, runtime_checkable

from lexigram.contracts.ai.completion import RateLimit
from lexigram.resilience.limiter.core import Allowance, Cost

__all__ = ["FrozenError", "Lease", "LimitKey", "LimiterProtocol", "Report"]


class LimitKey(NamedTuple):
    """Whose limits: they are kept apart by all three."""

    provider: str
    model: str
    account: str = ""


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
