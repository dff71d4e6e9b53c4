"""What comes back on the Converse wire: its surprises, one test each, on small fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from lexigram.ai.bedrock import converse
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ModelNotFoundError,
    ProviderOverloadedError,
    ProviderServerError,
    StreamError,
    TokenLimitError,
)
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import Opaque, OpaquePart, TextPart, ThinkingPart, ToolCall
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com")
Event = tuple[str, dict[str, Any]]


def answer(*content: dict[str, Any], stop: str = "end_turn", **usage: Any) -> Completion:
    body = {"output": {"message": {"role": "assistant", "content": list(content)}}, "stopReason": stop, "usage": usage}
    return converse.decode_response(body, HERE)


def delta(index: int, **inner: Any) -> Event:
    return "contentBlockDelta", {"contentBlockIndex": index, "delta": inner, "p": "abc"}


def start(index: int, **inner: Any) -> Event:
    return "contentBlockStart", {"contentBlockIndex": index, "start": inner}


def stop(index: int) -> Event:
    return "contentBlockStop", {"contentBlockIndex": index}


END: list[Event] = [
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}}),
]


def fold(*events: Event) -> Completion:
    state, made = converse.new_stream_state(HERE), CompletionFold(provider="bedrock")
    for name, data in [("messageStart", {"role": "assistant"}), *events]:
        assert not state.closed
        for chunk in converse.decode_event(name, data, state):
            made.add(chunk)
    assert state.finished
    return made.completion()


def test_text_and_reasoning_have_no_start_and_their_blocks_are_numbered() -> None:
    streamed = fold(
        delta(0, reasoningContent={"text": "h"}),
        delta(0, reasoningContent={"text": "m"}),
        delta(0, reasoningContent={"signature": "si"}),
        delta(0, reasoningContent={"signature": "g"}),
        stop(0),
        delta(1, text="a"),
        delta(1, text="b"),
        stop(1),
        delta(2, text="c"),
        *END,
    )
    reasoning = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
    whole = answer(reasoning, {"text": "ab"}, {"text": "c"}, inputTokens=3, outputTokens=2, totalTokens=5)
    assert streamed == whole
    assert whole.parts[0] == ThinkingPart("hm", Opaque("bedrock", {"signature": "sig"}))


def test_usage_comes_after_the_stop_and_only_then_nothing_follows() -> None:
    state = converse.new_stream_state(HERE)
    converse.decode_event(*END[0], state)
    assert (state.finished, state.closed) == (True, False)
    [chunk] = converse.decode_event(*END[1], state)
    assert chunk.usage == Usage(3, 2, 5, source="reported")
    assert state.closed


def test_input_includes_what_the_cache_read_and_wrote_and_double_names_count_once() -> None:
    twice = {"cacheReadInputTokens": 10, "cacheReadInputTokenCount": 10, "cacheWriteInputTokens": 4}
    usage = answer({"text": "x"}, inputTokens=1, outputTokens=2, totalTokens=17, serverToolUsage={}, **twice).usage
    assert usage == Usage(15, 2, 17, cached_input_tokens=10, cache_write_tokens=4, source="reported")
    old = answer({"text": "x"}, inputTokens=1, outputTokens=2, cacheReadInputTokenCount=7).usage
    assert (old.input_tokens, old.total_tokens, old.cached_input_tokens) == (8, 10, 7)
    assert answer({"text": "x"}).usage == Usage()
    assert answer({"text": "x"}, outputTokens=5).usage == Usage(None, 5, None, source="reported")


def test_a_calls_input_is_an_object_whole_and_text_in_a_stream() -> None:
    call = {"toolUseId": "t1", "name": "f"}
    whole = answer({"toolUse": {**call, "input": {"x": 1}}}, {"toolUse": {**call, "input": {}}}, stop="tool_use")
    streamed = fold(
        start(0, toolUse=call),
        delta(0, toolUse={"input": ""}),
        delta(0, toolUse={"input": '{"x":'}),
        delta(0, toolUse={"input": " 1}"}),
        stop(0),
        start(1, toolUse={**call, "type": "tool_use"}),
        stop(1),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    assert [(c.id, c.name, c.arguments) for c in whole.tool_calls] == [("t1", "f", {"x": 1}), ("t1", "f", {})]
    assert [c.arguments for c in streamed.tool_calls] == [{"x": 1}, {}]
    assert whole.finish_reason == streamed.finish_reason == "tool_calls"


def test_what_the_provider_ran_itself_is_kept_whole_and_is_no_call_for_the_caller() -> None:
    call = {"toolUseId": "t", "name": "code", "type": "server_tool_use"}
    result = {"toolUseId": "t", "type": "code_result", "status": "success"}
    ran = {"toolUse": {**call, "input": {"snippet": "1"}}}, {"toolResult": {**result, "content": [{"json": {"o": 1}}]}}
    whole = answer(*ran, {"text": "1"})
    streamed = fold(
        start(0, toolUse=call),
        delta(0, toolUse={"input": '{"snippet": "1"}'}),
        stop(0),
        start(1, toolResult=result),
        delta(1, toolResult=[{"json": {"o": 1}}]),
        stop(1),
        delta(2, text="1"),
        END[0],
    )
    assert whole.tool_calls == ()
    assert whole.parts[0] == OpaquePart(Opaque("bedrock", ran[0]), kind="toolUse")
    assert streamed.parts == whole.parts


def test_citations_stand_on_their_text_whole_and_streamed() -> None:
    note = {"title": "t", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
    whole = answer({"text": "a "}, {"citationsContent": {"content": [{"text": "b"}], "citations": [note]}})
    streamed = fold(delta(0, text="a "), stop(0), delta(1, text="b"), delta(1, citation=note), stop(1), END[0])
    cited = TextPart("b", (note,), Opaque("bedrock", {"citations": [note]}))
    assert whole.parts == streamed.parts == (TextPart("a "), cited)
    assert whole.content == "a b"


def test_redacted_reasoning_is_kept_byte_for_byte() -> None:
    block = {"reasoningContent": {"redactedContent": "cmVkYWN0ZWQ="}}
    want = (OpaquePart(Opaque("bedrock", block), kind="reasoningContent"),)
    assert answer(block).parts == want
    assert fold(delta(0, reasoningContent=block["reasoningContent"]), stop(0), END[0]).parts == want
    pieces = [delta(0, reasoningContent={"redactedContent": p}) for p in ("cmVkYQ==", "Y3RlZA==")]
    assert fold(*pieces, END[0]).parts == want


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("tomorrow", "stop"),
    ],
)
def test_stop_reasons(word: str, reason: str) -> None:
    made = answer({"text": "Blocked."}, stop=word)
    assert (made.finish_reason, made.raw_finish_reason, made.content) == (reason, word, "Blocked.")


def test_calls_and_blocks_without_a_start_or_an_end_are_not_lost() -> None:
    made = fold(delta(0, toolUse={"input": "{}"}), delta(1, citation={"title": "t"}), END[0])
    assert made.tool_calls[0].id
    assert made.parts[1] == TextPart("", ({"title": "t"},), Opaque("bedrock", {"citations": [{"title": "t"}]}))
    assert fold(("futureEvent", {}), delta(0, future=1), END[0]).parts == ()


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttlingException", LLMRateLimitError),
        ("validationException", InvalidRequestError),
        ("serviceUnavailableException", ProviderOverloadedError),
        ("internalServerException", ProviderServerError),
        ("modelStreamErrorException", ProviderServerError),
        ("unknown", StreamError),
    ],
)
def test_an_exception_frame_is_the_typed_error(kind: str, error: type[LLMError]) -> None:
    state = converse.new_stream_state(HERE)
    with pytest.raises(error, match="sorry") as caught:
        converse.decode_event(f"exception:{kind}", {"message": "sorry"}, state)
    assert type(caught.value) is error
    assert caught.value.provider_code == kind
    assert not state.finished


@pytest.mark.parametrize(
    ("status", "kind", "message", "error"),
    [
        (400, "ValidationException", "bad", InvalidRequestError),
        (400, "ValidationException", "The provided model identifier is invalid.", ModelNotFoundError),
        (400, "ValidationException", "Input Tokens Exceeded: Number of input tokens exceeds", TokenLimitError),
        (400, "ServiceQuotaExceededException", "quota", LLMQuotaExceededError),
        (403, "ExpiredTokenException", "expired", LLMAuthenticationError),
        (403, "AccessDeniedException", "no", LLMPermissionError),
        (404, "ResourceNotFoundException", "This model version has reached the end of its life.", ModelNotFoundError),
        (408, "ModelTimeoutException", "slow", ProviderServerError),
        (424, "ModelErrorException", "broke", ProviderServerError),
        (429, "ThrottlingException", "slow down", LLMRateLimitError),
        (503, "ServiceUnavailableException", "throttled", ProviderOverloadedError),
    ],
)
def test_the_kind_of_an_error_stands_in_a_header(status: int, kind: str, message: str, error: type[LLMError]) -> None:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/", "x-amzn-requestid": "r1"}
    made = converse.decode_error(HttpResponse(status, headers, b""), {"message": message}, HERE)
    assert type(made) is error
    assert (made.message, made.provider_code, made.request_id, made.status) == (message, kind, "r1", status)


def test_older_error_bodies_name_their_kind_and_write_a_capital() -> None:
    body = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "no"}
    made = converse.decode_error(HttpResponse(403, {}, b""), body, HERE)
    assert (type(made), made.message, made.provider_code) == (LLMPermissionError, "no", "AccessDeniedException")
    assert converse.decode_error(HttpResponse(502, {}, b""), "<html>Bad gateway</html>", HERE).message == "Bad gateway"


@pytest.mark.parametrize("wrong", [None, [], {}, {"output": {}}, {"output": {"message": "x"}}])
def test_a_body_that_is_no_answer_is_a_decode_error(wrong: Any) -> None:
    with pytest.raises(DecodeError):
        converse.decode_response(wrong, HERE)


def test_a_call_keeps_what_was_written() -> None:
    made = answer({"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": "ü"}}})
    assert made.tool_calls == (ToolCall("t", "f", {"x": "ü"}, '{"x": "ü"}'),)
