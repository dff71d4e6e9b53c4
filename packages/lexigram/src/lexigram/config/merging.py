"""Puts the values of several sources over each other, field by field."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretStr

from lexigram.config import schema
from lexigram.config.errors import ConfigError
from lexigram.config.keys import clean_secret
from lexigram.config.sources import Source

__all__ = ["Merged", "spoken"]


class Merged:
    """Nested values of several sources, with the origin of each leaf."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
        self.values: dict[str, Any] = {}
        self.origins: dict[schema.Path, str] = {}

    def add(self, source: Source) -> None:
        """Put the values of ``source`` over those that are here; a secret that is None counts as not given."""
        for path, value in schema.leaves(source.values):
            if value == {} and self._is_table(path):
                continue  # an empty table adds nothing to what is in it already
            if value is not None or not schema.is_secret(self.model, path):
                self.set(path, value, source.origin(path))

    def _is_table(self, path: schema.Path) -> bool:
        level: Any = self.values
        for name in path:
            level = level.get(name) if isinstance(level, dict) else None
        return isinstance(level, dict)

    def clean_secrets(self) -> list[ConfigError]:
        """Strip the secrets; return those that cannot be one."""
        errors: list[ConfigError] = []
        for path, value in list(schema.leaves(self.values)):
            if schema.is_secret(self.model, path):
                try:
                    self.set(path, _clean(value, spoken(self.origins[path])), self.origins[path])
                except ConfigError as error:
                    errors.append(error)
        return errors

    def set(self, path: schema.Path, value: Any, origin: str) -> None:
        """Put one value in."""
        level = self.values
        for depth, name in enumerate(path[:-1], 1):
            if not isinstance(level.get(name), dict):
                level[name] = {}
                self.origins.pop(path[:depth], None)
            level = level[name]
        for known in [known for known in self.origins if known[: len(path)] == path]:
            del self.origins[known]
        level[path[-1]] = value
        self.origins[path] = origin

    def origin(self, path: schema.Path) -> str:
        """Return where the value at ``path`` came from."""
        return next((self.origins[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.origins), "default")


def spoken(origin: str) -> str:
    """Return an origin as it stands in a sentence."""
    kind, _, rest = origin.partition(" ")
    if kind == "env":
        return f"environment variable {rest}"
    return "the arguments" if origin == "explicit" else origin


def _clean(value: Any, source: str) -> Any:
    if isinstance(value, SecretStr):
        return SecretStr(clean_secret(value.get_secret_value(), source))
    return clean_secret(value, source) if isinstance(value, str) else value
