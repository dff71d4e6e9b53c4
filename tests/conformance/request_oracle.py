"""Two independent judges of what goes out: the official SDK's parameter types, and OpenAI's own API description.

The SDK's ``TypedDict``s are rebuilt with undeclared keys forbidden, so that a misspelt key fails and not only a
wrong value. The description is used where it is at hand (``LEXIGRAM_SPECS``), relaxed by its errata.
"""

from __future__ import annotations

import collections.abc as cabc
import functools
import json
import types
import typing
from typing import Any, NotRequired, Required

import chat_corpus as corpus
import pydantic
from jsonschema import Draft202012Validator
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from typing_extensions import TypedDict, get_type_hints, is_typeddict


def _bare(hint: Any) -> Any:
    while typing.get_origin(hint) in (Required, NotRequired, typing.Required, typing.NotRequired):
        hint = typing.get_args(hint)[0]
    return hint


def _is_required(hint: Any) -> bool:
    return typing.get_origin(hint) in (Required, typing.Required)


def _closed(hint: Any, seen: dict[Any, Any]) -> Any:
    """The type with every TypedDict in it closed, and lazy iterables read as lists."""
    if is_typeddict(hint):
        if hint not in seen:
            seen[hint] = dict  # a recursive mention is checked as any object
            hints = get_type_hints(hint, include_extras=True)
            fields = {
                name: (Required if _is_required(of) else NotRequired)[_closed(_bare(of), seen)]
                for name, of in hints.items()
            }
            made = TypedDict(f"Closed{len(seen)}_{hint.__name__}", fields)  # type: ignore[operator]
            made.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}
            seen[hint] = made
        return seen[hint]
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_closed(a, seen) for a in args)]  # noqa: UP007  built at run time
    if origin is typing.Annotated:
        return _closed(args[0], seen)
    if origin in (list, cabc.Iterable, cabc.Sequence) or getattr(origin, "__name__", "") == "SequenceNotStr":
        return list[_closed(args[0], seen)]  # type: ignore[misc]
    if origin in (dict, cabc.Mapping):
        return dict[args[0], _closed(args[1], seen)]  # type: ignore[misc,valid-type]
    return hint


@functools.cache
def _adapter(stream: bool) -> pydantic.TypeAdapter[Any]:
    params = CompletionCreateParamsStreaming if stream else CompletionCreateParamsNonStreaming
    return pydantic.TypeAdapter(_closed(params, {}))


def sdk_objections(body: dict[str, Any]) -> list[str]:
    """What the SDK's types have against a body; nothing when it is right."""
    try:
        _adapter(bool(body.get("stream"))).validate_python(body)
    except pydantic.ValidationError as error:
        return [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
    return []


# -- the API description


def _at(root: Any, pointer: str) -> Any:
    for key in pointer.strip("/").split("/"):
        root = root[int(key)] if isinstance(root, list) else root[key.replace("~1", "/").replace("~0", "~")]
    return root


def _relax(spec: dict[str, Any], relaxations: list[dict[str, Any]]) -> None:
    for entry in relaxations:
        if entry.get("side") != "req":
            continue
        try:
            schema = _at(spec, entry["at"])
        except (KeyError, IndexError, ValueError):
            continue
        if entry["kind"] == "drop-required" and entry["value"] in schema.get("required", ()):
            schema["required"] = [r for r in schema["required"] if r != entry["value"]]
        elif entry["kind"] == "allow-type" and isinstance(schema.get("type"), str):
            schema["type"] = [schema["type"], entry["value"]]
        elif entry["kind"] == "allow-enum" and "enum" in schema:
            schema["enum"] = [*schema["enum"], entry["value"]]


@functools.cache
def _spec() -> dict[str, Any] | None:
    path = corpus.SPECS / "openai.json"
    if not path.is_file():
        return None
    spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    errata = corpus.SPECS / "errata" / "openai.json"
    if errata.is_file():
        _relax(spec, json.loads(errata.read_text(encoding="utf-8"))["relaxations"])
    return spec


def has_spec() -> bool:
    return _spec() is not None


def _declared(schema: Any, spec: dict[str, Any], seen: set[str]) -> set[str]:
    """The property names that an object schema declares, through references and combinations."""
    names: set[str] = set()
    if "$ref" in schema and schema["$ref"] not in seen:
        seen.add(schema["$ref"])
        names |= _declared(_at(spec, schema["$ref"].lstrip("#")), spec, seen)
    names |= set(schema.get("properties", {}))
    for word in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(word, ()):
            names |= _declared(inner, spec, seen)
    return names


def spec_objections(body: dict[str, Any]) -> list[str]:
    """What OpenAI's API description has against a body."""
    spec = _spec()
    assert spec is not None
    operation = spec["paths"]["/chat/completions"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    undeclared = set(body) - _declared(schema, spec, set())
    found = [f"undeclared key {name!r}" for name in sorted(undeclared)]
    validator = Draft202012Validator({**schema, "components": spec["components"]})
    return found + [f"{e.json_path}: {e.message[:150]}" for e in list(validator.iter_errors(body))[:5]]
