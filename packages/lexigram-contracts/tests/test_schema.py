"""The schema compiler: what fits the given schema fits the compiled one, up to the losses that it lists."""

import copy
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lexigram.contracts.wire import Loss
from lexigram.contracts.wire.schema import SchemaTarget, compile_schema, without_added_nulls

TARGETS: tuple[SchemaTarget, ...] = ("openai-strict", "anthropic", "gemini", "cohere", "llamacpp")
STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": ["integer", "null"], "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
NODE: dict[str, Any] = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "next": {"$ref": "#/$defs/Node"}},
            "required": ["value"],
        }
    },
    "$ref": "#/$defs/Node",
}


def paths(losses: tuple[Loss, ...]) -> list[str]:
    return [loss.path for loss in losses]


def test_a_schema_in_the_dialect_comes_back_unchanged_and_nothing_is_lost() -> None:
    made = compile_schema(STRICT, "openai-strict")
    assert made.schema == STRICT
    assert made.losses == ()


@pytest.mark.parametrize("schema", [STRICT, NODE, {"type": "object"}, {"anyOf": [{"type": "string"}]}], ids=json.dumps)
@pytest.mark.parametrize("target", TARGETS)
def test_compiling_twice_changes_nothing_more_and_the_given_schema_never(target: SchemaTarget, schema: Any) -> None:
    before = copy.deepcopy(schema)
    once = compile_schema(schema, target).schema
    assert compile_schema(once, target).schema == once
    assert schema == before


def test_openai_strict_closes_requires_and_makes_nullable() -> None:
    made = compile_schema(
        {
            "type": "object",
            "properties": {
                "a": {"type": "string"},
                "b": {"enum": ["x", "y"]},
                "c": {"const": 1},
                "d": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "e": {"type": "array", "items": {"type": "object", "properties": {"z": {"type": "number"}}}},
            },
            "required": ["a"],
        },
        "openai-strict",
        path="s",
    )
    assert made.schema["required"] == ["a", "b", "c", "d", "e"]
    assert made.schema["additionalProperties"] is False
    fields = made.schema["properties"]
    assert fields["a"] == {"type": "string"}
    assert fields["b"] == {"enum": ["x", "y", None], "type": ["string", "null"]}
    assert fields["c"] == {"anyOf": [{"const": 1}, {"type": "null"}]}
    assert fields["d"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    inner = fields["e"]["items"]
    assert inner == {
        "type": "object",
        "properties": {"z": {"type": ["number", "null"]}},
        "required": ["z"],
        "additionalProperties": False,
    }
    assert "s.properties.b" in paths(made.losses)
    assert "s.properties.e.items.properties.z" in paths(made.losses)
    assert "s.properties.a" not in paths(made.losses)


def test_what_a_vendor_cannot_take_is_listed_by_its_place() -> None:
    schema = {
        "type": "object",
        "properties": {
            "age": {"type": "integer", "minimum": 18},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 3},
            "more": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["age", "tags", "more"],
    }
    lost = {target: paths(compile_schema(schema, target).losses) for target in TARGETS}
    assert lost["openai-strict"] == [
        "schema.properties.tags.uniqueItems",
        "schema.properties.more.additionalProperties",
    ]
    assert lost["anthropic"] == [
        "schema.properties.age.minimum",
        "schema.properties.tags.uniqueItems",
        "schema.properties.tags.minItems",
        "schema.properties.more.additionalProperties",
    ]
    assert lost["gemini"] == ["schema.properties.tags.uniqueItems", "schema.properties.more.additionalProperties"]
    assert "schema.properties.age.minimum" in lost["cohere"]
    assert lost["llamacpp"] == []


def test_recursion_is_kept_where_the_vendor_takes_it_and_cut_where_not() -> None:
    strict = compile_schema(NODE, "openai-strict").schema
    assert strict["type"] == "object"
    assert strict["$defs"]["Node"]["properties"]["next"] == {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}
    Draft202012Validator(strict).validate({"value": 1, "next": {"value": 2, "next": None}})
    gemini = compile_schema(NODE, "gemini")
    assert "$ref" not in json.dumps(gemini.schema)
    assert gemini.schema["properties"]["next"]["properties"]["next"] == {"type": "object"}
    assert any("refers to itself" in loss.reason for loss in gemini.losses)


def test_gemini_says_null_and_constants_in_its_own_way() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": ["string", "null"]},
            "b": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "c": {"const": "x"},
            "d": {"enum": [1, 2]},
        },
    }
    made = compile_schema(schema, "gemini")
    assert made.schema["properties"] == {
        "a": {"type": "string", "nullable": True},
        "b": {"nullable": True, "type": "integer"},
        "c": {"enum": ["x"], "type": "string"},
        "d": {},
    }
    assert paths(made.losses) == ["schema.properties.d.enum"]


