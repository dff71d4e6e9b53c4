"""Scripts from files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lexigram.testing.simulator import Answer, Call, Counts, Failure, When
from lexigram.testing.simulator._script_file import read_script


def written(folder: Path, value: Any, name: str = "script.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_answers_in_order(tmp_path: Path) -> None:
    script = [
        "Hello",
        {
            "text": "42",
            "thinking": "Hm.",
            "tool_calls": [{"name": "now"}],
            "usage": {"input": 9, "output": 2},
            "delay": 1,
        },
        {"failure": "rate_limit", "retry_after": 2.5, "message": "slow down"},
    ]
    assert read_script(written(tmp_path, script)) == [
        "Hello",
        Answer("42", "Hm.", (Call("now"),), usage=Counts(9, 2), delay=1.0),
        Failure("rate_limit", "slow down", retry_after=2.5),
    ]


def test_rules_in_yaml(tmp_path: Path) -> None:
    text = "- when: weather\n  text: It rains.\n- when: ^bye\n  failure: overloaded\n"
    assert read_script(written(tmp_path, text, "script.yaml")) == [
        When("weather", Answer("It rains.")),
        When("^bye", Failure("overloaded")),
    ]


def test_one_answer_to_everything(tmp_path: Path) -> None:
    assert read_script(written(tmp_path, '"Hello"')) == "Hello"
    assert read_script(written(tmp_path, {"when": "x", "text": "y"})) == [When("x", Answer("y"))]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([{"txt": "Hi"}], r"script.json\[0\] has the field 'txt'; there are delay,"),
        ([{"failure": "fire"}], r"script.json\[0\].failure is 'fire'; there are invalid_request"),
        ([{"finish_reason": "bored"}], "finish_reason is 'bored'; there are stop"),
        ([{"tool_calls": [{"arguments": {}}]}], "tool_calls is a list of objects with 'name'"),
        ([{"usage": {"tokens": 3}}], "usage has"),
        ([7], r"script.json\[0\] is int"),
        (["a", {"when": "x", "text": "y"}], "all or none"),
        ("{", "is no JSON"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_script(written(tmp_path, value))


def test_broken_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"script.yml is no YAML"):
        read_script(written(tmp_path, "a: [", "script.yml"))
