"""Answers of the generateContent wire, whole and streamed: what Google really sends, one surprise a test."""

import json
from typing import Any

import pytest

from lexigram.ai.google import generate
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import (
    DecodeError,
    LLMAuthenticationError,
    LLMContentFilterError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ModelNotFoundError,
    ProviderOverloadedError,
    ProviderServerError,
    StreamError,
)
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import AudioPart, FilePart, ImagePart, Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("gemini", "https://g.example/v1beta")
SIG = "CuYB+AE/x=="


def message(*parts: Any, finish: Any = "STOP", usage: Any = None, **candidate: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **candidate}
    if finish is not None:
        made["finishReason"] = finish
    out: dict[str, Any] = {"candidates": [made], "modelVersion": "gemini-x", "responseId": "r-1"}
    return out if usage is None else {**out, "usageMetadata": usage}


def stream(*events: Any) -> tuple[Completion, bool]:
    state, fold = generate.new_stream_state(HERE), CompletionFold(provider="gemini")
    for event in events:
        for chunk in generate.decode_event(None, event, state):
            fold.add(chunk)
    return fold.completion(), state.finished


def call(name: str, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **fields}}


def test_a_plain_answer() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    made = generate.decode_response(message({"text": "Hi"}, usage=usage), HERE)
    assert (made.content, made.finish_reason, made.raw_finish_reason) == ("Hi", "stop", "STOP")
    assert (made.model, made.id, made.provider) == ("gemini-x", "r-1", "gemini")
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (5, 2, 7)
    assert made.usage.reasoning_tokens is None
    assert made.raw["responseId"] == "r-1"


def test_a_stream_ends_with_a_chunk_that_has_nothing_but_the_finish() -> None:
    for last in (message({"text": ""}), message(), {"candidates": [{"finishReason": "STOP"}]}):
        made, finished = stream(message({"text": "He"}, finish=None), message({"text": "y"}, finish=None), last)
        assert (made.content, made.parts, made.finish_reason, finished) == ("Hey", (TextPart("Hey"),), "stop", True)


def test_a_stream_without_a_finish_is_not_finished() -> None:
    made, finished = stream(message({"text": "He"}, finish=None))
    assert (made.content, made.finish_reason, finished) == ("He", None, False)


def test_what_follows_the_finish_still_counts() -> None:
    made, finished = stream(message({"text": "a"}), message({"text": "b"}, finish=None, usage={"totalTokenCount": 3}))
    assert (made.content, finished, made.usage.total_tokens) == ("ab", True, 3)


# -- thoughts and signatures


def test_thoughts_are_thinking_and_their_tokens_are_output() -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "thoughtsTokenCount": 30, "totalTokenCount": 37}
    made = generate.decode_response(message({"text": "hm", "thought": True}, {"text": "Hi"}, usage=usage), HERE)
    assert (made.thinking, made.content) == ("hm", "Hi")
    assert (made.usage.output_tokens, made.usage.reasoning_tokens) == (32, 30)


def test_a_signature_stays_with_its_own_part() -> None:
    signed = {"text": "a", "thoughtSignature": SIG}
    made = generate.decode_response(message({"text": "x"}, signed, {"text": "b"}, {"text": "c"}), HERE)
    assert made.parts == (
        TextPart("x"),
        TextPart("a", opaque=Opaque("gemini", {"thoughtSignature": SIG})),
        TextPart("bc"),
    )
    assert made.content == "xabc"


def test_a_signature_on_an_empty_text_is_kept() -> None:
    made, _ = stream(message({"text": "Hi"}, finish=None), message({"text": "", "thoughtSignature": SIG}))
    assert made.parts == (TextPart("Hi"), TextPart("", opaque=Opaque("gemini", {"thoughtSignature": SIG})))


def test_a_signature_alone_is_kept() -> None:
    made = generate.decode_response(message({"thoughtSignature": SIG}, {"text": "Hi"}), HERE)
    assert made.parts[0] == TextPart("", opaque=Opaque("gemini", {"thoughtSignature": SIG}))


def test_a_thought_may_carry_a_signature_and_a_call_may_be_a_thought() -> None:
    thought = {"text": "hm", "thought": True, "thoughtSignature": SIG}
    made = generate.decode_response(message(thought, {**call("f", id="1"), "thought": True}), HERE)
    assert made.parts[0] == ThinkingPart("hm", Opaque("gemini", {"thoughtSignature": SIG}))
    assert made.tool_calls[0].opaque == Opaque("gemini", {"thought": True})


# -- function calls


