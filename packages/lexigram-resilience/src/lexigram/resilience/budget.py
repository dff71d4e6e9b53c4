"""The retry budget: in an outage retries stay a small share of the calls, however many callers there are.

A token bucket for each provider. Every call pays in a share of a retry, every further try takes a whole one. With the
reserve spent, retries are at most ``ratio`` of the calls. Where calls are rare, time pays in instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from lexigram.resilience.config import BudgetConfig

__all__ = ["RetryBudget"]


class RetryBudget:
    """Counts what may be tried again. Works from any thread."""

    def __init__(self, config: BudgetConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._tokens = config.reserve
        self._seen = clock()
        self._lock = threading.Lock()

    @property
    def tokens(self) -> float:
        """How many retries it holds."""
        return self._tokens

    def deposit(self) -> None:
        """Pay in for one call."""
        now = self._clock()
        if self._tokens >= self._config.reserve:
            self._seen = now  # full: there is nothing to pay in
            return
        with self._lock:
            earned = max(self._config.ratio, (now - self._seen) * self._config.per_second)
            self._seen = now
            self._tokens = min(self._tokens + earned, self._config.reserve)

    def withdraw(self) -> bool:
        """Take one retry, if there is one."""
        with self._lock:
            if self._tokens < 1.0:
                return False
            self._tokens -= 1.0
            return True
