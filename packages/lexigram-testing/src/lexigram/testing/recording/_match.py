"""Whether a request is the one that was recorded, and where it differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from lexigram.testing.recording._exchange import Asked, meaning

__all__ = ["differences", "same"]

_SHOWN: Final = 120


def same(asked: Asked, recorded: Asked) -> bool:
    """Tell whether both ask the same: method, address, and what the body means."""
    if asked.method != recorded.method or asked.url != recorded.url:
        return False
    return asked.body == recorded.body or _key(asked.body) == _key(recorded.body)


def differences(asked: Asked, recorded: Asked) -> list[str]:
    """Say where a request differs from the recorded one, each with its place."""
    found = [
        f"{what} is {_short(now)} and was {_short(then)}"
        for what, now, then in (("method", asked.method, recorded.method), ("url", asked.url, recorded.url))
        if now != then
    ]
    return found + list(_compare(meaning(asked.body), meaning(recorded.body), "body"))


def _key(body: bytes) -> object:
    said = meaning(body)
    return said if isinstance(said, bytes) else json.dumps(said, sort_keys=True)


def _compare(now: Any, then: Any, place: str) -> Iterator[str]:
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        a, b = cast("Mapping[str, Any]", now), cast("Mapping[str, Any]", then)
        for name in [*a, *(name for name in b if name not in a)]:
            if name not in b:
                yield f"{place}.{name} is {_short(a[name])} and was not there"
            elif name not in a:
                yield f"{place}.{name} is not there and was {_short(b[name])}"
            else:
                yield from _compare(a[name], b[name], f"{place}.{name}")
    elif isinstance(now, list) and isinstance(then, list):
        c, d = cast("Sequence[Any]", now), cast("Sequence[Any]", then)
        if len(c) != len(d):
            yield f"{place} has {len(c)} items and had {len(d)}"
        for i, (one, other) in enumerate(zip(c, d, strict=False)):
            yield from _compare(one, other, f"{place}[{i}]")
    elif type(now) is not type(then) or now != then:
        yield f"{place} is {_short(now)} and was {_short(then)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