def test_a_call_ends_with_stop_and_needs_no_id_and_no_arguments() -> None:
    made = generate.decode_response(message({**call("f"), "thoughtSignature": SIG}, call("g", args={"x": 1.0})), HERE)
    first, second = made.tool_calls
    assert (made.finish_reason, made.raw_finish_reason) == ("tool_calls", "STOP")
    assert (first.name, first.arguments, second.arguments) == ("f", {}, {"x": 1.0})
    assert first.id != second.id
    assert first.id.startswith("call_")
    assert first.opaque == Opaque("gemini", {"thoughtSignature": SIG, "id": None})


def test_made_up_ids_are_the_same_each_time_and_for_stream_and_whole() -> None:
    body = message(call("f"), call("f"))
    whole, again = generate.decode_response(body, HERE), generate.decode_response(body, HERE)
    streamed, _ = stream(message(call("f"), finish=None), message(call("f")))
    ids = [[c.id for c in made.tool_calls] for made in (whole, again, streamed)]
    assert ids[0] == ids[1] == ids[2]


def test_without_a_response_id_different_calls_still_differ() -> None:
    one, two = (message(call("f", args={"x": x})) for x in (1, 2))
    del one["responseId"], two["responseId"]
    assert generate.decode_response(one, HERE).tool_calls[0].id != generate.decode_response(two, HERE).tool_calls[0].id


def test_an_id_of_the_wire_is_kept() -> None:
    made = generate.decode_response(message(call("f", id="abc", args={})), HERE)
    assert (made.tool_calls[0].id, made.tool_calls[0].opaque) == ("abc", None)


def piece(path: str, more: bool = True, **value: Any) -> dict[str, Any]:
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], "willContinue": more}}


def test_arguments_in_pieces_are_put_together() -> None:
    made, finished = stream(
        message({**call("write", willContinue=True), "thoughtSignature": SIG}, finish=None),
        message(piece("$.id", stringValue="A", willContinue=True), finish=None),
        message(piece("$.id", stringValue="B"), finish=None),
        message(piece("$.items[0].n", numberValue=0.5), piece("$.items[1].on", boolValue=True), finish=None),
        message(piece("$['a.b']", nullValue="NULL_VALUE"), {"functionCall": {}}, finish=None),
        message(call("read", willContinue=True), {"functionCall": {}}, call("stop"), finish=None),
        message({"text": ""}),
    )
    first, second, third = made.tool_calls
    assert first.arguments == {"id": "AB", "items": [{"n": 0.5}, {"on": True}], "a.b": None}
    assert first.opaque == Opaque("gemini", {"thoughtSignature": SIG, "id": None})
    assert (second.name, second.arguments, third.name) == ("read", {}, "stop")
    assert finished


def test_a_string_said_twice_without_going_on_is_replaced() -> None:
    made, _ = stream(
        message(call("f", willContinue=True), piece("$.a", stringValue="x"), piece("$.a", False, stringValue="y"))
    )
    assert made.tool_calls[0].arguments == {"a": "y"}


@pytest.mark.parametrize(("finish", "runs"), [("STOP", True), ("MAX_TOKENS", False)])
def test_a_call_cut_off_in_its_arguments_cannot_be_run(finish: str, runs: bool) -> None:
    made, _ = stream(message(call("f", willContinue=True), piece("$.a", stringValue="x"), finish=finish))
    assert (made.tool_calls[0].arguments_error is None) == runs


def test_an_end_without_a_beginning_is_nothing() -> None:
    made, _ = stream(message({"functionCall": {}}, {"text": "Hi"}))
    assert made.parts == (TextPart("Hi"),)


@pytest.mark.parametrize(
    "path", ["a", "$", "$.a[5]", "$.a[0][1]", "$..a", "$.b.c", "$" + ".a" * 200, 5, "$.a[1000000000]"]
)
def test_a_piece_that_cannot_be_placed_is_a_typed_error(path: Any) -> None:
    with pytest.raises(DecodeError):
        stream(message(call("f", args={"b": "text"}, willContinue=True), piece(path, stringValue="x")))


# -- other parts


def test_media_comes_as_media() -> None:
    parts = [
        {"inlineData": {"mimeType": m, "data": "eA=="}} for m in ("image/png", "audio/L16;rate=24000", "video/mp4")
    ]
    file = {"fileData": {"mimeType": "a/b", "fileUri": "gs://x/y"}}
    made = generate.decode_response(message({**parts[0], "thoughtSignature": SIG}, *parts[1:], file), HERE)
    image, audio, video, stored = made.parts
    assert image == ImagePart(data=b"x", media_type="image/png", opaque=Opaque("gemini", {"thoughtSignature": SIG}))
    assert audio == AudioPart(data=b"x", format="L16;rate=24000")
    assert (video, stored) == (FilePart(data=b"x", media_type="video/mp4"), FilePart(url="gs://x/y", media_type="a/b"))


