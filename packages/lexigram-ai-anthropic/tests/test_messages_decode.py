"""Whole answers of the Messages wire, and its errors."""

from typing import Any

import pytest

from lexigram.ai.anthropic import messages
from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Usage
from lexigram.contracts.ai.messages import Opaque, OpaquePart, RefusalPart, TextPart, ThinkingPart, ToolCall
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("acme", "https://acme.example/v1")


def answer(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(blocks), **fields}


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **fields}


def test_a_plain_answer_is_read() -> None:
    made = messages.decode_response(answer(text("Hi"), stop_reason="end_turn"), HERE)
    assert (made.content, made.finish_reason, made.raw_finish_reason) == ("Hi", "stop", "end_turn")
    assert (made.id, made.model, made.provider) == ("msg_1", "m", "acme")


def test_input_tokens_include_what_was_read_from_and_written_to_the_cache() -> None:
    counts = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
    }
    made = messages.decode_response(answer(text("x"), usage=counts), HERE)
    assert made.usage == Usage(125, 7, 132, 100, 20, 3, "reported")


def test_counts_that_are_not_there_are_unknown() -> None:
    made = messages.decode_response(answer(text("x"), usage={"input_tokens": 5}), HERE)
    assert made.usage == Usage(input_tokens=5, source="reported")
    assert messages.decode_response(answer(text("x")), HERE).usage == Usage()


@pytest.mark.parametrize("word", ["end_turn", "stop_sequence"])
def test_no_content_at_all_is_an_answer(word: str) -> None:
    made = messages.decode_response(answer(stop_reason=word), HERE)
    assert (made.content, made.parts, made.finish_reason) == ("", (), "stop")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("tool_use", "tool_calls"),
        ("something_new", "stop"),
        (None, None),
    ],
)
def test_stop_reasons_in_our_vocabulary(word: str | None, reason: str | None) -> None:
    made = messages.decode_response(answer(text("x"), stop_reason=word), HERE)
    assert (made.finish_reason, made.raw_finish_reason) == (reason, word)


def test_a_refusal_says_why_where_the_provider_explains_it() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": "Not that."}
    made = messages.decode_response(answer(stop_reason="refusal", stop_details=details), HERE)
    assert made.parts == (RefusalPart("Not that.", Opaque("acme", {"stop_details": details})),)
    assert (made.refusal, made.content) == ("Not that.", "")


def test_a_signature_stays_with_its_thinking_even_when_the_text_is_hidden() -> None:
    hidden = {"type": "thinking", "thinking": "", "signature": "SIG=="}
    made = messages.decode_response(answer(hidden, text("4")), HERE)
    assert made.parts == (ThinkingPart("", Opaque("acme", {"signature": "SIG=="})), TextPart("4"))
    assert made.thinking is None


def test_thinking_of_servers_that_sign_nothing_is_text() -> None:
    made = messages.decode_response(answer({"type": "thinking", "thinking": "hm", "signature": ""}), HERE)
    assert made.parts == (ThinkingPart("hm"),)


def test_blocks_that_only_the_provider_understands_are_kept_whole() -> None:
    secret = {"type": "redacted_thinking", "data": "EnC=="}
    search = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "e"}]}
    new = {"type": "of_tomorrow", "x": [1, {"y": None}]}
    made = messages.decode_response(answer(secret, search, new), HERE)
    assert made.parts == tuple([OpaquePart(Opaque("acme", b), b["type"]) for b in (secret, search, new)])


def test_citations_are_annotations_and_belong_to_the_provider() -> None:
    cited = {"type": "page_location", "cited_text": "c", "document_index": 0}
    made = messages.decode_response(answer(text("a", citations=None), text("b", citations=[cited])), HERE)
    assert made.parts == (TextPart("a"), TextPart("b", (cited,), Opaque("acme", {})))


def test_a_tool_call_keeps_its_caller() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {"x": "ü"}, "caller": {"type": "direct"}}
    made = messages.decode_response(answer(block, stop_reason="tool_use"), HERE)
    opaque = Opaque("acme", {"caller": {"type": "direct"}})
    assert made.tool_calls == (ToolCall("t", "f", {"x": "ü"}, '{"x": "ü"}', opaque=opaque),)


def test_a_tool_call_without_arguments_has_none() -> None:
    made = messages.decode_response(answer({"type": "tool_use", "id": "t", "name": "f", "input": {}}), HERE)
    assert (made.tool_calls[0].arguments, made.tool_calls[0].raw_arguments) == ({}, "{}")


@pytest.mark.parametrize("body", [None, [], "hi", {}, {"content": None}, {"content": "hi"}])
def test_what_is_no_message_is_a_decode_error(body: Any) -> None:
    with pytest.raises(errors.DecodeError) as caught:
        messages.decode_response(body, HERE)
    assert caught.value.reason == "bad_shape"


def test_an_error_inside_a_200_is_that_error() -> None:
    body: Any = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"}
    with pytest.raises(errors.ProviderOverloadedError) as caught:
        messages.decode_response(body, HERE)
    assert (caught.value.message, caught.value.request_id, caught.value.status) == ("Overloaded", "r", None)


@pytest.mark.parametrize(
    ("status", "kind", "message", "cls"),
    [
        (400, "invalid_request_error", "messages.0: wrong", errors.InvalidRequestError),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", errors.TokenLimitError),
        (400, "invalid_request_error", "Your credit balance is too low to access", errors.LLMQuotaExceededError),
        (401, "authentication_error", "invalid x-api-key", errors.LLMAuthenticationError),
        (402, "billing_error", "pay first", errors.LLMQuotaExceededError),
        (403, "permission_error", "no", errors.LLMPermissionError),
        (404, "not_found_error", "model: claude-0", errors.ModelNotFoundError),
        (413, "request_too_large", "too large", errors.TokenLimitError),
        (429, "rate_limit_error", "slow down", errors.LLMRateLimitError),
        (500, "api_error", "oops", errors.ProviderServerError),
        (504, "timeout_error", "too slow", errors.ProviderServerError),
        (529, "overloaded_error", "Overloaded", errors.ProviderOverloadedError),
    ],
)
def test_every_documented_error_has_its_class(status: int, kind: str, message: str, cls: type) -> None:
    body: Any = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_body"}
    error = messages.decode_error(HttpResponse(status, {}, b""), body, HERE)
    assert type(error) is cls
    assert (error.message, error.request_id, error.status, error.provider_code) == (message, "req_body", status, kind)


def test_the_header_names_the_request_before_the_body_does() -> None:
    body: Any = {"error": {"type": "api_error", "message": "x"}, "request_id": "b"}
    error = messages.decode_error(HttpResponse(500, {"request-id": "h"}, b""), body, HERE)
    assert error.request_id == "h"


def test_a_count_is_a_number_or_an_error() -> None:
    assert messages.decode_count({"input_tokens": 14}, HERE) == 14
    for body in ({}, {"input_tokens": "14"}, {"input_tokens": True}, None):
        with pytest.raises(errors.DecodeError):
            messages.decode_count(body, HERE)
