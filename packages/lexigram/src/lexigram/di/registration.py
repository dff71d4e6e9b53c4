"""Checks a registration when it is made, so that the mistake is found where it stands."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast, get_args

from lexigram.di.bindings import UNSET, Binding, Lifetime
from lexigram.di.errors import RegistrationError
from lexigram.di.inspection import label

if TYPE_CHECKING:
    from lexigram.di.registry import Registry

__all__ = ["make_binding"]


def make_binding(
    owner: Registry, service: Any, factory: Any, instance: Any, scope: Lifetime, name: str | None, close: Any
) -> Binding:
    """Return the registration.

    Raises:
        RegistrationError: it could never be built.
    """
    what = label(service, name)
    try:
        hash(service)
    except TypeError:
        raise RegistrationError(f"{what} cannot be a service: it is not hashable") from None
    if scope not in get_args(Lifetime):
        raise RegistrationError(f"{what}: scope is one of {', '.join(get_args(Lifetime))}, not {scope!r}")
    closes: bool = callable(cast(object, close))
    if close is not None and not closes:
        raise RegistrationError(f"{what}: close takes a function, not {type(close).__name__}")
    if instance is not UNSET:
        if factory is not None:
            raise RegistrationError(f"{what}: give a factory or an instance, not both")
        if scope != "singleton":
            raise RegistrationError(f"{what}: an instance is a singleton; give a factory for scope={scope!r}")
        return Binding(service, name, owner, None, instance, scope, close)
    built = service if factory is None else factory
    if not callable(built):
        raise RegistrationError(f"{what}: a factory is a class or a function, not {type(built).__name__}")
    if isinstance(built, type) and (inspect.isabstract(built) or getattr(built, "_is_protocol", False)):
        raise RegistrationError(
            f"{what} cannot be built: {label(built)} is abstract",
            hint="give the class or function that makes one: register(service, factory), or instance=",
        )
    return Binding(service, name, owner, built, UNSET, scope, close)
