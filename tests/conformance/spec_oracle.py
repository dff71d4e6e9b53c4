"""What a vendor's own API description has against a request body: wrong values, and keys that it does not declare.

The descriptions are not part of the repository: ``LEXIGRAM_SPECS``, else beside the checkout.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from chat_corpus import SPECS
from jsonschema import Draft202012Validator
from request_oracle import _at, _relax


def available(name: str) -> bool:
    return (SPECS / f"{name}.json").is_file()


@functools.cache
def _spec(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text(encoding="utf-8"))
    errata = SPECS / "errata" / f"{name}.json"
    if errata.is_file():
        _relax(spec, json.loads(errata.read_text(encoding="utf-8"))["relaxations"])
    _loosen(spec)
    return spec


def _loosen(node: Any) -> None:
    """``oneOf`` with a discriminator means the one that it names; JSON Schema alone cannot tell them apart."""
    if isinstance(node, dict):
        if "oneOf" in node and isinstance(node["oneOf"], list):
            node["anyOf"] = [*node.get("anyOf", []), *node.pop("oneOf")]
        for inner in node.values():
            _loosen(inner)
    elif isinstance(node, list):
        for inner in node:
            _loosen(inner)


def _flat(schema: Any, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema and everything that it refers to or combines, without references."""
    if "$ref" in schema:
        return _flat(_at(spec, schema["$ref"].lstrip("#")), spec)
    out = [schema]
    for word in ("allOf", "anyOf"):
        for inner in schema.get(word, ()):
            out += _flat(inner, spec)
    return out


def _undeclared(value: Any, schemas: list[dict[str, Any]], spec: dict[str, Any], path: str) -> list[str]:
    if isinstance(value, list):
        items = [f for s in schemas if isinstance(s.get("items"), dict) for f in _flat(s["items"], spec)]
        return [o for i, item in enumerate(value) for o in _undeclared(item, items, spec, f"{path}[{i}]")]
    if not isinstance(value, dict) or not any("properties" in s for s in schemas):
        return []
    free = any(s.get("additionalProperties") for s in schemas)
    found: list[str] = []
    for name, inner in value.items():
        of = [f for s in schemas if name in s.get("properties", {}) for f in _flat(s["properties"][name], spec)]
        if of:
            found += _undeclared(inner, of, spec, f"{path}.{name}")
        elif not free:
            found.append(f"undeclared key {path}.{name}")
    return found


def objections(name: str, path: str, body: dict[str, Any]) -> list[str]:
    """Return what the description ``name`` has against a body sent to ``path``."""
    spec = _spec(name)
    schema = spec["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": spec["components"]})
    wrong = [f"{e.json_path}: {e.message[:150]}" for e in list(validator.iter_errors(body))[:5]]
    return _undeclared(body, _flat(schema, spec), spec, "$") + wrong
