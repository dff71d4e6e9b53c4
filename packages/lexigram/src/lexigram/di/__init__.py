"""Dependency injection: a container that builds a service's parts from their type hints.

punq keeps the registrations. What a service needs besides is added here: async factories, singletons that are
built once whoever asks first, scopes that own and close what they build, overrides for tests, and a check of
the whole graph at boot.
"""

from lexigram.di.container import Container
from lexigram.di.errors import (
    AsyncFactoryError,
    CircularDependencyError,
    ContainerClosedError,
    ContainerFrozenError,
    DIError,
    RegistrationError,
    ScopeError,
    UnresolvableDependencyError,
)
from lexigram.di.inspection import Named

__all__ = [
    "AsyncFactoryError",
    "CircularDependencyError",
    "Container",
    "ContainerClosedError",
    "ContainerFrozenError",
    "DIError",
    "Named",
    "RegistrationError",
    "ScopeError",
    "UnresolvableDependencyError",
]
