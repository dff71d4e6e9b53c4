"""When a call counts as late: beyond the quantile of the durations seen lately.

See "The Tail at Scale", Dean and Barroso, 2013.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from typing import Final

from lexigram.resilience.config import HedgeConfig

__all__ = ["Latencies"]

SEEN: Final = 256


class Latencies:
    """The last durations of a lane's answers, kept in order. Works from any thread."""

    def __init__(self, config: HedgeConfig) -> None:
        self._config = config
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        """Take in how long an answer took."""
        with self._lock:
            if len(self._recent) >= SEEN:
                self._sorted.pop(bisect_left(self._sorted, self._recent.popleft()))
            self._recent.append(seconds)
            insort(self._sorted, seconds)

    def late_after(self) -> float | None:
        """Return the seconds after which a call is late; None while too little is known."""
        with self._lock:
            seen = len(self._sorted)
            if seen < self._config.min_samples:
                return None
            at = min(int(seen * self._config.quantile), seen - 1)
            return max(self._sorted[at], self._config.min_delay)
