"""What certifying the simulator with a client needs: a simulator that says known things, and a list of checks."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from lexigram.testing.simulator import Answer, Call, Failure, Question, Server, Simulator
from lexigram.testing.simulator._values import FailureKind

KEY = "sim-key-0123456789"
TEXT = 'Grüße, 世界! 🌍 "quoted" \\ end.\nSecond line.'
PLAN = "Let me look that up."
CALLS = (("weather", {"city": "Zürich", "days": 3}), ("clock", {"zone": "CET"}))
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
CLOCK: dict[str, Any] = {
    "type": "object",
    "properties": {"zone": {"type": "string"}},
    "required": ["zone"],
    "additionalProperties": False,
}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
RETRY_AFTER = 2.0
KINDS: tuple[FailureKind, ...] = get_args(FailureKind)
MODELS = (
    "gpt-5-mini", "text-embedding-3-small", "claude-sonnet-4-5", "gemini-2.5-flash", "gemini-3-flash-preview",
    "gemini-embedding-001", "command-a-03-2025", "embed-v4.0", "qwen3:4b", "nomic-embed-text", "mistral-small-latest",
    "mistral-embed", "anthropic.claude-sonnet-4-20250514-v1:0",
)  # fmt: skip


def says(question: Question) -> Answer | Failure:
    """The script: the last user message tells what happens."""
    text = question.text
    if text.startswith("fail "):
        kind = next(kind for kind in KINDS if kind == text.removeprefix("fail "))
        limited = kind == "rate_limit"
        return Failure(kind, retry_after=RETRY_AFTER if limited else None, param="requests" if limited else None)
    if question.results:
        return Answer("The tools said: " + " & ".join(result.text for result in question.results))
    if text == "call" and question.tools:
        return Answer(PLAN, tool_calls=tuple(Call(name, dict(arguments)) for name, arguments in CALLS))
    return Answer() if question.schema is not None else Answer(TEXT)


@dataclass(frozen=True)
class Ground:
    """Where the clients are sent."""

    simulator: Simulator
    server: Server
    """All is well there."""
    broken: Server
    """There every stream ends with an error."""

    def url(self, vendor: str) -> str:
        return self.server.base_urls[vendor]


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    from lexigram.testing.simulator import Faults

    simulator = Simulator(says, keys=[KEY], models=MODELS)
    faulty = Simulator(says, faults=Faults(1.0, ("error",)))
    with simulator.run_in_thread() as server, faulty.run_in_thread() as broken:
        yield Ground(simulator, server, broken)
    assert threading.active_count() < 50


@dataclass(frozen=True)
class Check:
    """A client can do this over that wire."""

    sdk: str
    wire: str
    feature: str
    run: Callable[[Ground], None]

    def __str__(self) -> str:
        return f"{self.sdk}-{self.wire}-{self.feature}"


CHECKS: list[Check] = []


def certifies(sdk: str, wire: str, *features: str) -> Callable[[Callable[[Ground], None]], Callable[[Ground], None]]:
    """List a function as the check of these features."""

    def listed(function: Callable[[Ground], None]) -> Callable[[Ground], None]:
        CHECKS.extend(Check(sdk, wire, feature, function) for feature in features)
        return function

    return listed


def extras(value: Any, path: str = "") -> Iterator[str]:
    """Give what a pydantic object was given and has no field for, however deep."""
    if isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from extras(item, f"{path}[{i}]")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from extras(item, f"{path}.{name}")
    elif hasattr(type(value), "model_fields"):
        for name in value.model_extra or {}:
            yield f"{path}.{name}"
        for name in type(value).model_fields:
            yield from extras(getattr(value, name, None), f"{path}.{name}")


def exact(value: Any, *allowed: str) -> Any:
    """Check that the SDK's type knows every field; return the value."""
    found = [path for path in extras(value) if path.rpartition(".")[2] not in allowed]
    assert not found, f"{type(value).__name__} has no field for {found}"
    return value


def holds(type_: Any, raw: Any, *allowed: str) -> None:
    """Check that a type of the SDK reads a JSON value, all of it but for the fields that are allowed."""
    from pydantic import TypeAdapter

    read = TypeAdapter(type_).validate_python(raw)
    kept = TypeAdapter(type_).dump_python(read, mode="json", by_alias=True, exclude_unset=True)
    lost = [path for path in (*_lost(raw, kept, ""), *extras(read)) if path.rpartition(".")[2] not in allowed]
    assert not lost, f"no place for {lost} in {type_}"


def _lost(raw: Any, kept: Any, path: str) -> Iterator[str]:
    if isinstance(raw, dict) and isinstance(kept, dict):
        for name, value in raw.items():
            if name not in kept:
                yield f"{path}.{name}"
            else:
                yield from _lost(value, kept[name], f"{path}.{name}")
    elif isinstance(raw, list) and isinstance(kept, list):
        for i, (value, other) in enumerate(zip(raw, kept, strict=True)):
            yield from _lost(value, other, f"{path}[{i}]")


def posted(url: str, body: dict[str, Any], **headers: str) -> Any:
    """Return the raw reply to a request with the key."""
    import httpx

    return httpx.post(url, json=body, headers={"authorization": f"Bearer {KEY}", **headers}).raise_for_status()


def fits(text: str) -> None:
    """Check that a text is JSON that conforms to PERSON."""
    import jsonschema

    jsonschema.validate(json.loads(text), PERSON)


def fails(error: type[Exception], call: Callable[[], Any]) -> Any:
    """Return the error that the call raises."""
    try:
        said = call()
    except error as caught:
        return caught
    raise AssertionError(f"no {error.__name__}, but {said!r}")
