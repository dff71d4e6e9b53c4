"""Takes secrets out of exchanges. Nothing goes into a recording that has not been here.

Headers are kept by a list of those allowed. The values of the others that carry credentials or name an account, and of
such parameters in addresses, are secrets wherever they are found: in addresses, headers and bodies, written as they
are, with JSON's or an address's escapes, in hex or in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

from lexigram.contracts.values import Sealed
from lexigram.testing.recording._exchange import Asked, Exchange, Failure

__all__ = ["SCRUBBED", "LeftoverSecretError", "Scrubber"]

SCRUBBED: Final = "SCRUBBED"
"""What stands where a secret was."""

_SHORTEST: Final = 8
"""A shorter value is dropped with its header, but not looked for elsewhere: it may well be a word."""

_KEPT: Final = re.compile(
    r"accept|content-type|date|retry-after(-ms)?|x-should-retry|(x-|anthropic-)?ratelimit-.+"
    r"|([\w-]+-)?(request-?|correlation-|generation-)id|cf-ray|x-amzn-errortype|x-amz-target"
    r"|anthropic-(version|beta)|openai-(version|beta|processing-ms)",
    re.ASCII,
)
_SECRET_HEADER: Final = re.compile(
    r"auth|key|token|secret|cookie|signature|credential|password|session|account|organi[sz]ation|\borg\b|project|tenant"
)
_SECRET_PARAMETER: Final = re.compile(
    r"([?&;])((?:api[-_]?)?key|code|(?:\w+[-_])?(?:token|secret|password)|sig|signature|x-amz-[\w-]+|x-goog-[\w-]+)"
    r"=([^&;#]*)",
    re.IGNORECASE,
)
_USER: Final = re.compile(r"(?<=://)[^/@?#]+@")
_STRING: Final = re.compile(rb'"([\w:-]+)"\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)


class LeftoverSecretError(AssertionError):
    """A secret is where it cannot be taken out, so the exchange is not kept. The text does not repeat it."""


class Scrubber:
    """Knows secrets, learns more from the requests and replies it sees, and takes them all out."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: Sealed[dict[str, re.Pattern[bytes]]] = Sealed({})
        for secret in secrets:
            self.hide(secret)

    def hide(self, secret: str) -> None:
        """Take this out too."""
        if len(secret) >= _SHORTEST and secret != SCRUBBED:
            self._secrets.reveal().setdefault(secret, _pattern(secret))

    def learn(self, url: str, headers: Mapping[str, str]) -> None:
        """Take the secrets that stand in an address and headers as known from now on."""
        for found in _SECRET_PARAMETER.finditer(url):
            self.hide(unquote(found[3]))
        if (user := _USER.search(url)) is not None:
            for part in user[0][:-1].split(":"):
                self.hide(unquote(part))
        for name, value in headers.items():
            if not _KEPT.fullmatch(name.lower()) and _SECRET_HEADER.search(name.lower()):
                for secret in _secrets_of(name.lower(), value):
                    self.hide(secret)

    def clean(self, exchange: Exchange) -> Exchange:
        """Return the exchange without secrets.

        Raises:
            LeftoverSecretError: where one is in bytes that are not text, or written in pieces over several events.
        """
        failure = exchange.failure
        return Exchange(
            self.clean_request(exchange.asked),
            exchange.status,
            self._headers(exchange.headers),
            self._pieces(exchange.pieces),
            exchange.end,
            Failure(failure.kind, self._text(failure.text), failure.cause) if failure is not None else None,
        )

    def clean_request(self, asked: Asked) -> Asked:
        """Return the request without secrets.

        Raises:
            LeftoverSecretError: where one is in bytes that are not text.
        """
        url = _SECRET_PARAMETER.sub(rf"\1\2={SCRUBBED}", _USER.sub("", asked.url))
        body = b"".join(self._pieces((asked.body,)))
        return Asked(asked.method, self._text(url), self._headers(asked.headers), body)

    def is_in(self, data: bytes) -> bool:
        """Tell whether one of the secrets is there."""
        return any(pattern.search(data) for pattern in self._secrets.reveal().values())

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        lowered = {name.lower(): value for name, value in headers.items()}
        return {name: self._text(lowered[name]) for name in sorted(lowered) if _KEPT.fullmatch(name)}

    def _text(self, text: str) -> str:
        return b"".join(self._pieces((text.encode(),))).decode()

    def _pieces(self, pieces: Sequence[bytes]) -> tuple[bytes, ...]:
        """Scrub what the pieces join to and cut it where it was cut; a cut within a secret goes behind it."""
        joined = b"".join(pieces)
        spans = self._spans(joined)
        if spans and not _is_text(joined):
            raise LeftoverSecretError("a secret is in a body that is not text: it cannot be recorded")
        self._refuse_split_secrets(joined)
        cuts: list[int] = []
        for piece in pieces:
            cuts.append((cuts[-1] if cuts else 0) + len(piece))
        out: list[bytes] = []
        start = 0
        for cut in cuts:
            end = next((b for a, b in spans if a < cut < b), cut)
            out.append(_without(joined, max(start, 0), end, spans) if end > start else b"")
            start = max(start, end)
        return tuple(piece for piece in out if piece)

    def _spans(self, data: bytes) -> list[tuple[int, int]]:
        """Return where secrets are, without overlaps, in order."""
        found = sorted(m.span() for pattern in self._secrets.reveal().values() for m in pattern.finditer(data))
        spans: list[tuple[int, int]] = []
        for a, b in found:
            if spans and a < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(b, spans[-1][1]))
            else:
                spans.append((a, b))
        return spans

    def _refuse_split_secrets(self, joined: bytes) -> None:
        """A model that repeats a key writes it in pieces: the strings of one name, one behind the other."""
        strings: dict[bytes, list[bytes]] = {}
        for name, value in _STRING.findall(joined):
            strings.setdefault(name, []).append(value)
        scrubbed = SCRUBBED.encode()
        for name, values in strings.items():
            if len(values) > 1 and any(m != scrubbed for m in self._across(values)):
                raise LeftoverSecretError(f"a secret is written over several {name.decode()!r}: it cannot be recorded")

    def _across(self, values: list[bytes]) -> Iterator[bytes]:
        """Give the secrets that only the joined values show."""
        ends: set[int] = set()
        position = 0
        for value in values:
            position += len(value)
            ends.add(position)
        joined = b"".join(values)
        for a, b in self._spans(joined):
            if any(a < end < b for end in ends):
                yield joined[a:b]


