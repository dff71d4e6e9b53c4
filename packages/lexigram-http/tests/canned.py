"""Replies as bytes, good and bad, by name."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

OK = b'{"ok":true}'


def response(body: bytes = OK, *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, *([f"Content-Length: {len(body)}"] if length else []), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


SSE = "Content-Type: text/event-stream"
CHUNKED = response(b"", SSE, "Transfer-Encoding: chunked", length=False)
EVENTS = [b'data: {"n":%d}\n\n' % n for n in range(3)]

PACKED = gzip.compress(OK)
CODED = "Content-Encoding: "
RAW: dict[str, bytes] = {
    "huge_headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 1000) for n in range(512)),
    "many_headers": b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 2000 + b"\r\n",
    "bad_status": b"HTTP/1.1 abc nope\r\n\r\n",
    "not_http": b"SSH-2.0-OpenSSH_9.9\r\n",
    "version2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "early": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + response(),
    "many_early": b"HTTP/1.1 103 Early\r\n\r\n" * 40 + response(),
    "switching": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nnoise",
    "http10": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + OK,
    "nocl_eof": response(OK, length=False),
    "garbage_after": response() + b"GARBAGE",
    "second_after": response() + response(b"forged"),
    "cl_and_te": response(b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    "two_cl": response(OK, "Content-Length: 3"),
    "negative_cl": response(OK, "Content-Length: -3", length=False),
    "te_unknown": response(OK, "Transfer-Encoding: xchunked", length=False),
    "te_gzip_chunked": response(chunk(PACKED) + b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked", length=False),
    "short_cl": response(b"abc", "Content-Length: 10", length=False),
    "half_head": b"HTTP/1.1 200 OK\r\nContent-",
    "trunc_chunked": CHUNKED + b"20\r\nabc",
    "no_last_chunk": CHUNKED + chunk(b"abc"),
    "bad_chunk": CHUNKED + chunk(b"abc") + b"zz\r\n",
    "trailers": CHUNKED + chunk(OK) + b"0\r\nX-Trailer: 1\r\nX-More: 2\r\n\r\n",
    "endless_trailers": CHUNKED + chunk(OK) + b"0\r\n" + b"X-Trailer: y\r\n" * 20_000,
    "gzip": response(PACKED, CODED + "gzip"),
    "gzip_members": response(PACKED[:0] + gzip.compress(b"one,") + gzip.compress(b"two"), CODED + "gzip"),
    "gzip_trunc": response(PACKED[:-12], CODED + "gzip"),
    "gzip_garbage": response(PACKED + b"garbage", CODED + "gzip"),
    "gzip_lie": response(OK, CODED + "gzip"),
    "gzip_empty": response(b"", CODED + "gzip"),
    "gzip_gzip": response(gzip.compress(PACKED), CODED + "gzip", CODED + "gzip"),
    "stacked": response(PACKED, CODED + ", ".join(["gzip"] * 20)),
    "unknown_coding": response(OK, CODED + "compress"),
    "identity": response(OK, CODED + "identity"),
    "deflate": response(zlib.compress(OK), CODED + "deflate"),
    "deflate_raw": response(zlib.compress(OK, wbits=-15), CODED + "deflate"),
    "deflate_lie": response(b"\xff\xff\xff\xff", CODED + "deflate"),
    "cookie": response(OK, "Set-Cookie: sid=1; Path=/", "Set-Cookie: b=2"),
    "redirect": response(b"", "Location: http://169.254.169.254/", status="307 Temporary Redirect"),
}


def _gzip_bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    piece = bytes(1 << 20)
    return b"".join([packer.compress(piece) for _ in range(megabytes)]) + packer.flush()


BOMBS: dict[str, Callable[[int], bytes]] = {"gzip": _gzip_bomb}
