"""Health checks: what a component says of itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

__all__ = ["HealthCheckProtocol", "HealthCheckResult", "HealthStatus"]


class HealthStatus(StrEnum):
    """How a component is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HealthCheckResult:
    """What one health check saw.

    Attributes:
        component: whose health it is, e.g. ``"openai:gpt-4o"``.
        status: the verdict.
        message: one sentence, or None.
        duration_ms: how long the check took, in milliseconds.
        details: further facts.
    """

    component: str
    status: HealthStatus
    message: str | None = None
    duration_ms: float | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def healthy(self) -> bool:
        """Whether the status is ``healthy``."""
        return self.status is HealthStatus.HEALTHY


@runtime_checkable
class HealthCheckProtocol(Protocol):
    """Something whose health can be asked for."""

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Return within ``timeout`` seconds; a failure is a result, not an exception."""
        ...
