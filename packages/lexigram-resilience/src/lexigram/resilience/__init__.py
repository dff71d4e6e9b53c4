"""One deadline, one owner of retries, fair limits: what wraps a client so that nothing breaks it.

Names load when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexigram.resilience.client import ResilientClient
    from lexigram.resilience.config import (
        BreakerConfig,
        BudgetConfig,
        BulkheadConfig,
        HedgeConfig,
        LimiterConfig,
        RedisConfig,
        ResilienceConfig,
        RetryConfig,
    )
    from lexigram.resilience.limiter import Allowance, LimiterProtocol, LimitKey, MemoryLimiter
    from lexigram.resilience.module import ResilienceModule
    from lexigram.resilience.policy import Counters, ResiliencePolicy

__all__ = [
    "Allowance",
    "BreakerConfig",
    "BudgetConfig",
    "BulkheadConfig",
    "Counters",
    "HedgeConfig",
    "LimitKey",
    "LimiterConfig",
    "LimiterProtocol",
    "MemoryLimiter",
    "RedisConfig",
    "ResilienceConfig",
    "ResilienceModule",
    "ResiliencePolicy",
    "ResilientClient",
    "RetryConfig",
]

_ROOMS = {
    "Counters": "policy",
    "ResiliencePolicy": "policy",
    "ResilienceModule": "module",
    "ResilientClient": "client",
    "Allowance": "limiter",
    "LimitKey": "limiter",
    "LimiterProtocol": "limiter",
    "MemoryLimiter": "limiter",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOMS.get(name, 'config')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
