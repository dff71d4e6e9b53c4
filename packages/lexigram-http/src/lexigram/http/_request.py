"""What goes out: origins, header blocks and prepared request heads, checked before a byte is written.

No I/O. Every error names a header or a part, never its value, because values are secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urlsplit

from ._decode import accept_encoding
from ._errors import InvalidRequest

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_TARGET = re.compile(rb"(?:/[!-\"$-~]*|\*)").fullmatch
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_HOST = re.compile(r"[0-9a-z_.\-]+|[0-9a-f:.]+(?:%[0-9a-z_.\-]+)?").fullmatch
_PORTS = {"http": 80, "https": 443}
_OURS = frozenset({b"host", b"content-length", b"transfer-encoding", b"upgrade", b"keep-alive", b"te", b"trailer"})
_CONNECTION = frozenset({b"connection", b"accept-encoding"})
_BODY_METHODS = frozenset({b"POST", b"PUT", b"PATCH"})

HeaderPairs = Iterable[tuple[bytes | str, bytes | str]]


class Origin(NamedTuple):
    """Where a connection goes: "http" or "https", a lower-case host without brackets, a port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, scheme: str, host: str, port: int | None = None) -> Origin:
        """Builds a checked origin.

        Args:
            scheme: "http" or "https".
            host: A name in ASCII (IDNA already applied) or an address; brackets allowed.
            port: None for the scheme's default.

        Raises:
            InvalidRequest: For another scheme, or a host or port that cannot be one.
        """
        scheme, host = scheme.lower(), host.lower().removeprefix("[").removesuffix("]")
        if scheme not in _PORTS:
            raise InvalidRequest("only http and https URLs can be requested", part="url")
        if not _HOST(host) or len(host) > 255:
            raise InvalidRequest("the URL's host is not a host name or an address", part="url")
        if port is not None and not 0 < port < 65536:
            raise InvalidRequest("the URL's port is not between 1 and 65535", part="url")
        return cls(scheme, host, _PORTS[scheme] if port is None else port)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def split_url(url: str) -> tuple[Origin, bytes]:
    """Splits an absolute URL into its origin and the request target.

    Raises:
        InvalidRequest: For user info, a fragment, or anything that cannot be requested.
    """
    try:
        parts = urlsplit(url)
        port, whole = parts.port, bool(parts.scheme and parts.hostname)
    except ValueError:
        parts, port, whole = None, None, False
    if parts is None or not whole or not url.isprintable() or " " in url:
        raise InvalidRequest("not an absolute URL", part="url")
    if "@" in parts.netloc:
        raise InvalidRequest("user info in a URL is refused; send an Authorization header", part="url")
    if "#" in url:
        raise InvalidRequest("a fragment in a URL is refused", part="url")
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return Origin.of(parts.scheme, parts.hostname or "", port), check_target(target)


def check_target(target: bytes | str) -> bytes:
    """Returns the request target in origin form as bytes.

    Raises:
        InvalidRequest: For white space, control or non-ASCII characters, a fragment, or no leading slash.
    """
    raw = _encode(target, "ascii")
    if raw is None or not _TARGET(raw):
        raise InvalidRequest("the request target must start with / and be printable ASCII without #", part="target")
    return raw


def _encode(text: bytes | str, codec: str) -> bytes | None:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode(codec)
    except UnicodeEncodeError:
        return None


def _shown(name: bytes | str) -> str:
    """A header name fit for a message."""
    text = name if isinstance(name, str) else name.decode("latin-1")
    # A caller who swapped name and value must not see the value printed.
    return text if len(text) <= 64 and text.isascii() and text.replace("-", "").replace("_", "").isalnum() else "?"


_known: dict[bytes | str, bytes] = {}


def _check_name(name: bytes | str) -> bytes:
    """Returns a header name in lower case, remembering it when it may be sent."""
    raw = _encode(name, "ascii")
    if raw is None or not _TOKEN(raw):
        raise InvalidRequest(f"header name {_shown(name)!r} is not a token", part="header", name=_shown(name))
    low = raw.lower()
    if low in _OURS:
        raise InvalidRequest(f"header {_shown(name)!r} is set by the transport", part="header", name=_shown(name))
    if len(_known) >= 1024:
        _known.clear()
    _known[name] = low
    return low


