"""A client for the simulator in this process, and the vendors' own descriptions of their wires."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from lexigram.testing.simulator import Simulator

SPECS = Path(os.environ.get("LEXIGRAM_SPECS", Path(__file__).resolve().parents[4].parent / "shared" / "specs"))

UNDECLARED = {
    "frequency_penalty",
    "presence_penalty",
    "store",
    "output_tokens_details",
    "reasoning_content",
    "lifecycle",
}
"""What real replies or the newest SDKs have although no description declares it; the reasoning is DeepSeek's."""


class Asker:
    """Posts JSON to a simulator in this process."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    async def send(self, path: str, body: Any = None, *, method: str | None = None, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.simulator)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
            verb = method or ("GET" if body is None else "POST")
            if isinstance(body, bytes):
                return await client.request(verb, path, content=body, headers=named)
            return await client.request(verb, path, json=body, headers=named)

    async def chat(self, text: str = "Hi", **more: Any) -> httpx.Response:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
        return await self.send("/openai/v1/chat/completions", body, authorization="Bearer k")

    async def text(self, text: str = "Hi", **more: Any) -> str:
        reply = await self.chat(text, **more)
        assert reply.status_code == 200, reply.text
        content: str = reply.json()["choices"][0]["message"]["content"]
        return content

    async def responses(self, input: Any = "Hi", **more: Any) -> httpx.Response:
        body = {"model": "gpt-5", "input": input, **more}
        return await self.send("/openai/v1/responses", body, authorization="Bearer k")

    async def messages(self, text: str = "Hi", **more: Any) -> httpx.Response:
        body = {"model": "claude", "max_tokens": 4000, "messages": [{"role": "user", "content": text}], **more}
        return await self.send("/anthropic/v1/messages", body, x_api_key="k", anthropic_version="2023-06-01")


@pytest.fixture
def ask() -> Callable[..., Asker]:
    """Make a simulator and one who asks it: ``ask("script", seed=1)``."""
    return lambda *args, **kwargs: Asker(Simulator(*args, **kwargs))


def events(reply: httpx.Response) -> list[dict[str, Any]]:
    """The JSON of a stream's events."""
    data = [line[6:] for line in reply.text.split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in data if line != "[DONE]"]


@pytest.fixture
def read_events() -> Callable[[httpx.Response], list[dict[str, Any]]]:
    return events


@functools.cache
def description(name: str) -> dict[str, Any]:
    """A vendor's description, relaxed by what its real replies are known to leave out or to add."""
    spec: dict[str, Any] = json.loads((SPECS / f"{name}.json").read_text(encoding="utf-8"))
    errata = json.loads((SPECS / "errata" / f"{name}.json").read_text(encoding="utf-8"))
    for entry in errata["relaxations"]:
        if entry["side"] != "req":
            _relax(spec, entry)
    loose: dict[str, Any] = _any_of(spec)
    return loose


def _relax(spec: dict[str, Any], entry: dict[str, Any]) -> None:
    schema: Any = spec
    try:
        for piece in entry["at"].split("/")[1:]:
            name = piece.replace("~1", "/").replace("~0", "~")
            schema = schema[int(name)] if isinstance(schema, list) else schema[name]
    except (KeyError, IndexError, ValueError):
        return
    if entry["kind"] == "drop-required" and entry["value"] in schema.get("required", ()):
        schema["required"] = [name for name in schema["required"] if name != entry["value"]]
    elif entry["kind"] == "allow-type" and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], entry["value"]]
    elif entry["kind"] == "allow-enum" and "enum" in schema:
        schema["enum"] = [*schema["enum"], entry["value"]]


def _any_of(value: Any) -> Any:
    """Plain JSON Schema: ``oneOf`` with a discriminator means the one that it names; ``nullable`` is OpenAPI 3.0's."""
    if isinstance(value, list):
        return [_any_of(v) for v in value]
    if not isinstance(value, dict):
        return value
    out = {("anyOf" if k == "oneOf" and "anyOf" not in value else k): _any_of(v) for k, v in value.items()}
    if out.get("nullable") is True and isinstance(out.get("type"), str):
        out["type"] = [out["type"], "null"]
        if "enum" in out:
            out["enum"] = [*out["enum"], None]
    return out


def _flat(schema: Any, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema and all that it refers to or combines."""
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        return _flat(spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]], spec)
    inner = [part for word in ("allOf", "anyOf", "oneOf") for part in schema.get(word, ())]
    return [schema, *[found for part in inner for found in _flat(part, spec)]]


def _undeclared(value: Any, schemas: list[dict[str, Any]], spec: dict[str, Any], at: str) -> list[str]:
    """The keys that no schema of their object knows."""
    if isinstance(value, list):
        items = [found for s in schemas for found in _flat(s.get("items"), spec)]
        return [key for i, item in enumerate(value) for key in _undeclared(item, items, spec, f"{at}[{i}]")]
    if not isinstance(value, dict) or not any("properties" in s for s in schemas):
        return []
    found: list[str] = []
    free = any(s.get("additionalProperties", False) is not False for s in schemas)
    for name, inner in value.items():
        known = [s["properties"][name] for s in schemas if name in s.get("properties", {})]
        if known:
            found += _undeclared(inner, [f for s in known for f in _flat(s, spec)], spec, f"{at}.{name}")
        elif not free and name not in UNDECLARED:
            found.append(f"{at}.{name}: is not declared")
    return found


@pytest.fixture
def objections() -> Callable[[str, str, Any], list[str]]:
    """What a vendor's description has against a value: ``objections("openai", "Response", value)``."""

    def check(name: str, schema: str, value: Any) -> list[str]:
        if not (SPECS / f"{name}.json").is_file():
            pytest.skip(f"no descriptions in {SPECS}; set LEXIGRAM_SPECS")
        spec = description(name)
        at = {"$ref": f"#/components/schemas/{schema}", "components": spec["components"]}
        found = Draft202012Validator(at).iter_errors(value)
        wrong = [f"{error.json_path}: {error.message[:200]}" for error in found]
        return wrong + _undeclared(value, _flat({"$ref": at["$ref"]}, spec), spec, "$")

    return check
