from __future__ import annotations

import asyncio

import pytest

from lexigram.contracts.ai import Completion, LLMClientProtocol, StreamChunk, ToolCall, Usage
from lexigram.contracts.ai.errors import InvalidMessageError, LLMRateLimitError, StreamError
from lexigram.contracts.ai.messages import ImagePart, RefusalPart, TextPart, ThinkingPart
from lexigram.testing import FakeLLM, ScriptExhaustedError

HELLO = [{"role": "user", "content": "Hi"}]

COMPLETIONS = [
    Completion("Hello there.  Friend\n"),
    Completion(""),
    Completion("cut", finish_reason="length", raw_finish_reason="max_tokens"),
    Completion(
        thinking="hmm, so", content="yes", usage=Usage(3, 4, 7, source="reported"), id="c1", model="m", provider="p"
    ),
    Completion(tool_calls=(ToolCall("1", "f", {"a": 1}), ToolCall("2", "g", {}, "{}"), ToolCall("3", "h", {"b": "é"}))),
    Completion(parts=(RefusalPart("no"),)),
    Completion(parts=(TextPart("a"), ImagePart(url="https://h/i.png"), TextPart("b"), ThinkingPart("c"))),
    Completion("x", logprobs=({"token": "x", "logprob": -1.0},)),
]


def test_it_is_a_client() -> None:
    assert isinstance(FakeLLM(), LLMClientProtocol)


async def test_it_answers_in_the_order_of_the_script() -> None:
    llm = FakeLLM("one", Completion("two")).script("three")
    answers = [(await llm.complete(HELLO)).unwrap() for _ in range(3)]
    assert [answer.content for answer in answers] == ["one", "two", "three"]
    assert {(answer.finish_reason, answer.model, answer.provider) for answer in answers} == {
        ("stop", "fake-model", "fake")
    }
    llm.assert_finished()


async def test_an_error_of_the_script_is_an_err_and_is_raised_by_a_stream() -> None:
    error = LLMRateLimitError("slow down", retry_after=2.0)
    llm = FakeLLM(error, error)
    assert (await llm.complete(HELLO)).unwrap_err() is error
    with pytest.raises(LLMRateLimitError):
        async for _ in llm.stream_chat(HELLO):
            pass


@pytest.mark.parametrize("completion", COMPLETIONS)
async def test_a_stream_folds_to_the_same_answer(completion: Completion) -> None:
    llm = FakeLLM(completion, completion)
    whole = (await llm.complete(HELLO)).unwrap()
    assert whole.content == completion.content
    assert (await llm.stream_chat(HELLO).completion()).unwrap() == whole


async def test_text_streams_by_words() -> None:
    deltas = [chunk.delta async for chunk in FakeLLM("Hello there. Friend").stream_chat(HELLO)]
    assert [delta for delta in deltas if delta] == ["Hello", " there.", " Friend"]


async def test_chunks_are_streamed_as_they_are_and_folded_when_asked_for_whole() -> None:
    chunks = [StreamChunk(delta="He"), StreamChunk(delta="y", finish_reason="stop")]
    llm = FakeLLM(chunks, chunks)
    assert [chunk async for chunk in llm.stream_chat(HELLO)] == chunks
    assert (await llm.complete(HELLO)).unwrap().content == "Hey"


async def test_an_error_after_chunks_carries_the_partial_answer() -> None:
    def reply() -> list[StreamChunk | StreamError]:
        return [StreamChunk(delta="He"), StreamError("cut")]

    llm = FakeLLM(reply(), reply())
    for outcome in (await llm.complete(HELLO), await llm.stream_chat(HELLO).completion()):
        partial = outcome.unwrap_err().partial
        assert partial is not None
        assert partial.content == "He"


async def test_a_function_is_given_the_request_and_decides() -> None:
    llm = FakeLLM(lambda request: f"{request.model} heard {request.messages[-1].content}")
    assert (await llm.complete(HELLO, model="m")).unwrap().content == "m heard Hi"


async def test_it_keeps_what_it_was_asked() -> None:
    llm = FakeLLM("a", "b", model="default", provider="acme")
    answer = (await llm.complete(HELLO, temperature=0.5, stop_sequences=["x"], seed=3)).unwrap()
    assert (answer.model, answer.provider) == ("default", "acme")
    stream = llm.stream_chat(HELLO, model="other", max_tokens=7)
    assert len(llm.requests) == 1
    await stream.drain()
    first, second = llm.requests
    assert (first.model, first.temperature, first.stop_sequences, first.seed) == ("default", 0.5, ("x",), 3)
    assert (second.model, second.max_tokens, llm.last_request) == ("other", 7, second)


async def test_asking_beyond_the_script_fails_the_test_and_says_what_was_asked() -> None:
    llm = FakeLLM("only")
    await llm.complete(HELLO)
    with pytest.raises(ScriptExhaustedError, match=r"asked 2 time\(s\), but its script has 1 answer\(s\).*'Hi'"):
        await llm.complete(HELLO)
    assert issubclass(ScriptExhaustedError, AssertionError)


def test_answers_left_over_fail_the_check() -> None:
    with pytest.raises(AssertionError, match=r"1 answer\(s\) of the script were not asked for"):
        FakeLLM("one").assert_finished()


def test_nothing_asked_has_no_last_request() -> None:
    with pytest.raises(AssertionError, match="asked nothing"):
        _ = FakeLLM().last_request


async def test_a_mistake_of_the_caller_is_raised_as_the_real_client_does() -> None:
    llm = FakeLLM("one")
    with pytest.raises(InvalidMessageError, match=r"messages\[0\]\.role"):
        await llm.complete([{"role": "nobody", "content": "x"}])
    with pytest.raises(TypeError, match="temprature"):
        llm.stream_chat(HELLO, temprature=1)  # type: ignore[call-arg]
    assert llm.requests == []


async def test_health_and_close() -> None:
    assert (await FakeLLM().health_check()).healthy
    llm = FakeLLM(healthy=False)
    assert not (await llm.health_check()).healthy
    await llm.close()
    assert llm.closed


async def test_concurrent_calls_get_an_answer_each() -> None:
    llm = FakeLLM(*[str(i) for i in range(50)])
    answers = await asyncio.gather(*(llm.complete(HELLO) for _ in range(50)))
    assert sorted(int(answer.unwrap().content) for answer in answers) == list(range(50))
