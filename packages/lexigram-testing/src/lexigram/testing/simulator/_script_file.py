"""Scripts from files: JSON, or YAML where PyYAML is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast, get_args

from lexigram.testing.simulator._script import Script, When
from lexigram.testing.simulator._values import Answer, Call, Counts, Failure, FailureKind, FinishReason

__all__ = ["read_script"]

_ANSWER: Final = frozenset({"text", "thinking", "tool_calls", "finish_reason", "refusal", "tokens", "usage", "delay"})
_FAILURE: Final = frozenset({"failure", "message", "status", "retry_after", "param"})


def read_script(path: Path) -> Script:
    """Return the script of a file.

    It is one answer or a list of them. An answer is a text, or an object with the fields of an ``Answer``, or with
    ``failure`` (its kind) and the fields of a ``Failure``. With ``when``, a pattern, each is a rule.

    Raises:
        OSError: where the file cannot be read.
        ValueError: naming the entry and the field that is wrong.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() in (".yaml", ".yml"):
        try:
            import yaml
        except ImportError:
            raise ValueError(f'{path.name} is YAML: pip install "lexigram-testing[simulator]", or write JSON') from None
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(f"{path.name} is no YAML: {error}") from None
    else:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"{path.name} is no JSON: {error}") from None
    if not isinstance(value, list):
        line = _line(value, path.name)
        return [line] if isinstance(line, When) else line
    lines = [_line(entry, f"{path.name}[{i}]") for i, entry in enumerate(cast("list[object]", value))]
    rules = [line for line in lines if isinstance(line, When)]
    if rules and len(rules) != len(lines):
        raise ValueError(f"{path.name} has entries with 'when' and entries without; all or none have it")
    return rules or [line for line in lines if not isinstance(line, When)]


def _line(entry: object, where: str) -> str | Answer | Failure | When:
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is {type(entry).__name__}; an answer is a text or an object")
    fields = dict(cast("dict[str, Any]", entry))
    pattern = fields.pop("when", None)
    allowed = _FAILURE if "failure" in fields else _ANSWER
    unknown = sorted(set(fields) - allowed)
    if unknown:
        raise ValueError(f"{where} has the field {unknown[0]!r}; there are {', '.join(sorted(allowed | {'when'}))}")
    said = _failure(fields, where) if "failure" in fields else _answer(fields, where)
    return said if pattern is None else When(str(pattern), said)


def _failure(fields: Mapping[str, Any], where: str) -> Failure:
    kind = _one_of(fields["failure"], FailureKind, f"{where}.failure")
    return Failure(
        kind,
        str(fields.get("message", "")),
        status=fields.get("status"),
        param=fields.get("param"),
        retry_after=fields.get("retry_after"),
    )


def _answer(fields: Mapping[str, Any], where: str) -> Answer:
    calls = fields.get("tool_calls") or ()
    if not isinstance(calls, list | tuple) or not all(isinstance(c, dict) and "name" in c for c in calls):
        raise ValueError(f"{where}.tool_calls is a list of objects with 'name', 'arguments' and 'id'")
    reason = fields.get("finish_reason")
    usage = fields.get("usage")
    try:
        counts = None if usage is None else Counts(**usage)
    except TypeError:
        raise ValueError(
            f"{where}.usage has {usage}; there are input, output, reasoning, cached, cache_write"
        ) from None
    return Answer(
        text=fields.get("text"),
        thinking=fields.get("thinking"),
        tool_calls=tuple([Call(c["name"], c.get("arguments") or {}, str(c.get("id", ""))) for c in calls]),
        finish_reason=None if reason is None else _one_of(reason, FinishReason, f"{where}.finish_reason"),
        refusal=fields.get("refusal"),
        tokens=fields.get("tokens"),
        usage=counts,
        delay=float(fields.get("delay", 0.0)),
    )


def _one_of(value: object, names: Any, where: str) -> Any:
    allowed = get_args(names)
    if value not in allowed:
        raise ValueError(f"{where} is {value!r}; there are {', '.join(allowed)}")
    return value
