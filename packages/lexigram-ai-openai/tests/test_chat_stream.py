"""Streams of the chat wire: every way in which vendors differ, in a few hand-written events each."""

import json
from typing import Any

import pytest

from lexigram.ai.openai import chat
from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import ImagePart, Opaque, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint

HERE = Endpoint("acme", "https://acme.example/v1")


def ev(delta: dict[str, Any] | None = None, finish: Any = None, index: int = 0, **top: Any) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c-1", "model": "m-1", "object": "chat.completion.chunk", "choices": [choice], **top}


def call(index: Any, ident: Any = None, name: Any = None, arguments: Any = "") -> dict[str, Any]:
    piece: dict[str, Any] = {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}
    return piece if index is ... else {"index": index, **piece}


def calls(*pieces: dict[str, Any]) -> dict[str, Any]:
    return ev({"tool_calls": list(pieces)})


def run(*events: dict[str, Any]) -> tuple[Completion, list[StreamChunk], chat.ChatStreamState]:
    state, fold, chunks = chat.new_stream_state(HERE), CompletionFold(provider="acme"), []
    for event in events:
        for chunk in chat.decode_event(None, event, state):
            chunks.append(chunk)
            fold.add(chunk)
    return fold.completion(), chunks, state


def asked(*events: dict[str, Any]) -> list[tuple[str, str, str]]:
    made, _, _ = run(*events, ev(finish="tool_calls"))
    return [(c.id, c.name, c.raw_arguments) for c in made.tool_calls]


def test_a_plain_event_is_exactly_one_chunk_and_an_empty_one_none() -> None:
    made, chunks, state = run(
        ev({"role": "assistant", "content": ""}),
        ev({"content": "Hel"}),
        ev({"content": ""}),
        ev({"content": "lo"}),
        ev({}, "stop"),
    )
    assert [c.delta for c in chunks] == ["", "Hel", "lo", ""]
    assert chunks[0].role == "assistant"
    assert (made.content, made.finish_reason, made.raw_finish_reason) == ("Hello", "stop", "stop")
    assert (made.id, made.model, state.finished) == ("c-1", "m-1", True)


def test_the_short_way_and_the_long_way_say_the_same() -> None:
    short, _, _ = run(ev({"role": "assistant"}), ev({"content": "a"}), ev({"content": "b"}), ev({}, "stop"))
    long = run(
        *[ev({**d, "refusal": None}, f) for d, f in (({"content": "a"}, None), ({"content": "b"}, None), ({}, "stop"))]
    )[0]
    assert short == long


def test_a_delta_with_reasoning_beside_its_text_loses_neither() -> None:
    made, _, _ = run(ev({"role": "assistant"}), ev({"content": "x", "reasoning": "because"}), ev({}, "stop"))
    assert (made.content, made.thinking) == ("x", "because")


def test_the_first_chunk_of_azure_gives_no_identity() -> None:
    first = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{}]}
    made, chunks, _ = run(first, ev({"content": "hi"}), ev({}, "stop"))
    assert (made.id, made.model, chunks[0].delta) == ("c-1", "m-1", "hi")


