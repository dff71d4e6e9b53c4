"""Reads the settings of the embedded server, with errors that name the setting and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from lexigram.ai.llm.local._gguf import MAGIC
from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["check_int", "check_model", "check_number", "read_options"]

_FLAGS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def check_int(name: str, value: object, *, low: int, high: int | None = None) -> int:
    """Return the whole number, or raise :class:`LLMConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        raise _wrong(name, value, f"a whole number ≥ {low}" if high is None else f"a whole number, {low} … {high}")
    return value


def check_number(name: str, value: object) -> float:
    """Return the number above 0, or raise :class:`LLMConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise _wrong(name, value, "a number > 0")
    return float(value)


def check_model(path: Path) -> None:
    """Raise :class:`LLMConfigurationError` if the file cannot be a model."""
    problem: str | None = None
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
        if magic != MAGIC:
            problem = "it is empty" if not magic else f"it is not a GGUF file (it begins with {magic!r}, not {MAGIC!r})"
    except FileNotFoundError:
        problem = "there is no such file"
    except IsADirectoryError:
        problem = "it is a folder, not a file"
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is not None:
        raise LLMConfigurationError(
            f"the model {path} cannot be used: {problem}",
            provider="llamacpp",
            hint="give the path of a GGUF file, or leave model out for the tiny synthetic one",
        )


def read_options(extra: Mapping[str, object]) -> dict[str, Any]:
    """Return the keyword arguments of the server for a client's further settings.

    Raises:
        LLMConfigurationError: for an unknown name or a value that cannot be read.
    """
    options: dict[str, Any] = {}
    for name, value in extra.items():
        reader = _READERS.get(name)
        if reader is None:
            near = get_close_matches(name, _READERS, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise LLMConfigurationError(
                f"the local server has no setting {name!r}{meant}",
                provider="llamacpp",
                hint=f"allowed: {', '.join(_READERS)}",
            )
        if value is not None:
            options[name] = reader(name, value)
    return options


def _wrong(name: str, value: object, allowed: str) -> LLMConfigurationError:
    return LLMConfigurationError(
        f"the local server's setting {name!r} cannot be {value!r}", provider="llamacpp", hint=f"allowed: {allowed}"
    )


def _int(name: str, value: object) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise _wrong(name, value, "a whole number") from None
    return check_int(name, value, low=1)


def _number(name: str, value: object) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise _wrong(name, value, "a number > 0") from None
    return check_number(name, value)


def _flag(name: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None
    if flag is None:
        raise _wrong(name, value, "true or false")
    return flag


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise _wrong(name, value, "a text")
    return value


def _path(name: str, value: object) -> Path:
    if isinstance(value, Path):
        return value
    return Path(_text(name, value)).expanduser()


_READERS: Final[Mapping[str, Callable[[str, object], Any]]] = {
    "context": _int,
    "slots": _int,
    "embeddings": _flag,
    "startup_timeout": _number,
    "alias": _text,
    "cache_dir": _path,
}
