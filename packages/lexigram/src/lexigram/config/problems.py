"""Validates settings, and says what is wrong with them without showing a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from lexigram.config import schema
from lexigram.config.errors import ConfigError, InvalidSettingError
from lexigram.config.merging import Merged, spoken

__all__ = ["final_leaves", "shown", "validated"]

M = TypeVar("M", bound=BaseModel)

MASK: Final = "**********"


def validated(model: type[M], merged: Merged) -> tuple[M | None, list[ConfigError]]:
    """Return the model, or everything that is wrong with the values."""
    problems: list[Any] = []
    try:
        return model.model_validate(merged.values), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
    # Outside the handler: pydantic's error, which quotes its input, must not become the context of ours.
    texts: dict[schema.Path, list[str]] = {}
    values: dict[schema.Path, Any] = {}
    for problem in problems:
        path = _path_in(merged.values, problem["loc"])
        values[path] = None if problem["type"] == "missing" else problem["input"]
        texts.setdefault(path, []).append(_message(model, path, problem))
    return None, [InvalidSettingError(_sentence(model, merged, p, values[p], texts[p])) for p in texts]


def _path_in(values: Any, location: tuple[int | str, ...]) -> schema.Path:
    """Return the location without the names of union members that pydantic puts into it."""
    path: list[str] = []
    for part in location:
        if isinstance(values, dict) and (part in values or not path):
            values = values.get(part)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):  # pyright: ignore[reportUnknownArgumentType]
            values = values[part]  # pyright: ignore[reportUnknownVariableType]
        elif not isinstance(values, dict) or part != location[-1]:
            continue
        path.append(str(part))
    return tuple(path)


def _message(model: type[BaseModel], path: schema.Path, problem: Mapping[str, Any]) -> str:
    if problem["type"] == "missing":
        return "it is required"
    # What a validator of the model says may quote the value.
    if problem["type"] in ("value_error", "assertion_error") and schema.is_secret(model, path):
        return "it is not valid"
    return re.sub(r"^(Input|Value error|Assertion failed)\b,? ?", "", problem["msg"])


def _sentence(model: type[BaseModel], merged: Merged, path: schema.Path, value: Any, texts: list[str]) -> str:
    where = f" (from {spoken(merged.origin(path))})" if path and merged.origin(path) != "default" else ""
    shown = _display(model, path, value)
    allowed = schema.bounds(model, path)
    name = ".".join(path) or "the settings"
    text = f"{name}{f' = {shown}' if shown else ''}{where}: {' or '.join(dict.fromkeys(texts))}"
    return _without_secrets(model, merged, f"{text} (allowed: {allowed})" if allowed else text)


def _without_secrets(model: type[BaseModel], merged: Merged, text: str) -> str:
    for path, value in schema.leaves(merged.values):
        if not schema.is_secret(model, path):
            continue
        for item in value if isinstance(value, (list, tuple, set)) else [value]:  # pyright: ignore[reportUnknownVariableType]
            raw: object = item.get_secret_value() if isinstance(item, SecretStr) else item
            if isinstance(raw, str) and len(raw) > 3:
                text = text.replace(raw, MASK)
    return text


def _display(model: type[BaseModel], path: schema.Path, value: Any) -> str:
    if value is None:
        return ""
    if schema.is_secret(model, path):
        return MASK
    # A string where a table is due may be anything, a key in the wrong place for one.
    if isinstance(value, (dict, list, tuple, set)) or not schema.is_scalar(model, path):
        return ""
    text = re.sub(r"//[^/@\s]+@", f"//{MASK}@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def final_leaves(value: BaseModel) -> Iterable[tuple[schema.Path, Any]]:
    """Yield every setting of a model with its path."""
    return schema.leaves(_tree(value))


def _tree(value: Any) -> Any:
    fields = schema.fields_of(type(value))
    if fields is not None:
        return {name: _tree(getattr(value, name)) for name in fields}
    if isinstance(value, Mapping):
        return {str(name): _tree(item) for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def shown(value: BaseModel) -> Iterable[tuple[str, str]]:
    """Yield every setting's dotted name and its value as text; secrets are masked."""
    for path, leaf in final_leaves(value):
        yield ".".join(path), "None" if leaf is None else _display(type(value), path, leaf) or repr(leaf)