def test_all_of_is_merged_and_a_contradiction_listed() -> None:
    schema = {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
            {"type": "string"},
        ]
    }
    made = compile_schema(schema, "anthropic")
    assert made.schema["required"] == ["a", "b"]
    assert made.schema["type"] == "object"
    assert paths(made.losses) == ["schema.allOf"]


def test_nulls_that_only_stand_for_left_out_are_taken_out_again() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": {"$ref": "#/$defs/C"}},
        "$defs": {"C": {"type": "object", "properties": {"d": {"type": "integer"}}}},
    }
    assert without_added_nulls({"a": None, "b": None, "c": {"d": None}}, schema) == {"b": None, "c": {}}
    listed = {"type": "array", "items": schema}
    assert without_added_nulls([{"a": "x", "b": None}], listed) == [{"a": "x", "b": None}]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"$ref": "https://other.example/schema"},
        {"allOf": [{"$ref": "#"}]},
        {"anyOf": []},
        {"type": "object", "properties": {"a": False}},
        {"type": []},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}, "$ref": "#/$defs/A"},
        {"required": ["ghost"], "type": "object"},
    ],
    ids=json.dumps,
)
def test_strange_schemas_come_to_an_end(schema: dict[str, Any], target: SchemaTarget) -> None:
    assert isinstance(compile_schema(schema, target).schema, dict)


@pytest.mark.parametrize("target", TARGETS)
def test_definitions_that_double_at_every_step_come_to_an_end(target: SchemaTarget) -> None:
    names = [f"D{i}" for i in range(30)]
    doubled = {
        a: {"type": "object", "properties": {"l": {"$ref": f"#/$defs/{b}"}, "r": {"$ref": f"#/$defs/{b}"}}}
        for a, b in zip(names, names[1:], strict=False)
    }
    schema = {"$defs": {**doubled, names[-1]: {"type": "string"}}, "$ref": "#/$defs/D0"}
    assert compile_schema(schema, target).schema


# -- property tests

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "integer"}),
    st.builds(lambda n: {"type": "integer", "minimum": n}, st.integers(-3, 3)),
    st.just({"type": ["string", "null"]}),
    st.just({"type": "boolean"}),
    st.just({"enum": ["x", "y"]}),
    st.just({"enum": [1, None]}),
    st.just({"const": "k"}),
    st.just({"type": "string", "minLength": 1, "maxLength": 3}),
    st.just({"$ref": "#/$defs/D"}),
    st.just({"type": "string", "format": "ipv6-ish"}),
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(NAMES, inner, max_size=3)
    return st.one_of(
        st.builds(
            lambda f, r, closed: {
                "type": "object",
                "properties": f,
                "required": sorted(r & set(f)),
                **({"additionalProperties": False} if closed else {}),
            },
            fields,
            st.sets(NAMES),
            st.booleans(),
        ),
        st.builds(lambda i: {"type": "array", "items": i}, inner),
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"oneOf": [a, b]}, inner, inner),
        st.builds(lambda a: {"allOf": [a]}, inner),
    )


