"""Parsers and their registry."""

from __future__ import annotations

from enum import Enum

import pydantic
import pytest
from typing_extensions import TypedDict

from lexigram.ai.llm import CSVParser, EnumParser, JSONParser, ParserRegistry, PydanticParser
from lexigram.contracts.ai import OutputParserProtocol
from lexigram.contracts.ai.errors import ExtractionParseError, ExtractionValidationError, LLMConfigurationError
from lexigram.contracts.result import Err, Ok


class Person(pydantic.BaseModel):
    name: str
    age: int


class Colour(Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


def test_json_gives_the_value_or_an_error_with_the_text() -> None:
    assert JSONParser().parse("```json\n{'a': 1,}\n```") == Ok({"a": 1})
    failed = JSONParser().parse("nothing")
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, ExtractionParseError)
    assert failed.err_value.raw == "nothing"


def test_pydantic_validates_and_names_each_problem() -> None:
    assert PydanticParser(Person).parse('{"name": "Ann", "age": 7}') == Ok(Person(name="Ann", age=7))
    failed = PydanticParser(Person).parse('{"name": 5, "age": "old"}')
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, ExtractionValidationError)
    assert [p.split(":")[0] for p in failed.err_value.problems] == ["name", "age"]
    assert '"age"' in PydanticParser(Person).format_instructions()


def test_any_type_that_pydantic_knows_will_do() -> None:
    Row = TypedDict("Row", {"a": int})
    assert PydanticParser(list[Row]).parse('[{"a": 1}]') == Ok([{"a": 1}])


def test_enum_by_value_or_name_whatever_the_case() -> None:
    for text in ("red", " RED.", '"Red"', "`red`"):
        assert EnumParser(Colour).parse(text) == Ok(Colour.RED)
    assert EnumParser(Colour).parse("dark_blue") == Ok(Colour.DARK_BLUE)
    failed = EnumParser(Colour).parse("green")
    assert isinstance(failed, Err)
    assert "red, dark blue" in failed.err_value.message


def test_csv_rows_quotes_and_fences() -> None:
    assert CSVParser().parse('a, "b, c"\nd,e\n') == Ok([["a", "b, c"], ["d", "e"]])
    assert CSVParser(single_row=True).parse("```csv\nx, y,z\n```") == Ok(["x", "y", "z"])
    assert isinstance(CSVParser().parse("  "), Err)


def test_the_registry_makes_parsers_by_name_and_lists_them_when_asked_for_another() -> None:
    registry = ParserRegistry.with_defaults()
    assert registry.names() == ["csv", "enum", "json", "pydantic"]
    assert registry.get("pydantic", Person).parse('{"name": "A", "age": 1}').unwrap() == Person(name="A", age=1)
    assert isinstance(registry.get("json"), OutputParserProtocol)
    registry.register("lines", lambda: CSVParser(single_row=True))
    assert registry.get("lines").parse("a,b") == Ok(["a", "b"])
    with pytest.raises(LLMConfigurationError, match="yaml") as caught:
        registry.get("yaml")
    assert "csv, enum, json, lines, pydantic" in str(caught.value)
