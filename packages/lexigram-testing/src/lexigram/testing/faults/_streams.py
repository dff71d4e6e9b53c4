"""Scenarios of event streams: how they break off, stall, and what they are written like."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from lexigram.testing.faults._replies import CODED, chunk, response, stream_head
from lexigram.testing.faults._server import Peer, Scenario, scenario, scenarios
from lexigram.testing.faults._voices import Voice

__all__ = ["WRITTEN", "register"]

LAST: Final = b"0\r\n\r\n"
SPLIT_TEXT: Final = "hé😀l中o"
ODD_TEXT: Final = "a\u2028b\u0085c\x1cd"

_COMMENTS: Final = b": one\n\nid: 7\n\nretry: 10\n\nevent: ping\n\n:\n\n"


def _data(*data: bytes, name: bytes = b"") -> bytes:
    head = b"event: " + name + b"\n" if name else b""
    return head + b"".join(b"data: " + line + b"\n" for line in data) + b"\n"


def _after_first(voice: Voice, *blocks: bytes) -> bytes:
    """Return the stream with blocks put in after its first event."""
    return b"".join([voice.events[0], *blocks, *voice.events[1:], voice.end])


def _multiline(voice: Voice) -> bytes:
    """Every event's data over two lines, cut where JSON allows a line's end."""
    return b"".join(event.replace(b',"', b',\ndata: "', 1) for event in voice.events) + voice.end


WRITTEN: Final[dict[str, Callable[[Voice], bytes]]] = {
    "s_ok": lambda v: v.stream,
    "s_nodone": lambda v: b"".join(v.events),
    "s_nofinish": lambda v: b"".join(v.events[:-1]),
    "s_err": lambda v: v.events[0] + _data(v.error),
    "s_err_first": lambda v: _data(v.error),
    "s_err_event": lambda v: v.events[0] + _data(b'{"message":"gone wrong","code":500}', name=b"error"),
    "s_err_event_nested": lambda v: v.events[0] + _data(v.error[:-1] + b',"status_code":503}', name=b"error"),
    "s_badjson": lambda v: _after_first(v, _data(b'{"choices":[{"delta"')),
    "s_badutf8": lambda v: _after_first(v, _data(v.say("@").replace(b"@", b"\xff\xfe"))),
    "s_surrogate": lambda v: _after_first(v, _data(v.say("@").replace(b"@", b"\\ud83d"))),
    "s_crlf": lambda v: v.stream.replace(b"\n", b"\r\n"),
    "s_cr": lambda v: v.stream.replace(b"\n", b"\r"),
    "s_mixed": lambda v: v.stream.replace(b"\n\n", b"\r\n\n", 1).replace(b"\n\n", b"\r\r\n"),
    "s_bom": lambda v: b"\xef\xbb\xbf" + v.stream,
    "s_u2028": lambda v: _data(v.say(ODD_TEXT)) + b"".join(v.events[2:]) + v.end,
    "s_comment": lambda v: _COMMENTS + _after_first(v, _COMMENTS) + _COMMENTS,
    "s_unknown": lambda v: _after_first(v, _data(b'{"type":"keepalive"}', name=b"keepalive"), b"x-new: 1\n\n"),
    "s_nospace": lambda v: v.stream.replace(b"data: ", b"data:"),
    "s_multiline": _multiline,
    "s_nofinalblank": lambda v: v.stream.rstrip(b"\n"),
    "s_finish_nofinalblank": lambda v: b"".join(v.events).rstrip(b"\n"),
    "s_cut_event": lambda v: v.events[0] + v.events[1][: len(v.events[1]) // 2],
    "s_blank": lambda _: b"\n\n \n\n",
    "s_dup_done": lambda v: v.stream + v.end + v.events[0] + v.end,
    "s_utf8split": lambda v: _data(v.say(SPLIT_TEXT)) + b"".join(v.events[2:]) + v.end,
}
"""Streams that differ by what is written: functions of the voice. ``name=bytes`` sends them in single bytes."""

_SINGLE: Final = frozenset({"s_blank", "s_utf8split", "s_crlf", "s_cr", "s_mixed", "s_bom"})


def register() -> None:
    """Add the written streams to the scenarios; the others are added by their decorator."""
    for name in WRITTEN:
        scenarios.setdefault(name, _written(name))


def _written(name: str) -> Scenario:
    async def play(peer: Peer, args: list[str]) -> None:
        data = WRITTEN[name](peer.voice)
        if "bytes" in args or name in _SINGLE:
            await _send_chunks(peer, (data[n : n + 1] for n in range(len(data))))
        else:
            await _send_chunks(peer, [data])

    return play


async def _send_chunks(peer: Peer, pieces: Iterable[bytes]) -> None:
    await peer.send(stream_head())
    for piece in pieces:
        await peer.send(chunk(piece))
    await peer.send(LAST)


@scenario
async def stream(peer: Peer, args: list[str]) -> None:
    """Arguments: the pause after each event."""
    await peer.send(stream_head())
    for event in peer.voice.events:
        await peer.send(chunk(event))
        if args:
            await peer.pause(float(args[0]))
    await peer.send((chunk(peer.voice.end) if peer.voice.end else b"") + LAST)


@scenario
async def s_rst(peer: Peer, _: list[str]) -> bool:
    """Reset after the first event."""
    await peer.send(stream_head() + chunk(peer.voice.events[0]))
    await asyncio.sleep(0.05)
    peer.rst()
    return False


@scenario
async def s_eof_chunked(peer: Peer, _: list[str]) -> bool:
    """Closed after the first event, without the last chunk."""
    await peer.send(stream_head() + chunk(peer.voice.events[0]))
    return False


@scenario
async def s_eof_close(peer: Peer, _: list[str]) -> bool:
    """Closed after the first event, where closing is the framing."""
    await peer.send(response(peer.voice.events[0], "Content-Type: text/event-stream", length=False))
    return False


@scenario
async def s_stall(peer: Peer, _: list[str]) -> bool:
    """Nothing more after the first event."""
    await peer.send(stream_head() + chunk(peer.voice.events[0]))
    await peer.gone()
    return False


@scenario
async def s_deaf(peer: Peer, _: list[str]) -> bool:
    """Sends an event, then hears nothing for a while, not even a farewell."""
    await peer.send(stream_head() + chunk(peer.voice.events[0]))
    await peer.deaf(1)
    return False


@scenario
async def s_stall_done(peer: Peer, _: list[str]) -> bool:
    """A whole stream on a connection that is never closed, in a body that never ends."""
    await peer.send(stream_head() + chunk(peer.voice.stream))
    await peer.gone()
    return False


@scenario
async def s_stall_finish(peer: Peer, _: list[str]) -> bool:
    """All events, but neither the end's mark nor the end."""
    await peer.send(stream_head() + chunk(b"".join(peer.voice.events)))
    await peer.gone()
    return False


