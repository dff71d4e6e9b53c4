"""What a settings model has: names at each level, and which of them are secret."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from lexigram.contracts.values import Secret

__all__ = ["Path", "Unknown", "bounds", "fields_of", "is_scalar", "is_secret", "leaves", "near", "unknown"]

Path: TypeAlias = tuple[str, ...]

_SECRET_NAME: Final = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_SECRET_TYPES: Final = (SecretStr, SecretBytes, Secret)
_NUMBERS: Final = (int, float, bool)
_CONTAINERS: Final = (dict, Mapping, list, tuple, set, frozenset, Sequence)
_BOUNDS: Final = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "length >=", "max_length": "length <="}


@dataclasses.dataclass(frozen=True, slots=True)
class Unknown:
    """A name that no setting has: the path up to and with it, and the names that are there."""

    path: Path
    names: tuple[str, ...]


def alternatives(annotation: Any) -> list[Any]:
    """Return the types that an annotation allows, without None."""
    if isinstance(annotation, FieldInfo):
        annotation = annotation.annotation
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [t for member in get_args(annotation) for t in alternatives(member)]
    value = getattr(annotation, "__value__", None)
    if value is not None:
        return alternatives(value)
    return [] if annotation is type(None) else [annotation]


def fields_of(annotation: Any) -> Mapping[str, Any] | None:
    """Return the named fields of a model, dataclass or TypedDict, else None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.model_fields
    if isinstance(annotation, type) and (dataclasses.is_dataclass(annotation) or is_typeddict(annotation)):
        return get_type_hints(annotation)
    return None


def below(annotation: Any, name: str) -> tuple[list[Any], list[str] | None]:
    """Return the annotations of ``name`` below ``annotation``, and the names there if only those are allowed."""
    found: list[Any] = []
    names: list[str] = []
    closed = True
    for member in alternatives(annotation):
        fields = fields_of(member)
        if fields is not None:
            names += fields
            if name in fields:
                found.append(fields[name])
            elif (
                isinstance(member, type)
                and issubclass(member, BaseModel)
                and member.model_config.get("extra") == "allow"
            ):
                closed = False
        elif member in (Any, object, dict) or get_origin(member) in (dict, Mapping):
            found.append((get_args(member) or (Any, Any))[1])
        elif member is Mapping:
            closed = False
        elif get_origin(member) in (list, tuple, set, frozenset, Sequence):
            found.append((get_args(member) or (Any,))[0])
    return found, names if closed else None


def unknown(model: type[BaseModel], path: Path) -> Unknown | None:
    """Return what is wrong with the name ``path``, or None if there is such a setting."""
    level: list[Any] = [model]
    for depth, name in enumerate(path):
        found: list[Any] = []
        names: list[str] = []
        for annotation in level:
            here, allowed = below(annotation, name)
            found += here
            if allowed is None:
                return None
            names += allowed
        if not found:
            return Unknown(path[: depth + 1], tuple(dict.fromkeys(names)))
        level = found
    return None


def near(name: str, names: Sequence[str]) -> str | None:
    """Return the one of ``names`` that ``name`` is probably a misspelling of."""
    squeezed = {re.sub(r"[^a-z0-9]", "", n.lower()): n for n in names}
    matches = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), list(squeezed), 1, 0.65)
    return squeezed[matches[0]] if matches else None


def is_secret(model: type[BaseModel], path: Path) -> bool:
    """Return whether the value at ``path`` must not be shown: by its type, or by a name and being text."""
    level: list[Any] = [model]
    members: list[Any] = []
    for name in path:
        level = [found for annotation in level for found in below(annotation, name)[0]]
        members = [member for annotation in level for member in alternatives(annotation)]
        if any(isinstance(m, type) and issubclass(m, _SECRET_TYPES) for m in members):
            return True
    if not any(_SECRET_NAME.search(name) for name in path):
        return False
    # A number and a choice are no secrets: max_tokens and the like.
    return not members or any(m not in _NUMBERS and get_origin(m) is not Literal for m in members)


def is_scalar(model: type[BaseModel], path: Path) -> bool:
    """Return whether the setting at ``path`` takes a single value rather than a table or list."""
    level: list[Any] = [model]
    for name in path:
        level = [found for annotation in level for found in below(annotation, name)[0]]
    members = [member for annotation in level for member in alternatives(annotation)]
    return any(fields_of(m) is None and (get_origin(m) or m) not in _CONTAINERS for m in members)


def bounds(model: type[BaseModel], path: Path) -> str:
    """Return the allowed range of the setting at ``path``, or an empty string."""
    level: list[Any] = [model]
    for name in path:
        level = [found for annotation in level for found in below(annotation, name)[0]]
    metadata = [m for field in level if isinstance(field, FieldInfo) for m in field.metadata]
    return ", ".join(
        f"{sign} {getattr(m, attribute)}"
        for m in metadata
        for attribute, sign in _BOUNDS.items()
        if getattr(m, attribute, None) is not None
    )


def leaves(values: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that is not itself a non-empty mapping, with its path."""
    if isinstance(values, Mapping) and values:
        for name, value in values.items():
            yield from leaves(value, (*path, str(name)))
    elif path:
        yield path, values
