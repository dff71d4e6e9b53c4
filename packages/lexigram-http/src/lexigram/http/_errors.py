"""What can go wrong on the way to a server and back: every exception the package raises.

    HttpError
    ├── InvalidRequest      the caller's fault: header, target, method, URL; nothing was sent
    ├── HttpConnectError    no usable connection, or it died before the first byte of a reply
    ├── HttpTimeout         a deadline passed; `phase` says which
    ├── PoolFull            too many callers already wait for a connection to this origin
    ├── HttpProtocolError   the peer broke HTTP, its framing, an encoding, or a limit
    └── HttpStateError      the pool or the reply is closed, or read by two tasks

Messages name origins, header names and numbers; never a header value, a target or a body.
"""

from __future__ import annotations

from typing import Any, Literal

ConnectKind = Literal["refused", "unreachable", "dns", "tls", "reset", "closed"]
Phase = Literal["pool", "connect", "tls", "write", "headers", "first_byte", "idle", "total"]
ProtocolKind = Literal["bad_head", "bad_body", "truncated", "too_large", "encoding", "upgrade"]
RequestPart = Literal["header", "target", "method", "url", "body"]


def _rebuild(cls: type[HttpError], args: tuple[Any, ...], state: dict[str, Any]) -> HttpError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class HttpError(Exception):
    """Base of everything this package raises.

    Attributes:
        sent: Whether bytes of the request may have reached the server.
    """

    sent: bool = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))


class InvalidRequest(HttpError, ValueError):
    """The request cannot be put on the wire; nothing was sent.

    Attributes:
        part: What is wrong with it.
        name: The header's name when `part` is "header", made printable.
    """

    def __init__(self, message: str, *, part: RequestPart, name: str = "") -> None:
        super().__init__(message)
        self.part: RequestPart = part
        self.name = name


class HttpConnectError(HttpError, ConnectionError):
    """There is no connection, or it died before the first byte of the reply.

    Attributes:
        kind: "refused", "unreachable", "dns", "tls", "reset" (RST) or "closed" (clean end).
        temporary: For "dns": the resolver said to try again (EAI_AGAIN).
        sent: True when the connection had been made and the request was handed to it.
    """

    def __init__(self, message: str, *, kind: ConnectKind, temporary: bool = False, sent: bool = False) -> None:
        super().__init__(message)
        self.kind: ConnectKind = kind
        self.temporary = temporary
        self.sent = sent


class HttpTimeout(HttpError, TimeoutError):
    """A deadline passed.

    Attributes:
        phase: Which deadline: "pool", "connect", "tls", "write", "headers", "first_byte", "idle" or "total".
        sent: True once the request was handed to a connection.
    """

    def __init__(self, message: str, *, phase: Phase, sent: bool = False) -> None:
        super().__init__(message)
        self.phase: Phase = phase
        self.sent = sent


class PoolFull(HttpError):
    """The waiter limit of an origin is reached; nothing was sent."""


class HttpProtocolError(HttpError):
    """The peer broke HTTP, its own framing, a content coding, or one of our limits.

    Attributes:
        kind: "bad_head", "bad_body", "truncated", "too_large", "encoding" or "upgrade".
        limit: The name of the `Limits` field for "too_large", else "".
    """

    def __init__(self, message: str, *, kind: ProtocolKind, limit: str = "") -> None:
        super().__init__(message)
        self.kind: ProtocolKind = kind
        self.limit = limit
        self.sent = True


class HttpStateError(HttpError, RuntimeError):
    """The pool or the reply is closed, or a reply is read by two tasks at once."""


class StaleConnection(Exception):
    """A reused connection died before a byte of the reply; never leaves the pool."""
