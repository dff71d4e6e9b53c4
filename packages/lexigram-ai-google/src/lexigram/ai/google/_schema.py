"""Schemas of answers and tools: what Google takes of JSON schema, and what stays behind.

Source: "GenerationConfig.responseJsonSchema" in the Gemini API's reference, which lists the keywords (``default`` is
not in the list and is taken); tools take the same ones in ``parametersJsonSchema``. What is left out is a
:class:`Loss`: whoever asked for the form checks the answer against the whole schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.wire import Loss

__all__ = ["compile_schema"]

_KEPT: Final = frozenset(
    {
        "$id", "$ref", "$anchor", "type", "format", "title", "description", "enum", "minItems", "maxItems", "minimum",
        "maximum", "required", "propertyOrdering", "nullable", "default",
    }
)  # fmt: skip
_BY_NAME: Final = ("$defs", "definitions", "properties")
_LISTS: Final = ("anyOf", "oneOf", "prefixItems")
_SINGLE: Final = ("items", "additionalProperties")
_SAYS_NOTHING: Final = ("$schema", "$comment")
_DEEPEST: Final = 100


def compile_schema(schema: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[Loss]]:
    """Return the schema as Google takes it, and what it does not take.

    Args:
        schema: any JSON schema.
        path: where it stands in the request, for the losses.

    Raises:
        InvalidRequestError: for a schema that is nested more than 100 deep.
    """
    losses: list[Loss] = []
    return _object(schema, path, losses, 0), losses


def _schema(schema: Any, path: str, losses: list[Loss], depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if depth > _DEEPEST:
        raise InvalidRequestError(f"{path}: the schema is nested too deeply")
    return _object(cast("Mapping[str, Any]", schema), path, losses, depth)


def _object(schema: Mapping[str, Any], path: str, losses: list[Loss], depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    deeper = depth + 1
    for name, value in schema.items():
        where = f"{path}.{name}"
        if "$ref" in schema and not name.startswith("$") and name not in _BY_NAME:
            losses.append(Loss(where, "Google takes nothing beside $ref"))
        elif name in _BY_NAME and isinstance(value, Mapping):
            named = cast("Mapping[str, Any]", value)
            inner = {key: _schema(of, f"{where}.{key}", losses, deeper) for key, of in named.items()}
            out["$defs" if name == "definitions" else name] = inner
        elif name in _LISTS and isinstance(value, list):
            out[name] = [_schema(of, f"{where}[{i}]", losses, deeper) for i, of in enumerate(value)]
        elif name in _SINGLE:
            out[name] = _schema(value, where, losses, deeper)
        elif name == "$ref" and isinstance(value, str):
            out[name] = value.replace("#/definitions/", "#/$defs/")
        elif name == "const" and isinstance(value, str | int | float) and not isinstance(value, bool):
            out["enum"] = [value]
        elif name == "enum" and not _plain_enum(value):
            losses.append(Loss(where, "Google takes enums of strings and numbers only"))
        elif name in ("exclusiveMinimum", "exclusiveMaximum") and _is_integer(schema, value):
            out["minimum" if name == "exclusiveMinimum" else "maximum"] = value + (1 if "Min" in name else -1)
        elif name == "allOf" and isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
            for key, of in _object(cast("Mapping[str, Any]", value[0]), f"{where}[0]", losses, deeper).items():
                out.setdefault(key, of)
        elif name in _KEPT:
            out[name] = value
        elif name not in _SAYS_NOTHING:
            losses.append(Loss(where, f"Google's schemas have no {name!r}; the answer is not held to it there"))
    return out


def _plain_enum(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str | int | float) and not isinstance(v, bool) for v in value)


def _is_integer(schema: Mapping[str, Any], value: Any) -> bool:
    return schema.get("type") == "integer" and type(value) is int
