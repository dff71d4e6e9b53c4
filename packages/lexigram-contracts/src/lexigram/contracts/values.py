"""JSON as a type, the wrapper that keeps a secret out of text, and the quick way to make a sparse value."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, Generic, NoReturn, TypeAlias, TypeVar

__all__ = ["JSON", "JSONObject", "Sealed", "Secret", "sparse"]

T = TypeVar("T")

JSON: TypeAlias = "None | bool | int | float | str | Sequence[JSON] | Mapping[str, JSON]"
"""A value that JSON can write."""

JSONObject: TypeAlias = Mapping[str, JSON]
"""A JSON object."""

_MASK: Final = "**********"


class Sealed(Generic[T]):
    """A value that shows itself only when asked by name, for what holds a secret inside.

    ``str``, ``repr``, ``format``, ``pickle`` and ``copy`` never give it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value itself, to be put on the wire and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return f"{type(self).__name__}('{_MASK}')"

    def __str__(self) -> str:
        return _MASK

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not pickled: make it again where it is needed")


class Secret(Sealed[str]):
    """A key or token. Equality is by value; an empty one is false."""

    __slots__ = ()

    def digest(self) -> str:
        """Return twelve hexadecimal digits that tell this secret from others; it cannot be had back from them."""
        return hashlib.blake2b(self._value.encode(), digest_size=6, person=b"lexigram.secret").hexdigest()

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"Secret('{_MASK if self._value else ''}')"

    def __str__(self) -> str:
        return _MASK if self._value else ""


def sparse(cls: type[T], given: dict[str, Any]) -> T:
    """Return a frozen dataclass value that stores only ``given``; its other fields are read from the class's defaults.

    For classes without slots and without default factories, whose values have many fields and little in them and are
    made for every call or chunk. It equals the value that the class itself makes; ``given`` belongs to it afterwards.
    """
    value = object.__new__(cls)
    object.__setattr__(value, "__dict__", given)
    return value
