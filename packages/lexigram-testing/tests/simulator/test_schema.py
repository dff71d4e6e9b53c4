"""What is made for a schema conforms to it, as jsonschema-rs judges."""

from __future__ import annotations

from random import Random
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.testing.simulator._pattern import text_for
from lexigram.testing.simulator._schema import UnmetSchemaError, example

NAMES = st.sampled_from(["name", "size", "kind", "next", "a b", "ключ"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4))


@st.composite
def integers(draw: st.DrawFn) -> dict[str, Any]:
    low = draw(st.integers(-50, 50))
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["minimum", "exclusiveMinimum"]))] = low
    if draw(st.booleans()):
        schema[draw(st.sampled_from(["maximum", "exclusiveMaximum"]))] = low + draw(st.integers(8, 60))
    if draw(st.booleans()):
        schema["multipleOf"] = draw(st.sampled_from([1, 2, 3, 0.5]))
    return schema


@st.composite
def strings(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["length", "format", "pattern", "enum", "const"]))
    if kind == "length":
        low = draw(st.integers(0, 12))
        return {"type": "string", "minLength": low, "maxLength": low + draw(st.integers(0, 20))}
    if kind == "format":
        formats = ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
        return {"type": "string", "format": draw(st.sampled_from(formats))}
    if kind == "pattern":
        patterns = [
            r"^[a-z]{2,4}-\d{3}$",
            r"^(red|green)?x+$",
            r"[^a-z]",
            r"^\w+@\w+\.(com|org)$",
            r"^#[0-9A-Fa-f]{6}$",
        ]
        return {"type": "string", "pattern": draw(st.sampled_from(patterns))}
    if kind == "enum":
        return {"enum": draw(st.lists(SCALARS, min_size=1, max_size=4))}
    return {"const": draw(SCALARS)}


def objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def make(draw: st.DrawFn) -> dict[str, Any]:
        properties = draw(st.dictionaries(NAMES, inner, max_size=4))
        schema: dict[str, Any] = {"type": "object", "properties": properties}
        schema["required"] = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
        more = draw(st.sampled_from(["any", "none", "numbers"]))
        if more == "none":
            schema["additionalProperties"] = False
        elif more == "numbers":
            schema["additionalProperties"] = {"type": "integer"}
            schema["minProperties"] = draw(st.integers(0, 3))
        return schema

    return make()


def arrays(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    @st.composite
    def make(draw: st.DrawFn) -> dict[str, Any]:
        low = draw(st.integers(0, 3))
        schema: dict[str, Any] = {"type": "array", "items": draw(inner), "minItems": low}
        if draw(st.booleans()):
            schema["maxItems"] = low + draw(st.integers(0, 2))
        if low and draw(st.booleans()):
            schema["prefixItems"] = draw(st.lists(inner, min_size=1, max_size=low))
        return schema

    return make()


def ways(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.lists(inner, min_size=1, max_size=3).map(lambda found: {"anyOf": found})


SCHEMAS = st.recursive(
    st.one_of(integers(), strings(), st.just({"type": "boolean"}), st.just({"type": ["string", "null"]})),
    lambda inner: st.one_of(objects(inner), arrays(inner), ways(inner)),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 99))
def test_a_made_value_conforms_to_its_schema(schema: dict[str, Any], seed: int) -> None:
    value = example(schema, Random(seed))
    jsonschema_rs.validator_for(schema, validate_formats=True).validate(value)
    assert value == example(schema, Random(seed))


HARD = {
    "a list that refers to itself": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
                "additionalProperties": False,
            }
        },
    },
    "a tree whose branches are required": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    },
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number", "minimum": 3}}, "required": ["a"]},
            {"properties": {"a": {"maximum": 4, "type": "integer"}, "b": {"const": 1}}, "required": ["b"]},
        ]
    },
    "oneOf that overlaps": {
        "oneOf": [
            {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
            {"type": "object", "properties": {"y": {"type": "integer"}}, "required": ["y"]},
        ]
    },
    "a tagged union": {
        "type": "object",
        "properties": {
            "shape": {
                "oneOf": [
                    {
                        "type": "object",
                        "properties": {"kind": {"const": "circle"}, "r": {"type": "number"}},
                        "required": ["kind", "r"],
                    },
                    {
                        "type": "object",
                        "properties": {"kind": {"const": "square"}, "a": {"type": "number"}},
                        "required": ["kind", "a"],
                    },
                ]
            }
        },
        "required": ["shape"],
    },
    "unique items": {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    "not": {"type": "string", "enum": ["a", "b"], "not": {"const": "a"}},
    "names by a pattern": {
        "type": "object",
        "patternProperties": {"^x-[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "no types": {
        "properties": {"a": {"minimum": 5}, "b": {"minLength": 3}, "c": {"items": {"minimum": 0}}},
        "required": ["a", "b", "c"],
    },
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"const": 7}},
    "an open interval": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.01},
    "small steps": {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.01},
    "a definition with an escaped name": {"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"const": 1}}},
    "nothing": {},
}


@pytest.mark.parametrize("schema", HARD.values(), ids=HARD)
def test_hard_schemas_are_met(schema: dict[str, Any]) -> None:
    check = jsonschema_rs.validator_for(schema)
    for seed in range(60):
        check.validate(example(schema, Random(seed)))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "string", "pattern": "^(?=a)b$"},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"type": "object", "properties": {"again": {"$ref": "#"}}, "required": ["again"]},
        {"type": "wurst"},
        {"$ref": "#/$defs/missing"},
        {"$ref": "https://example.com/schema.json"},
    ],
)
def test_a_schema_that_cannot_be_met_is_said_so(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        example(schema, Random(0))


def test_the_error_for_an_unmet_schema_is_its_own() -> None:
    with pytest.raises(UnmetSchemaError, match="no value was found"):
        example({"type": "integer", "minimum": 3, "maximum": 2}, Random(0))


@pytest.mark.parametrize("pattern", ["(?=x)", "[", "a{2", "(a", r"\1", "*a", r"\p{L}"])
def test_a_pattern_that_is_not_simple_gives_no_text(pattern: str) -> None:
    assert text_for(pattern, Random(0)) is None


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{4}-\d\d$",
        "a|b|c",
        r"^(?:x|yy){2,3}$",
        "[-a-c]",
        r"[^\d\s]",
        r"^\$\.\[\]$",
        "(?P<n>a+?)b*",
        r"^.{5}$",
        r"\x41",
        r"^[\w.]+$",
    ],
)
def test_a_simple_pattern_gives_a_text_in_which_it_is_found(pattern: str) -> None:
    import re

    for seed in range(30):
        text = text_for(pattern, Random(seed))
        assert text is not None
        assert re.search(pattern, text)
