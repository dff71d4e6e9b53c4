"""Scenarios below the wire: connections, heads, bodies. They answer in the voice of the request's path."""

from __future__ import annotations

import asyncio
import json
import time
from email.utils import formatdate

from lexigram.testing.faults._replies import CANNED, CLOSING, CODED, canned, chunk, gzip_bomb, response, stream_head
from lexigram.testing.faults._server import Peer, Scenario, accepting, scenario, scenarios

__all__ = ["register"]


def register() -> None:
    """Add the canned replies to the scenarios; the others are added by their decorator."""
    for name in CANNED:
        scenarios.setdefault(name, _canned(name))


def _canned(name: str) -> Scenario:
    async def play(peer: Peer, _: list[str]) -> bool:
        await peer.send(canned(name, peer.voice.content(peer.request.stream)))
        return name not in CLOSING

    return play


# -- before any request


async def _rst(peer: Peer, _: list[str]) -> bool:
    peer.rst()
    return False


async def _rst_once(peer: Peer, _: list[str]) -> bool:
    if peer.server.times("rst_once") == 1:
        peer.rst()
        return False
    return True


async def _eof(peer: Peer, _: list[str]) -> bool:
    return False


async def _hang(peer: Peer, _: list[str]) -> bool:
    await peer.gone()
    return False


async def _deaf(peer: Peer, _: list[str]) -> bool:
    await peer.deaf(0.5)
    return False


accepting.update(rst=_rst, rst_once=_rst_once, eof=_eof, hang=_hang, deaf=_deaf)


# -- heads


@scenario
async def ok(peer: Peer, _: list[str]) -> None:
    """A good answer, whole or as a stream, as the request asks."""
    await peer.send(_good(peer))


def _good(peer: Peer, *headers: str) -> bytes:
    body, media = peer.voice.content(peer.request.stream)
    return response(body, *([f"Content-Type: {media}"] if media else []), *headers)


@scenario
async def sip(peer: Peer, _: list[str]) -> None:
    """The request's body is read slowly."""
    await peer.send(_good(peer))


@scenario
async def early_reply(peer: Peer, _: list[str]) -> bool:
    """Answered before the request's body is read."""
    await peer.send(response(b"too much", "Connection: close", status="413 Too Large"))
    await peer.reader.readexactly(int(peer.request.headers.get("content-length", "0")))
    return False


@scenario
async def echo(peer: Peer, _: list[str]) -> None:
    """Tells what was asked."""
    request = peer.request
    told = {"method": request.method, "path": request.path, "headers": request.headers, "size": len(request.body)}
    await peer.send(response(json.dumps(told).encode()))


@scenario
async def status(peer: Peer, args: list[str]) -> None:
    """Arguments: the code."""
    code = args[0]
    body = b"" if code in ("204", "304") else peer.voice.body
    await peer.send(response(body, status=f"{code} X", length=code != "204"))


@scenario
async def refuse(peer: Peer, args: list[str]) -> None:
    """An error as providers write it.

    Arguments: the status, then ``name~value`` each: ``code`` is the error's own code, ``clock`` the seconds by which
    the server's clock is wrong, ``until`` a Retry-After as a date so many seconds ahead of that clock; all else is a
    header.
    """
    fields = dict(argument.split("~", 1) for argument in args[1:])
    code = fields.pop("code", None)
    now = time.time() + float(fields.pop("clock", "0"))
    if "until" in fields:
        fields["Retry-After"] = formatdate(now + float(fields.pop("until")), usegmt=True)
    headers = [f"Date: {formatdate(now, usegmt=True)}", *(f"{name}: {value}" for name, value in fields.items())]
    body = json.dumps({"error": {"message": "refused", "type": code, "code": code}}).encode()
    await peer.send(response(body, "Content-Type: application/json", *headers, status=f"{args[0]} X"))


@scenario
async def html(peer: Peer, args: list[str]) -> None:
    """Arguments: the status of a gateway's web page."""
    page = b"<html><head><title>Oops</title></head><body><h1>Bad Gateway</h1><script>x()</script></body></html>"
    await peer.send(response(page, "Content-Type: text/html", status=f"{args[0]} X"))


@scenario
async def redirect(peer: Peer, args: list[str]) -> None:
    """Arguments: the place, a whole URL or a port; without one a link-local address."""
    place = args[0] if args else "http://169.254.169.254/"
    if place.isdigit():
        place = f"http://127.0.0.1:{place}{peer.request.path}"
    await peer.send(response(b"", f"Location: {place}", status="307 Temporary Redirect"))