@pytest.mark.parametrize("data", ["e_-A", "e", "!!!!", ""])
def test_media_that_would_not_go_back_the_same_is_kept_as_it_is(data: str) -> None:
    part = {"inlineData": {"mimeType": "image/png", "data": data}}
    assert generate.decode_response(message(part), HERE).parts == (OpaquePart(Opaque("gemini", part), "inlineData"),)


def test_code_and_server_tools_are_kept_as_they_are() -> None:
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": SIG},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH", "id": "1"}},
        {"somethingNew": {}},
    ]
    made = generate.decode_response(message(*parts, {"text": "Hi"}), HERE)
    assert [p.opaque.data for p in made.parts[:4] if p.opaque] == parts
    assert [p.kind for p in made.parts[:4] if isinstance(p, OpaquePart)] == [next(iter(p)) for p in parts]
    assert made.content == "Hi"


def test_sources_are_annotations_each_once() -> None:
    grounding = {"webSearchQueries": ["q"]}
    made, _ = stream(
        message({"text": "a"}, finish=None, groundingMetadata={}),
        message({"text": "b"}, finish=None, groundingMetadata=grounding),
        message({"text": "c"}, groundingMetadata=grounding, urlContextMetadata={"urlMetadata": []}),
    )
    assert made.content == "abc"
    assert len(made.parts) == 1
    assert isinstance(made.parts[0], TextPart)
    assert made.parts[0].annotations == ({"groundingMetadata": grounding}, {"urlContextMetadata": {"urlMetadata": []}})


def test_sources_of_a_signed_text_stand_with_it() -> None:
    made = generate.decode_response(message({"text": "a", "thoughtSignature": SIG}, groundingMetadata={"x": 1}), HERE)
    assert made.parts == (
        TextPart("a", ({"groundingMetadata": {"x": 1}},), Opaque("gemini", {"thoughtSignature": SIG})),
    )


def test_logprobs_have_their_rivals() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "logProbability": -1}],
        "topCandidates": [{"candidates": [{"token": "b"}]}],
    }
    made = generate.decode_response(message({"text": "a"}, logprobsResult=result), HERE)
    assert made.logprobs == ({"token": "a", "logProbability": -1, "topCandidates": [{"token": "b"}]},)


def test_several_candidates_are_alternatives() -> None:
    body = message({"text": "a"})
    body["candidates"].append({**message({"text": "b"})["candidates"][0], "index": 1})
    made = generate.decode_response(body, HERE)
    assert (made.content, [a.content for a in made.alternatives]) == ("a", ["b"])
    _, finished = stream({"candidates": [body["candidates"][0], {"index": 1, "content": {"parts": [{"text": "b"}]}}]})
    assert not finished


# -- usage


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((5, None, None, None, 5), (5, 0, 5)),  # a 0 is not written; the total proves it
        ((5, None, 7, None, 12), (5, 7, 12)),
        ((5, 2, 7, 10, 24), (15, 9, 24)),  # what tools put into the prompt is input
        ((5, None, None, None, None), (5, None, None)),
        ((5, 2, None, None, None), (5, 2, 7)),
        ((17, 492, None, None, 61), (17, 492, 61)),
        ((9, None, None, None, 5), (9, None, 5)),
    ],
)
def test_counts(counts: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    names = (
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
    )
    usage = {n: c for n, c in zip(names, counts, strict=True) if c is not None}
    made = generate.decode_response(message({"text": "a"}, usage={**usage, "cachedContentTokenCount": 3}), HERE).usage
    assert (made.input_tokens, made.output_tokens, made.total_tokens) == expected
    assert (made.cached_input_tokens, made.source) == (3, "reported")


def test_usage_is_cumulative_and_a_lone_traffic_type_counts_nothing() -> None:
    made, _ = stream(
        message({"text": "a"}, finish=None, usage={"promptTokenCount": 5, "totalTokenCount": 5}),
        message(
            {"text": "b"}, finish=None, usage={"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
        ),
        message({"text": "c"}, usage={"trafficType": "ON_DEMAND"}),
    )
    assert (made.usage.output_tokens, made.usage.total_tokens) == (2, 7)
    assert generate.decode_response(message({"text": "c"}, usage={"trafficType": "X"}), HERE).usage.source == "unknown"


# -- blocks and finishes


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("SAFETY", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("MAX_TOKENS", "length"),
        ("UNEXPECTED_TOOL_CALL", "error"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("SOMETHING_NEW", "stop"),
        ("FINISH_REASON_UNSPECIFIED", None),
        (1, "stop"),
        (2, "length"),
        (3, "content_filter"),
        (17, "error"),
    ],
)
@pytest.mark.parametrize("content", [{}, None, {"parts": []}, {"parts": None}])
def test_a_candidate_that_was_stopped_is_an_answer_with_its_reason(word: Any, reason: Any, content: Any) -> None:
    candidate = {"finishReason": word, **({} if content is None else {"content": content})}
    made = generate.decode_response({"candidates": [candidate]}, HERE)
    assert (made.finish_reason, made.parts, made.content) == (reason, (), "")


BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "no"}, "usageMetadata": {}}


