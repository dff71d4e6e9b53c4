"""Reading values from a model's text: JSON, pydantic models, enums, CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from lexigram.ai.llm.repair import NotJSON, read_json
from lexigram.contracts.ai.errors import (
    ExtractionError,
    ExtractionParseError,
    ExtractionValidationError,
    LLMConfigurationError,
)
from lexigram.contracts.ai.protocols import OutputParserProtocol
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["CSVParser", "EnumParser", "JSONParser", "ParserRegistry", "PydanticParser"]

T = TypeVar("T")
EnumT = TypeVar("EnumT", bound=Enum)


class JSONParser:
    """Reads a JSON value, also out of prose and Markdown fences; near-JSON is repaired unless ``repair`` is off."""

    def __init__(self, *, repair: bool = True) -> None:
        self._repair = repair

    def parse(self, text: str) -> Result[Any, ExtractionError]:
        """Return the value."""
        try:
            return Ok(read_json(text, repair=self._repair))
        except NotJSON as error:
            return Err(ExtractionParseError(f"the answer is not JSON: {error}", raw=text))

    def format_instructions(self) -> str:
        """Return what to tell the model."""
        return "Answer with one JSON value and nothing else."


class PydanticParser(Generic[T]):
    """Reads JSON and validates it as ``model``: a pydantic model, dataclass, TypedDict or any type pydantic knows."""

    def __init__(self, model: type[T], *, repair: bool = True) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[T] = TypeAdapter(model)
        self._json = JSONParser(repair=repair)

    def parse(self, text: str) -> Result[T, ExtractionError]:
        """Return the validated value."""
        value = self._json.parse(text)
        if isinstance(value, Err):
            return value
        return self.validate(value.ok_value, text)

    def validate(self, value: Any, raw: str) -> Result[T, ExtractionError]:
        """Return the value as the model; ``raw`` is the text it was read from."""
        from pydantic import ValidationError

        try:
            return Ok(self._adapter.validate_python(value))
        except ValidationError as error:
            problems = [
                f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}"
                for e in error.errors(include_input=False, include_url=False)
            ]
            return Err(
                ExtractionValidationError(
                    "the answer does not fit: " + "; ".join(problems[:5]), raw=raw, problems=problems
                )
            )

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema."""
        return self._adapter.json_schema()

    def format_instructions(self) -> str:
        """Return what to tell the model."""
        return f"Answer with one JSON value that fits this JSON schema, and nothing else:\n{json.dumps(self.schema())}"


class EnumParser(Generic[EnumT]):
    """Reads one member of an enum, by value or name, whatever the case; quotes, spaces and a full stop are ignored."""

    def __init__(self, enum: type[EnumT]) -> None:
        self._enum = enum

    def parse(self, text: str) -> Result[EnumT, ExtractionError]:
        """Return the member."""
        wanted = text.strip().strip("\"'`*. \n").casefold()
        for member in self._enum:
            if wanted in (str(member.value).casefold(), member.name.casefold()):
                return Ok(member)
        allowed = ", ".join(str(m.value) for m in self._enum)
        return Err(
            ExtractionValidationError(
                f"the answer is none of: {allowed}", raw=text, problems=(f"value: not one of {allowed}",)
            )
        )

    def format_instructions(self) -> str:
        """Return what to tell the model."""
        return "Answer with exactly one of these and nothing else: " + ", ".join(str(m.value) for m in self._enum)


class CSVParser:
    """Reads comma-separated values (RFC 4180): a list of rows, or of one row's fields with ``single_row``."""

    def __init__(self, *, single_row: bool = False) -> None:
        self._single = single_row

    def parse(self, text: str) -> Result[list[Any], ExtractionError]:
        """Return the rows, or the fields."""
        body = text.strip()
        if body.startswith("```"):
            body = "\n".join(body.split("\n")[1:]).rpartition("```")[0].strip()
        try:
            rows = [
                [field.strip() for field in row] for row in csv.reader(io.StringIO(body), skipinitialspace=True) if row
            ]
        except csv.Error as error:
            return Err(ExtractionParseError(f"the answer is not CSV: {error}", raw=text))
        if not rows:
            return Err(ExtractionParseError("the answer holds no values", raw=text))
        return Ok([field for row in rows for field in row] if self._single else list(rows))

    def format_instructions(self) -> str:
        """Return what to tell the model."""
        return "Answer with comma-separated values and nothing else."


class ParserRegistry:
    """Parsers by name; each entry makes a parser from its arguments."""

    def __init__(self) -> None:
        self._factories: dict[str, Callable[..., OutputParserProtocol[Any]]] = {}

    @classmethod
    def with_defaults(cls) -> ParserRegistry:
        """Return a registry with ``json``, ``pydantic``, ``enum`` and ``csv``."""
        registry = cls()
        registry.register("json", JSONParser)
        registry.register("pydantic", PydanticParser)
        registry.register("enum", EnumParser)
        registry.register("csv", CSVParser)
        return registry

    def register(self, name: str, factory: Callable[..., OutputParserProtocol[Any]]) -> None:
        """Add a parser, or replace one."""
        self._factories[name] = factory

    def get(self, name: str, *args: Any, **options: Any) -> OutputParserProtocol[Any]:
        """Return a parser made with the arguments, e.g. ``get("pydantic", Person)``.

        Raises:
            LLMConfigurationError: for a name that is not there.
        """
        factory = self._factories.get(name)
        if factory is None:
            raise LLMConfigurationError(f"there is no parser {name!r}", hint=f"known: {', '.join(self.names())}")
        return factory(*args, **options)

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(self._factories)
