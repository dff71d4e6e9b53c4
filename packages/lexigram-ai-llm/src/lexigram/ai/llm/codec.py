"""JSON bytes to values and back; the one place that knows what real bytes hold.

orjson does the work. What it refuses but providers send is read by the standard library instead: lone surrogates
(half an emoji) are kept and can be written again, ``NaN`` and ``Infinity`` become floats; of duplicate keys the last
one counts in both. Invalid UTF-8 and absurd depth are errors.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError
from lexigram.contracts.values import JSON

__all__ = ["dumps", "loads"]


def loads(data: bytes) -> Any:
    """Return the JSON value.

    Raises:
        DecodeError: with reason ``bad_json`` or ``bad_utf8``, which another try may cure (a reply cut or garbled on its
            way), or ``too_large`` (nesting, digits).
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_leniently(data)


def _loads_leniently(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        what = f"the reply is not UTF-8 (at byte {wrong.start})"
        raise DecodeError(what, reason="bad_utf8", retryable=True) from None
    except RecursionError:
        raise DecodeError("the reply's JSON is nested too deeply", reason="too_large") from None
    except json.JSONDecodeError as wrong:
        what = f"the reply is not JSON: {wrong.msg} at character {wrong.pos}"
        raise DecodeError(what, reason="bad_json", retryable=True) from None
    except ValueError:
        raise DecodeError("the reply's JSON holds a number with too many digits", reason="too_large") from None


def dumps(value: JSON) -> bytes:
    """Return compact JSON bytes.

    Raises:
        InvalidRequestError: for a value that JSON cannot write.
    """
    try:
        return orjson.dumps(value)
    except TypeError:
        try:
            return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
        except (TypeError, ValueError, RecursionError) as wrong:
            raise InvalidRequestError(f"the request cannot be written as JSON: {wrong}") from None
