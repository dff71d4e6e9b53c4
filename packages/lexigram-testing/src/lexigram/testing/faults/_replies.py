"""Replies as bytes, good and bad, by name. Each is made around a content, so that every wire has all of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple

__all__ = ["CANNED", "CLOSING", "CODED", "Content", "canned", "chunk", "gzip_bomb", "response", "stream_head"]


class Content(NamedTuple):
    """A body and its content type; "" sends none."""

    body: bytes
    media: str = ""


def response(body: bytes, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """Return a reply.

    Args:
        body: what follows the head.
        headers: whole lines.
        status: code and phrase.
        length: whether to add a Content-Length.
    """
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunk(data: bytes) -> bytes:
    """Return a chunk of the chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def stream_head(*headers: str) -> bytes:
    """Return the head of a chunked event stream."""
    return response(b"", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", *headers, length=False)


CODED: Final = "Content-Encoding: "


def _with(content: Content, *headers: str, body: bytes | None = None, length: bool = True) -> bytes:
    media = [f"Content-Type: {content.media}"] if content.media else []
    return response(content.body if body is None else body, *media, *headers, length=length)


def _packed(content: Content, *codings: str, body: bytes | None = None) -> bytes:
    return _with(
        content, *(CODED + coding for coding in codings), body=gzip.compress(content.body) if body is None else body
    )


def _chunked(content: Content, body: bytes) -> bytes:
    return _with(content, "Transfer-Encoding: chunked", body=body, length=False)


def _halves(body: bytes) -> tuple[bytes, bytes]:
    return body[: len(body) // 2], body[len(body) // 2 :]


def _members(content: Content) -> bytes:
    return b"".join(gzip.compress(half) for half in _halves(content.body))


_EARLY: Final = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"

CANNED: Final[dict[str, Callable[[Content], bytes]]] = {
    "huge_headers": lambda c: b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 1000) for n in range(512)),
    "many_headers": lambda c: b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 2000 + b"\r\n",
    "bad_status": lambda c: b"HTTP/1.1 abc nope\r\n\r\n",
    "not_http": lambda c: b"SSH-2.0-OpenSSH_9.9\r\n",
    "version2": lambda c: b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "early": lambda c: _EARLY + _with(c),
    "many_early": lambda c: b"HTTP/1.1 103 Early\r\n\r\n" * 40 + _with(c),
    "switching": lambda c: b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nnoise",
    "http10": lambda c: b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + c.body,
    "nocl_eof": lambda c: _with(c, length=False),
    "garbage_after": lambda c: _with(c) + b"GARBAGE",
    "second_after": lambda c: _with(c) + response(b"forged"),
    "cl_and_te": lambda c: _with(c, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two_cl": lambda c: _with(c, "Content-Length: 3"),
    "negative_cl": lambda c: _with(c, "Content-Length: -3", length=False),
    "te_unknown": lambda c: _with(c, "Transfer-Encoding: xchunked", length=False),
    "te_gzip_chunked": lambda c: _with(
        c, "Transfer-Encoding: gzip, chunked", body=chunk(gzip.compress(c.body)) + b"0\r\n\r\n", length=False
    ),
    "short_cl": lambda c: _with(c, f"Content-Length: {len(c.body) + 10}", length=False),
    "half_head": lambda c: b"HTTP/1.1 200 OK\r\nContent-",
    "trunc_chunked": lambda c: _chunked(c, b"%x\r\n%b" % (len(c.body), _halves(c.body)[0])),
    "no_last_chunk": lambda c: _chunked(c, chunk(c.body)),
    "bad_chunk": lambda c: _chunked(c, chunk(_halves(c.body)[0]) + b"zz\r\n"),
    "trailers": lambda c: _chunked(c, chunk(c.body) + b"0\r\nX-Trailer: 1\r\nX-More: 2\r\n\r\n"),
    "endless_trailers": lambda c: _chunked(c, chunk(c.body) + b"0\r\n" + b"X-Trailer: y\r\n" * 20_000),
    "gzip": lambda c: _packed(c, "gzip"),
    "gzip_members": lambda c: _packed(c, "gzip", body=_members(c)),
    "gzip_trunc": lambda c: _packed(c, "gzip", body=gzip.compress(c.body)[:-12]),
    "gzip_garbage": lambda c: _packed(c, "gzip", body=gzip.compress(c.body) + b"garbage"),
    "gzip_lie": lambda c: _packed(c, "gzip", body=c.body),
    "gzip_empty": lambda c: _packed(c, "gzip", body=b""),
    "gzip_gzip": lambda c: _packed(c, "gzip", "gzip", body=gzip.compress(gzip.compress(c.body))),
    "stacked": lambda c: _packed(c, ", ".join(["gzip"] * 20)),
    "unknown_coding": lambda c: _packed(c, "compress"),
    "identity": lambda c: _packed(c, "identity", body=c.body),
    "deflate": lambda c: _packed(c, "deflate", body=zlib.compress(c.body)),
    "deflate_raw": lambda c: _packed(c, "deflate", body=zlib.compress(c.body, wbits=-15)),
    "deflate_lie": lambda c: _packed(c, "deflate", body=b"\xff\xff\xff\xff"),
    "cookie": lambda c: _with(c, "Set-Cookie: sid=1; Path=/", "Set-Cookie: b=2"),
    "html200": lambda c: _with(Content(b"<html><body><h1>Please log in</h1></body></html>", "text/html")),
    "empty200": lambda c: _with(c, body=b""),
    "null200": lambda c: _with(c, body=b"null"),
    "list200": lambda c: _with(c, body=b"[]"),
    "shapeless": lambda c: _with(c, body=b'{"id":"c-1","object":"x"}'),
    "trunc_json": lambda c: _with(c, body=_halves(c.body)[0]),
    "bad_utf8": lambda c: _with(c, body=c.body.replace(b"hel", b"h\xff\xfe", 1)),
    "surrogate": lambda c: _with(c, body=c.body.replace(b"hel", b"h\\ud800", 1)),
    "deep_json": lambda c: _with(c, body=_extra(c, b"[" * 100_000 + b"]" * 100_000)),
    "huge_int": lambda c: _with(c, body=_extra(c, b"9" * 20_000)),
    "duplicate_keys": lambda c: _with(c, body=_extra(c, b'1,"x":2,"x":3')),
    "nan_infinity": lambda c: _with(c, body=_extra(c, b"[NaN,Infinity,-Infinity]")),
}
"""Replies by name: functions of the content that a healthy server would have sent."""

CLOSING: Final = frozenset(
    {
        "half_head",
        "http10",
        "no_last_chunk",
        "nocl_eof",
        "short_cl",
        "te_gzip_chunked",
        "te_unknown",
        "trunc_chunked",
        "gzip_trunc",
    }
)
"""The canned replies after which the connection is closed."""


def _extra(content: Content, value: bytes) -> bytes:
    """Return the content with one more key in its first JSON object."""
    return content.body.replace(b"{", b'{"x":' + value + b",", 1)


def canned(name: str, content: Content) -> bytes:
    """Return the canned reply of that name."""
    return CANNED[name](content)


def gzip_bomb(megabytes: int) -> bytes:
    """Return a small gzip body that unpacks to so many megabytes of zeros."""
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join([packer.compress(piece) for _ in range(megabytes)]) + packer.flush()
