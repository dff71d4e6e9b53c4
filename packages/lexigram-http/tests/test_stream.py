"""Streams: order, clocks, back-pressure, and being dropped."""

from __future__ import annotations

import asyncio
import gc
import resource
import time

import pytest
from http_world import EVENTS, OK, World

from lexigram.http import Deadlines, HttpProtocolError, HttpStateError, HttpTimeout, Limits, Reply
from lexigram.testing.invariants import open_sockets, until


async def drained(reply: Reply) -> bytes:
    return b"".join([chunk async for chunk in reply])


async def test_chunks_come_as_they_arrive_and_joined_when_several_wait(world: World) -> None:
    reply = await world.open("/stream=0.05")
    assert [chunk async for chunk in reply] == EVENTS
    reply = await world.open("/stream")
    await until(lambda: reply.complete)
    assert await reply.next_chunk() == b"".join(EVENTS)
    assert await reply.next_chunk() == await reply.next_chunk() == b""


async def test_data_at_hand_is_returned_without_a_turn_of_the_loop(world: World) -> None:
    reply = await world.open("/stream")
    await until(lambda: reply.complete)
    with pytest.raises(StopIteration) as caught:
        reply.next_chunk().send(None)
    assert caught.value.value == b"".join(EVENTS)


@pytest.mark.parametrize(("path", "kind"), [("/s_rst", "truncated"), ("/trunc_chunked", "truncated")])
async def test_a_cut_stream_gives_what_came_and_then_a_typed_error(world: World, path: str, kind: str) -> None:
    reply = await world.open(path)
    got = b""
    with pytest.raises(HttpProtocolError) as caught:
        while chunk := await reply.next_chunk():
            got += chunk
    assert caught.value.kind == kind and len(world.journal.requests) == 1
    assert got in (EVENTS[0], OK[:5])


async def test_a_stalled_stream_ends_by_the_idle_deadline_after_what_came(world: World) -> None:
    reply = await world.open("/s_stall", deadlines=Deadlines(total=3, idle=0.15))
    assert await reply.next_chunk() == EVENTS[0]
    with pytest.raises(HttpTimeout) as caught:
        await reply.next_chunk()
    assert caught.value.phase == "idle"


async def test_a_stream_without_a_first_byte_ends_by_that_deadline(world: World) -> None:
    error = await world.fails("/s_headers_only", deadlines=Deadlines(total=3, first_byte=0.15, idle=3))
    assert isinstance(error, HttpTimeout) and error.phase == "first_byte"


async def test_the_first_byte_deadline_covers_the_wait_for_headers_too(world: World) -> None:
    error = await world.fails("/hang", deadlines=Deadlines(total=3, headers=3, first_byte=0.15))
    assert isinstance(error, HttpTimeout) and error.phase == "first_byte"


async def test_body_bytes_restart_the_idle_clock(world: World) -> None:
    reply = await world.open("/stream=0.1", deadlines=Deadlines(total=5, idle=0.25))
    assert await drained(reply) == b"".join(EVENTS)


@pytest.mark.parametrize(
    ("bounds", "phase"),
    [
        (Deadlines(total=3, first_byte=0.2, idle=3), "first_byte"),
        (Deadlines(total=3, idle=0.2), "idle"),
        (Deadlines(total=0.2, idle=3), "total"),
    ],
)
async def test_comments_are_no_progress_when_the_reader_keeps_the_clock(
    world: World, bounds: Deadlines, phase: str
) -> None:
    reply = await world.open("/s_comments_forever", deadlines=bounds, manual_progress=True)
    start = time.monotonic()
    with pytest.raises(HttpTimeout) as caught:
        await drained(reply)
    assert caught.value.phase == phase and time.monotonic() - start < 1.5


async def test_the_readers_word_keeps_a_stream_of_comments_alive(world: World) -> None:
    reply = await world.open(
        "/s_comments_forever", deadlines=Deadlines(total=5, first_byte=0.2, idle=0.2), manual_progress=True
    )
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        assert await reply.next_chunk()
        reply.progress()
    with pytest.raises(HttpTimeout) as caught:
        await drained(reply)
    assert caught.value.phase == "idle"


