"""One provider that a router may ask: whom it asks, what it serves, and how it did of late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from lexigram.ai.llm.routing.config import Price
from lexigram.contracts.ai.client import (
    IdentifiedClientProtocol,
    RequestClientProtocol,
    RetryingClientProtocol,
    over_requests,
)
from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    LLMAuthenticationError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ModelNotFoundError,
)
from lexigram.contracts.ai.protocols import LLMClientProtocol

__all__ = ["Measured", "Place", "Target"]

Measured: TypeAlias = Literal["whole", "first"]
"""What a latency is of: a whole answer, or a stream's first content."""

_REFUSES_ALL: Final = (LLMAuthenticationError, LLMPermissionError, LLMQuotaExceededError)
_FAILURES_IN_A_ROW: Final = 3
_FIRST_PAUSE: Final = 2.0
_WEIGHT_OF_NEW: Final = 0.3
_MODELS_KEPT: Final = 256
_ALL = ""


@dataclass(slots=True)
class Target:
    """A provider behind a router.

    Args:
        name: what calls, settings and errors call it.
        client: asks it.
        model: its default model, ``""`` if that is not known.
        models: further models: the name that calls use, and its own.
        weight: its share of the calls with ``weighted``; 0 makes it a fallback only.
        price: of its models.
        timeout: seconds for its part of a call, or None.

    Attributes:
        provider: the vendor that the client asks.
        max_attempts: most tries that the client makes of a call by itself.
    """

    name: str
    client: LLMClientProtocol
    model: str = ""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    weight: float = 1.0
    price: Price | None = None
    timeout: float | None = None
    provider: str = field(init=False)
    max_attempts: int = field(init=False, default=1)
    _clients: dict[int, RequestClientProtocol] = field(init=False, repr=False, default_factory=dict)
    _blocked: dict[str, float] = field(init=False, repr=False, default_factory=dict)
    _in_a_row: int = field(init=False, repr=False, default=0)
    _latency: dict[Measured, tuple[float, float]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        client = self.client
        self.provider = client.identity.provider if isinstance(client, IdentifiedClientProtocol) else self.name
        if isinstance(client, RetryingClientProtocol):
            self.max_attempts = client.max_attempts

    def limited_to(self, attempts: int) -> RequestClientProtocol:
        """Return the client, to try a call so often."""
        made = self._clients.get(attempts)
        if made is None:
            client = self.client
            if isinstance(client, RetryingClientProtocol):
                made = client.with_attempts(attempts)
            else:
                made = over_requests(client)
            self._clients[attempts] = made
        return made

    # -- what it serves

    def serves(self, model: str) -> str | None:
        """Return its own name of a model, ``None`` if it does not serve it. Its own name stands for its default."""
        if model == self.name or model == self.model:
            return self.model
        if model in self.models:
            return self.models[model]
        prefix, colon, rest = model.partition(":")
        return (self.models.get(rest, rest) or None) if colon and prefix in (self.name, self.provider) else None

    # -- how it does

    def available_at(self, model: str) -> float:
        """Return the time from which on it is to be asked for a model; in the past unless it is passed over."""
        return max(self._blocked.get(_ALL, 0.0), self._blocked.get(model, 0.0)) if self._blocked else 0.0

    def latency(self, of: Measured, now: float, forget_after: float) -> float | None:
        """Return the seconds that it took of late, or None if that is not known."""
        seconds, seen = self._latency.get(of, (0.0, -1.0))
        return seconds if seen >= 0 and now - seen <= forget_after else None

    def succeeded(self, model: str, of: Measured, seconds: float, now: float) -> None:
        """Take a good answer down."""
        self._in_a_row = 0
        if self._blocked:
            self._blocked.pop(_ALL, None)
            self._blocked.pop(model, None)
        before = self._latency.get(of)
        mean = seconds if before is None else before[0] + _WEIGHT_OF_NEW * (seconds - before[0])
        self._latency[of] = (mean, now)

    def failed(self, model: str, error: LLMError, now: float, cooldown: float) -> None:
        """Take a failure down, and pass the provider over for as long as it means."""
        if isinstance(error, _REFUSES_ALL):
            self._block(_ALL if not isinstance(error, LLMPermissionError) else model, now + cooldown, now)
        elif isinstance(error, ModelNotFoundError):
            self._block(model, now + cooldown, now)
        elif isinstance(error, LLMRateLimitError | CircuitOpenError):
            pause = error.retry_after
            self._block(model, now + (pause if pause is not None and pause > 0 else 1.0), now)
        elif error.retryable:
            self._in_a_row += 1
            again = self._in_a_row - _FAILURES_IN_A_ROW
            if again >= 0:
                self._block(_ALL, now + min(cooldown, _FIRST_PAUSE * 2.0 ** min(again, 32)), now)

    def unblock(self) -> None:
        """Ask it again at once."""
        self._blocked.clear()
        self._in_a_row = 0

    def _block(self, model: str, until: float, now: float) -> None:
        if len(self._blocked) >= _MODELS_KEPT:
            self._blocked = {name: end for name, end in self._blocked.items() if end > now}
        self._blocked[model] = until


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call may go: a target, and its own name of the model (``""`` is its default)."""

    target: Target
    model: str
