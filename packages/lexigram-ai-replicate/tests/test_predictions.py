"""The predictions wire: the flow driven by hand, outputs of every shape, streams with exact spaces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lexigram.ai.replicate import predictions
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMError,
    LLMRateLimitError,
    ProviderServerError,
    StreamError,
)
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import ChatMessage, FilePart, ImagePart, Opaque, OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint, HttpRequest, HttpResponse, Sleep

HERE = Endpoint("replicate", "https://api.replicate.com/v1")
HI = [{"role": "user", "content": "hi"}]
LLAMA = "meta/meta-llama-3-8b-instruct"
VERSION = "a" * 64


def send(messages: Any = HI, *, model: str = LLAMA, stream: bool = False, **options: Any) -> HttpRequest:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    request = build_request(messages, model=model, options=options, **named)
    return predictions.encode_request(request, HERE, stream=stream)


def inputs(messages: Any = HI, **options: Any) -> Any:
    sent = send(messages, **options).json
    assert isinstance(sent, dict)
    return sent["input"]


def prediction(status: str, output: Any = None, **fields: Any) -> dict[str, Any]:
    get = "https://evil.example/steal"
    return {
        "id": "p1",
        "model": LLAMA,
        "status": status,
        "output": output,
        "urls": {"get": get},
        "error": None,
        **fields,
    }


def drive(*replies: Any, status: int = 200) -> tuple[list[HttpRequest | Sleep], Completion]:
    """Drive the flow of a call with these replies; a pause is answered with nothing."""
    flow = predictions.encode_flow(build_request(HI, model=LLAMA), HERE)
    yielded, left = [next(flow)], list(replies)
    while True:
        step = yielded[-1]
        reply = None if isinstance(step, Sleep) else HttpResponse(status, {}, json.dumps(left.pop(0)).encode())
        try:
            yielded.append(flow.send(reply))
        except StopIteration as stop:
            return yielded, stop.value


# -- the flow


def test_the_flow_creates_then_asks_with_growing_pauses_until_the_end() -> None:
    running = prediction("processing", ["half"])
    steps, made = drive(prediction("starting"), running, running, prediction("succeeded", ["Hel", "lo"]))
    assert isinstance(steps[0], HttpRequest)
    assert (steps[0].method, steps[0].url) == ("POST", f"https://api.replicate.com/v1/models/{LLAMA}/predictions")
    assert [s.seconds for s in steps if isinstance(s, Sleep)] == [0.5, 0.75, 1.125]
    polls = [s for s in steps[1:] if isinstance(s, HttpRequest)]
    assert [(p.method, p.url) for p in polls] == [("GET", "https://api.replicate.com/v1/predictions/p1")] * 3
    assert (made.content, made.finish_reason, made.raw_finish_reason, made.id) == ("Hello", "stop", "succeeded", "p1")


def test_pauses_grow_to_five_seconds_and_no_further() -> None:
    steps, _ = drive(*[prediction("starting")] * 12, prediction("succeeded", "x"))
    assert max(s.seconds for s in steps if isinstance(s, Sleep)) == 5.0


def test_an_answer_at_once_needs_no_second_exchange() -> None:
    steps, made = drive(prediction("succeeded", "x"))
    assert (len(steps), made.content) == (1, "x")


def test_the_key_never_follows_an_address_of_the_reply() -> None:
    steps, _ = drive(prediction("starting", id="../../account?x="), prediction("succeeded", "x"))
    urls = [s.url for s in steps if isinstance(s, HttpRequest)]
    assert urls[1] == "https://api.replicate.com/v1/predictions/..%2F..%2Faccount%3Fx%3D"


@pytest.mark.parametrize(
    ("replies", "status", "error"),
    [
        ([{"title": "Input validation failed", "detail": "- input: prompt is required", "status": 422}], 422, InvalidRequestError),
        ([{"detail": "Request was throttled."}], 429, LLMRateLimitError),
        ([{"status": "starting"}], 200, DecodeError),
        ([{"id": "p1"}], 200, DecodeError),
        ([[]], 200, DecodeError),
        ([prediction("failed", ["ha"], error="CUDA out of memory")], 200, ProviderServerError),
        ([prediction("starting"), prediction("canceled")], 200, ProviderServerError),
        ([prediction("aborted")], 200, ProviderServerError),
    ],
)  # fmt: skip
def test_a_flow_that_fails_raises_the_typed_error(replies: list[Any], status: int, error: type[LLMError]) -> None:
    with pytest.raises(error):
        drive(*replies, status=status)


def test_a_failed_prediction_keeps_its_words_and_what_it_had_said() -> None:
    with pytest.raises(ProviderServerError, match="CUDA out of memory") as caught:
        drive(prediction("failed", ["ha", "lf"], error="CUDA out of memory"))
    assert caught.value.provider_code == "failed"
    assert caught.value.partial is not None
    assert caught.value.partial.content == "half"


def test_a_prediction_that_still_runs_is_no_answer_though_it_shows_output() -> None:
    with pytest.raises(DecodeError) as caught:
        predictions.decode_response(prediction("processing", ["all", " there"]), HERE)
    assert "encode_flow" in (caught.value.hint or "")


# -- output


@pytest.mark.parametrize(
    ("output", "parts"),
    [
        (["a", "", " b"], (TextPart("a b"),)),
        ("text", (TextPart("text"),)),
        (None, ()),
        ([], ()),
        ("", ()),
        (["https://r.example/0.png", "https://r.example/1.png"],
         (FilePart(url="https://r.example/0.png"), FilePart(url="https://r.example/1.png"))),
        ({"label": "ü"}, (TextPart('{"label": "ü"}'),)),
        ([1, 2], (TextPart("[1, 2]"),)),
    ],
)  # fmt: skip
def test_output_is_tokens_text_nothing_files_or_json(output: Any, parts: Any) -> None:
    assert predictions.decode_response(prediction("succeeded", output), HERE).parts == parts


def test_usage_stands_in_the_metrics_of_language_models() -> None:
    metrics = {"input_token_count": 5, "output_token_count": 3, "predict_time": 0.5}
    assert predictions.decode_response(prediction("succeeded", "x", metrics=metrics), HERE).usage == Usage(
        5, 3, 8, source="reported"
    )
    assert predictions.decode_response(prediction("succeeded", "x", metrics={"predict_time": 1}), HERE).usage == Usage()


# -- streams


def test_the_text_of_a_stream_keeps_its_spaces_and_newlines() -> None:
    state, fold = predictions.new_stream_state(HERE), CompletionFold()
    events = [("output", ""), ("output", " did"), ("output", ":\n\nWhy"), ("logs", "x"), (None, "hi"), ("done", "{}")]
    for name, data in events:
        assert not state.closed
        for chunk in predictions.decode_event(name, data, state):
            fold.add(chunk)
    assert (state.finished, state.closed) == (True, True)
    made = fold.completion()
    assert (made.content, made.finish_reason) == (" did:\n\nWhy", "stop")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("error", '{"detail": "boom"}'),
        ("error", "boom"),
        ("done", '{"reason": "canceled"}'),
        ("output", {"no": "text"}),
    ],
)
def test_a_stream_that_fails_is_an_error_and_not_an_end(name: str, data: Any) -> None:
    state = predictions.new_stream_state(HERE)
    with pytest.raises((StreamError, DecodeError)):
        predictions.decode_event(name, data, state)
    assert not state.finished


# -- what goes out


def test_where_a_prediction_is_created() -> None:
    base = "https://api.replicate.com/v1"
    assert send().url == f"{base}/models/{LLAMA}/predictions"
    assert send(model=f"a/b:{VERSION}").url == f"{base}/predictions"
    assert send(model=f"a/b:{VERSION}").json == {"version": VERSION, "input": {"prompt": "hi"}}
    assert send(model=VERSION).json == {"version": VERSION, "input": {"prompt": "hi"}}
    assert send(model="deployments/me/x").url == f"{base}/deployments/me/x/predictions"
    assert predictions.encode_health(HERE).url == f"{base}/account"


def test_the_input_of_a_language_model() -> None:
    made = inputs(
        [ChatMessage("system", "s"), ChatMessage("developer", "d"), *HI],
        temperature=0.5, max_tokens=4, top_k=3, seed=1, stop_sequences=["a", "b"],
        extra_body={"input": {"min_tokens": 1}},
    )  # fmt: skip
    sampling = {"temperature": 0.5, "max_tokens": 4, "top_k": 3, "seed": 1, "stop_sequences": "a,b", "min_tokens": 1}
    assert made == {"prompt": "hi", "system_prompt": "s\n\nd", **sampling}
    with pytest.raises(InvalidRequestError, match="stop_sequences"):
        inputs(stop_sequences=["a,b"])


def test_several_turns_are_written_into_one_prompt_and_that_is_listed() -> None:
    hidden = (ThinkingPart("hm"), TextPart("yes"), OpaquePart(Opaque("x", {"a": 1})))
    sent = send([*HI, ChatMessage("assistant", hidden), ChatMessage("user", "why")])
    assert sent.json == {"input": {"prompt": "User: hi\n\nAssistant: yes\n\nUser: why\n\nAssistant:"}}
    assert [x.path for x in sent.losses] == ["messages[1].content[0]", "messages[1].content[2]", "messages"]
    assert send().losses == ()


def test_streams_tools_and_media_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequestError, match="stream"):
        send(stream=True)
    with pytest.raises(InvalidRequestError, match="tools"):
        send(tools=[{"type": "function", "function": {"name": "f"}}])
    with pytest.raises(InvalidRequestError, match="ImagePart"):
        send([ChatMessage("user", (ImagePart(url="https://a.example/i.png"),))])
    with pytest.raises(InvalidRequestError, match="ToolResultPart"):
        send([*HI, {"role": "tool", "tool_call_id": "c", "content": "1"}])
