"""The AWS event stream: any chunking gives the same events, and no damaged byte is taken for an event."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.ai.llm.framing import Event, decoder_for
from lexigram.ai.llm.framing_aws import AWSEventStreamDecoder
from lexigram.contracts.ai.errors import DecodeError

Header = tuple[str, int, bytes]


def text(name: str, value: str) -> Header:
    return name, 7, struct.pack(">H", len(value.encode())) + value.encode()


def frame(headers: list[Header], payload: bytes) -> bytes:
    packed = b"".join(bytes([len(n.encode())]) + n.encode() + bytes([kind]) + value for n, kind, value in headers)
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, payload: bytes = b"{}") -> bytes:
    return frame([text(":event-type", name), text(":message-type", "event")], payload)


def events(*pieces: bytes, limit: int = 1 << 20) -> list[Event]:
    decoder = AWSEventStreamDecoder(limit)
    return [e for piece in pieces for e in decoder.feed(piece)] + decoder.flush()


ODD: list[Header] = [
    ("t", 0, b""), ("f", 1, b""), ("b", 2, b"x"), ("s", 3, b"xx"), ("i", 4, b"xxxx"), ("l", 5, b"x" * 8),
    ("y", 6, b"\0\3abc"), ("w", 8, b"x" * 8), ("u", 9, b"x" * 16),
]  # fmt: skip


def test_a_frame_is_its_event_type_and_payload() -> None:
    assert events(event("messageStart", b'{"role":"assistant"}')) == [("messageStart", b'{"role":"assistant"}')]
    assert events(event("ping", b"")) == [("ping", b"{}")]
    assert events(frame([*ODD, text(":event-type", "x")], b"1")) == [("x", b"1")]
    assert events(frame([], b"1")) == [(None, b"1")]
    assert isinstance(decoder_for("aws-eventstream"), AWSEventStreamDecoder)


def test_exceptions_and_errors_are_events_of_that_name() -> None:
    thrown = [text(":message-type", "exception"), text(":exception-type", "throttlingException")]
    assert events(frame(thrown, b'{"message":"slow"}')) == [("exception:throttlingException", b'{"message":"slow"}')]
    error = [text(":message-type", "error"), text(":error-code", "Internal"), text(":error-message", 'a "b"')]
    [(name, data)] = events(frame(error, b""))
    assert (name, json.loads(data)) == ("exception:Internal", {"message": 'a "b"'})


NAMES = st.text(st.characters(codec="utf-8"), max_size=12)
FRAMES = st.lists(st.tuples(NAMES, st.binary(min_size=1, max_size=60)), max_size=6)


@settings(deadline=None)
@given(FRAMES, st.lists(st.integers(0, 10_000), max_size=12))
def test_any_chunking_gives_the_same_events_and_botocore_agrees(sent: list[tuple[str, bytes]], cuts: list[int]) -> None:
    data = b"".join(event(name, payload) for name, payload in sent)
    edges = sorted({0, len(data), *[c % (len(data) + 1) for c in cuts]})
    pieces = [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    assert events(*pieces) == list(sent)
    assert events(*[bytes([b]) for b in data]) == list(sent)
    theirs = EventStreamBuffer()
    theirs.add_data(data)
    assert [(m.headers[":event-type"], m.payload) for m in theirs] == list(sent)


@settings(deadline=None)
@given(FRAMES.filter(bool), st.integers(0, 100_000), st.integers(0, 7))
def test_a_flipped_bit_is_an_error_or_half_a_frame_and_never_another_event(
    sent: list[tuple[str, bytes]], place: int, bit: int
) -> None:
    data = bytearray(b"".join(event(name, payload) for name, payload in sent))
    data[place % len(data)] ^= 1 << bit
    decoder = AWSEventStreamDecoder()
    with pytest.raises(DecodeError):
        found = decoder.feed(bytes(data))
        raise AssertionError(f"taken for sound: {found}")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_whatever_bytes_come_nothing_foreign_is_raised(data: bytes) -> None:
    try:
        events(data)
    except DecodeError:
        pass


def test_half_a_frame_at_the_end_is_no_event() -> None:
    data = event("a") + event("b")
    assert events(data[:-1]) == [("a", b"{}")]
    assert events(data[:5]) == []


def test_a_frame_above_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(DecodeError) as caught:
        events(event("a", b"x" * 500)[:12], limit=100)
    assert caught.value.reason == "too_large"


def _prelude(total: int, headers: int) -> bytes:
    prelude = struct.pack(">II", total, headers)
    return prelude + struct.pack(">I", zlib.crc32(prelude))


@pytest.mark.parametrize(
    "broken",
    [
        _prelude(15, 0) + b"xxx",
        _prelude(20, 5) + b"x" * 8,
        b'{"message":"not a stream"}',
        frame([("x", 42, b"")], b""),
        frame([("x", 7, b"\0\x09a")], b""),
        frame([("x", 7, b"\0\1\xff")], b""),
    ],
)
def test_what_contradicts_itself_is_an_error(broken: bytes) -> None:
    with pytest.raises(DecodeError):
        events(broken)