@scenario
async def s_slow_first(peer: Peer, args: list[str]) -> None:
    """Arguments: seconds between the head and the first event."""
    await peer.send(stream_head())
    await peer.pause(float(args[0]))
    await peer.send(chunk(peer.voice.stream) + LAST)


@scenario
async def s_headers_only(peer: Peer, _: list[str]) -> bool:
    """A head and nothing more."""
    await peer.send(stream_head())
    await peer.gone()
    return False


@scenario
async def s_comments_forever(peer: Peer, _: list[str]) -> bool:
    """Nothing but comments."""
    await peer.send(stream_head())
    while True:
        await peer.send(chunk(b": keep-alive\n\n"))
        await peer.pause(0.02)


@scenario
async def s_json200(peer: Peer, _: list[str]) -> None:
    """An error as a whole JSON body under status 200."""
    await peer.send(response(peer.voice.error, "Content-Type: application/json"))


@scenario
async def s_whole(peer: Peer, _: list[str]) -> None:
    """The whole answer as JSON, though a stream was asked for."""
    await peer.send(response(peer.voice.body, "Content-Type: application/json"))


@scenario
async def s_html200(peer: Peer, _: list[str]) -> None:
    """A login page."""
    await peer.send(response(b"<html><body>Please log in</body></html>", "Content-Type: text/html"))


@scenario
async def s_empty(peer: Peer, _: list[str]) -> None:
    """A stream of no bytes."""
    await peer.send(stream_head() + LAST)


@scenario
async def s_giant(peer: Peer, args: list[str]) -> None:
    """Arguments: megabytes of one event, in pieces of 8 KB."""
    await peer.send(stream_head() + chunk(peer.voice.events[0]) + chunk(b"data: "))
    piece = chunk(b"y" * 8192) * 8
    for _ in range(int(args[0]) * 16):
        await peer.send(piece)
    await peer.send(LAST)


@scenario
async def s_infinite(peer: Peer, _: list[str]) -> None:
    """The first event, again and again."""
    await peer.send(stream_head())
    data = chunk(peer.voice.events[0]) * 50
    while True:
        await peer.send(data)
        await asyncio.sleep(0)


@scenario
async def s_gzip(peer: Peer, args: list[str]) -> None:
    """Compressed and flushed event by event. Arguments: the pause after each, 0.1 unless given."""
    packer = zlib.compressobj(wbits=31)
    await peer.send(stream_head(CODED + "gzip"))
    for event in (*peer.voice.events, *([peer.voice.end] if peer.voice.end else [])):
        await peer.send(chunk(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH)))
        await peer.pause(float(args[0]) if args else 0.1)
    await peer.send(chunk(packer.flush()) + LAST)
