"""The fold: chunks of any dialect to one completion."""

from __future__ import annotations

from lexigram.contracts.ai.completion import Completion, StreamChunk, ToolCallDelta, Usage
from lexigram.contracts.ai.fold import CompletionFold, chunks_of, settle_finish_reason
from lexigram.contracts.ai.messages import AudioPart, Opaque, OpaquePart, RefusalPart, TextPart, ThinkingPart, ToolCall


def fold(*chunks: StreamChunk) -> Completion:
    total = CompletionFold(provider="p", model="m")
    for chunk in chunks:
        total.add(chunk)
    return total.completion()


def test_text_and_thinking_become_parts_in_order() -> None:
    made = fold(
        StreamChunk(thinking_delta="hm"), StreamChunk(thinking_delta="m"), StreamChunk("Hel"), StreamChunk("lo")
    )
    assert made.parts == (ThinkingPart("hmm"), TextPart("Hello"))
    assert (made.content, made.thinking) == ("Hello", "hmm")


def test_pieces_of_parallel_calls_are_joined_by_index() -> None:
    made = fold(
        StreamChunk(tool_call_delta=ToolCallDelta(0, "a", "f", '{"x"')),
        StreamChunk(tool_call_delta=ToolCallDelta(1, "b", "g", "")),
        StreamChunk(tool_call_delta=ToolCallDelta(0, arguments=": 1}")),
        StreamChunk(finish_reason="stop", raw_finish_reason="stop"),
    )
    assert made.tool_calls == (ToolCall("a", "f", {"x": 1}, '{"x": 1}'), ToolCall("b", "g", {}, ""))
    assert (made.finish_reason, made.raw_finish_reason) == ("tool_calls", "stop")


def test_arguments_that_are_not_an_object_are_kept_raw_and_say_why() -> None:
    for raw in ('{"x": ', "[1]", '"text"', "{'x': 1}"):
        call = fold(StreamChunk(tool_call_delta=ToolCallDelta(0, "a", "f", raw))).tool_calls[0]
        assert call.raw_arguments == raw
        assert call.arguments == {}
        assert call.arguments_error
    assert fold(StreamChunk(tool_call_delta=ToolCallDelta(0, "a", "f", "null"))).tool_calls[0].arguments_error is None


def test_choices_do_not_mix_and_the_later_ones_are_alternatives() -> None:
    made = fold(
        StreamChunk("a", index=0), StreamChunk("x", index=1), StreamChunk("b", index=0), StreamChunk("y", index=1),
        StreamChunk(tool_call_delta=ToolCallDelta(0, "i", "f"), index=1), StreamChunk(finish_reason="stop", index=0),
    )  # fmt: skip
    assert made.content == "ab"
    assert made.alternatives[0].content == "xy"
    assert made.alternatives[0].finish_reason == "tool_calls"


def test_usage_is_the_last_one_given_not_the_sum() -> None:
    made = fold(
        StreamChunk(usage=Usage(1, 1, 2, source="reported")), StreamChunk(usage=Usage(1, 5, 6, source="reported"))
    )
    assert made.usage == Usage(1, 5, 6, source="reported")
    assert fold(StreamChunk("x")).usage.source == "unknown"


def test_numbered_blocks_may_overlap() -> None:
    made = fold(
        StreamChunk("a", block=0),
        StreamChunk(thinking_delta="t", block=1),
        StreamChunk("b", block=0),
        StreamChunk("c", block=2),
    )
    assert made.parts == (TextPart("ab"), ThinkingPart("t"), TextPart("c"))


def test_opaque_data_attaches_to_the_part_it_follows() -> None:
    signature = Opaque("p", {"signature": "s"})
    made = fold(StreamChunk(thinking_delta="t"), StreamChunk(part=ThinkingPart("", signature)), StreamChunk("x"))
    assert made.parts == (ThinkingPart("t", signature), TextPart("x"))
    alone = fold(StreamChunk(part=ThinkingPart("", signature)))
    assert alone.parts == (ThinkingPart("", signature),)
    assert alone.thinking is None


def test_refusal_audio_and_foreign_blocks_are_kept() -> None:
    block = OpaquePart(Opaque("p", {"a": 1}), "web_search")
    made = fold(
        StreamChunk(part=RefusalPart("I ")), StreamChunk(part=RefusalPart("won't")), StreamChunk(part=block),
        StreamChunk(part=AudioPart(b"ab", id="x", transcript="a")), StreamChunk(part=AudioPart(b"cd", transcript="b")),
        StreamChunk(finish_reason="stop"),
    )  # fmt: skip
    assert made.refusal == "I won't"
    assert made.parts[1] is block
    assert made.parts[2] == AudioPart(b"abcd", id="x", transcript="ab")
    assert made.finish_reason == "refusal"


def test_the_finish_reason_is_decided_by_what_is_there_then_by_the_word() -> None:
    call = (ToolCall("a", "f"),)
    assert settle_finish_reason("stop", call) == "tool_calls"
    assert settle_finish_reason(None, call) == "tool_calls"
    assert settle_finish_reason("length", call) == "length"
    assert settle_finish_reason(None, ()) is None


def test_a_completion_given_as_chunks_folds_to_itself() -> None:
    whole = Completion(
        parts=(ThinkingPart("t", Opaque("p", {"s": 1})), TextPart("a"), TextPart("b", ({"url": "u"},)), ToolCall("i", "f", {"x": 1}, '{"x": 1}')),
        finish_reason="tool_calls", raw_finish_reason="stop", usage=Usage(1, 2, 3, source="reported"), model="m", provider="p", id="c",
    )  # fmt: skip
    assert fold(*chunks_of(whole)) == whole