NESTED = st.recursive(LEAVES, _objects, max_leaves=8)
SCHEMAS = st.builds(
    lambda f, d: {"type": "object", "properties": f, "required": sorted(f)[:1], "$defs": {"D": d}},
    st.dictionaries(NAMES, NESTED, min_size=1, max_size=3),
    LEAVES.filter(lambda s: "$ref" not in s),
)
VALUES = st.recursive(
    st.sampled_from(["x", "k", "", "long text", 0, 1, -5, True, None]),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def _filled(value: Any, schema: Any, root: dict[str, Any]) -> Any:
    """A value with null for every property that the compiled schema requires and the value leaves out."""
    if "$ref" in schema:
        return _filled(value, root["$defs"]["D"], root)
    for branch in schema.get("anyOf", ()):
        filled = _filled(value, branch, root)
        if Draft202012Validator({**branch, "$defs": root.get("$defs", {})}).is_valid(filled):
            return filled
    if isinstance(value, list):
        return [_filled(v, schema.get("items", {}), root) for v in value]
    if isinstance(value, dict):
        fields = schema.get("properties", {})
        known = {k: _filled(v, fields.get(k, {}), root) for k, v in value.items()}
        return {**dict.fromkeys(schema.get("required", ())), **known}
    return value


def _readable(schema: Any) -> Any:
    """Gemini's ``nullable``, which plain JSON Schema does not have, written as JSON Schema has it."""
    if isinstance(schema, list):
        return [_readable(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: _readable(v) for k, v in schema.items() if k != "nullable"}
    return {"anyOf": [out, {"type": "null"}]} if schema.get("nullable") is True else out


def _declared_only(value: Any, schema: Any, root: dict[str, Any]) -> bool:
    """Whether a value holds no property beyond those that its schema names: such ones are closed without a word."""
    text = json.dumps(schema)
    return not any(f'"{k}"' not in text for k in _keys(value))


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {k for v in value.values() for k in _keys(v)}
    return {k for v in value for k in _keys(v)} if isinstance(value, list) else set()


def _closed(schema: Any) -> Any:
    """The schema as a model is told it: no property that is not named."""
    if isinstance(schema, list):
        return [_closed(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: _closed(v) for k, v in schema.items()}
    return {**out, "additionalProperties": False} if out.get("type") == "object" else out


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.dictionaries(NAMES, VALUES, max_size=3), st.sampled_from(TARGETS))
@example(
    {
        "type": "object",
        "properties": {
            "c": {
                "anyOf": [{"type": "string"}, {"anyOf": [{"type": "object", "properties": {"a": {"type": "string"}}}]}]
            }
        },
    },
    {"c": {}},
    "openai-strict",
)
def test_what_fits_the_given_schema_fits_the_compiled_one(
    schema: dict[str, Any], value: dict[str, Any], target: SchemaTarget
) -> None:
    if not Draft202012Validator(_closed(schema)).is_valid(value):
        return
    made = compile_schema(schema, target)
    narrowed = [loss for loss in made.losses if "only text" in loss.reason]
    if narrowed:
        return
    sent = _readable(made.schema)
    filled = _filled(value, sent, sent)
    assert Draft202012Validator(sent).is_valid(filled), (made.schema, filled)
    if target == "openai-strict":
        assert Draft202012Validator(schema).is_valid(without_added_nulls(filled, schema))


@settings(max_examples=150, deadline=None)
@given(SCHEMAS, st.sampled_from(TARGETS))
def test_without_losses_the_compiled_schema_refuses_what_the_given_one_refuses(
    schema: dict[str, Any], target: SchemaTarget
) -> None:
    made = compile_schema(schema, target)
    if made.losses or target == "gemini":
        return
    for value in ({}, {"a": 1}, {"a": "x", "b": None}, {"a": [], "c": {}}, {"b": "k"}):
        if not Draft202012Validator(schema).is_valid(value):
            assert not Draft202012Validator(made.schema).is_valid(value), made.schema


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "properties", "items", "anyOf", "allOf", "oneOf", "enum", "const", "$ref",
    "$defs", "required", "additionalProperties", "prefixItems", "format", "minItems", "nullable"]), VALUES),
    st.sampled_from(TARGETS))  # fmt: skip
def test_any_json_is_taken_for_a_schema_without_a_foreign_exception(
    schema: dict[str, Any], target: SchemaTarget
) -> None:
    compile_schema(schema, target)
    without_added_nulls({"a": None}, schema)