def test_usage_in_a_chunk_of_its_own_after_the_finish() -> None:
    made, chunks, _ = run(
        ev({"content": "x"}),
        ev({}, "stop"),
        {**ev(), "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}},
    )
    assert made.usage == Usage(3, 1, 4, source="reported")
    assert made.finish_reason == "stop"
    assert chunks[-1].finish_reason is None


def test_of_several_usages_the_last_that_counts_holds() -> None:
    nulls = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    made, _, _ = run(
        ev({"content": "x"}, usage=nulls),
        ev({"content": "y"}, usage={"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}),
        ev({}, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2.0, "total_tokens": 5.0}),
        ev({}, usage=nulls),
    )
    assert made.usage == Usage(3, 2, 5, source="reported")
    assert isinstance(made.usage.output_tokens, int)


def test_groqs_usage_is_found_in_its_corner() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    made, _, _ = run(ev({"content": "x"}, "stop", x_groq={"id": "r", "usage": usage}))
    assert made.usage.total_tokens == 3


def test_a_choice_chunk_after_the_finish_does_not_take_the_reason_away() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    made, _, state = run(
        ev({"content": "x"}), ev({"content": ""}, "stop"), ev({"role": "assistant", "content": ""}, usage=usage)
    )
    assert (made.raw_finish_reason, made.usage.total_tokens, state.finished) == ("stop", 3, True)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("length", "length"),
        ("tool_call", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("STOP", "stop"),
        ("never heard of", "stop"),
        ("insufficient_system_resource", "error"),
    ],
)
def test_a_finish_word_is_read_and_kept(word: str, reason: str) -> None:
    made, _, state = run(ev({"content": "x"}), ev({}, word))
    assert (made.finish_reason, made.raw_finish_reason, state.finished) == (reason, word, True)


@pytest.mark.parametrize("word", ["", None])
def test_an_empty_finish_word_is_no_finish(word: Any) -> None:
    made, _, state = run(ev({"content": "x"}, word))
    assert (made.finish_reason, state.finished) == (None, False)


def test_the_finish_key_may_be_absent_until_the_end() -> None:
    event = ev({"content": "x"})
    del event["choices"][0]["finish_reason"]
    made, _, state = run(event, event, ev({"content": "!"}, "stop"))
    assert (made.content, state.finished) == ("xx!", True)


def test_calls_decide_the_finish_and_a_cut_off_one_stays_length() -> None:
    one = calls(call(0, "a", "f", '{"x": '))
    assert run(one, ev({}, "stop"))[0].finish_reason == "tool_calls"
    cut = run(one, ev({}, "length"))[0]
    assert (cut.finish_reason, cut.tool_calls[0].arguments) == ("length", {})
    assert cut.tool_calls[0].arguments_error is not None


def test_parallel_calls_in_pieces_interleaved() -> None:
    got = asked(
        calls(call(0, "a", "f")),
        calls(call(1, "b", "g")),
        calls(call(1, arguments='{"y":')),
        calls(call(0, arguments="{}")),
        calls(call(1, arguments="2}")),
    )
    assert got == [("a", "f", "{}"), ("b", "g", '{"y":2}')]


def test_parallel_calls_all_under_index_0_are_told_apart_by_id() -> None:
    got = asked(
        calls(call(0, "a", "f", "{}")),
        calls(call(0, "b", "f", '{"n":')),
        calls(call(0, None, None, "1}")),
        calls(call(0, "c", "g", "{}")),
    )
    assert got == [("a", "f", "{}"), ("b", "f", '{"n":1}'), ("c", "g", "{}")]


@pytest.mark.parametrize("index", [-1, None, ...])
def test_a_useless_index_is_no_index(index: Any) -> None:
    got = asked(
        calls(call(index, "a", "f", '{"x":')), calls(call(index, None, None, "1}")), calls(call(index, "b", "g", "{}"))
    )
    assert got == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_several_calls_in_one_delta_without_ids_under_one_index() -> None:
    got = asked(calls(call(0, "", "f", "{}"), call(0, "", "f", '{"n": 2}')))
    assert [(n, a) for _, n, a in got] == [("f", "{}"), ("f", '{"n": 2}')]
    assert got[0][0] != got[1][0]


@pytest.mark.parametrize("later_id", ["a", "", None])
@pytest.mark.parametrize("later_name", ["f", "", None])
def test_what_later_pieces_repeat_or_blank_out_changes_nothing(later_id: Any, later_name: Any) -> None:
    assert asked(calls(call(0, "a", "f")), calls(call(0, later_id, later_name, "{}"))) == [("a", "f", "{}")]


@pytest.mark.parametrize("ident", ["", None])
def test_a_missing_id_is_made_up_the_same_each_time_and_unique(ident: Any) -> None:
    events = (calls(call(0, ident, "f", "{}")), calls(call(1, ident, "g", "{}")))
    first, again = asked(*events), asked(*events)
    assert first == again
    assert len({i for i, _, _ in first}) == 2
    assert all(i.isalnum() and len(i) == 9 for i, _, _ in first)


def test_the_made_up_id_is_that_of_the_whole_body() -> None:
    body = {
        "id": "c-1",
        "choices": [
            {
                "index": 0,
                "message": {"tool_calls": [{"id": "", "function": {"name": "f", "arguments": "{}"}}]},
                "finish_reason": "stop",
            }
        ],
    }
    assert chat.decode_response(body, HERE).tool_calls[0].id == asked(calls(call(0, "", "f", "{}")))[0][0]


@pytest.mark.parametrize(
    ("written", "read"), [("", {}), ("null", {}), (None, {}), ("{}", {}), ({"a": 1}, {"a": 1}), ('{"a": 1}', {"a": 1})]
)
def test_arguments_in_every_form(written: Any, read: Any) -> None:
    made, _, _ = run(calls(call(0, "a", "f", written)), ev(finish="tool_calls"))
    assert made.tool_calls[0].arguments == read
    assert made.tool_calls[0].arguments_error is None


def test_a_custom_tools_input_is_text() -> None:
    piece = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select "}}
    made, _, _ = run(calls(piece), calls({"index": 0, "custom": {"input": "1"}}), ev(finish="tool_calls"))
    got = made.tool_calls[0]
    assert (got.kind, got.name, got.raw_arguments, got.arguments_error) == ("custom", "sql", "select 1", None)


def test_the_old_function_call_is_a_call() -> None:
    made, _, _ = run(
        ev({"function_call": {"name": "f", "arguments": ""}}),
        ev({"function_call": {"arguments": "{}"}}),
        ev({}, "function_call"),
    )
    assert [(c.name, c.raw_arguments) for c in made.tool_calls] == [("f", "{}")]


def test_several_choices_interleave_and_finish_each_on_its_own() -> None:
    events = [
        ev({"content": "a"}),
        ev({"content": "b"}, index=1),
        ev({"tool_calls": [call(0, "x", "f", "{}")]}, index=1),
        ev({"content": "A"}),
        ev({"tool_calls": [call(0, "y", "g", "{}")]}),
        ev({}, "tool_calls"),
    ]
    made, _, state = run(*events)
    assert not state.finished
    made, _, state = run(*events, ev({}, "length", index=1))
    assert state.finished
    other = made.alternatives[0]
    assert (made.content, other.content, other.finish_reason) == ("aA", "b", "length")
    assert [c.id for c in made.tool_calls + other.tool_calls] == ["y", "x"]


@pytest.mark.parametrize("fields", [("reasoning_content",), ("reasoning",), ("reasoning", "reasoning_content")])
def test_reasoning_is_read_once_from_whichever_field(fields: tuple[str, ...]) -> None:
    made, chunks, _ = run(
        ev(dict.fromkeys(fields, "Hm")), ev(dict.fromkeys(fields, "m.")), ev({"content": "Yes"}), ev({}, "stop")
    )
    assert (made.thinking, made.content) == ("Hmm.", "Yes")
    assert chunks[0].is_thinking


def test_reasoning_details_are_joined_and_kept_to_go_back() -> None:
    def detail(text: str, **more: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "text": text, "index": 0, "format": "f", **more}

    made, _, _ = run(
        ev({"reasoning": "Hm", "reasoning_details": [detail("Hm")]}),
        ev({"reasoning": "m", "reasoning_details": [detail("m")]}),
        ev({"reasoning": None, "reasoning_details": [detail("", signature="SIG")]}),
        ev({"content": "Yes", "reasoning_details": [{"type": "reasoning.encrypted", "data": "X", "index": 1}]}),
        ev({}, "stop"),
    )
    whole = [detail("Hmm", signature="SIG"), {"type": "reasoning.encrypted", "data": "X", "index": 1}]
    assert made.parts == (ThinkingPart("Hmm", Opaque("acme", {"reasoning_details": whole})), TextPart("Yes"))
    body = {
        "id": "c-1",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"content": "Yes", "reasoning": "Hmm", "reasoning_details": whole},
            }
        ],
    }
    assert chat.decode_response(body, HERE).parts == made.parts


