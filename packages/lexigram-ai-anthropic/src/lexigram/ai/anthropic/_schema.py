"""A JSON schema as the Messages wire takes it for answers and for strict tools.

Source: Anthropic's docs, "Structured outputs", JSON schema limitations. Objects say ``additionalProperties: false``;
limits of numbers, strings and arrays are not enforced by the vendor, so they go where the model can read them (the
description) and are listed: whoever needs them checks the reply. A schema that keeps to the rules is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.ai.anthropic._values import json_text

__all__ = ["strict_schema"]

_LIMITS: Final = frozenset(
    {
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
        "pattern", "maxItems", "uniqueItems", "minProperties", "maxProperties", "contains", "minContains",
        "maxContains",
    }
)  # fmt: skip
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_NAMED: Final = ("properties", "$defs", "definitions", "patternProperties")
_LISTED: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_ONE: Final = ("items", "not", "additionalProperties")


def strict_schema(schema: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the schema to send, and path and reason of everything in it that the vendor does not enforce.

    Args:
        schema: any JSON schema.
        path: how losses name it.
    """
    losses: list[tuple[str, str]] = []
    return _object(schema, path, losses), losses


def _object(schema: Mapping[str, Any], path: str, losses: list[tuple[str, str]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    moved: dict[str, Any] = {}
    for key, value in schema.items():
        where = f"{path}.{key}"
        if _not_enforced(key, value):
            moved[key] = value
            losses.append((where, "not enforced by the vendor: told to the model in the description"))
        elif key in _NAMED and isinstance(value, Mapping):
            inner = cast("Mapping[str, Any]", value)
            out[key] = {name: _any(of, f"{where}.{name}", losses) for name, of in inner.items()}
        elif key in _LISTED and isinstance(value, list):
            name = "anyOf" if key == "oneOf" else key
            if key == "oneOf":
                losses.append((where, "sent as anyOf: that only one of them fits is not enforced"))
            out[name] = [_any(of, f"{where}[{i}]", losses) for i, of in enumerate(value)]
        elif key in _ONE:
            out[key] = _any(value, where, losses)
        else:
            out[key] = value
    if schema.get("type") == "object" or "properties" in schema:
        extra = schema.get("additionalProperties")
        if extra not in (None, False):
            losses.append((f"{path}.additionalProperties", "further properties are not possible: sent as false"))
        out["additionalProperties"] = False
    if moved:
        told = "{" + ", ".join([f"{k}: {v if isinstance(v, str) else json_text(v)}" for k, v in moved.items()]) + "}"
        said = schema.get("description")
        out["description"] = f"{said}\n\n{told}" if said else told
    return out


def _not_enforced(key: str, value: object) -> bool:
    if key == "minItems":
        return value not in (0, 1)
    return key in _LIMITS or (key == "format" and isinstance(value, str) and value not in _FORMATS)


def _any(value: Any, path: str, losses: list[tuple[str, str]]) -> Any:
    return _object(cast("Mapping[str, Any]", value), path, losses) if isinstance(value, Mapping) else value