def test_a_blocked_prompt_is_a_typed_error_whole_and_streamed() -> None:
    for read in (lambda: generate.decode_response(BLOCKED, HERE), lambda: stream(BLOCKED)):
        with pytest.raises(LLMContentFilterError, match=r"PROHIBITED_CONTENT.*: no") as failed:
            read()
        assert failed.value.provider_code == "PROHIBITED_CONTENT"
        assert not failed.value.retryable


@pytest.mark.parametrize("body", [{}, [], {"candidates": []}, {"usageMetadata": {"promptTokenCount": 3}}, "x", None, 5])
def test_a_body_without_a_candidate_cannot_be_read(body: Any) -> None:
    with pytest.raises(DecodeError):
        generate.decode_response(body, HERE)


def test_an_array_of_messages_is_a_stream_read_at_once() -> None:
    events = [message({"text": "a"}, finish=None), message({"text": "b"})]
    assert generate.decode_response(events, HERE).content == "ab"


# -- errors


def fail(status: int, body: Any) -> LLMError:
    return generate.decode_error(HttpResponse(status, {}, b""), body, HERE)


def error(code: int, status: str, text: str = "no", *details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": text, "status": status, "details": list(details)}}


KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"}
QUOTA = "You exceeded your current quota, please check your plan"


@pytest.mark.parametrize(
    ("status", "body", "cls", "code"),
    [
        (400, error(400, "INVALID_ARGUMENT", "API key not valid.", KEY), LLMAuthenticationError, "API_KEY_INVALID"),
        (401, error(401, "UNAUTHENTICATED"), LLMAuthenticationError, "UNAUTHENTICATED"),
        (403, error(403, "PERMISSION_DENIED"), LLMPermissionError, "PERMISSION_DENIED"),
        (403, error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers"), LLMAuthenticationError, "PERMISSION_DENIED"),
        (404, error(404, "NOT_FOUND", "models/x is not found for API version v1beta, or"), ModelNotFoundError, "NOT_FOUND"),
        (404, error(404, "NOT_FOUND", "Publisher Model `projects/p/x` not found."), ModelNotFoundError, "NOT_FOUND"),
        (429, error(429, "RESOURCE_EXHAUSTED", QUOTA, RETRY), LLMRateLimitError, "RESOURCE_EXHAUSTED"),
        (429, error(429, "RESOURCE_EXHAUSTED", QUOTA), LLMQuotaExceededError, "RESOURCE_EXHAUSTED"),
        (503, error(503, "UNAVAILABLE", "The model is overloaded."), ProviderOverloadedError, "UNAVAILABLE"),
        (500, error(500, "INTERNAL"), ProviderServerError, "INTERNAL"),
        (504, error(504, "DEADLINE_EXCEEDED"), ProviderServerError, "DEADLINE_EXCEEDED"),
        (400, [error(400, "INVALID_ARGUMENT", "API key not valid.", KEY)], LLMAuthenticationError, "API_KEY_INVALID"),
    ],
)  # fmt: skip
def test_errors_are_typed_by_googles_words(status: int, body: Any, cls: type[LLMError], code: str) -> None:
    failed = fail(status, body)
    assert (type(failed), failed.status, failed.provider_code) == (cls, status, code)


def test_a_retry_delay_is_kept() -> None:
    assert fail(429, error(429, "RESOURCE_EXHAUSTED", QUOTA, RETRY)).retry_after == 3.5


def test_an_error_inside_a_200_is_typed_and_keeps_what_was_said() -> None:
    with pytest.raises(ProviderOverloadedError) as overloaded:
        stream(message({"text": "a"}, finish=None), error(503, "UNAVAILABLE"))
    assert overloaded.value.status is None
    with pytest.raises(StreamError):
        stream({"error": {"message": "?"}})
    with pytest.raises(ProviderServerError) as failed:
        generate.decode_response([message({"text": "a"}, finish=None), {"error": {"message": "?"}}], HERE)
    assert failed.value.partial is not None
    assert failed.value.partial.content == "a"
    with pytest.raises(LLMRateLimitError):
        stream([error(429, "RESOURCE_EXHAUSTED")])


def test_arguments_too_deep_to_write_are_a_typed_error() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(DecodeError):
        generate.decode_response(message(call("f", args=deep)), HERE)


def test_counts_of_tokens() -> None:
    assert generate.decode_count({"totalTokens": 7}, HERE) == 7
    assert generate.decode_count({}, HERE) == 0
    for wrong in ([], {"totalTokens": "7"}, {"totalTokens": -1}, None):
        with pytest.raises(DecodeError):
            generate.decode_count(json.loads(json.dumps(wrong)), HERE)
