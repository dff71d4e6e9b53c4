"""A stream has begun with its first content: until then it may be tried again, and nothing of it is handed out."""

from __future__ import annotations

import pytest
from virtual import OFF, USER, Server, clock, policy, virtually

from lexigram.contracts.ai import StreamChunk, Usage
from lexigram.contracts.ai.completion import ToolCallDelta
from lexigram.contracts.ai.errors import LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.messages import RefusalPart

ROLE = StreamChunk(role="assistant", id="c1", model="m-1")
USED = StreamChunk(usage=Usage(10, 5, 15, source="reported"))
TEXT = StreamChunk("Hello")
END = StreamChunk(finish_reason="stop")
CONTENT = [
    TEXT,
    StreamChunk(thinking_delta="hm"),
    StreamChunk(tool_call_delta=ToolCallDelta(0, "t1", "f", "{}")),
    StreamChunk(part=RefusalPart("no")),
    END,
]


def cut() -> LLMError:
    return StreamError("cut", reason="truncated", retryable=True)


@virtually
async def test_an_error_after_chunks_without_content_is_tried_again_and_they_are_not_repeated() -> None:
    server = Server(lambda number, _: [ROLE, USED, cut()] if number == 0 else [ROLE, TEXT, END])
    p = policy(**OFF)
    stream = p.wrap(server).stream_chat(USER)
    assert [chunk async for chunk in stream] == [ROLE, TEXT, END]
    assert len(server.requests) == 2
    outcome = stream.outcome
    assert outcome is not None
    assert [a.outcome for a in outcome.unwrap().attempts] == [cut().code, "ok"]


@pytest.mark.parametrize("content", CONTENT, ids=["text", "thinking", "tool call", "part", "end"])
def test_after_the_first_content_of_any_kind_nothing_is_tried_again(content: StreamChunk) -> None:
    @virtually
    async def body() -> None:
        server = Server(lambda *_: [ROLE, content, ProviderServerError("down", status=503)])
        got: list[StreamChunk] = []
        with pytest.raises(ProviderServerError):
            async for chunk in policy(**OFF).wrap(server).stream_chat(USER):
                got.append(chunk)
        assert got == [ROLE, content]
        assert len(server.requests) == 1

    body()


@virtually
async def test_a_stream_without_content_is_handed_out_whole_at_its_end() -> None:
    server = Server(lambda *_: [ROLE, USED])
    assert [c async for c in policy(**OFF).wrap(server).stream_chat(USER)] == [ROLE, USED]


@virtually
async def test_content_comes_when_it_is_there_and_not_later() -> None:
    server = Server(lambda *_: [ROLE, TEXT, END], 1.0)
    times: list[float] = []
    async for _ in policy(**OFF).wrap(server).stream_chat(USER):
        times.append(clock())
    assert times == pytest.approx([times[0], times[0], times[0] + 1.0])


@virtually
async def test_what_hedging_measures_is_the_time_to_the_first_content() -> None:
    server = Server(lambda *_: [ROLE, TEXT, END], 1.0)
    p = policy(**OFF, hedge={"enabled": True, "min_samples": 2})
    client = p.wrap(server)
    for _ in range(2):
        await client.stream_chat(USER).drain()
    first_chunks = p.lane(server.identity, "m").first_chunks
    assert first_chunks is not None
    assert first_chunks.late_after() == pytest.approx(2.0)
