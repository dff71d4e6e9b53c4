"""Any splitting of a valid reply gives the same result; any bytes at all give a reply or a typed error."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lexigram.http import Deadlines, HttpError, Limits, Origin, Reply
from lexigram.http._clock import DEAD, IDLE
from lexigram.http._connection import Connection
from lexigram.testing.faults import PLAIN, canned

LIMITS = Limits(header_bytes=4096, header_count=64, body_decoded=1 << 20, body_wire=1 << 20, informational=4)
ORIGIN = Origin("http", "fuzz", 80)


class Home:
    """A bucket for one connection."""

    def __init__(self) -> None:
        self.origin = ORIGIN
        self.limits = LIMITS
        self.released = self.forgotten = 0

    def release(self, conn: Connection) -> None:
        self.released += 1

    def forget(self, conn: Connection, *, keep_slot: bool = False) -> None:
        self.forgotten += 1


class Wire(asyncio.Transport):
    """A transport without a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


Result = tuple[str, int, bytes, str]


async def exchange(pieces: list[bytes], *, head_only: bool = False) -> tuple[Result, Connection, Home]:
    loop = asyncio.get_running_loop()
    home, wire = Home(), Wire()
    conn = Connection(loop, home, None)  # type: ignore[arg-type]
    conn.connection_made(wire)
    future = conn.start(b"", b"", Deadlines(), LIMITS, loop.time(), float("inf"), head_only, False, False)
    reading: asyncio.Task[bytes] | None = None
    reply: Reply | None = None
    for piece in pieces:
        if not wire.closed:
            conn.data_received(piece)
        if reading is None and future.done() and future.exception() is None:
            reply = (await future).pop()
            reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
    if not wire.closed:
        conn.eof_received()
        conn.connection_lost(None)
    result: Result
    try:
        if reply is None:
            reply = (await future).pop()
            reading = asyncio.create_task(reply.read())
        assert reading is not None
        result = ("reply", reply.status, await reading, repr(reply.headers.raw))
    except HttpError as error:
        result = ("error", reply.status if reply is not None else 0, str(error).encode(), type(error).__name__)
        if reading is not None and not reading.done():
            reading.cancel()
    return result, conn, home


def run(pieces: list[bytes], **options: Any) -> Result:
    result, conn, home = asyncio.run(exchange(pieces, **options))
    assert conn.state in (IDLE, DEAD) and home.forgotten <= 1 and home.released <= 1
    return result


WHOLE = PLAIN.content(stream=False)
VALID = [
    canned(name, WHOLE)
    for name in ("gzip", "gzip_members", "deflate_raw", "trailers", "early", "http10", "garbage_after", "identity")
] + [b"HTTP/1.1 200\r\n\r\n", b"\r\nHTTP/1.1 204 No Content\r\nA: b\r\n\r\n"]
BROKEN = [
    canned(name, WHOLE)
    for name in ("short_cl", "bad_chunk", "cl_and_te", "gzip_trunc", "gzip_lie", "switching", "stacked")
]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@FEW
@given(st.sampled_from(VALID + BROKEN), st.lists(st.integers(0, 1000), max_size=12))
def test_any_splitting_gives_the_same_result(data: bytes, places: list[int]) -> None:
    whole = run([data])
    assert run(cut(data, places)) == whole
    assert (whole[0] == "reply") == (data in VALID)


@FEW
@given(st.sampled_from(VALID))
def test_a_reply_in_single_bytes_gives_the_same_result(data: bytes) -> None:
    assert run([data[n : n + 1] for n in range(len(data))]) == run([data])


@FEW
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_give_a_reply_or_a_typed_error(pieces: list[bytes]) -> None:
    assert run([piece for piece in pieces if piece])[0] in ("reply", "error")


@FEW
@given(
    st.sampled_from(VALID + BROKEN),
    st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=6), st.integers(0, 4)), max_size=4),
    st.lists(st.integers(0, 1000), max_size=4),
    st.booleans(),
)
def test_a_damaged_reply_gives_a_reply_or_a_typed_error(
    data: bytes, damage: list[tuple[int, bytes, int]], places: list[int], head_only: bool
) -> None:
    for place, new, gone in damage:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + gone :]
    assert run(cut(data, places), head_only=head_only)[0] in ("reply", "error")


names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(lambda n: "content" not in n)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)


@FEW
@given(
    st.integers(200, 599).filter(lambda code: code not in (204, 304)),
    st.lists(st.tuples(names, values), max_size=10),
    st.binary(max_size=500),
    st.sampled_from(["length", "chunked", "close"]),
    st.booleans(),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_a_made_up_reply_is_read_as_it_was_made(
    status: int, pairs: list[tuple[str, str]], body: bytes, framing: str, packed: bool, places: list[int]
) -> None:
    taken = ("connection", "transfer-encoding", "upgrade", "proxy-connection", "keep-alive")
    pairs = [(f"x-{name}" if name in taken else name, value) for name, value in pairs]
    wire = gzip.compress(body) if packed else body
    lines = [*pairs, *([("Content-Encoding", "gzip")] if packed else [])]
    if framing == "length":
        lines.append(("Content-Length", str(len(wire))))
    elif framing == "chunked":
        lines.append(("Transfer-Encoding", "chunked"))
        half = len(wire) // 2
        wire = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (wire[:half], wire[half:]) if p) + b"0\r\n\r\n"
    head = f"HTTP/1.1 {status} Made Up\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines) + "\r\n"
    kind, code, found, raw = run(cut(head.encode("latin-1") + wire, places))
    assert (kind, code, found) == ("reply", status, body)
    assert raw == repr([(name.encode(), value.encode()) for name, value in lines])
