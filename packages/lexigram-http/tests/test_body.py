"""Bodies: framing, content codings, and their limits."""

from __future__ import annotations

import asyncio
import gzip
import resource

import pytest
from http_world import OK, World

from lexigram.http import Deadlines, HttpProtocolError, HttpStateError, HttpTimeout, Limits, accept_encoding
from lexigram.http._decode import make_decoder
from lexigram.testing.invariants import until

MIB = 1 << 20


async def test_a_dribbled_body_does_not_extend_the_total_deadline(world: World) -> None:
    error = await world.fails("/dribble", deadlines=Deadlines(total=0.25, idle=3))
    assert isinstance(error, HttpTimeout) and error.phase == "total"


@pytest.mark.parametrize("name", ["short_cl", "trunc_chunked", "no_last_chunk", "gzip_trunc"])
async def test_a_body_cut_short_is_truncated(world: World, name: str) -> None:
    error = await world.fails(f"/{name}")
    assert isinstance(error, HttpProtocolError) and error.kind == "truncated"
    assert len(world.journal.requests) == 1


async def test_a_bad_chunk_size_is_a_bad_body(world: World) -> None:
    error = await world.fails("/bad_chunk")
    assert isinstance(error, HttpProtocolError) and error.kind == "bad_body"


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate_raw", "gzip_gzip", "identity", "trailers"])
async def test_a_body_is_decoded(world: World, name: str) -> None:
    assert await world.get(f"/{name}") == (200, OK)


async def test_an_encoded_body_may_be_empty(world: World) -> None:
    assert await world.get("/gzip_empty") == (200, b"")


async def test_gzip_members_are_joined(world: World) -> None:
    assert await world.get("/gzip_members") == (200, OK)


@pytest.mark.parametrize("name", ["gzip_lie", "gzip_garbage", "deflate_lie", "stacked", "unknown_coding"])
async def test_a_body_that_is_not_what_it_says_is_an_encoding_error(world: World, name: str) -> None:
    error = await world.fails(f"/{name}")
    assert isinstance(error, HttpProtocolError) and error.kind == "encoding"
    assert len(world.journal.requests) == 1


async def test_the_status_is_known_even_when_the_body_cannot_be_decoded(world: World) -> None:
    reply = await world.open("/unknown_coding")
    assert reply.status == 200
    reply.close()


async def test_a_bomb_is_cut_at_the_cap_in_flat_memory(world: World) -> None:
    await world.fails("/gzip_bomb=64")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = await world.fails("/gzip_bomb=300")
    assert isinstance(error, HttpProtocolError) and (error.kind, error.limit) == ("too_large", "body_decoded")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


async def test_a_streamed_bomb_is_cut_at_the_streams_own_cap(world: World) -> None:
    reply = await world.open("/gzip_bomb=64", limits=Limits(stream_decoded=2 * MIB))
    seen = 0
    with pytest.raises(HttpProtocolError) as caught:
        while chunk := await reply.next_chunk():
            assert len(chunk) <= MIB
            seen += len(chunk)
    assert caught.value.limit == "stream_decoded" and seen <= 2 * MIB


@pytest.mark.parametrize(
    ("limits", "name"),
    [(Limits(body_decoded=MIB), "body_decoded"), (Limits(body_wire=MIB), "body_wire")],
)
async def test_a_giant_body_is_cut_at_the_cap(world: World, limits: Limits, name: str) -> None:
    error = await world.fails("/giant=1000", limits=limits)
    assert isinstance(error, HttpProtocolError) and (error.kind, error.limit) == ("too_large", name)
    assert world.journal.sent < 100 * MIB


async def test_endless_trailers_are_cut(world: World) -> None:
    error = await world.fails("/endless_trailers")
    assert isinstance(error, HttpProtocolError) and error.kind == "too_large"


async def test_chunk_heads_in_packets_of_their_own_are_no_flood(world: World) -> None:
    assert await world.get("/drip_chunks", limits=Limits(header_bytes=100)) == (200, b"ab" * 60)


async def test_a_body_can_be_read_again_but_not_whole_after_pieces(world: World) -> None:
    reply = await world.open("/ok")
    assert await reply.read() == await reply.read() == OK
    reply = await world.open("/stream")
    assert await reply.next_chunk()
    with pytest.raises(HttpStateError):
        await reply.read()
    reply.close()


async def test_a_complete_reply_gives_its_connection_back_before_it_is_read(world: World) -> None:
    reply = await world.open("/ok")
    assert reply.complete and world.pool.stats().idle == 1
    assert await world.get("/ok") == (200, OK)
    assert await reply.read() == OK
    assert world.journal.connections == 1


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_decoder_gives_the_same_for_any_splitting_and_refuses_any_truncation(coding: str) -> None:
    if coding not in accept_encoding().decode():
        pytest.skip(f"{coding} is not installed")
    text = b"".join(b"event %d " % n for n in range(500))
    packed = pack(coding, text)
    for size in (1, 2, 7, 64, len(packed)):
        decoder = make_decoder(coding, 2)
        assert decoder is not None
        out: list[bytes] = []
        for start in range(0, len(packed), size):
            decoder.feed(packed[start : start + size])
            while piece := decoder.take(100):
                out.append(piece)
        decoder.finish()
        assert b"".join(out) == text
    for end in (1, 2, 5, len(packed) // 2, len(packed) - 1):
        decoder = make_decoder(coding, 2)
        assert decoder is not None
        decoder.feed(packed[:end])
        while decoder.take(100):
            pass
        with pytest.raises(HttpProtocolError) as caught:
            decoder.finish()
        assert caught.value.kind == "truncated"


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_decoder_never_returns_much_more_than_was_asked_for(coding: str) -> None:
    if coding not in accept_encoding().decode():
        pytest.skip(f"{coding} is not installed")
    decoder = make_decoder(coding, 2)
    assert decoder is not None
    decoder.feed(pack(coding, bytes(64 * MIB)))
    for _ in range(8):
        assert 0 < len(decoder.take(65536)) <= 16 * MIB


def pack(coding: str, data: bytes) -> bytes:
    import zlib

    if coding == "gzip":
        return gzip.compress(data)
    if coding == "deflate":
        return zlib.compress(data)
    if coding == "br":
        return bytes(pytest.importorskip("brotli").compress(data, quality=5))
    return bytes(pytest.importorskip("zstandard").compress(data))


async def test_reading_from_two_tasks_is_refused(world: World) -> None:
    reply = await world.open("/s_headers_only")
    first = asyncio.create_task(reply.next_chunk())
    await asyncio.sleep(0.01)
    with pytest.raises(HttpStateError):
        await reply.next_chunk()
    first.cancel()
    assert await until(lambda: world.pool.stats().open == 0)