@scenario
async def redir_scheme(peer: Peer, _: list[str]) -> None:
    """A redirect to a file."""
    await peer.send(response(b"", "Location: file:///etc/passwd", status="308 Permanent Redirect"))


@scenario
async def redir_loop(peer: Peer, _: list[str]) -> None:
    """A redirect to where it came from."""
    await peer.send(response(b"", f"Location: {peer.request.path}", status="307 Temporary Redirect"))


@scenario
async def not_modified(peer: Peer, _: list[str]) -> None:
    """A 304 with the length of a body that it does not have."""
    await peer.send(response(b"", "Content-Length: 100", status="304 Not Modified", length=False))


@scenario
async def head_(peer: Peer, _: list[str]) -> None:
    """To HEAD the head only."""
    data = response(b"x" * 100)
    await peer.send(data[:-100] if peer.request.method == "HEAD" else data)


@scenario
async def sleep(peer: Peer, args: list[str]) -> None:
    """Arguments: seconds before the answer."""
    await peer.pause(float(args[0]))
    await peer.send(_good(peer))


@scenario
async def hang(peer: Peer, _: list[str]) -> bool:
    """Never answers."""
    await peer.gone()
    return False


@scenario
async def close_silent(peer: Peer, _: list[str]) -> bool:
    """Closes instead of an answer."""
    return False


@scenario
async def rst_request(peer: Peer, _: list[str]) -> bool:
    """Resets instead of an answer."""
    peer.rst()
    return False


@scenario
async def slow_headers(peer: Peer, _: list[str]) -> None:
    """A head in single bytes, four seconds long."""
    for byte in _good(peer, *[f"X-{n}: y" for n in range(200)]):
        await peer.send(bytes([byte]))
        await peer.pause(0.02)


@scenario
async def keepalive_race(peer: Peer, _: list[str]) -> bool:
    """Answers as if to keep the connection, then resets it when the next request comes."""
    await peer.send(_good(peer))
    await peer.reader.readuntil(b"\r\n\r\n")
    peer.rst()
    return False


@scenario
async def keepalive_close(peer: Peer, _: list[str]) -> bool:
    """Answers as if to keep the connection, and closes it."""
    await peer.send(_good(peer))
    return False


@scenario
async def unsolicited(peer: Peer, _: list[str]) -> bool:
    """Answers, and a little later answers what nobody asked."""
    await peer.send(_good(peer))
    await peer.pause(0.05)
    await peer.send(response(b"forged"))
    await peer.gone()
    return False


# -- bodies


@scenario
async def dribble(peer: Peer, _: list[str]) -> None:
    """A body in single bytes, without end."""
    await peer.send(response(b"", "Content-Length: 100000", length=False))
    while True:
        await peer.send(b" ")
        await peer.pause(0.02)


@scenario
async def gzip_bomb_(peer: Peer, args: list[str]) -> None:
    """Arguments: megabytes that a small body unpacks to."""
    body = await asyncio.to_thread(gzip_bomb, int(args[0]))
    await peer.send(response(body, CODED + "gzip"))


@scenario
async def giant(peer: Peer, args: list[str]) -> None:
    """Arguments: megabytes of zeros with a Content-Length."""
    await peer.send(response(b"", f"Content-Length: {int(args[0]) << 20}", length=False))
    for _ in range(int(args[0])):
        await peer.send(bytes(1 << 20))


@scenario
async def giant_json(peer: Peer, args: list[str]) -> None:
    """Arguments: megabytes of valid JSON, chunked."""
    await peer.send(response(b"", "Transfer-Encoding: chunked", length=False) + chunk(b'{"x":"'))
    piece = chunk(b"y" * (1 << 18))
    for _ in range(int(args[0]) * 4):
        await peer.send(piece)
    await peer.send(chunk(b'",' + peer.voice.body[1:]) + b"0\r\n\r\n")


@scenario
async def huge_number(peer: Peer, args: list[str]) -> None:
    """Arguments: megabytes of digits in JSON."""
    await peer.send(response(b"", "Transfer-Encoding: chunked", length=False) + chunk(b'{"x":'))
    piece = chunk(b"9" * (1 << 18))
    for _ in range(int(args[0]) * 4):
        await peer.send(piece)
    await peer.send(chunk(b"," + peer.voice.body[1:]) + b"0\r\n\r\n")


@scenario
async def drip_chunks(peer: Peer, _: list[str]) -> None:
    """Chunk heads and chunk bodies in writes of their own."""
    await peer.send(stream_head())
    for _turn in range(60):
        for piece in (b"2\r\n", b"ab\r\n"):
            await peer.send(piece)
            await asyncio.sleep(0.002)
    await peer.send(b"0\r\n\r\n")