def _without(data: bytes, start: int, end: int, spans: list[tuple[int, int]]) -> bytes:
    out: list[bytes] = []
    for a, b in spans:
        if start <= a and b <= end:
            out += [data[start:a], SCRUBBED.encode()]
            start = b
    return b"".join([*out, data[start:end]])


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\x00" not in data


def _secrets_of(name: str, value: str) -> Iterator[str]:
    """Give the secrets in a header's value."""
    scheme, _, rest = value.partition(" ")
    if name == "cookie" or name.startswith("set-cookie"):
        crumbs = value.split(";") if name == "cookie" else value.split(";")[:1]  # the rest are a cookie's attributes
        for crumb in crumbs:
            yield crumb.partition("=")[2].strip()
    elif scheme.startswith("AWS4"):
        for part in rest.split(","):
            what, _, said = part.strip().partition("=")
            if what == "Credential":
                yield said.partition("/")[0]
            elif what == "Signature":
                yield said
    elif scheme.lower() == "basic":
        yield rest
        try:
            yield from base64.b64decode(rest, validate=True).decode().split(":", 1)
        except (binascii.Error, UnicodeDecodeError):
            return
    else:
        yield rest.strip() if rest else value


def _pattern(secret: str) -> re.Pattern[bytes]:
    """Return what finds the secret however it is written."""
    raw = secret.encode()
    ways = [
        b"".join(_character(c) for c in secret),
        re.escape(raw.hex().encode()),
        re.escape(raw.hex().upper().encode()),
    ]
    for shift in range(3):
        core = base64.b64encode(bytes(shift) + raw)[4:-4]  # the edges depend on the neighbours
        if len(core) >= _SHORTEST:
            either = re.escape(core).replace(rb"\+", rb"[+-]").replace(b"/", b"[/_]")
            ways.append(rb"[A-Za-z0-9+/_-]{0,4}" + either + rb"[A-Za-z0-9+/_-]{0,4}={0,2}")
    return re.compile(b"|".join(ways))


def _character(c: str) -> bytes:
    """Return a pattern for one character: itself, JSON's escapes of it, an address's."""
    units = c.encode("utf-16-be")
    escaped = b"".join(rb"\\u(?i:%b)" % units[i : i + 2].hex().encode() for i in range(0, len(units), 2))
    percent = b"(?i:" + "".join(f"%{byte:02x}" for byte in c.encode()).encode() + b")"
    ways = [re.escape(c.encode()), escaped, percent]
    if c in '"\\/':
        ways.append(re.escape(b"\\" + c.encode()))
    return b"(?:" + b"|".join(ways) + b")"
