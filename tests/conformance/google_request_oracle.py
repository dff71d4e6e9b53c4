"""Two independent judges of what goes out: the official SDK's types, and Google's own API descriptions.

The SDK's models forbid undeclared keys. The descriptions (``LEXIGRAM_SPECS``) are closed here: an object with
declared properties takes no other.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import google_corpus as corpus
import pydantic
from google.genai import types
from jsonschema import Draft202012Validator
from request_oracle import _relax

_TOP = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "generationConfig": types.GenerationConfig,
    "safetySettings": list[types.SafetySetting],
    "cachedContent": str,
    "labels": dict[str, str],
    "serviceTier": str,
    "store": bool,
}
SPECS = {"gemini": ("gemini", "GenerateContentRequest"), "vertex": ("vertex", "GoogleCloudAiplatformV1GenerateContentRequest")}  # fmt: skip


def sdk_objections(body: dict[str, Any]) -> list[str]:
    """What the SDK's types have against a body; nothing when it is right."""
    found = [f"undeclared key {name!r}" for name in body if name not in _TOP]
    for name, value in body.items():
        if name not in _TOP:
            continue
        try:
            pydantic.TypeAdapter(_TOP[name]).validate_json(json.dumps(value))
        except pydantic.ValidationError as error:
            found += [f"{name}.{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
    return found


@functools.cache
def _spec(name: str) -> dict[str, Any] | None:
    path = corpus.SPECS / f"{name}.json"
    if not path.is_file():
        return None
    spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    errata = corpus.SPECS / "errata" / f"{name}.json"
    if errata.is_file():
        _relax(spec, json.loads(errata.read_text(encoding="utf-8"))["relaxations"])
    for schema in spec["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return spec


def has_specs() -> bool:
    return all(_spec(name) is not None for name, _ in SPECS.values())


def spec_objections(body: dict[str, Any], vendor: str, schema: str | None = None) -> list[str]:
    """What Google's API description has against a body."""
    name, request = SPECS[vendor]
    spec = _spec(name)
    assert spec is not None
    whole = {"$ref": f"#/components/schemas/{schema or request}", "components": spec["components"]}
    return [f"{e.json_path}: {e.message[:150]}" for e in list(Draft202012Validator(whole).iter_errors(body))[:5]]
