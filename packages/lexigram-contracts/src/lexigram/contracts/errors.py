"""The root of every error that Lexigram raises or returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

__all__ = ["LexigramError"]

_E = TypeVar("_E", bound="LexigramError")


def _rebuild(cls: type[_E], message: str, state: dict[str, Any]) -> _E:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    for name, value in state.items():
        setattr(error, name, value)
    return error


class LexigramError(Exception):
    """Says what happened, where, and what to do next.

    Attributes:
        code: stable identifier, unique to the class (``LEX_ERR_…``).
        message: what happened, one sentence; never holds a secret.
        hint: what to do next, or None.
        details: further facts by name, all of them JSON values.
    """

    code: ClassVar[str] = "LEX_ERR_000"
    default_hint: ClassVar[str | None] = None

    message: str
    hint: str | None
    details: Mapping[str, Any]

    def __init__(self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.details = dict(details or {})

    def __str__(self) -> str:
        return self.message if not self.hint else f"{self.message}\n  hint: {self.hint}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r}, code={self.code!r})"

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON values (for journals and logs)."""
        out: dict[str, Any] = {"error": type(self).__name__, "code": self.code, "message": self.message}
        if self.hint:
            out["hint"] = self.hint
        if self.details:
            out["details"] = dict(self.details)
        return out

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        state = {k: v for k, v in self.__dict__.items() if not k.startswith("_")}
        return _rebuild, (type(self), self.message, state)
