"""JSON: what providers send is read, what cannot be is a typed error."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.ai.llm.codec import dumps, loads
from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON_VALUES)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert loads(dumps(value)) == value


def test_half_an_emoji_is_kept_and_can_be_written_again() -> None:
    value = loads(b'{"text": "\\ud83d"}')
    assert value == {"text": "\ud83d"}
    assert loads(dumps(value)) == value


def test_nan_big_numbers_and_duplicate_keys_are_read() -> None:
    assert math.isnan(loads(b"[NaN]")[0])
    assert loads(b"[1" + b"0" * 30 + b"]")[0] == pytest.approx(1e30)
    assert loads(b'{"a":1,"a":2}') == {"a": 2}
    assert loads(b'\n   \n {"a":1}  ') == {"a": 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad_json"),
        (b"{", "bad_json"),
        (b"<html>", "bad_json"),
        (b'{"a":"\xff"}', "bad_utf8"),
        (b"[" * 100_000, "too_large"),
        (b"1" * 5000, "too_large"),
    ],
)
def test_what_cannot_be_read_is_a_typed_error(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError) as caught:
        loads(data)
    assert caught.value.reason == reason


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_foreign(data: bytes) -> None:
    try:
        loads(data)
    except DecodeError as error:
        assert error.reason in ("bad_json", "bad_utf8", "too_large")


def test_a_value_that_json_cannot_write_is_refused() -> None:
    for value in ({"a": object()}, {"a": {1, 2}}):
        with pytest.raises(InvalidRequestError, match="cannot be written"):
            dumps(value)  # type: ignore[arg-type]
