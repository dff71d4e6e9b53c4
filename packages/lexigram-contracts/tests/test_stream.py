"""AsyncStream: however it ends, it settles in exactly one outcome, and its source is closed."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator

import pytest

from lexigram.contracts.ai.completion import StreamChunk
from lexigram.contracts.ai.errors import LLMError, ProviderServerError, StreamClosedError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.result import Err, Ok


class Source:
    """A source that tells whether it was closed."""

    def __init__(self, *, fail_after: int | None = None, hang_after: int | None = None, finish: bool = True) -> None:
        self.closed = False
        self.started = False
        self._fail, self._hang, self._finish = fail_after, hang_after, finish

    async def chunks(self) -> AsyncGenerator[StreamChunk, None]:
        self.started = True
        try:
            for i, word in enumerate(("one ", "two ", "three")):
                if self._fail == i:
                    raise ProviderServerError("it broke")
                if self._hang == i:
                    await asyncio.sleep(3600)
                yield StreamChunk(word)
            if self._finish:
                yield StreamChunk(finish_reason="stop")
        finally:
            self.closed = True

    def stream(self) -> AsyncStream[StreamChunk, LLMError]:
        return AsyncStream(self.chunks(), fold=CompletionFold(provider="p", model="m"))


async def test_reading_to_the_end_settles_ok_with_the_whole_answer() -> None:
    source = Source()
    stream = source.stream()
    assert stream.outcome is None
    assert not source.started
    text = "".join([c.delta async for c in stream])
    assert text == "one two three"
    assert stream.outcome is not None
    assert stream.outcome.unwrap().content == text
    assert source.closed
    assert (await stream.completion()).unwrap().finish_reason == "stop"
    assert [c async for c in stream] == []


async def test_a_failure_is_raised_by_async_for_and_settles_with_the_partial_text() -> None:
    source = Source(fail_after=2)
    stream = source.stream()
    with pytest.raises(ProviderServerError) as caught:
        async for _ in stream:
            pass
    assert caught.value.partial is not None
    assert caught.value.partial.content == "one two "
    assert stream.outcome == Err(caught.value)
    assert source.closed
    with pytest.raises(ProviderServerError):
        await anext(stream)


async def test_collect_drain_and_completion_give_the_failure_as_a_value() -> None:
    assert isinstance(await Source(fail_after=1).stream().collect(), Err)
    assert isinstance(await Source(fail_after=1).stream().drain(), Err)
    outcome = await Source(fail_after=1).stream().completion()
    assert isinstance(outcome, Err)
    assert outcome.err_value.partial.content == "one "  # type: ignore[union-attr]


async def test_breaking_off_closes_the_source_though_the_stream_is_still_held() -> None:
    source = Source()
    stream = source.stream()
    async for _ in stream:
        break
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert source.closed
    assert isinstance(stream.outcome, Err)
    assert isinstance(stream.outcome.err_value, StreamClosedError)
    assert stream.outcome.err_value.reason == "closed"
    assert stream.outcome.err_value.partial is not None
    assert stream.outcome.err_value.partial.content == "one "


async def test_breaking_off_after_the_finish_reason_settles_ok() -> None:
    stream = Source().stream()
    async for chunk in stream:
        if chunk.finish_reason:
            break
    await stream.aclose()
    assert isinstance(stream.outcome, Ok)


async def test_breaking_off_inside_a_with_block_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    source = Source()
    async with source.stream() as stream:
        async for _ in stream:
            break
    await asyncio.sleep(0.01)
    gc.collect()
    assert source.closed
    assert caplog.records == []


async def test_a_peeked_stream_can_be_read_on() -> None:
    source = Source()
    stream = source.stream()
    first = await anext(stream)
    rest = [c.delta async for c in stream]
    assert [first.delta, *rest] == ["one ", "two ", "three", ""]
    assert stream.outcome is not None
    assert stream.outcome.unwrap().content == "one two three"


async def test_aclose_before_during_and_after_reading() -> None:
    source = Source()
    stream = source.stream()
    await stream.aclose()
    assert isinstance(stream.outcome, Err)
    assert not source.started

    source = Source()
    async with source.stream() as stream:
        async for _ in stream:
            await stream.aclose()
            break
    assert source.closed
    await stream.aclose()
    assert isinstance(stream.outcome, Err)


async def test_dropping_a_half_read_stream_closes_its_source() -> None:
    source = Source()
    stream = source.stream()
    await anext(stream)
    del stream
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert source.closed


async def test_cancellation_passes_through_and_settles_as_cancelled() -> None:
    source = Source(hang_after=1)
    stream = source.stream()

    async def read() -> None:
        async for _ in stream:
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed
    assert isinstance(stream.outcome, Err)
    assert stream.outcome.err_value.reason == "cancelled"  # type: ignore[attr-defined]


async def test_a_second_reader_is_refused() -> None:
    stream = Source(hang_after=1).stream()
    reader = aiter(stream)
    await anext(reader)
    with pytest.raises(RuntimeError, match="one reader"):
        aiter(stream)
    await stream.aclose()


async def test_a_foreign_exception_settles_and_is_raised_as_it_is() -> None:
    async def broken() -> AsyncGenerator[StreamChunk, None]:
        yield StreamChunk("a")
        raise ZeroDivisionError

    stream: AsyncStream[StreamChunk, LLMError] = AsyncStream(broken(), fold=CompletionFold())
    with pytest.raises(ZeroDivisionError):
        await stream.collect()
    assert isinstance(stream.outcome, Err)
    assert stream.outcome.err_value.partial.content == "a"  # type: ignore[union-attr]


async def test_map_filter_and_take_share_the_outcome_and_close_their_parent() -> None:
    source = Source()
    stream = source.stream()
    words = await stream.filter(lambda c: bool(c.delta)).map(lambda c: c.delta.strip()).collect()
    assert words == Ok(["one", "two", "three"])
    assert isinstance(stream.outcome, Ok)

    source = Source()
    stream = source.stream()
    taken = stream.take(2)
    assert [c.delta for c in (await taken.collect()).unwrap()] == ["one ", "two "]
    assert source.closed
    assert taken.outcome is stream.outcome


async def test_first_gives_one_item_and_closes() -> None:
    source = Source()
    assert (await source.stream().first()).unwrap().delta == "one "
    assert source.closed
    assert isinstance(await Source(fail_after=0).stream().first(), Err)


def test_a_stream_works_in_a_loop_other_than_the_one_it_was_made_in() -> None:
    stream = Source().stream()

    async def read() -> str:
        return (await stream.completion()).unwrap().content

    assert asyncio.run(read()) == "one two three"


async def test_a_stream_dropped_after_an_item_is_closed_without_a_garbage_collection() -> None:
    source = Source()
    stream = source.stream()
    await anext(stream)
    gc.disable()
    try:
        del stream
        for _ in range(3):
            await asyncio.sleep(0)
        assert source.closed
    finally:
        gc.enable()


async def test_a_stream_collected_in_a_cycle_whose_source_closes_slowly_is_no_error() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    closed = asyncio.Event()

    async def slow() -> AsyncGenerator[StreamChunk, None]:
        try:
            yield StreamChunk("one")
            yield StreamChunk("two")
        finally:
            await asyncio.sleep(0.01)
            closed.set()

    cycle: list[object] = [AsyncStream[StreamChunk, LLMError](slow())]
    await anext(cycle[0])  # type: ignore[call-overload]
    cycle.append(cycle)
    del cycle
    gc.collect()
    await asyncio.wait_for(closed.wait(), 5)
    gc.collect()
    await asyncio.sleep(0.01)
    assert complaints == []
