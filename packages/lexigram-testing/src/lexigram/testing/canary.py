"""A secret that is easy to find: give it to the code under test, then look for it where it must not be."""

from __future__ import annotations

import base64
import json
import logging
import secrets
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import quote

from lexigram.contracts.values import Secret

__all__ = ["Canary", "SecretLeakError"]

_VAULTS: Final = frozenset({"Secret", "Sealed", "SecretStr", "SecretBytes"})
"""Classes whose whole purpose is to hold a secret: they are asked for their texts and not opened."""
_DEPTH: Final = 8
_FRAGMENT: Final = 60


class SecretLeakError(AssertionError):
    """The canary was found. The text says where, and does not repeat it."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Something to search, and the way that led to it."""

    path: str
    value: object
    depth: int


class Canary:
    """A sentinel secret.

    Attributes:
        value: the secret itself, unlike any other text.
    """

    def __init__(self) -> None:
        self.value = f"canary-{secrets.token_hex(16)}"
        raw = self.value.encode()
        # In base64 a text looks in three ways, by its place in what is encoded; the edges depend on the neighbours.
        shifted = [base64.b64encode(bytes(shift) + raw)[4:-4].decode() for shift in range(3)]
        self._forms = tuple(dict.fromkeys([self.value, quote(self.value, safe=""), raw.hex(), *shifted]))

    @property
    def secret(self) -> Secret:
        """The value, wrapped as settings hold it."""
        return Secret(self.value)

    def __repr__(self) -> str:
        return "<Canary>"

    def is_in(self, text: str | bytes) -> bool:
        """Tell whether the text has the secret in it: as it is, in hex, in base64 or percent-encoded."""
        haystack = text.decode("latin-1") if isinstance(text, bytes) else text
        return any(form in haystack for form in self._forms)

    def assert_absent(self, *objects: object) -> None:
        """Check that none of the objects shows the secret.

        Searched are an object's ``str``, ``repr`` and ``format``, its attributes, what pickling would write, the
        items of containers, the message, arguments and extras of log records, and the causes, notes and traceback of
        exceptions; and the same of all objects of Lexigram's own classes that hang on it. A wrapper that exists to
        hold a secret may hold it, but not show it.

        Raises:
            SecretLeakError: naming the place, e.g. ``objects[0].headers['x-key'] in repr()``.
        """
        waiting = deque(_Place(f"objects[{i}]", value, 0) for i, value in enumerate(objects))
        seen: set[int] = set()
        keep: list[object] = []  # ids stay unique only while their objects live
        while waiting:
            place = waiting.popleft()
            if id(place.value) in seen:
                continue
            seen.add(id(place.value))
            keep.append(place.value)
            for how, text in _texts(place.value):
                if self.is_in(text):
                    raise SecretLeakError(f"the secret is in {place.path}, shown by {how}")
            if place.depth < _DEPTH:
                waiting += (_Place(place.path + step, value, place.depth + 1) for step, value in _inside(place))


def _texts(value: object) -> Iterator[tuple[str, str | bytes]]:
    """Give every text that the object makes of itself."""
    if isinstance(value, str | bytes):
        yield "itself", value
        return
    if isinstance(value, bytearray | memoryview):
        yield "itself", bytes(value)
        return
    for how, show in (("str()", str), ("repr()", repr), ("format()", format)):
        yield how, show(value)
    if isinstance(value, BaseException):
        yield "its traceback", "".join(traceback.format_exception(value))
    if isinstance(value, logging.LogRecord):
        yield "its message", value.getMessage()
        yield "its formatted line", logging.Formatter().format(value)
    if type(value).__name__ not in _VAULTS:
        yield "json", _json(value)


def _json(value: object) -> str:
    try:
        return json.dumps(value, default=str)
    except (TypeError, ValueError):
        return ""


def _inside(place: _Place) -> Iterator[tuple[str, object]]:
    """Give what hangs on the object, each with the step that leads there."""
    value = place.value
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            yield ".keys()", key
            yield f"[{str(key)[:_FRAGMENT]!r}]", item
    elif isinstance(value, list | tuple | set | frozenset):
        for i, item in enumerate(cast("tuple[object, ...]", tuple(cast("Any", value)))):
            yield f"[{i}]", item
    elif _may_open(place):
        for name, item in _attributes(value):
            yield f".{name}", item
        yield ".__reduce_ex__()", _pickled(value)
    if isinstance(value, BaseException):
        yield ".__cause__", value.__cause__
        yield ".__context__", value.__context__


def _may_open(place: _Place) -> bool:
    value = place.value
    if isinstance(value, type) or callable(value) or type(value).__name__ in _VAULTS:
        return False
    own = (type(value).__module__ or "").startswith("lexigram")
    return place.depth == 0 or own or isinstance(value, BaseException | logging.LogRecord)


def _attributes(value: object) -> Iterator[tuple[str, object]]:
    yield from getattr(value, "__dict__", {}).items()
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            hidden = name.startswith("__") and not name.endswith("__")
            attribute = f"_{cls.__name__.lstrip('_')}{name}" if hidden else name
            if attribute != "__weakref__" and hasattr(value, attribute):
                yield attribute, getattr(value, attribute)


def _pickled(value: object) -> object:
    try:
        return value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001
        return None
