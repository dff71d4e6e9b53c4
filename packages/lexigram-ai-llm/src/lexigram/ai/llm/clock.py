"""The deadlines of calls: what has passed, and the typed error that says so."""

from __future__ import annotations

import asyncio
from typing import Any

from lexigram.contracts.ai.errors import LLMTimeoutError, TimeoutPhase
from lexigram.contracts.ai.request import Timeouts

__all__ = ["StreamClock", "timed_out"]


class StreamClock:
    """The deadlines of one stream. Only content counts as progress, so that comments cannot keep it waiting."""

    __slots__ = ("_content", "_loop", "_mark", "_total", "timeouts")

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._total = now + timeouts.total if timeouts.total is not None else None
        self._mark = now
        self._content = False

    @property
    def expired(self) -> bool:
        """Whether the total deadline has passed."""
        return self._total is not None and self._loop.time() >= self._total

    def progress(self) -> None:
        """Note that content has come."""
        self._content = True
        self._mark = self._loop.time()

    def waiting(self, grace: float | None = None) -> _Wait:
        """Return the context for one wait; it ends with the typed error at whichever deadline comes first."""
        limit = self.timeouts.idle if self._content else self.timeouts.first_token
        phase: TimeoutPhase = "idle" if self._content else "first_token"
        when = self._mark + limit if limit is not None else None
        if grace is not None and (when is None or self._loop.time() + grace < when):
            when, limit, phase = self._loop.time() + grace, grace, "idle"
        if self._total is not None and (when is None or self._total <= when):
            when, limit, phase = self._total, self.timeouts.total, "total"
        return _Wait(when, phase, limit)


class _Wait:
    """``asyncio.timeout_at`` whose expiry is the typed error."""

    __slots__ = ("_limit", "_phase", "_timeout")

    def __init__(self, when: float | None, phase: TimeoutPhase, limit: float | None) -> None:
        self._timeout = asyncio.timeout_at(when)
        self._phase: TimeoutPhase = phase
        self._limit = limit

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError:
            raise timed_out(self._phase, self._limit) from None


def timed_out(phase: TimeoutPhase, seconds: float | None) -> LLMTimeoutError:
    """Return the error of a deadline that has passed."""
    said = {
        "first_token": "no content came",
        "idle": "the stream stalled",
    }.get(phase, "the call was not finished")
    return LLMTimeoutError(
        f"{said} within {seconds:g} s" if seconds is not None else said, phase=phase, seconds=seconds
    )
