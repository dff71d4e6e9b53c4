"""References within a schema, and ``allOf`` as one schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

__all__ = ["merged", "resolve"]

_ANNOTATIONS = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})


def resolve(root: Mapping[str, Any], ref: str) -> Any:
    """Return what a reference within the schema names, or None (another document, a broken pointer)."""
    if ref == "#":
        return root
    if not ref.startswith("#/"):
        return None
    found: Any = root
    for step in ref[2:].split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = cast("Mapping[str, Any]", found).get(key)
        elif (
            isinstance(found, list) and key.isascii() and key.isdigit() and int(key) < len(cast("Sequence[Any]", found))
        ):
            found = cast("Sequence[Any]", found)[int(key)]
        else:
            return None
    return found


def merged(
    root: Mapping[str, Any], schema: Mapping[str, Any], path: str, lose: Callable[[str, str], None]
) -> dict[str, Any]:
    """Return the schema with its ``allOf`` merged in. What two parts say differently is said by the first alone."""
    out = {k: v for k, v in schema.items() if k != "allOf"}
    waiting = [(part, frozenset[str]()) for part in schema["allOf"]]
    while waiting:
        part, through = waiting.pop(0)
        if part is True:
            continue
        if not isinstance(part, Mapping):
            lose(f"{path}.allOf", "a part that nothing fits is left out")
            continue
        fields = dict(cast("Mapping[str, Any]", part))
        ref = fields.pop("$ref", None)
        if isinstance(ref, str):
            if ref in through or resolve(root, ref) is None:
                lose(f"{path}.allOf", f"the part {ref} cannot be written out and is left out")
            else:
                waiting.insert(0, (resolve(root, ref), through | {ref}))
        inner = fields.pop("allOf", None)
        if isinstance(inner, list):
            waiting[:0] = [(p, through) for p in cast("Sequence[Any]", inner)]
        _merge(out, fields, path, lose)
    return out


def _merge(out: dict[str, Any], part: dict[str, Any], path: str, lose: Callable[[str, str], None]) -> None:
    for keyword, value in part.items():
        old = out.get(keyword)
        if keyword not in out:
            out[keyword] = value
        elif keyword == "properties" and isinstance(value, Mapping) and isinstance(old, Mapping):
            both: dict[str, Any] = dict(cast("Mapping[str, Any]", old))
            for name, inner in cast("Mapping[str, Any]", value).items():
                both[name] = inner if both.get(name, inner) == inner else {"allOf": [both[name], inner]}
            out[keyword] = both
        elif keyword == "required" and isinstance(value, list) and isinstance(old, list):
            out[keyword] = list(dict.fromkeys([*cast("Sequence[Any]", old), *cast("Sequence[Any]", value)]))
        elif value != old and keyword not in _ANNOTATIONS:
            lose(f"{path}.allOf", f"two parts say {keyword!r} differently: only the first is asked for")
