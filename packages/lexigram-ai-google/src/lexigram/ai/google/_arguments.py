"""Arguments of a function call that come in pieces: each names the place of its value by a JSON path.

Source: "PartialArg" in Vertex AI's reference; a string goes on while ``willContinue`` is set.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.ai.google._values import as_dict, as_list, json_text
from lexigram.contracts.ai.errors import DecodeError

__all__ = ["PartialArguments"]

_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d{1,9})\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\['((?:[^'\\]|\\.)*)'\]")
_ESCAPED: Final = re.compile(r"\\(.)")
_DEEPEST: Final = 100


def _bad(what: str) -> DecodeError:
    return DecodeError(f"a piece of a call's arguments cannot be placed: {what}", reason="bad_shape")


def _steps(path: object) -> list[str | int]:
    if not isinstance(path, str) or not path.startswith("$"):
        raise _bad(f"{path!r:.80} is no JSON path")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None or len(steps) >= _DEEPEST:
            raise _bad(f"{path!r:.80} is no JSON path")
        name, index, *quoted = found.groups()
        if index is not None:
            steps.append(int(index))
        else:
            steps.append(name if name is not None else _ESCAPED.sub(r"\1", next(q for q in quoted if q is not None)))
        at = found.end()
    return steps


class PartialArguments:
    """The arguments of one call in the making."""

    __slots__ = ("_open", "_value")

    def __init__(self) -> None:
        self._value: dict[str, Any] = {}
        self._open: list[str | int] | None = None  # the place of a string that goes on

    def add(self, call: Mapping[str, Any]) -> None:
        """Take in what a ``functionCall`` carries: whole ``args``, pieces, or nothing.

        Raises:
            DecodeError: with reason ``bad_shape``, for a piece whose place cannot be.
        """
        self._value.update(as_dict(call.get("args")))
        for item in as_list(call.get("partialArgs")):
            piece = as_dict(item)
            steps = _steps(piece.get("jsonPath"))
            if not steps:
                raise _bad("it names no argument")
            goes_on = bool(piece.get("willContinue"))
            for name in ("stringValue", "numberValue", "boolValue", "nullValue", "structValue", "listValue"):
                if name in piece:
                    value = None if name == "nullValue" else piece[name]
                    self._put(steps, value, append=isinstance(value, str) and steps == self._open)
                    break
            self._open = steps if goes_on else None

    def _put(self, steps: list[str | int], value: Any, *, append: bool) -> None:
        into: Any = self._value
        for step, following in itertools.pairwise(steps):
            fresh: Any = [] if isinstance(following, int) else {}
            into = self._at(into, step, fresh)
        last = steps[-1]
        if append:
            old = self._at(into, last, "")
            value = old + value if isinstance(old, str) else value
        if isinstance(last, int):
            self._at(into, last, value)
            into[last] = value
        elif isinstance(into, dict):
            cast("dict[str, Any]", into)[last] = value
        else:
            raise _bad(f"{last!r:.80} is no place in a list")

    @staticmethod
    def _at(into: Any, step: str | int, fresh: Any) -> Any:
        if isinstance(step, str) and isinstance(into, dict):
            return cast("dict[str, Any]", into).setdefault(step, fresh)
        if isinstance(step, int) and isinstance(into, list):
            if step == len(into):
                into.append(fresh)
            if step < len(into):
                return into[step]
        raise _bad(f"there is no {step!r:.80} in what came before")

    def text(self, *, whole: bool) -> str:
        """Return the arguments as JSON text; of a call that was cut off without its end, so that nobody runs it."""
        text = json_text(self._value)
        return text if whole else text[:-1]
