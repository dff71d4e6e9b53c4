"""Small steps of a call that need no client: what is cut, late, unreadable or not to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar

from lexigram.ai.llm.transport import Reply
from lexigram.contracts.ai.completion import RateLimit
from lexigram.contracts.ai.errors import DecodeError, InvalidMessageError, LLMError, StreamError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.wire.limits import rate_limits

__all__ = ["check_headers", "cut", "drain", "limits_of", "merged", "truncated", "unreadable", "within"]

T = TypeVar("T")

_LIMITS: Final = b"ratelimit"


async def within(work: Coroutine[Any, Any, T], seconds: float) -> T | None:
    """Return what the work gives, or None if it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return None


async def drain(reply: Reply) -> None:
    """Read what follows the end, so that the connection can serve again."""
    while await reply.next_chunk():
        pass


def truncated(why: str = "") -> StreamError:
    """Return the error of a stream without its end."""
    return StreamError(
        f"the stream ended before the answer did{why}",
        reason="truncated",
        retryable=True,
        hint="the connection was cut; the text so far is in `partial`",
    )


def cut(error: LLMError) -> LLMError:
    """Return one error for a stream that is cut off, whichever way the connection went."""
    reason = getattr(error, "reason", None)
    return truncated(f": {error.message}") if reason in ("truncated", "reset", "closed") and error.retryable else error


def limits_of(headers: Mapping[str, str]) -> tuple[RateLimit, ...] | Callable[[], tuple[RateLimit, ...]]:
    """Return the limits that a head tells, or what reads them when somebody asks: of most replies nobody does."""
    around = getattr(headers, "around", None)
    if around is None:
        return rate_limits(headers)
    lines = around(_LIMITS)
    return _Unread(lines, headers) if lines is not None else ()


class _Unread:
    """The lines of a head that tell limits; called, it reads them, once."""

    __slots__ = ("_date", "_lines", "_read")

    def __init__(self, lines: Any, head: Any) -> None:
        self._lines = lines
        self._date: bytes = head.find(b"date") or b""
        self._read: tuple[RateLimit, ...] | None = None

    def __call__(self) -> tuple[RateLimit, ...]:
        if self._read is None:
            self._read = rate_limits({**self._lines.having(_LIMITS), "date": self._date.decode("latin-1")})
        return self._read


def unreadable(error: Exception) -> DecodeError:
    """Return the error for what a dialect stumbled over."""
    return DecodeError(f"the reply has an unexpected shape ({type(error).__name__}: {error})", reason="bad_shape")


def merged(own: Timeouts, defaults: Timeouts) -> Timeouts:
    """Return a call's own deadlines, those it leaves out from the defaults."""
    values = [
        getattr(own, f.name) if getattr(own, f.name) is not None else getattr(defaults, f.name)
        for f in fields(Timeouts)
    ]
    return Timeouts(*values)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse what cannot go into a head, naming the header and never its value.

    Raises:
        InvalidMessageError: for control and non-ASCII characters, and headers that the transport sets.
    """
    for name, value in headers.items():
        if any(c in name or c in value for c in "\r\n\0") or not name.isascii() or not value.isascii():
            raise InvalidMessageError("holds a control or non-ASCII character", path=f"extra_headers[{name!r}]")
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise InvalidMessageError("is set by the transport and cannot be given", path=f"extra_headers[{name!r}]")
