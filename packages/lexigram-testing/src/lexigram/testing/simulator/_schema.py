"""JSON that conforms to a schema: made by chance, then checked, and made again where chance failed it.

Knows types, enum, const, bounds, lengths, patterns, formats, arrays, objects, anyOf, oneOf, allOf, not and references
within the schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, cast

from lexigram.testing.simulator._pattern import text_for
from lexigram.testing.simulator._schema_check import fits, resolve
from lexigram.testing.simulator._words import WORDS, letters

__all__ = ["UnmetSchemaError", "example"]

_TRIES: Final = 60
_SHALLOW: Final = 3
_DEEPEST: Final = 24
_ANY: Final[Mapping[str, Any]] = {"type": "string"}


class UnmetSchemaError(ValueError):
    """No value was found that conforms to the schema."""


class _TooDeep(Exception):  # a road that does not end; another one may
    pass


def example(schema: Mapping[str, Any], random: Random) -> Any:
    """Return a value that conforms to a schema: the same for the same schema and chance.

    Raises:
        UnmetSchemaError: where none was found: the schema contradicts itself, or is beyond what is known here.
    """
    maker = _Maker(schema, random)
    for _ in range(_TRIES):
        try:
            value = maker.value(schema, 0)
        except _TooDeep:
            continue
        if fits(value, schema, schema):
            return value
    raise UnmetSchemaError("no value was found that conforms to the schema")


class _Maker:
    def __init__(self, root: Mapping[str, Any], random: Random) -> None:
        self._root = root
        self._random = random

    def value(self, schema: Any, depth: int) -> Any:
        if depth > _DEEPEST:
            raise _TooDeep
        schema = self._simple(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        makers: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda schema, depth: self._random.random() < 0.5,
            "null": lambda schema, depth: None,
        }
        type_ = self._type(schema, depth)
        if type_ not in makers:
            raise UnmetSchemaError(f"the schema has the type {type_!r}; there are {', '.join(makers)}")
        return makers[type_](schema, depth)

    def _simple(self, schema: Any, depth: int) -> Mapping[str, Any]:
        """Follow references, merge ``allOf`` and take one way of ``anyOf`` and ``oneOf``."""
        if schema is True:
            return _ANY
        if schema is False:
            raise _TooDeep
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                rest = {k: v for k, v in schema.items() if k != "$ref"}
                schema = _merged(rest, resolve(schema["$ref"], self._root))
            elif "allOf" in schema:
                rest = {k: v for k, v in schema.items() if k != "allOf"}
                for part in schema["allOf"]:
                    rest = _merged(rest, part)
                schema = rest
            elif "anyOf" in schema or "oneOf" in schema:
                word = "anyOf" if "anyOf" in schema else "oneOf"
                rest = {k: v for k, v in schema.items() if k != word}
                schema = _merged(rest, self._way(schema[word], depth))
            else:
                return cast("Mapping[str, Any]", schema)
        raise _TooDeep

    def _way(self, ways: Sequence[Any], depth: int) -> Any:
        if depth > _SHALLOW:
            plain = [way for way in ways if not _leads_on(way)]
            return self._random.choice(plain or ways)
        return self._random.choice(ways)

    def _type(self, schema: Mapping[str, Any], depth: int) -> str:
        type_ = schema.get("type")
        if isinstance(type_, list):
            types = cast("list[str]", type_)
            flat = [t for t in types if t not in ("object", "array")] if depth > _SHALLOW else []
            return self._random.choice(flat or types)
        if isinstance(type_, str):
            return type_
        for words, implied in _IMPLIED:
            if any(word in schema for word in words):
                return implied
        return "string"

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties") or {}
        required = list(dict.fromkeys(schema.get("required") or ()))
        least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
        optional = [name for name in properties if name not in required]
        generous = 0.7 if depth <= _SHALLOW else 0.0
        names = [n for n in properties if n in required or self._random.random() < generous]
        names += [n for n in required if n not in properties]
        names += [n for n in optional if n not in names][: max(least - len(names), 0)]
        while len(names) > most and any(n in optional for n in names):
            names.remove(next(n for n in reversed(names) if n in optional))
        more = schema.get("additionalProperties", True)
        out = {n: self.value(properties.get(n, more), depth + 1) for n in names}
        wanted = max(least, 1 if not properties and isinstance(more, dict) and depth <= _SHALLOW else 0)
        patterns: Mapping[str, Any] = schema.get("patternProperties") or {}
        for _ in range(20):
            if len(out) >= min(wanted, most):
                break
            if patterns:
                pattern = self._random.choice(list(patterns))
                out[text_for(pattern, self._random) or pattern] = self.value(patterns[pattern], depth + 1)
            elif more is not False:
                naming = schema.get("propertyNames")
                name = self.value({"type": "string", **naming}, depth + 1) if isinstance(naming, dict) else self._word()
                out[name] = self.value(more, depth + 1)
        return out

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        prefix: Sequence[Any] = schema.get("prefixItems") or ()
        items = schema.get("items", True)
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", math.inf)
        if items is False:
            most = min(most, len(prefix))
        usual = max(least, len(prefix)) + (self._random.randint(0 if least or prefix else 1, 2) if depth <= 3 else 0)
        out: list[Any] = [self.value(part, depth + 1) for part in prefix[: int(min(usual, most))]]
        for _ in range(40):
            if len(out) >= min(usual, most):
                break
            value = self.value(items, depth + 1)
            if not (schema.get("uniqueItems") and value in out):
                out.append(value)
        if "contains" in schema and not any(fits(v, schema["contains"], self._root) for v in out):
            wanted = self.value(schema["contains"], depth + 1)
            out = [*out[:-1], wanted] if len(out) >= most else [*out, wanted]
        return out

    def _string(self, schema: Mapping[str, Any], depth: int) -> str:
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if "pattern" in schema:
            found = [text_for(schema["pattern"], self._random) for _ in range(12)]
            texts = [text for text in found if text is not None and least <= len(text) <= most]
            if not texts:
                raise UnmetSchemaError(f"no text was found for the pattern {schema['pattern']!r}")
            return texts[0]
        make = _FORMATS.get(schema.get("format", ""))
        if make is not None:
            return make(self._random)
        text = " ".join(self._word() for _ in range(self._random.randint(1, 4)))
        while len(text) < least:
            text += " " + self._word()
        return text if len(text) <= most else (text[: int(most)].rstrip() or "a" * int(most)).ljust(least, "a")

    def _integer(self, schema: Mapping[str, Any], depth: int) -> int:
        low, high, step = _bounds(schema, 1.0)
        if not float(step).is_integer():
            step *= 10 ** len(str(step).partition(".")[2])
        first, last = math.ceil(low / step), math.floor(high / step)
        if first > last:
            raise _TooDeep
        return int(self._random.randint(first, last) * int(step))

    def _number(self, schema: Mapping[str, Any], depth: int) -> float:
        low, high, step = _bounds(schema, 0.0)
        if step:
            first, last = math.ceil(low / step), math.floor(high / step)
            if first > last:
                raise _TooDeep
            value = self._random.randint(first, last) * step
            return round(value, 12)
        value = self._random.uniform(low, high)
        short = round(value, 2)
        return short if low <= short <= high else value

    def _word(self) -> str:
        return self._random.choice(WORDS)


_IMPLIED: Final = (
    (("properties", "required", "additionalProperties", "minProperties", "patternProperties"), "object"),
    (("items", "prefixItems", "minItems", "maxItems", "contains"), "array"),
    (("minLength", "maxLength", "pattern", "format"), "string"),
    (("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
)


def _bounds(schema: Mapping[str, Any], whole: float) -> tuple[float, float, float]:
    """Return the least and the greatest number and the step between numbers; a step of 0 is any."""
    low, high = schema.get("minimum"), schema.get("maximum")
    step = schema.get("multipleOf", whole)
    nudge = 1.0 if whole else 1e-6
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None:
        above = math.floor(above) + nudge if whole else above + max(nudge, abs(above) * 1e-12)
        low = above if low is None else max(low, above)
    if below is not None:
        below = math.ceil(below) - nudge if whole else below - max(nudge, abs(below) * 1e-12)
        high = below if high is None else min(high, below)
    span = 1000 * (step or 1)
    if low is None:
        low = 0 if high is None or high >= 0 else high - span
    if high is None:
        high = low + span
    if low > high:
        raise _TooDeep
    return low, high, step


def _leads_on(schema: Any) -> bool:
    """Whether a way leads deeper."""
    if not isinstance(schema, dict):
        return False
    return "$ref" in schema or schema.get("type") in ("object", "array") or "properties" in schema or "items" in schema


def _merged(one: Any, other: Any) -> Any:
    """Return what both schemas demand."""
    if one is False or other is False:
        return False
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one if isinstance(one, dict) else other
    out: dict[str, Any] = dict(one)
    for word, value in other.items():
        if word not in out:
            out[word] = value
        elif word == "properties":
            names = dict.fromkeys([*out[word], *value])
            out[word] = {n: _merged(out[word].get(n, True), value.get(n, True)) for n in names}
        elif word == "required":
            out[word] = [*out[word], *value]
        elif word in ("$defs", "definitions"):
            out[word] = {**out[word], **value}
        elif word in ("minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum"):
            out[word] = max(out[word], value)
        elif word in ("maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum"):
            out[word] = min(out[word], value)
        elif word == "enum":
            out[word] = [v for v in out[word] if v in value]
            if not out[word]:
                return False
        elif word == "type":
            out[word] = _common_type(out[word], value)
        elif word in ("items", "additionalProperties", "contains"):
            out[word] = _merged(out[word], value)
        elif word in ("anyOf", "oneOf") and out[word] != value:
            out["allOf"] = [*out.get("allOf", ()), {word: value}]
        elif word == "allOf":
            out[word] = [*out[word], *value]
        else:
            out[word] = value
    return out


def _common_type(one: Any, other: Any) -> Any:
    left = one if isinstance(one, list) else [one]
    right = other if isinstance(other, list) else [other]
    both = [t for t in left if t in right or (t == "integer" and "number" in right)]
    both += ["integer"] if "number" in left and "integer" in right else []
    if not both:
        raise _TooDeep
    return both[0] if len(both) == 1 else both


def _date(random: Random) -> str:
    return f"{random.randint(1970, 2037)}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"


def _time(random: Random) -> str:
    return f"{random.randint(0, 23):02}:{random.randint(0, 59):02}:{random.randint(0, 59):02}Z"


def _uuid(random: Random) -> str:
    text = f"{random.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


_FORMATS: Final[Mapping[str, Callable[[Random], str]]] = {
    "date": _date,
    "time": _time,
    "date-time": lambda random: f"{_date(random)}T{_time(random)}",
    "duration": lambda random: f"P{random.randint(1, 30)}D",
    "email": lambda random: f"{random.choice(WORDS)}.{letters(random, 4).lower()}@example.com",
    "hostname": lambda random: f"{random.choice(WORDS)}.example.com",
    "ipv4": lambda random: f"192.0.2.{random.randint(1, 254)}",
    "ipv6": lambda random: f"2001:db8::{random.randint(1, 0xFFFF):x}",
    "uuid": _uuid,
    "uri": lambda random: f"https://example.com/{random.choice(WORDS)}",
}