async def test_the_clock_can_change_hands_in_mid_stream(world: World) -> None:
    reply = await world.open("/s_comments_forever", deadlines=Deadlines(total=5, idle=0.2))
    assert await reply.next_chunk()
    reply.manual_progress()
    with pytest.raises(HttpTimeout):
        await drained(reply)


async def test_a_slow_reader_is_no_idle_server(world: World) -> None:
    reply = await world.open("/s_infinite", deadlines=Deadlines(total=5, idle=0.1), limits=Limits(buffer=65536))
    for _ in range(3):
        assert await reply.next_chunk()
        await asyncio.sleep(0.25)
    assert await reply.next_chunk()
    reply.close()


async def test_a_slow_reader_blocks_the_server_and_not_the_memory(world: World) -> None:
    reply = await world.open("/s_infinite", limits=Limits(buffer=65536))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await asyncio.sleep(0.2)
    sent = world.journal.sent
    await asyncio.sleep(0.1)
    assert world.journal.sent == sent
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    assert await reply.next_chunk()
    assert await until(lambda: world.journal.sent > sent or len(reply._parts) > 0)
    reply.close()


async def test_an_infinite_stream_ends_at_its_byte_cap_or_its_total_deadline(world: World) -> None:
    with pytest.raises(HttpProtocolError) as capped:
        await drained(await world.open("/s_infinite", limits=Limits(stream_decoded=1 << 20)))
    assert capped.value.limit == "stream_decoded"
    with pytest.raises(HttpTimeout) as late:
        await drained(await world.open("/s_infinite", deadlines=Deadlines(total=0.2)))
    assert late.value.phase == "total"


async def test_a_flushed_gzip_stream_is_not_held_back(world: World) -> None:
    reply = await world.open("/s_gzip")
    start = time.monotonic()
    assert await reply.next_chunk() == EVENTS[0]
    assert time.monotonic() - start < 0.09
    assert await drained(reply) == b"".join(EVENTS[1:])


@pytest.mark.parametrize("how", ["drop", "close", "aclose", "break", "cancel"])
async def test_leaving_a_stream_closes_its_socket_at_once(world: World, how: str) -> None:
    reply = await world.open("/s_stall")
    assert await reply.next_chunk() == EVENTS[0]
    if how == "drop":
        del reply
    elif how == "break":
        del reply
        async for _ in await world.open("/s_stall"):
            break
    elif how == "cancel":
        task = asyncio.create_task(reply.next_chunk())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        _ = reply.close() if how == "close" else await reply.aclose()
        with pytest.raises(HttpStateError):
            await reply.next_chunk()
    await asyncio.sleep(0)
    assert world.pool.stats().open == 0
    assert await until(lambda: world.journal.gone == world.journal.connections)


async def test_a_dropped_tls_stream_does_not_wait_for_a_farewell(world: World) -> None:
    before = open_sockets()
    reply = await world.open("/s_deaf", port="tls", scheme="https")
    assert await reply.next_chunk() == EVENTS[0]
    assert open_sockets() == before + 2
    reply.close()
    assert await until(lambda: open_sockets() == before + 1, 0.5)
    assert await until(lambda: open_sockets() == before, 3)


async def test_a_reply_dropped_on_another_thread_closes_its_socket(world: World) -> None:
    box = [await world.open("/s_stall")]

    def drop() -> None:
        box.clear()
        gc.collect()

    await asyncio.to_thread(drop)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert await until(lambda: world.pool.stats().open == 0)


async def test_a_finished_stream_leaves_its_connection_for_the_next(world: World) -> None:
    for _ in range(3):
        assert await drained(await world.open("/stream")) == b"".join(EVENTS)
    assert world.journal.connections == 1


async def test_streams_work_over_tls_too(world: World) -> None:
    reply = await world.open("/stream=0.02", port="tls", scheme="https")
    assert await drained(reply) == b"".join(EVENTS)
    reply = await world.open("/s_stall", port="tls", scheme="https", deadlines=Deadlines(total=3, idle=0.1))
    with pytest.raises(HttpTimeout):
        await drained(reply)
    reply = await world.open("/s_infinite", port="tls", scheme="https", limits=Limits(buffer=65536))
    assert await reply.next_chunk()
    del reply
    assert await until(lambda: world.journal.gone >= 2)
