"""The names of :mod:`lexigram.contracts.limits` that are a backend's business, where they were before."""

from lexigram.contracts.limits import FrozenError, Lease, LimiterProtocol, LimitKey, Report

__all__ = ["FrozenError", "Lease", "LimitKey", "LimiterProtocol", "Report"]
