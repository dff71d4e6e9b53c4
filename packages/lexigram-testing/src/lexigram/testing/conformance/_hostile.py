"""Replies that no sane server sends: the samples with parts torn out, and JSON made of their words."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from lexigram.testing.conformance.samples import Event, Samples

__all__ = ["events_from", "json_from", "single_faults", "single_faults_in_streams"]

_ODD: Final[tuple[Any, ...]] = (None, True, 0, -1, 1e400, "", "x", "{", [], {}, [None], {"x": None})


def single_faults(bodies: Sequence[Any]) -> Iterator[Any]:
    """Give every body with one of its values left out or replaced by an odd one, for each value and each odd one."""
    for body in bodies:
        for at in range(sum(1 for _ in _places(body))):
            for value in _ODD:
                yield _damage(body, [(at, value)])
            yield _without(body, at)


def single_faults_in_streams(streams: Sequence[Sequence[Event]]) -> Iterator[list[Event]]:
    """Give every stream with one such fault in one of its events, and with one event left out."""
    for events in streams:
        for number, (name, data) in enumerate(events):
            head, tail = list(events[:number]), list(events[number + 1 :])
            yield [*head, *tail]
            for faulty in single_faults([data]):
                yield [*head, (name, faulty), *tail]


def json_from(samples: Samples) -> st.SearchStrategy[Any]:
    """Return hostile bodies."""
    words = samples.vocabulary() or ["error"]
    junk = _junk(words)
    bodies = [e.answer for e in samples.exchanges] + [r.body for r in samples.refusals]
    return junk | _damaged(bodies, junk) if bodies else junk


def events_from(samples: Samples) -> st.SearchStrategy[list[Event]]:
    """Return hostile streams: whole ones with damaged, doubled and lost events, and arbitrary ones."""
    words = samples.vocabulary() or ["error"]
    junk = _junk(words)
    names = st.none() | st.sampled_from(["error", *words])
    arbitrary = st.lists(st.tuples(names, junk), max_size=5)
    streams = [list(e.events) for e in samples.exchanges if e.events]
    if not streams:
        return arbitrary
    edits = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 60), junk), max_size=3)
    keep = st.lists(st.integers(0, 40), max_size=12)
    return arbitrary | st.builds(_damaged_stream, st.sampled_from(streams), edits, st.none() | keep)


def _junk(words: Sequence[str]) -> st.SearchStrategy[Any]:
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-3, 600)
        | st.floats()
        | st.text(max_size=4)
        | st.sampled_from(["{}", "-1", "$.a", *words])
    )
    keys = st.sampled_from(words)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
    )


def _damaged(bodies: Sequence[Any], junk: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    edits = st.lists(st.tuples(st.integers(0, 60), junk), min_size=1, max_size=3)
    return st.builds(_damage, st.sampled_from(list(bodies)), edits)


def _damage(body: Any, edits: Sequence[tuple[int, Any]]) -> Any:
    """Put other values in the place of some of the body's."""
    out = copy.deepcopy(body)
    for at, value in edits:
        places = list(_places(out))
        if not places:
            return copy.deepcopy(value)
        holder, key = places[at % len(places)]
        holder[key] = copy.deepcopy(value)
    return out


def _without(body: Any, at: int) -> Any:
    out = copy.deepcopy(body)
    holder, key = list(_places(out))[at]
    del holder[key]
    return out


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    found: list[Any] = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        found = list(enumerate(value))
    for key, inner in found:
        yield value, key
        yield from _places(inner)


def _damaged_stream(
    events: list[Event], edits: Sequence[tuple[int, int, Any]], order: Sequence[int] | None
) -> list[Event]:
    out = list(events) if order is None else [events[n % len(events)] for n in order]
    for number, at, value in edits:
        if out:
            name, data = out[number % len(out)]
            out[number % len(out)] = (name, _damage(data, [(at, value)]))
    return out
