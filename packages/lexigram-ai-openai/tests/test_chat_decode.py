"""Whole answers of the chat wire, and errors that come with status 200."""

from typing import Any

import pytest

from lexigram.ai.openai import chat
from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Usage
from lexigram.contracts.ai.messages import AudioPart, ImagePart, OpaquePart, RefusalPart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("acme", "https://acme.example/v1")


def body(message: Any, finish: Any = "stop", **top: Any) -> dict[str, Any]:
    return {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **top}


def decode(message: Any, finish: Any = "stop", **top: Any) -> Any:
    return chat.decode_response(body(message, finish, **top), HERE)


def usage(**counts: Any) -> Usage:
    return decode({"content": "x"}, usage=counts).usage  # type: ignore[no-any-return]


def test_a_plain_answer() -> None:
    made = decode(
        {"role": "assistant", "content": "hi"}, usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    )
    assert (made.content, made.finish_reason, made.raw_finish_reason, made.id, made.model, made.provider) == (
        "hi",
        "stop",
        "stop",
        "c-1",
        "m-1",
        "acme",
    )
    assert made.usage == Usage(1, 2, 3, source="reported")
    assert made.raw["choices"]


def test_every_part_of_an_answer_in_order() -> None:
    note = {"type": "url_citation"}
    made = decode(
        {
            "content": "t",
            "reasoning_content": "r",
            "reasoning": "r",
            "annotations": [note],
            "refusal": "no",
            "audio": {"id": "a", "data": "aGk=", "transcript": "hi"},
            "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            "tool_calls": [{"id": "i", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
        },
        "tool_calls",
    )
    kinds = [type(p).__name__ for p in made.parts]
    assert kinds == ["ThinkingPart", "TextPart", "RefusalPart", "AudioPart", "ImagePart", "ToolCall"]
    assert made.parts[0] == ThinkingPart("r")
    assert made.parts[1] == TextPart("t", (note,))
    assert made.parts[3] == AudioPart(b"hi", id="a", transcript="hi")
    assert isinstance(made.parts[4], ImagePart)
    assert made.tool_calls[0].arguments == {"x": 1}


@pytest.mark.parametrize("content", [None, "", []])
def test_no_content_is_no_text(content: Any) -> None:
    made = decode({"content": content, "tool_calls": [{"id": "i", "function": {"name": "f", "arguments": ""}}]}, None)
    assert (made.content, len(made.parts), made.finish_reason, made.raw_finish_reason) == ("", 1, "tool_calls", None)
    assert decode({}).parts == ()


def test_thinking_that_used_up_all_tokens_is_no_error() -> None:
    made = decode({"content": "", "reasoning_content": "hm"}, "length")
    assert (made.content, made.thinking, made.finish_reason) == ("", "hm", "length")


def test_a_content_list_keeps_thinking_text_and_what_is_unknown() -> None:
    made = decode(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                {"type": "text", "text": "a"},
                {"type": "reference", "reference_ids": [1]},
            ]
        }
    )
    assert (made.thinking, made.content) == ("hm", "a")
    assert isinstance(made.parts[2], OpaquePart)
    assert made.parts[2].kind == "reference"


def test_json_mode_that_gives_an_object_is_its_json() -> None:
    assert decode({"content": {"é": 1}}).content == '{"é": 1}'


def test_a_refusal_decides_the_reason() -> None:
    made = decode({"content": None, "refusal": "I won't"})
    assert (made.refusal, made.finish_reason, made.raw_finish_reason) == ("I won't", "refusal", "stop")
    assert made.parts == (RefusalPart("I won't"),)


