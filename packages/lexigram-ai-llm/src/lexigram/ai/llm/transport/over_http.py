"""lexigram-http as the road, through its native door: bytes in, status, headers and bytes out."""

from __future__ import annotations

from typing import Final

from lexigram.ai.llm.transport import Limits, Reply, WireRequest
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMError,
    LLMTimeoutError,
    ProviderConnectionError,
    TimeoutPhase,
)
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.values import Sealed
from lexigram.http import (
    Deadlines,
    HttpConnectError,
    HttpError,
    HttpProtocolError,
    HttpTimeout,
    InvalidRequest,
    Pool,
    PoolFull,
    Prepared,
    split_url,
)
from lexigram.http import Limits as HttpLimits

__all__ = ["HttpSender"]

_HEADS: Final = 64
_PHASES: Final[dict[str, TimeoutPhase]] = {
    "pool": "pool",
    "connect": "connect",
    "tls": "connect",
    "write": "write",
    "headers": "headers",
    "first_byte": "first_token",
    "idle": "idle",
    "total": "total",
}
_SAID: Final[dict[TimeoutPhase, str]] = {
    "pool": "no connection was free",
    "connect": "no connection was made",
    "write": "the provider did not take the request",
    "headers": "no reply came",
    "first_token": "no content came",
    "idle": "the stream stalled",
    "total": "the call was not finished",
}
_CONNECT: Final[dict[str, tuple[str, str, str | None]]] = {
    "refused": ("refused", "connection refused", "nothing listens there: check api_base, and that the server runs"),
    "unreachable": ("refused", "the host cannot be reached", "check api_base, and the network"),
    "dns": ("dns", "the host name cannot be resolved", "check the host name in api_base, and the network"),
    "tls": (
        "tls",
        "no TLS connection",
        "the certificate is not trusted, or the port does not speak TLS: check api_base",
    ),
    "reset": ("reset", "the connection was reset", None),
    "closed": ("closed", "the connection was closed without a reply", "check that api_base has the right scheme"),
}
_UNREADABLE: Final = ("truncated", "too_large", "encoding")


class HttpSender:
    """Sends over one pool of lexigram-http, which keeps connections of its own for each event loop and process."""

    failures: tuple[type[Exception], ...] = (HttpError,)

    def __init__(self, limits: Limits) -> None:
        self._pool = Pool(
            limits=HttpLimits(
                header_bytes=limits.header_bytes,
                body_decoded=limits.body_bytes,
                stream_decoded=limits.stream_bytes,
                connections=limits.connections,
                idle_connections=limits.idle_connections,
                idle_seconds=limits.idle_seconds,
            )
        )
        self._heads: dict[tuple[str, str], Sealed[tuple[object, Prepared]]] = {}
        self._deadlines: tuple[Timeouts, bool, Deadlines] | None = None

    @property
    def pool(self) -> Pool:
        """The pool, for its counts."""
        return self._pool

    async def open(self, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> Reply:
        """Send and return the reply's head; see :class:`lexigram.ai.llm.transport.Sender`."""
        known = self._heads.get((request.method, request.url))
        headers, prepared = known.reveal() if known is not None else (None, None)
        if prepared is None or headers is not request.headers:
            prepared = self._prepare(request)
        if request.more:
            prepared = prepared.plus(request.more.items())
        kept = self._deadlines
        if kept is not None and kept[0] is timeouts and kept[1] is stream:
            deadlines = kept[2]
        else:
            deadlines = _deadlines(timeouts, stream)
            self._deadlines = (timeouts, stream, deadlines)
        return await self._pool.send(prepared, request.body, deadlines=deadlines, manual_progress=stream)

    def _prepare(self, request: WireRequest) -> Prepared:
        origin, target = split_url(request.url)
        prepared = Prepared(request.method, origin, target, list(request.headers.items()))
        if len(self._heads) >= _HEADS:
            self._heads.clear()
        self._heads[request.method, request.url] = Sealed((request.headers, prepared))
        return prepared

    def explain(self, error: Exception) -> LLMError:
        """Return the typed error."""
        if isinstance(error, HttpTimeout):
            phase = _PHASES[error.phase]
            return LLMTimeoutError(f"{_SAID[phase]} within the deadline", phase=phase)
        if isinstance(error, HttpConnectError):
            reason, said, hint = _CONNECT[error.kind]
            retryable = reason != "tls" and (reason != "dns" or error.temporary)
            return ProviderConnectionError(f"{said} ({error})", reason=reason, hint=hint, retryable=retryable)
        if isinstance(error, HttpProtocolError):
            if error.kind in _UNREADABLE:
                return DecodeError(str(error), reason=error.kind, retryable=error.kind == "truncated")
            return ProviderConnectionError(f"the provider does not speak proper HTTP: {error}", reason="protocol")
        if isinstance(error, InvalidRequest):
            return InvalidRequestError(f"the request cannot be sent: {error}")
        if isinstance(error, PoolFull):
            return LLMTimeoutError(str(error), phase="pool")
        return ProviderConnectionError(str(error), reason="closed", retryable=False)

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


def _deadlines(timeouts: Timeouts, stream: bool) -> Deadlines:
    return Deadlines(
        total=timeouts.total,
        connect=timeouts.connect,
        headers=None,
        first_byte=timeouts.first_token if stream else None,
        idle=timeouts.idle if stream else None,
        pool=timeouts.total,  # the same moment, but named for what it is
    )
