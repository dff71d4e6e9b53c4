"""Streams of the Messages wire: each surprise, and that a stream and a whole body say the same."""

from typing import Any

import pytest

from lexigram.ai.anthropic import messages
from lexigram.contracts.ai import errors
from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint

HERE = Endpoint("acme", "https://acme.example/v1")


def begin(**usage: Any) -> dict[str, Any]:
    head = {"id": "msg_1", "model": "m", "role": "assistant", "content": [], "stop_reason": None}
    return {"type": "message_start", "message": {**head, "usage": usage or {"input_tokens": 3, "output_tokens": 1}}}


def end(reason: str | None = "end_turn", usage: Any = None, **delta: Any) -> list[dict[str, Any]]:
    last = {"type": "message_delta", "delta": {"stop_reason": reason, **delta}, "usage": usage or {"output_tokens": 9}}
    return [last, {"type": "message_stop"}]


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    pieces = [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
    first = {"type": "content_block_start", "index": index, "content_block": start}
    return [first, *pieces, {"type": "content_block_stop", "index": index}]


def said(index: int, *words: str) -> list[dict[str, Any]]:
    return block(index, {"type": "text", "text": ""}, *[{"type": "text_delta", "text": w} for w in words])


def js(piece: str) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": piece}


def run(*events: dict[str, Any]) -> tuple[list[StreamChunk], messages.MessagesStreamState, Completion]:
    state, fold, chunks = messages.new_stream_state(HERE), CompletionFold(provider="acme"), []
    for event in events:
        chunks += messages.decode_event(event.get("type"), event, state)
    for chunk in chunks:
        fold.add(chunk)
    return chunks, state, fold.completion()


def test_text_comes_as_it_is_written() -> None:
    chunks, state, made = run(begin(), *said(0, "He", "llo"), *end())
    assert [c.delta for c in chunks if c.delta] == ["He", "llo"]
    assert (made.content, made.finish_reason, made.id, made.model) == ("Hello", "stop", "msg_1", "m")
    assert state.finished
    assert state.closed


def test_nothing_but_message_stop_ends_a_stream() -> None:
    events = [begin(), *said(0, "x"), *end()]
    for cut in range(len(events)):
        _, state, _ = run(*events[:cut])
        assert not state.finished
        assert not state.closed


def test_an_answer_without_a_block_is_an_answer() -> None:
    _, state, made = run(begin(), *end("stop_sequence"))
    assert state.finished
    assert (made.content, made.parts, made.raw_finish_reason) == ("", (), "stop_sequence")


def test_later_counts_replace_earlier_ones_and_what_is_left_out_stands() -> None:
    start = begin(input_tokens=10, cache_read_input_tokens=4, cache_creation_input_tokens=0, output_tokens=1)
    _, _, made = run(start, *end(usage={"input_tokens": 400, "output_tokens": 9, "cache_creation_input_tokens": None}))
    assert made.usage == Usage(404, 9, 413, 4, 0, None, "reported")


def test_a_stream_that_was_cut_knows_its_input_tokens() -> None:
    _, _, made = run(begin(input_tokens=10, output_tokens=1))
    assert made.usage.input_tokens == 10


@pytest.mark.parametrize("pieces", [(), ("",), ("", "")])
def test_a_tool_without_arguments_may_stream_no_json(pieces: tuple[str, ...]) -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    _, _, made = run(begin(), *block(0, start, *map(js, pieces)), *end("tool_use"))
    (call,) = made.tool_calls
    assert (call.id, call.name, call.arguments, call.raw_arguments, call.arguments_error) == ("t", "f", {}, "{}", None)


def test_arguments_may_stand_in_the_start_of_the_block() -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}
    _, _, made = run(begin(), *block(0, start), *end("tool_use"))
    assert made.tool_calls[0].arguments == {"x": 1}


def test_calls_keep_apart_what_their_blocks_number() -> None:
    first, second = ({"type": "tool_use", "id": i, "name": i, "input": {}} for i in "ab")
    events = [
        begin(),
        {"type": "content_block_start", "index": 1, "content_block": first},
        {"type": "content_block_start", "index": 2, "content_block": second},
        {"type": "content_block_delta", "index": 2, "delta": js('{"n": 2}')},
        {"type": "content_block_delta", "index": 1, "delta": js('{"n": 1}')},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_stop", "index": 2},
        *end("tool_use"),
    ]
    _, _, made = run(*events)
    assert [(c.id, c.arguments) for c in made.tool_calls] == [("a", {"n": 1}), ("b", {"n": 2})]


def test_arguments_cut_off_by_the_limit_are_kept_and_marked() -> None:
    start = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    _, _, made = run(begin(), *block(0, start, js('{"x": "a')), *end("max_tokens"))
    assert (made.tool_calls[0].raw_arguments, made.finish_reason) == ('{"x": "a', "length")
    assert made.tool_calls[0].arguments_error


