"""The limiter: what may be sent, for each provider, model and key apart. The Redis backend loads when it is used."""

from lexigram.contracts.limits import FrozenError, Lease, LimiterProtocol, LimitKey, Report
from lexigram.resilience.limiter.core import Allowance, Cost, ImpossibleError
from lexigram.resilience.limiter.memory import MemoryLimiter

__all__ = [
    "Allowance",
    "Cost",
    "FrozenError",
    "ImpossibleError",
    "Lease",
    "LimitKey",
    "LimiterProtocol",
    "MemoryLimiter",
    "Report",
]