def test_reasoning_that_stands_in_the_details_only_is_read_from_them() -> None:
    made, _, _ = run(
        ev({"reasoning_details": [{"type": "reasoning.summary", "summary": "So.", "index": 0}]}),
        ev({"content": "x"}, "stop"),
    )
    assert made.thinking == "So."


def test_a_content_list_of_thinking_and_text_mixes_with_plain_text() -> None:
    def thinking(text: str) -> dict[str, Any]:
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}

    made, chunks, _ = run(
        ev({"role": "assistant", "content": ""}),
        ev(thinking("Hm")),
        ev(thinking("m.")),
        ev({"content": [{"type": "text", "text": "Ye"}]}),
        ev({"content": "s"}, "stop"),
    )
    assert made.parts == (ThinkingPart("Hmm."), TextPart("Yes"))
    assert [c.thinking_delta for c in chunks if c.is_thinking] == ["Hm", "m."]


def test_a_refusal_comes_as_its_own_part() -> None:
    made, _, _ = run(ev({"refusal": "I "}), ev({"refusal": "won't"}), ev({}, "stop"))
    assert (made.refusal, made.content, made.finish_reason) == ("I won't", "", "refusal")


def test_logprobs_annotations_images_and_audio_arrive() -> None:
    logprobs = {"content": [{"token": "x", "logprob": -0.1}], "refusal": None}
    event = ev({"content": "x"})
    event["choices"][0]["logprobs"] = logprobs
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example"}}
    made, _, _ = run(
        event,
        ev({"annotations": [note]}),
        ev({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}),
        ev({"audio": {"id": "au", "transcript": "he"}}),
        ev({"audio": {"data": "aGk=", "transcript": "y"}}),
        ev({}, "stop"),
    )
    assert made.logprobs == ({"token": "x", "logprob": -0.1},)
    assert made.parts[0] == TextPart("x", (note,))
    assert isinstance(made.parts[1], ImagePart)
    audio = made.parts[2]
    assert (audio.id, audio.data, audio.transcript) == ("au", b"hi", "hey")  # type: ignore[union-attr]