def test_thinking_blocks_stay_apart_and_keep_their_signatures() -> None:
    def thought(index: int, words: str, signature: str) -> list[dict[str, Any]]:
        start = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": words}, {"type": "signature_delta", "signature": signature}]
        return block(index, start, *deltas)

    _, _, made = run(
        begin(), *thought(0, "a", "S1"), *thought(1, "", "S2"), *said(2, "x"), *thought(3, "c", "S3"), *end()
    )
    signed = [ThinkingPart(t, Opaque("acme", {"signature": s})) for t, s in (("a", "S1"), ("", "S2"), ("c", "S3"))]
    assert made.parts == (signed[0], signed[1], TextPart("x"), signed[2])


def test_citations_come_one_by_one() -> None:
    one, two = {"type": "char_location", "n": 1}, {"type": "char_location", "n": 2}
    deltas = [{"type": "citations_delta", "citation": one}, {"type": "text_delta", "text": "x"},
              {"type": "citations_delta", "citation": two}]  # fmt: skip
    _, _, made = run(begin(), *block(0, {"type": "text", "text": "", "citations": []}, *deltas), *end())
    assert made.parts == (TextPart("x", (one, two), Opaque("acme", {})),)


def test_what_a_server_tool_was_given_is_put_into_its_block() -> None:
    start = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": "E"}]}
    _, _, made = run(begin(), *block(0, start, js('{"q"'), js(': "x"}')), *block(1, result), *end("pause_turn"))
    use = {**start, "input": {"q": "x"}}
    assert made.parts == (
        OpaquePart(Opaque("acme", use), "server_tool_use"),
        OpaquePart(Opaque("acme", result), "web_search_tool_result"),
    )
    assert made.finish_reason == "pause"


def test_a_block_with_deltas_of_its_own_kind_grows_by_them() -> None:
    deltas = [{"type": "compaction_delta", "content": c} for c in ("all ", "so far")]
    _, _, made = run(begin(), *block(0, {"type": "compaction", "content": None}, *deltas), *end())
    assert made.parts == (OpaquePart(Opaque("acme", {"type": "compaction", "content": "all so far"}), "compaction"),)


def test_pings_and_events_of_tomorrow_add_nothing() -> None:
    noise = [{"type": "ping"}, {"type": "of_tomorrow", "index": 0}, {"type": "content_block_delta", "index": 7}]
    chunks, state, _ = run(*noise, {"type": "content_block_stop", "index": 9})
    assert chunks == []
    assert not state.finished


def test_a_refusal_in_a_stream_says_why() -> None:
    details = {"type": "refusal", "category": None, "explanation": "No."}
    _, _, made = run(begin(), *said(0, "Well"), *end("refusal", stop_details=details))
    assert (made.content, made.refusal, made.finish_reason) == ("Well", "No.", "refusal")


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("overloaded_error", errors.ProviderOverloadedError),
        ("rate_limit_error", errors.LLMRateLimitError),
        ("api_error", errors.ProviderServerError),
        ("timeout_error", errors.ProviderServerError),
        ("invalid_request_error", errors.InvalidRequestError),
        ("of_tomorrow", errors.StreamError),
    ],
)
@pytest.mark.parametrize("name", ["error", None])
def test_an_error_in_the_middle_is_typed(kind: str, cls: type, name: str | None) -> None:
    event = {"type": "error", "error": {"type": kind, "message": "Broke"}, "request_id": "req_1"}
    state = messages.new_stream_state(HERE)
    with pytest.raises(cls) as caught:
        messages.decode_event(name, event, state)
    error: Any = caught.value
    assert (error.message, error.request_id, error.provider) == ("Broke", "req_1", "acme")
    assert not state.finished


def test_a_stream_says_what_the_whole_body_says() -> None:
    cited = {"type": "web_search_result_location", "url": "u"}
    whole: Any = {
        "id": "msg_1",
        "model": "m",
        "role": "assistant",
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "output_tokens": 9},
        "container": {"id": "c"},
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "S"},
            {"type": "redacted_thinking", "data": "D"},
            {"type": "text", "text": ""},
            {"type": "text", "text": "It is"},
            {"type": "text", "text": "so", "citations": [cited]},
            {"type": "server_tool_use", "id": "s", "name": "n", "input": {"q": 1}},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"x": [1, "ü"]}, "caller": {"type": "direct"}},
            {"type": "tool_use", "id": "u", "name": "g", "input": {}},
        ],
    }
    signature = [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "S"}]
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}}
    events = [
        begin(),
        *block(0, {"type": "thinking", "thinking": "", "signature": ""}, *signature),
        *block(1, {"type": "redacted_thinking", "data": "D"}),
        *said(2),
        *said(3, "It", " is"),
        *block(4, {"type": "text", "text": "", "citations": []}, {"type": "citations_delta", "citation": cited},
               {"type": "text_delta", "text": "so"}),
        *block(5, {"type": "server_tool_use", "id": "s", "name": "n", "input": {}}, js('{"q": 1}')),
        *block(6, call, js(""), js('{"x": [1, '), js('"ü"]}')),
        *block(7, {"type": "tool_use", "id": "u", "name": "g", "input": {}}, js("")),
        *end("tool_use", container={"id": "c"}),
    ]  # fmt: skip
    _, _, streamed = run(*events)
    assert streamed == messages.decode_response(whole, HERE)
