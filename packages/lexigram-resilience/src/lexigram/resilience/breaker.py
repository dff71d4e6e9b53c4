"""The circuit breaker: what fails again and again is left alone for a while, then asked by a few probes.

Only the provider's own failures count. What the caller did wrong (4xx), a filter, a limit (429) or a cancellation says
nothing about the provider's health, and neither opens nor closes anything.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    LLMError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderServerError,
    StreamClosedError,
    StreamError,
)
from lexigram.resilience.config import BreakerConfig

__all__ = ["Breaker", "BreakerState", "Outcome", "outcome_of"]

BreakerState: TypeAlias = Literal["closed", "open", "half_open"]
Outcome: TypeAlias = Literal["ok", "failed", "ignored"]

_OWN_PHASES: Final = ("limiter", "backoff", "pool")
_GRAINS: Final = 30


def outcome_of(error: LLMError) -> Outcome:
    """Return whether an error speaks against its provider."""
    if isinstance(error, LLMTimeoutError):
        return "ignored" if error.phase in _OWN_PHASES else "failed"
    if isinstance(error, StreamClosedError):
        return "ignored"
    if error.status is not None and 400 <= error.status < 500:
        return "ignored"
    if isinstance(error, ProviderServerError | ProviderConnectionError | DecodeError | StreamError):
        return "failed"
    return "ignored"


class Breaker:
    """Closed, open or half-open. Works from any thread.

    Args:
        config: when it opens and closes.
        clock: the time, in seconds.
        name: whom it guards, for its error.
    """

    def __init__(self, config: BreakerConfig, clock: Callable[[], float], *, name: str = "") -> None:
        self._config = config
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._state: BreakerState = "closed"
        self._era = 0
        self._until = 0.0
        self._probing = 0
        self._probed = 0
        self._seen: deque[_Grain] = deque()
        self._calls = 0
        self._failures = 0

    @property
    def state(self) -> BreakerState:
        """Its state now."""
        with self._lock:
            return self._now_state()

    def check(self) -> CircuitOpenError | None:
        """Return the error if no call may go now, without taking a probe's place."""
        if self._state == "closed":
            return None
        with self._lock:
            return self._denied()

    def enter(self) -> int | CircuitOpenError:
        """Let a call go, as a probe if half-open, and return what :meth:`leave` is given; or return the error."""
        era = self._era  # read first: a change in between makes the call one of before it
        if self._state == "closed":
            return era
        with self._lock:
            denied = self._denied()
            if denied is not None:
                return denied
            if self._state == "half_open":
                self._probing += 1
            return self._era

    def leave(self, era: int, outcome: Outcome, seconds: float = 0.0) -> None:
        """Take in how a call that was let go ended, and how long it took.

        What began before the last change of state says nothing about the state now.
        """
        slow = self._config.slow_seconds
        if outcome == "ok" and slow is not None and seconds > slow:
            outcome = "failed"
        with self._lock:
            if era != self._era:
                return
            if self._state == "half_open":
                self._probe_ended(outcome)
            elif outcome != "ignored":
                self._count(outcome == "failed")

    def _now_state(self) -> BreakerState:
        if self._state == "open" and self._clock() >= self._until:
            self._change("half_open")
        return self._state

    def _denied(self) -> CircuitOpenError | None:
        state = self._now_state()
        if state == "closed" or (state == "half_open" and self._probing + self._probed < self._config.probes):
            return None
        left = max(self._until - self._clock(), 0.0)
        return CircuitOpenError(f"{self._name} fails too often and is not asked for now", retry_after=left)

    def _probe_ended(self, outcome: Outcome) -> None:
        self._probing -= 1
        if outcome == "failed":
            self._open()
        elif outcome == "ok":
            self._probed += 1
            if self._probed >= self._config.probes:
                self._change("closed")

    def _count(self, failed: bool) -> None:
        now = self._clock()
        config, seen = self._config, self._seen
        while seen and seen[0].begin + config.window <= now:
            old = seen.popleft()
            self._calls -= old.calls
            self._failures -= old.failures
        if not seen or now - seen[-1].begin >= config.window / _GRAINS:
            seen.append(_Grain(now))
        seen[-1].calls += 1
        self._calls += 1
        if not failed:
            return
        seen[-1].failures += 1
        self._failures += 1
        if self._calls >= config.min_calls and self._failures >= config.failures * self._calls:
            self._open()

    def _open(self) -> None:
        self._until = self._clock() + self._config.open_seconds
        self._change("open")

    def _change(self, state: BreakerState) -> None:
        self._state = state
        self._era += 1
        self._probing = self._probed = 0
        self._seen.clear()
        self._calls = self._failures = 0


class _Grain:
    """The calls of one thirtieth of the window."""

    __slots__ = ("begin", "calls", "failures")

    def __init__(self, begin: float) -> None:
        self.begin = begin
        self.calls = 0
        self.failures = 0
