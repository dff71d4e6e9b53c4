"""The ledger: every try of a call, oldest first, as each answer and each error tells it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Attempt, Completion, Usage
from lexigram.contracts.ai.errors import LLMError

__all__ = ["CANCELLED", "Ledger"]

CANCELLED: Final = "cancelled"
"""The outcome of a try that was broken off: its consumer left, or another try of a hedged call was faster."""


class Ledger:
    """Collects the tries of one call."""

    __slots__ = ("_attempts", "_model", "_provider")

    def __init__(self, provider: str, model: str) -> None:
        self._provider = provider
        self._model = model
        self._attempts: tuple[Attempt, ...] = ()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try so far."""
        return self._attempts

    def answered(self, completion: Completion, wait: float, duration: float) -> tuple[Attempt, ...]:
        """Write down a try that succeeded, and return all."""
        told = completion.attempts
        if told and not wait and not self._attempts:
            self._attempts = told
        else:
            self._write(told, "ok", wait, duration, None, completion.usage)
        return self._attempts

    def failed(self, error: LLMError, wait: float, duration: float) -> None:
        """Write down a try that failed. What it used is unknown, for no whole answer tells it."""
        self._write(error.attempts, error.code, wait, duration, error.retry_after, UNKNOWN_USAGE)

    def cancelled(self, wait: float, duration: float) -> None:
        """Write down a try that was broken off; what it used is unknown."""
        self._write((), CANCELLED, wait, duration, None, UNKNOWN_USAGE)

    def _write(
        self,
        told: tuple[Attempt, ...],
        outcome: str,
        wait: float,
        duration: float,
        retry_after: float | None,
        usage: Usage,
    ) -> None:
        if not told:
            told = (Attempt(self._provider, self._model, outcome, 0.0, retry_after, duration, usage),)
        # The client inside knows best what it did; what was waited before it, it cannot know.
        if wait:
            told = (replace(told[0], wait=told[0].wait + wait), *told[1:])
        self._attempts = (*self._attempts, *told) if self._attempts else told
