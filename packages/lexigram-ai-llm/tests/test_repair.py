"""Near-JSON is read, in linear time, and what is no JSON is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.ai.llm.repair import NotJSON, read_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ('"text"', "text"),
        ('Here it is:\n```json\n{"a": [1, {"b": 2}]}\n```\nDone.', {"a": [1, {"b": 2}]}),
        ("```\n[1]\n```", [1]),
        ('Sure! {"a": "x}y"} Hope that helps {', {"a": "x}y"}),
        ('{"a": 1,}', {"a": 1}),
        ("[1, 2,]", [1, 2]),
        ("{'a': 'it is'}", {"a": "it is"}),
        ("{'a': 'don't'}", {"a": "don't"}),
        ("{a: 1, b-c: two}", {"a": 1, "b-c": "two"}),
        ('{"a": True, "b": None, "c": false}', {"a": True, "b": None, "c": False}),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": 1 // why\n, /* not */ "b": 2}', {"a": 1, "b": 2}),
        ('{"a": [1, 2, {"b": "cut', {"a": [1, 2, {"b": "cut"}]}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": }', {"a": None}),
        ("{\u201ca\u201d: \u201cb\u201d}", {"a": "b"}),
        ('{"a": "she said "hi" twice"}', {"a": 'she said "hi" twice'}),
        ('{"a": "\\u00e9\\n\\q"}', {"a": "é\nq"}),
        ('{"a": -1.5e3, "b": .5}', {"a": -1500.0, "b": 0.5}),
    ],
)
def test_what_models_write_is_read(text: str, value: Any) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize("text", ["", "   ", "no json here", "<html></html>", "[" * 5000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(NotJSON):
        read_json(text)


def test_without_repair_only_true_json_is_read() -> None:
    assert read_json('x {"a": 1} y', repair=False) == {"a": 1}
    with pytest.raises(NotJSON):
        read_json("{'a': 1}", repair=False)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3),
    )
)
def test_true_json_is_read_exactly_also_inside_prose(value: Any) -> None:
    assert read_json(json.dumps(value)) == value
    if isinstance(value, dict | list):
        assert read_json(f"Look:\n{json.dumps(value, indent=2)}\nThat is all.") == value


@given(st.text(alphabet="{}[]\"',:\\ab1 \n/*#", max_size=80))
def test_no_text_raises_anything_foreign(text: str) -> None:
    try:
        read_json(text)
    except NotJSON:
        pass


def test_hostile_texts_are_read_in_linear_work(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    def steps(text: str) -> int:
        count = 0

        def tracer(frame: Any, event: str, arg: Any) -> None:
            nonlocal count
            count += 1

        sys.setprofile(tracer)
        try:
            read_json(text)
        except NotJSON:
            pass
        finally:
            sys.setprofile(None)
        return count

    for unit in ("{", '{"a":', "'", '["', "[1,", "{a b ", '"x" ', "/*", "{'a': 'b' "):
        small, large = steps("[" + unit * 500), steps("[" + unit * 5000)
        assert large <= small * 15 + 1000, unit
