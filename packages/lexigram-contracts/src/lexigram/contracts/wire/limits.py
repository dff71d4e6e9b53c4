"""What a reply's headers say of the provider's rate limits, in every format that vendors are known to write.

Names: ``x-ratelimit-limit-requests`` (OpenAI, Groq, xAI), with a period (``…-tokens-minute`` Cerebras, Hugging Face;
``…-req-10-second`` Mistral), without a unit (Together, OpenRouter), ``anthropic-ratelimit-input-tokens-limit``,
``x-ratelimit-renewalperiod-requests`` (Azure). Resets: ``6ms``, ``8m24.5s``, ``1h2m3.4s``, ``999.999999ms``, bare
seconds, RFC 3339 and Unix times in seconds or milliseconds, which count from the reply's own ``date``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final

from lexigram.contracts.ai.completion import RateLimit, RateUnit

__all__ = ["duration_seconds", "rate_limits"]

_NAME: Final = re.compile(r"(?:x-|(anthropic)-)?ratelimit-([a-z0-9-]+)")
_FIELDS: Final = frozenset({"limit", "remaining", "reset", "renewalperiod"})
_UNITS: Final[dict[str, RateUnit]] = {
    "": "requests",
    "requests": "requests",
    "req": "requests",
    "tokens": "tokens",
    "input-tokens": "input_tokens",
    "output-tokens": "output_tokens",
}
_PERIODS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "month": 2592000.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:h|ms|m|s|us|µs|ns))+")
_PIECE: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_UNLIMITED: Final = 1 << 53  # Hugging Face writes about 2⁶³ where there is no limit
_EPOCH: Final = 1e9
_EPOCH_MILLIS: Final = 1e11


def rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """Return what the headers say, one value for each unit and period; ``()`` where they say nothing.

    What cannot be read counts as not said: a limit that is negative or absurdly large, a reset without a number.
    """
    found: dict[tuple[RateUnit, float | None], dict[str, str]] = {}
    for name in headers:
        if (meaning := _meaning(name)) is not None:
            field, of = meaning
            found.setdefault(of, {})[field] = headers[name].strip()
    date = headers.get("date")
    read = [_rate_limit(unit, window, fields, date) for (unit, window), fields in found.items()]
    return tuple([limit for limit in read if limit is not None])


@lru_cache(maxsize=1024)
def _meaning(name: str) -> tuple[str, tuple[RateUnit, float | None]] | None:
    """Return the field of a header, and the unit and period that it is of; None for any other header."""
    match = _NAME.fullmatch(name.lower())
    if match is None:
        return None
    field, unit, window = _words(match[2])
    if field is None or unit is None:
        return None
    return field, (unit, 60.0 if match[1] else window)  # Anthropic's limits are all per minute


def _words(name: str) -> tuple[str | None, RateUnit | None, float | None]:
    """Split ``limit-tokens-minute`` or ``input-tokens-limit`` into field, unit and period."""
    words = name.split("-")
    fields = [w for w in words if w in _FIELDS]
    rest = [w for w in words if w not in _FIELDS]
    window: float | None = None
    if rest and rest[-1] in _PERIODS:
        window = _PERIODS[rest.pop()]
        if rest and rest[-1].isdigit():
            window *= int(rest.pop())
    return (fields[0] if len(fields) == 1 else None), _UNITS.get("-".join(rest)), window


def _rate_limit(unit: RateUnit, window: float | None, fields: Mapping[str, str], date: str | None) -> RateLimit | None:
    limit, remaining = _count(fields.get("limit")), _count(fields.get("remaining"))
    if window is None:
        window = _positive(fields.get("renewalperiod"))
    reset = _reset(fields.get("reset", ""), window, date)
    if limit is None and remaining is None:
        return None
    return RateLimit(unit, limit, remaining, reset, window)


def _count(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        return None
    value = int(text)
    return value if value < _UNLIMITED else None


def _positive(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def duration_seconds(text: str) -> float | None:
    """Return the seconds of ``1h2m3.4s`` and the like, or None."""
    if not _DURATION.fullmatch(text):
        return None
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in _PIECE.findall(text))


def _reset(text: str, window: float | None, date: str | None) -> float | None:
    duration = duration_seconds(text)
    if duration is not None:
        return duration
    now = _date(date)
    try:
        value = float(text)
    except ValueError:
        when = _time(text)
        return max((when - now).total_seconds(), 0.0) if when is not None and now is not None else None
    if not math.isfinite(value) or value < 0:
        return None
    if value >= _EPOCH:
        seconds = value / 1000 if value >= _EPOCH_MILLIS else value
        return max(seconds - now.timestamp(), 0.0) if now is not None else None
    # A reset beyond its own period can only be meant in milliseconds (Azure: 500 of a period of 60).
    return value / 1000 if window is not None and value > window else value


def _time(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
