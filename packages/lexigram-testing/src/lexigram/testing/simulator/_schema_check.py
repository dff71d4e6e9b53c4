"""Whether a value conforms to a schema, as far as the simulator makes values: it checks what it made itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["fits", "resolve"]

_DEEPEST: Final = 80


def resolve(reference: str, root: Mapping[str, Any]) -> Any:
    """Return what a reference within the schema points to.

    Raises:
        ValueError: for a reference that leads out of the schema, or nowhere.
    """
    if not reference.startswith("#"):
        raise ValueError(f"the schema refers to {reference!r}; only references within it are followed")
    at: Any = root
    for piece in reference[1:].split("/")[1:]:
        name = piece.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or name not in at:
            raise ValueError(f"the schema refers to {reference!r}, which is not in it")
        at = at[name]
    return at


def fits(value: Any, schema: Any, root: Mapping[str, Any], depth: int = 0) -> bool:
    """Whether a value conforms to a schema within ``root``."""
    if isinstance(schema, bool) or not isinstance(schema, dict):
        return schema is not False
    if depth > _DEEPEST:
        return False
    if "$ref" in schema and not fits(value, resolve(schema["$ref"], root), root, depth + 1):
        return False
    return (
        _fits_plain(value, schema)
        and _fits_ways(value, schema, root, depth)
        and _fits_parts(value, schema, root, depth)
    )


def _fits_plain(value: Any, schema: Mapping[str, Any]) -> bool:
    types = schema.get("type")
    if types is not None and not any(_is(value, t) for t in (types if isinstance(types, list) else [types])):
        return False
    if "const" in schema and not _same(value, schema["const"]):
        return False
    if "enum" in schema and not any(_same(value, v) for v in schema["enum"]):
        return False
    if isinstance(value, str):
        return _within(len(value), schema, "Length") and (
            "pattern" not in schema or re.search(schema["pattern"], value) is not None
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _fits_number(value, schema)
    return True


def _fits_number(value: float, schema: Mapping[str, Any]) -> bool:
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        return False
    if "exclusiveMinimum" in schema and value <= schema["exclusiveMinimum"]:
        return False
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        return False
    step = schema.get("multipleOf")
    return step is None or abs(value / step - round(value / step)) < 1e-9


def _fits_ways(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> bool:
    if not all(fits(value, part, root, depth + 1) for part in schema.get("allOf", ())):
        return False
    if "anyOf" in schema and not any(fits(value, way, root, depth + 1) for way in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(fits(value, way, root, depth + 1) for way in schema["oneOf"]) != 1:
        return False
    return "not" not in schema or not fits(value, schema["not"], root, depth + 1)


def _fits_parts(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> bool:
    if isinstance(value, list):
        prefix = schema.get("prefixItems", ())
        pairs = [*zip(value, prefix, strict=False), *[(v, schema.get("items", True)) for v in value[len(prefix) :]]]
        return (
            _within(len(value), schema, "Items")
            and all(fits(v, s, root, depth + 1) for v, s in pairs)
            and ("contains" not in schema or any(fits(v, schema["contains"], root, depth + 1) for v in value))
            and not (schema.get("uniqueItems") and any(_same(a, b) for i, a in enumerate(value) for b in value[:i]))
        )
    if isinstance(value, dict):
        return (
            _within(len(value), schema, "Properties")
            and all(name in value for name in schema.get("required", ()))
            and all(fits(v, s, root, depth + 1) for n, v in value.items() for s in _of(n, schema))
            and all(fits(n, schema.get("propertyNames", True), root, depth + 1) for n in value)
        )
    return True


def _of(name: str, schema: Mapping[str, Any]) -> list[Any]:
    """Return every schema that a property has to conform to."""
    found = [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, name)]
    if name in schema.get("properties", {}):
        found.append(schema["properties"][name])
    return found or [schema.get("additionalProperties", True)]


def _within(size: int, schema: Mapping[str, Any], word: str) -> bool:
    return bool(schema.get(f"min{word}", 0) <= size <= schema.get(f"max{word}", size))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is(value: Any, type_: str) -> bool:
    if type_ == "integer":
        return not isinstance(value, bool) and (
            isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        )
    if type_ == "number":
        return not isinstance(value, bool) and isinstance(value, int | float)
    known = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}
    return type_ in known and isinstance(value, known[type_])
