"""What can go wrong with an injection.

The tree::

    DIError                          LEX_ERR_DI_001
    ├── RegistrationError            002   a registration that could never be built
    ├── CircularDependencyError      003   a service needs itself
    ├── UnresolvableDependencyError  004   nothing is registered for a service (also a punq.MissingDependencyError)
    ├── AsyncFactoryError            005   resolve_sync() met an async factory
    ├── ContainerFrozenError         006   a registration after freeze()
    ├── ContainerClosedError         007   a closed container was asked
    └── ScopeError                   008   a scoped service where there is no scope

An error that a factory raises is none of these: it comes out as it is, with the path as a note.
"""

from __future__ import annotations

from typing import ClassVar

import punq

from lexigram.contracts.errors import LexigramError

__all__ = [
    "AsyncFactoryError",
    "CircularDependencyError",
    "ContainerClosedError",
    "ContainerFrozenError",
    "DIError",
    "RegistrationError",
    "ScopeError",
    "UnresolvableDependencyError",
]


class DIError(LexigramError):
    """An injection failed. See the module's docstring for the tree."""

    code: ClassVar[str] = "LEX_ERR_DI_001"


class RegistrationError(DIError):
    """A registration that could never be built."""

    code = "LEX_ERR_DI_002"


class CircularDependencyError(DIError):
    """A service needs itself, directly or through others."""

    code = "LEX_ERR_DI_003"
    default_hint = "break the cycle: let one of them take the Container and resolve the other when it is used"


class UnresolvableDependencyError(DIError, punq.MissingDependencyError):
    """Nothing is registered for a service that was asked for."""

    code = "LEX_ERR_DI_004"


class AsyncFactoryError(DIError):
    """``resolve_sync()`` met a service that only an event loop can build."""

    code = "LEX_ERR_DI_005"
    default_hint = "use `await container.resolve(...)`, or resolve it once before from async code"


class ContainerFrozenError(DIError):
    """A registration after ``freeze()``."""

    code = "LEX_ERR_DI_006"
    default_hint = "register before the application boots; in tests use container.override(...)"


class ContainerClosedError(DIError):
    """A closed container was asked for a service."""

    code = "LEX_ERR_DI_007"
    default_hint = "resolve while the application (or the scope) is running"


class ScopeError(DIError):
    """A scoped service was asked for where there is no scope, or would outlive its scope."""

    code = "LEX_ERR_DI_008"
    default_hint = "resolve it from `async with container.scope() as scope`"