def test_text_that_is_there_twice_is_read_once() -> None:
    event = ev({"content": "x", "role": "assistant"})
    event["choices"][0]["text"] = "x"
    assert run(event, event, ev({}, "stop"))[0].content == "xx"


def test_a_cumulative_message_beside_the_delta_is_ignored() -> None:
    events = [ev({"content": "a"}), ev({"content": "b"})]
    events[0]["choices"][0]["message"] = {"content": "a"}
    events[1]["choices"][0]["message"] = {"content": "ab"}
    assert run(*events, ev({}, "stop"))[0].content == "ab"


def test_text_without_a_delta_is_text() -> None:
    choice = {"index": 0, "text": "old", "finish_reason": "stop"}
    assert run({"id": "x", "choices": [choice]})[0].content == "old"


def test_text_around_calls_gives_the_parts_of_the_whole_body() -> None:
    made, _, _ = run(ev({"content": "a"}), calls(call(0, "i", "f", "{}")), ev({"content": "b"}), ev({}, "tool_calls"))
    body = {
        "id": "c-1",
        "choices": [
            {"message": {"content": "ab", "tool_calls": [call(0, "i", "f", "{}")]}, "finish_reason": "tool_calls"}
        ],
    }
    assert made.parts == chat.decode_response(body, HERE).parts


