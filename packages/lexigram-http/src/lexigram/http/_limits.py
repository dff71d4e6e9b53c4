"""The numbers a caller may turn: hard limits and deadlines. Plain frozen values, checked when made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

KIB, MIB = 1024, 1024 * 1024


def _check(values: Any) -> None:
    for item in fields(values):
        value = getattr(values, item.name)
        # Written so that NaN, which would disarm a deadline in silence, is refused as well.
        if value is not None and not value >= 0:
            raise ValueError(f"{item.name} must not be negative")


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits. Passing one raises `HttpProtocolError(kind="too_large")` unless said otherwise.

    Attributes:
        header_bytes: Bytes of one reply's head, informational heads included.
        header_count: Header lines of one reply.
        body_wire: Bytes of one reply's body before content decoding.
        body_decoded: Bytes of a body read whole (`Reply.read`), after decoding.
        stream_decoded: Bytes of a body read in pieces (`Reply.next_chunk`), after decoding.
        encodings: Stacked content codings; more is `HttpProtocolError(kind="encoding")`.
        informational: 1xx replies before the final one.
        connections: Open connections per origin and event loop; further calls wait.
        waiters: Callers that may wait per origin and event loop; more is `PoolFull`.
        idle_connections: Connections kept for reuse per origin and event loop.
        idle_seconds: How long an unused connection is kept.
        buffer: Undelivered body bytes of one reply at which reading from the socket pauses.
    """

    header_bytes: int = 64 * KIB
    header_count: int = 256
    body_wire: int = 256 * MIB
    body_decoded: int = 32 * MIB
    stream_decoded: int = 256 * MIB
    encodings: int = 2
    informational: int = 16
    connections: int = 256
    waiters: int = 10_000
    idle_connections: int = 256
    idle_seconds: float = 60.0
    buffer: int = 256 * KIB

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds, or None for no bound. Every one is cumulative: received bytes do not extend it, except `idle`.

    Attributes:
        total: From the call to the last byte of the body, whoever is slow.
        connect: DNS, TCP and TLS together.
        headers: From the request being sent to the end of the final head.
        first_byte: From the request being sent to the first body byte, or to the first `Reply.progress()`.
        idle: Between body blocks, or between calls of `Reply.progress()`; time under back-pressure does not count.
        pool: Waiting for a free connection.
        write: Without the peer taking any of the request.
    """

    total: float | None = 600.0
    connect: float | None = 10.0
    headers: float | None = 120.0
    first_byte: float | None = None
    idle: float | None = 120.0
    pool: float | None = None
    write: float | None = 30.0

    def __post_init__(self) -> None:
        _check(self)