def _checked(name: bytes | str, value: bytes | str) -> tuple[bytes, bytes]:
    """Returns a header as it may be sent."""
    low = _known.get(name)
    if low is None:
        low = _check_name(name)
    raw_value = value if isinstance(value, bytes) else _encode(value, "latin-1")
    if raw_value is None or _CONTROL(raw_value):
        message = f"the value of header {_shown(name)!r} holds a control or non-latin-1 character"
        raise InvalidRequest(message, part="header", name=_shown(name))
    return low, raw_value.strip(b" \t")


class HeaderBlock:
    """Request headers, checked once and serialised once; may be used for any number of requests.

    Host, Content-Length and the framing headers are computed per request and refused here. An Accept-Encoding is
    added when there is none, with exactly the codings that can be decoded.
    """

    __slots__ = ("close", "names", "raw")

    def __init__(self, headers: HeaderPairs = ()) -> None:
        """Checks and serialises.

        Args:
            headers: Pairs of names (ASCII tokens) and values (bytes, or text in latin-1).

        Raises:
            InvalidRequest: part "header", with the header's name and never its value.
        """
        lines: list[bytes] = []
        names: set[bytes] = set()
        self.close = False
        for name, value in headers:
            low, raw_value = _checked(name, value)
            if low == b"connection":
                self.close = self.close or b"close" in raw_value.lower()
                continue
            names.add(low)
            lines.append(b"%b: %b\r\n" % (low, raw_value))
        if b"accept-encoding" not in names:
            lines.append(b"accept-encoding: %b\r\n" % accept_encoding())
        if self.close:
            lines.append(b"connection: close\r\n")
        self.names = frozenset(names)
        self.raw = b"".join(lines)

    def __repr__(self) -> str:
        return f"<HeaderBlock of {len(self.names)} headers>"


class Prepared:
    """Everything of a request but its body, in wire form; may be sent any number of times.

    Attributes:
        origin: Where it goes.
    """

    __slots__ = ("close", "head", "head_only", "origin", "sized")

    def __init__(
        self,
        method: bytes | str,
        origin: Origin,
        target: bytes | str,
        headers: HeaderBlock | HeaderPairs = (),
        *,
        host: bytes | None = None,
    ) -> None:
        """Checks and serialises.

        Args:
            method: An HTTP method; CONNECT is refused.
            origin: Where it goes.
            target: Path and query.
            headers: Further headers.
            host: A Host header other than the origin's own.

        Raises:
            InvalidRequest: Naming the part that cannot be sent.
        """
        raw_method = _encode(method, "ascii")
        if raw_method is None or not _TOKEN(raw_method) or raw_method == b"CONNECT":
            raise InvalidRequest("the method is not one that can be requested", part="method")
        if host is not None and (not host or not _TARGET(b"/" + host)):
            raise InvalidRequest("the value of header 'host' is not a host", part="header", name="host")
        block = headers if isinstance(headers, HeaderBlock) else HeaderBlock(headers)
        authority = origin.authority.encode("ascii") if host is None else host
        self.origin = origin
        self.head_only = raw_method == b"HEAD"
        self.close = block.close
        self.sized = raw_method in _BODY_METHODS
        self.head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%b" % (raw_method, check_target(target), authority, block.raw)

    def plus(self, headers: HeaderPairs) -> Prepared:
        """A copy with further headers, none of which it has already: one call's own beside those of every call.

        Raises:
            InvalidRequest: part "header", with the header's name and never its value.
        """
        lines = self.head
        for name, value in headers:
            low, raw_value = _checked(name, value)
            if low in _CONNECTION:
                raise InvalidRequest(f"header {_shown(name)!r} belongs to every call", part="header", name=_shown(name))
            lines += b"%b: %b\r\n" % (low, raw_value)
        other = Prepared.__new__(Prepared)
        other.origin, other.head_only, other.close, other.sized = self.origin, self.head_only, self.close, self.sized
        other.head = lines
        return other

    def wire(self, size: int) -> bytes:
        """The complete head for a body of `size` bytes."""
        if size or self.sized:
            return b"%bcontent-length: %d\r\n\r\n" % (self.head, size)
        return self.head + b"\r\n"

    def __repr__(self) -> str:
        return f"<Prepared request to {self.origin}>"