@pytest.mark.parametrize(
    ("name", "data", "cls", "words"),
    [
        (
            None,
            {"error": {"message": "upstream broke", "code": 502, "metadata": {"provider_name": "P"}}, "user_id": "u"},
            errors.ProviderServerError,
            "upstream broke",
        ),
        (
            None,
            {**ev({}, "stop"), "error": {"code": 502, "message": "Malformed function call"}},
            errors.ProviderServerError,
            "Malformed",
        ),
        (
            None,
            {
                "id": "x",
                "choices": [{"index": 0, "delta": {"content": ""}, "error": {"code": 429, "message": "slow down"}}],
            },
            errors.LLMRateLimitError,
            "slow down",
        ),
        (
            None,
            {**ev({"content": ""}, "error"), "error": {"code": 400, "message": "Token limit reached"}},
            errors.TokenLimitError,
            "Token limit",
        ),
        (
            "error",
            {"error": {"message": "did not match schema", "code": "tool_use_failed", "status_code": 400}},
            errors.InvalidRequestError,
            "schema",
        ),
        ("error", {"message": "bare", "type": "server_error"}, errors.ProviderServerError, "bare"),
        ("error", {"detail": "failed to decode, try again"}, errors.LLMError, "failed to decode"),
        ("error", "plain words", errors.StreamError, "plain words"),
        (None, {"error": "just a string"}, errors.StreamError, "just a string"),
        (None, {"detail": "failed"}, errors.StreamError, "failed"),
        (None, {"error": {"type": "rate_limit_exceeded", "message": "later"}}, errors.LLMRateLimitError, "later"),
        (
            None,
            {"object": "error", "message": "model `x` does not exist", "type": "NotFoundError", "code": 404},
            errors.ModelNotFoundError,
            "does not exist",
        ),
    ],
)
def test_an_error_in_the_stream_is_raised_typed(
    name: str | None, data: Any, cls: type[errors.LLMError], words: str
) -> None:
    state = chat.new_stream_state(HERE)
    chat.decode_event(None, ev({"role": "assistant", "content": "par"}), state)
    with pytest.raises(errors.LLMError) as caught:
        chat.decode_event(name, data, state)
    assert isinstance(caught.value, cls)
    assert words in caught.value.message
    assert (caught.value.provider, caught.value.status, state.finished) == ("acme", None, False)
    if isinstance(caught.value, errors.StreamError):
        assert caught.value.reason == "error"


@pytest.mark.parametrize(
    "data", [None, [], "", 1, {"choices": {}}, {"choices": "x"}, {"choices": [None]}, {"choices": [1]}]
)
def test_what_is_no_chunk_is_a_bad_shape(data: Any) -> None:
    for prepared in (False, True):
        state = chat.new_stream_state(HERE)
        if prepared:
            chat.decode_event(None, ev({"content": "x"}), state)
        with pytest.raises(errors.DecodeError) as caught:
            chat.decode_event(None, data, state)
        assert caught.value.reason == "bad_shape"


def test_events_of_unknown_kinds_add_nothing() -> None:
    state = chat.new_stream_state(HERE)
    for event in (
        {},
        {"type": "ping"},
        {"choices": None},
        {"choices": []},
        ev({"padding": "xx"}),
        ev({"tool_calls": []}),
        ev({"tool_calls": None}),
    ):
        assert list(chat.decode_event(None, event, state)) == []
    assert not state.finished


def test_lone_surrogates_survive_to_the_next_turn() -> None:
    made, _, _ = run(
        ev({"content": json.loads('"\\ud800"')}),
        calls(call(0, None, "f", json.loads('"{\\"x\\": \\"\\ud83d\\"}"'))),
        ev({}, "stop"),
    )
    assert made.content == "\ud800"
    assert made.tool_calls[0].arguments == {"x": "\ud83d"}
