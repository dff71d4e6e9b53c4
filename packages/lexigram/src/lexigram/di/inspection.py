"""Reads what a factory needs from its signature and type hints."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

from lexigram.di.errors import RegistrationError

__all__ = ["Key", "Named", "Parameter", "label", "link", "parameters"]

Key: TypeAlias = tuple[Any, str | None]
"""A service and the name it is registered under."""

_EMPTY: Final = inspect.Parameter.empty
_POSITIONAL_ONLY: Final = inspect.Parameter.POSITIONAL_ONLY
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Named:
    """Asks for the service registered under a name: ``Annotated[LLMClientProtocol, Named("fast")]``."""

    name: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a factory.

    Attributes:
        name: the parameter's name.
        key: what to inject, or None where the hint names no service.
        item: the service whose every registration is injected, for ``list[T]``; else None.
        optional: whether None is allowed (``T | None``).
        has_default: whether the factory can do without it.
        positional: whether it is positional-only.
    """

    name: str
    key: Key | None
    item: Any
    optional: bool
    has_default: bool
    positional: bool


def label(service: object, name: str | None = None) -> str:
    """Return how errors call a service."""
    qualname = getattr(service, "__qualname__", None) if get_origin(service) is None else None
    text = qualname.rpartition("<locals>.")[2] if isinstance(qualname, str) else str(service)
    return text if name is None else f"{text}[{name!r}]"


def link(key: Key, parameter: str | None) -> str:
    """Return one step of a path."""
    return label(*key) if parameter is None else f"{label(*key)} (parameter {parameter!r})"


def parameters(factory: Callable[..., Any], names: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """Return what ``factory`` needs, in order; ``*args`` and ``**kwargs`` are left alone.

    Args:
        factory: a class or any other callable.
        names: registered services by class name, for hints that are only imported while type checking.

    Raises:
        RegistrationError: a hint cannot be evaluated.
    """
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return ()
    hints = _hints(factory, signature, names)
    return tuple(
        _parameter(p, hints.get(p.name, p.annotation)) for p in signature.parameters.values() if p.kind not in _VARIADIC
    )


def _hints(factory: Callable[..., Any], signature: inspect.Signature, names: Mapping[str, Any]) -> dict[str, Any]:
    target: Any = factory
    while isinstance(target, functools.partial):
        target = target.func
    target = get_origin(target) or target
    if isinstance(target, type):
        made = inspect.getattr_static(target, "__init__")
        target = made if made is not object.__init__ else target.__new__
    elif not (inspect.isroutine(target) or hasattr(target, "__wrapped__")):
        target = type(target).__call__
    if not any(isinstance(p.annotation, str) or p.annotation is not _EMPTY for p in signature.parameters.values()):
        return {}
    found: dict[str, Any] = {}
    while True:
        try:
            return get_type_hints(target, localns=found, include_extras=True)
        except NameError as error:
            if error.name is None or error.name in found or error.name not in names:
                raise RegistrationError(
                    f"the type hints of {label(factory)} cannot be read: {error}",
                    hint="import the name at run time, not only under TYPE_CHECKING, or register a class of that name",
                ) from None
            found[error.name] = names[error.name]
        except TypeError:
            return {}


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    bare, optional, name = _unwrap(hint)
    injectable = bare is not _EMPTY and bare is not Any and not isinstance(bare, str) and _hashable(bare)
    arguments = get_args(bare)
    return Parameter(
        name=parameter.name,
        key=(bare, name) if injectable else None,
        item=_unwrap(arguments[0])[0] if get_origin(bare) is list and len(arguments) == 1 else None,
        optional=optional,
        has_default=parameter.default is not _EMPTY,
        positional=parameter.kind is _POSITIONAL_ONLY,
    )


def _unwrap(hint: Any) -> tuple[Any, bool, str | None]:
    name: str | None = None
    optional = False
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *extras = get_args(hint)
            name = next((extra.name for extra in extras if isinstance(extra, Named)), name)
        elif origin in (Union, types.UnionType) and type(None) in get_args(hint):
            optional = True
            members = [member for member in get_args(hint) if member is not type(None)]
            if len(members) != 1:
                return Union[tuple(members)], optional, name  # noqa: UP007 - built from a tuple
            hint = members[0]
        else:
            return hint, optional, name


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