def test_arguments_given_as_an_object_and_broken_ones() -> None:
    calls = [
        {"id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"id": "b", "function": {"name": "f", "arguments": '{}{"x": 1}'}},
    ]
    first, second = decode({"tool_calls": calls}).tool_calls
    assert (first.arguments, first.arguments_error) == ({"x": 1}, None)
    assert second.arguments == {}
    assert second.arguments_error


def test_several_choices_are_alternatives_in_order_of_their_index() -> None:
    two = body({"content": "a"})
    two["choices"] = [{"index": 1, "message": {"content": "b"}, "finish_reason": "stop"}, *two["choices"]]
    made = chat.decode_response(two, HERE)
    assert (made.content, [a.content for a in made.alternatives]) == ("a", ["b"])


def test_usage_reads_cached_tokens_wherever_they_stand() -> None:
    base = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    for extra in (
        {"prompt_tokens_details": {"cached_tokens": 4}},
        {"cached_tokens": 4},
        {"prompt_cache_hit_tokens": 4},
        {"cache_read_input_tokens": 4},
    ):
        assert usage(**base, **extra).cached_input_tokens == 4
    assert usage(**base).cached_input_tokens is None
    assert usage(**base, prompt_tokens_details=None, completion_tokens_details=None).reasoning_tokens is None
    assert usage(**base, prompt_tokens_details={"cached_tokens": 0, "cache_write_tokens": 3}) == Usage(
        10, 2, 12, 0, 3, source="reported"
    )


def test_reasoning_is_part_of_the_output_whoever_counts() -> None:
    inside = usage(
        prompt_tokens=10, completion_tokens=30, total_tokens=40, completion_tokens_details={"reasoning_tokens": 20}
    )
    assert (inside.output_tokens, inside.reasoning_tokens) == (30, 20)
    beside = usage(
        prompt_tokens=496, completion_tokens=77, total_tokens=829, completion_tokens_details={"reasoning_tokens": 256}
    )
    assert (beside.output_tokens, beside.total_tokens, beside.reasoning_tokens) == (333, 829, 256)


def test_counts_that_are_missing_are_unknown_and_not_zero() -> None:
    assert decode({"content": "x"}).usage == Usage()
    assert usage(prompt_tokens=None, completion_tokens=None).source == "unknown"
    assert usage(prompt_tokens=3) == Usage(input_tokens=3, source="reported")
    assert usage(prompt_tokens=3, completion_tokens=4).total_tokens == 7
    assert usage(prompt_tokens=3.0, completion_tokens="4", total_tokens=True) == Usage(
        input_tokens=3, source="reported"
    )


@pytest.mark.parametrize(
    "value",
    [None, [], "", 1, {}, {"choices": []}, {"choices": None}, {"choices": [None]}, {"object": "chat.completion"}],
)
def test_what_is_no_completion_is_a_bad_shape(value: Any) -> None:
    with pytest.raises(errors.DecodeError) as caught:
        chat.decode_response(value, HERE)
    assert (caught.value.reason, caught.value.provider) == ("bad_shape", "acme")


@pytest.mark.parametrize(
    ("value", "cls"),
    [
        ({"error": {"code": 502, "message": "m"}, "user_id": "u"}, errors.ProviderServerError),
        (
            {
                "error": {
                    "message": "filtered due to the prompt triggering the content management policy",
                    "code": "content_filter",
                }
            },
            errors.LLMContentFilterError,
        ),
        ({"error": "m"}, errors.ProviderServerError),
        ({"success": False, "message": "m", "data": None, "code": "PRE-006"}, errors.ProviderServerError),
        ({"object": "error", "message": "m", "type": "invalid_request_error", "code": 400}, errors.InvalidRequestError),
    ],
)
def test_an_error_with_status_200_is_raised_typed(value: Any, cls: type[errors.LLMError]) -> None:
    with pytest.raises(errors.LLMError) as caught:
        chat.decode_response(value, HERE)
    assert type(caught.value) is cls
    assert caught.value.status is None


def test_a_choice_that_broke_off_keeps_what_it_had_said() -> None:
    broken = body({"content": "so far"}, None)
    broken["choices"][0]["error"] = {"code": 429, "message": "slow down"}
    with pytest.raises(errors.LLMRateLimitError) as caught:
        chat.decode_response(broken, HERE)
    assert caught.value.partial is not None
    assert caught.value.partial.content == "so far"


def test_a_null_error_is_no_error() -> None:
    assert decode({"content": "x"}, error=None).content == "x"


def test_an_error_reply_is_typed_with_what_its_headers_say() -> None:
    reply = HttpResponse(429, {"retry-after": "7", "x-request-id": "r-1"}, b"")
    error = chat.decode_error(
        reply, {"error": {"message": "slow", "type": "requests", "code": "rate_limit_exceeded"}}, HERE
    )
    assert type(error) is errors.LLMRateLimitError
    assert (error.retry_after, error.request_id, error.provider_code, error.provider) == (
        7.0,
        "r-1",
        "rate_limit_exceeded",
        "acme",
    )


def test_a_reset_time_in_the_body_counts_from_the_replys_date() -> None:
    inner = {
        "metadata": {"headers": {"X-RateLimit-Reset": "1759845420000"}},
        "code": 429,
        "message": "free-models-per-min",
    }
    reply = HttpResponse(429, {"date": "Tue, 07 Oct 2025 13:56:30 GMT"}, b"")
    assert chat.decode_error(reply, {"error": inner}, HERE).retry_after == 30.0
    assert chat.decode_error(HttpResponse(429, {}, b""), {"error": inner}, HERE).retry_after is None
