"""Framing: any chunking of the same bytes gives the same events, at linear cost."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lexigram.ai.llm.framing import Event, EventDecoder, NDJSONDecoder, SSEDecoder, decoder_for
from lexigram.contracts.ai.errors import DecodeError, LLMConfigurationError


def events(decoder: EventDecoder, *pieces: bytes) -> list[Event]:
    return [e for piece in pieces for e in decoder.feed(piece)] + decoder.flush()


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *[p % (len(data) + 1) for p in places]})
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [(None, b"a"), (None, b"b")]),
        (b"data: a\r\rdata: b\r\r", [(None, b"a"), (None, b"b")]),
        (b"data: a\n\r\ndata: b\r\n\n", [(None, b"a"), (None, b"b")]),
        (b"data:a\n\n", [(None, b"a")]),
        (b"data:  a \n\n", [(None, b" a ")]),
        (b"data: \n\n", [(None, b"")]),
        (b"data\n\n", [(None, b"")]),
        (b"event: x\ndata: a\n\n", [("x", b"a")]),
        (b"data: a\nevent: x\n\n", [("x", b"a")]),
        (b"data: a\ndata: b\n\n", [(None, b"a\nb")]),
        (b": comment\n\ndata: a\n\n:\n\n", [(None, b"a")]),
        (b":HTTP_STATUS/200\nid:1\nevent:result\ndata:{}\n\n", [("result", b"{}")]),
        (b"id: 1\n\nretry: 3\n\nevent: ping\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n", [(None, b"a")]),
        (b"data: a\xe2\x80\xa8b\xc2\x85c\x1cd\n\n", [(None, b"a\xe2\x80\xa8b\xc2\x85c\x1cd")]),
        (b"data: [DONE]", [(None, b"[DONE]")]),
        (b"data: a\n", [(None, b"a")]),
        (b"error: {}\n\n", [("error", b"{}")]),
        (b"\n\n\ndata: a\n\n\n\n", [(None, b"a")]),
        (b"", []),
    ],
)
def test_sse_reads_what_servers_send_whole_and_byte_by_byte(data: bytes, expected: list[Event]) -> None:
    assert events(SSEDecoder(), data) == expected
    assert events(SSEDecoder(), *[data[i : i + 1] for i in range(len(data))]) == expected


LINES = st.sampled_from(
    [
        b"data: x",
        b"data:",
        b"data: {}",
        b"event: e",
        b": c",
        b"id: 1",
        b"",
        b"",
        b"\xef\xbb\xbf",
        b"data: \xf0\x9f\x98\x80",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAM = st.lists(st.tuples(LINES, ENDS), max_size=30).map(lambda lines: b"".join(a + b for a, b in lines))


@given(st.one_of(STREAM, st.binary(max_size=200)), st.lists(st.integers(0, 10_000), max_size=20))
@example(b"data: a\r\n\r\n", [8, 9])
@example(b"\xef\xbb\xbfdata: a\n\n", [1, 2])
def test_sse_gives_the_same_events_for_any_chunking(data: bytes, places: list[int]) -> None:
    assert events(SSEDecoder(), *cut(data, places)) == events(SSEDecoder(), data)


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_sse_gives_back_the_data_that_was_written(texts: list[str], places: list[int]) -> None:
    data = b"".join(b"data: " + t.encode() + b"\n\n" for t in texts)
    assert events(SSEDecoder(), *cut(data, places)) == [(None, t.encode()) for t in texts]


@given(
    st.lists(st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), max_size=8),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_ndjson_gives_the_same_lines_for_any_chunking(values: list[dict[str, int]], places: list[int]) -> None:
    data = b"".join(json.dumps(v).encode() + b"\n" for v in values)
    for body in (data, data.replace(b"\n", b"\r\n"), data.rstrip(b"\n")):
        found = [json.loads(e) for _, e in events(NDJSONDecoder(), *cut(body, places))]
        assert found == values


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
def test_an_event_above_the_limit_is_a_typed_error_however_it_comes(decoder: type[SSEDecoder]) -> None:
    for piece in (b"data: " + b"x" * 5000, b"x" * 7):
        with pytest.raises(DecodeError) as caught:
            fresh = decoder(max_event_bytes=1000)
            for _ in range(1000):
                fresh.feed(piece)
        assert caught.value.reason == "too_large"


@pytest.mark.parametrize("decoder", [SSEDecoder, NDJSONDecoder])
def test_a_giant_event_in_small_pieces_is_searched_once(
    decoder: type[SSEDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Work is counted, not timed: the buffer may be searched from the last piece on only.
    fresh = decoder()
    fresh.feed(b"data: ")
    searched = 0

    class Counting(bytearray):
        def find(self, sub: bytes, start: int = 0, *rest: int) -> int:  # type: ignore[override]
            nonlocal searched
            searched += len(self) - start
            return super().find(sub, start, *rest)

    fresh._buffer = Counting(fresh._buffer)
    for _ in range(2000):
        fresh.feed(b"x" * 100)
    assert searched < 2000 * 100 * 2


def test_a_framing_that_is_not_read_is_refused_by_name() -> None:
    assert isinstance(decoder_for("ndjson"), NDJSONDecoder)
    with pytest.raises(LLMConfigurationError, match="smoke-signals"):
        decoder_for("smoke-signals")
