"""What each vendor takes of JSON Schema, as data. Sources: the vendors' own guides, named at each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["RULES", "SILENT", "Rules", "SchemaTarget"]

SchemaTarget: TypeAlias = Literal["openai-strict", "anthropic", "gemini", "cohere", "llamacpp"]
"""A vendor's dialect of JSON Schema."""

SILENT: Final = frozenset({"$schema", "$id", "$comment", "$anchor"})
"""Keywords that say nothing of the values; left out without a word."""

_STRINGS: Final = frozenset({"date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_CORE: Final = frozenset(
    {"type", "enum", "const", "properties", "required", "items", "anyOf", "description", "additionalProperties"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One vendor's subset.

    Attributes:
        keeps: the keywords that it takes.
        formats: the values of ``format`` that it takes.
        closed: every object must forbid further properties.
        all_required: every property must be required; one that is optional becomes nullable.
        refs: it takes ``$ref`` and ``$defs``; without, definitions are written out where they are used.
        recursion: a definition may refer to itself.
        any_value: it takes the empty schema, which any value fits.
        nullable: it says null with ``nullable`` and takes no list of types.
        string_enum: an enumeration holds strings only.
        most_min_items: the largest ``minItems`` that it takes.
    """

    keeps: frozenset[str]
    formats: frozenset[str]
    closed: bool = False
    all_required: bool = False
    refs: bool = True
    recursion: bool = True
    any_value: bool = True
    nullable: bool = False
    string_enum: bool = False
    most_min_items: int | None = None


RULES: Final[dict[SchemaTarget, Rules]] = {
    # OpenAI, guide "Structured model outputs", "Supported schemas"; recorded requests show that it also takes
    # ``default``, the lengths of strings and ``int64``.
    "openai-strict": Rules(
        keeps=_CORE
        | {
            "title",
            "default",
            "minLength",
            "maxLength",
            "format",
            "pattern",
            "multipleOf",
            "maximum",
            "exclusiveMaximum",
            "minimum",
            "exclusiveMinimum",
            "minItems",
            "maxItems",
        },
        formats=_STRINGS | {"int64"},
        closed=True,
        all_required=True,
        any_value=False,
    ),
    # Anthropic, "Structured outputs", "JSON Schema limitations".
    "anthropic": Rules(
        keeps=_CORE | {"title", "default", "format", "pattern", "minItems"},
        formats=_STRINGS | {"uri"},
        closed=True,
        recursion=False,
        most_min_items=1,
    ),
    # Google, reference of ``Schema`` (a subset of OpenAPI 3.0).
    "gemini": Rules(
        keeps=(_CORE - {"const", "additionalProperties"})
        | {
            "title",
            "format",
            "default",
            "example",
            "nullable",
            "propertyOrdering",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "minLength",
            "maxLength",
            "pattern",
            "minimum",
            "maximum",
        },
        formats=frozenset({"date-time", "enum", "float", "double", "int32", "int64"}),
        refs=False,
        recursion=False,
        nullable=True,
        string_enum=True,
    ),
    # Cohere, "Structured outputs", "Unsupported schema features".
    "cohere": Rules(
        keeps=(_CORE - {"anyOf", "additionalProperties"}) | {"title", "format", "pattern"},
        formats=frozenset({"date-time", "date", "time", "uuid"}),
        recursion=False,
    ),
}
