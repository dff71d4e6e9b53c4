"""The surprises of Ollama's native chat wire, one test each, on small fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from lexigram.ai.ollama import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError, ModelNotFoundError, StreamError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import (
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, HttpResponse

HERE = Endpoint("ollama", "http://127.0.0.1:11434")
HI = [{"role": "user", "content": "hi"}]
DONE = {
    "model": "q",
    "done": True,
    "done_reason": "stop",
    "total_duration": 3_000_000_000,
    "load_duration": 500_000_000,
    "prompt_eval_count": 5,
    "prompt_eval_duration": 1_000_000_000,
    "eval_count": 4,
    "eval_duration": 2_000_000_000,
}


def send(messages: Any = HI, *, endpoint: Endpoint = HERE, stream: bool = False, **options: Any) -> HttpRequest:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    return chat.encode_request(build_request(messages, model="q", options=options, **named), endpoint, stream=stream)


def body(messages: Any = HI, **options: Any) -> dict[str, Any]:
    sent = send(messages, **options).json
    assert isinstance(sent, dict)
    return sent


def message(role: Any, *parts: Part) -> dict[str, Any]:
    return body([ChatMessage(role, parts)])["messages"][0]  # type: ignore[no-any-return]


def answer(reply: dict[str, Any], **fields: Any) -> Completion:
    return chat.decode_response({**DONE, "message": {"role": "assistant", **reply}, **fields}, HERE)


def fold(*lines: dict[str, Any]) -> Completion:
    state, made = chat.new_stream_state(HERE), CompletionFold(provider="ollama")
    for line in lines:
        assert not state.closed
        for chunk in chat.decode_event(None, line, state):
            made.add(chunk)
    assert state.finished
    assert state.closed
    return made.completion()


# -- what comes back


def test_a_stream_says_what_the_whole_answer_says() -> None:
    call = {"function": {"name": "add", "arguments": {"x": 2, "y": 3}}, "id": "call_1"}
    whole = answer({"thinking": "hm, ok", "content": "I add", "tool_calls": [call]})
    streamed = fold(
        {"model": "q", "message": {"content": "", "thinking": "hm,"}, "done": False},
        {"model": "q", "message": {"content": "", "thinking": " ok"}, "done": False},
        {"model": "q", "message": {"content": "I "}, "done": False},
        {"model": "q", "message": {"content": "add"}, "done": False},
        {"model": "q", "message": {"content": "", "tool_calls": [call]}, "done": False},
        {**DONE, "message": {"content": ""}},
    )
    assert streamed == whole
    assert whole.parts == (
        ThinkingPart("hm, ok"),
        TextPart("I add"),
        ToolCall("call_1", "add", {"x": 2, "y": 3}, '{"x": 2, "y": 3}'),
    )
    assert (whole.finish_reason, whole.raw_finish_reason, whole.model) == ("tool_calls", "stop", "q")
    assert whole.usage == Usage(5, 4, 9, source="reported")


def test_a_missing_prompt_count_is_unknown_and_not_nothing() -> None:
    counted = {k: v for k, v in DONE.items() if k != "prompt_eval_count"}
    made = chat.decode_response({**counted, "message": {"content": "x"}}, HERE)
    assert made.usage == Usage(None, 4, None, source="reported")
    bare = chat.decode_response({"done": True, "message": {"content": "x"}}, HERE)
    assert bare.usage == Usage()


def test_calls_without_ids_get_them_the_same_every_time_and_different_over_turns() -> None:
    listed = [{"function": {"name": "f", "arguments": {}}}, {"function": {"name": "f", "arguments": {}}}]
    first, again = answer({"tool_calls": listed}, created_at="t1"), answer({"tool_calls": listed}, created_at="t1")
    later = answer({"tool_calls": listed}, created_at="t2")
    ids = [c.id for c in first.tool_calls]
    assert ids == [c.id for c in again.tool_calls]
    assert len({*ids, *[c.id for c in later.tool_calls]}) == 4


@pytest.mark.parametrize(
    ("said", "reason"),
    [({"done_reason": "stop"}, "stop"), ({"done_reason": "length"}, "length"), ({"done_reason": None}, "stop")],
)
def test_done_is_an_end_with_or_without_its_reason(said: dict[str, Any], reason: str) -> None:
    assert answer({"content": "x"}, **said).finish_reason == reason
    assert answer({"content": "x"}, done=False, done_reason=None).finish_reason is None


def test_durations_are_metrics_in_seconds() -> None:
    metrics = chat.decode_metrics(answer({"content": "x"}).raw)
    assert (metrics.total, metrics.load, metrics.prompt, metrics.output, metrics.output_rate) == (3.0, 0.5, 1.0, 2.0, 2)
    assert chat.decode_metrics(None) == chat.Metrics()


def test_an_error_line_in_the_stream_is_an_error_and_not_an_end() -> None:
    state = chat.new_stream_state(HERE)
    chat.decode_event(None, {"message": {"content": "half"}, "done": False}, state)
    with pytest.raises(StreamError, match="runner process has terminated") as caught:
        chat.decode_event(None, {"error": "llama runner process has terminated"}, state)
    assert caught.value.reason == "error"
    assert not state.finished
    with pytest.raises(ModelNotFoundError):
        chat.decode_response({"error": "model 'x' not found"}, HERE)


def test_an_error_reply_is_a_bare_sentence() -> None:
    error = chat.decode_error(HttpResponse(404, {}, b""), {"error": "model 'x' not found"}, HERE)
    assert isinstance(error, ModelNotFoundError)
    assert (error.message, error.status) == ("model 'x' not found", 404)


@pytest.mark.parametrize("wrong", [None, [], {}, {"message": "x"}])
def test_a_body_that_is_no_answer_is_a_decode_error(wrong: Any) -> None:
    with pytest.raises(DecodeError):
        chat.decode_response(wrong, HERE)


# -- what goes out


def test_sampling_stands_in_options_and_stream_is_always_said() -> None:
    sent = body(temperature=0.5, top_k=3, top_p=0.9, seed=0, max_tokens=7, stop_sequences=["a"])
    options = {"temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 0, "num_predict": 7, "stop": ["a"]}
    assert sent == {"model": "q", "messages": HI, "stream": False, "options": options}
    assert send(stream=True).json == {"model": "q", "messages": HI, "stream": True}
    assert send().url == "http://127.0.0.1:11434/api/chat"


def test_settings_of_the_endpoint_say_how_long_a_model_stays_and_how_much_it_sees() -> None:
    def sent(**params: str) -> dict[str, Any]:
        made = send(endpoint=Endpoint("ollama", HERE.base_url, params=params), seed=1).json
        assert isinstance(made, dict)
        return made

    assert sent(keep_alive="5m", num_ctx="8192")["options"] == {"num_ctx": 8192, "seed": 1}
    assert sent(keep_alive="5m")["keep_alive"] == "5m"
    assert sent(keep_alive="-1")["keep_alive"] == -1
    with pytest.raises(InvalidRequestError, match="num_ctx"):
        sent(num_ctx="many")


def test_format_is_a_schema_or_json() -> None:
    schema = {"type": "object"}
    assert body(response_format="json_object")["format"] == "json"
    assert body(response_format=ResponseFormat("json_schema", schema))["format"] == schema
    assert "format" not in body(response_format="text")
    described = send(response_format=ResponseFormat("json_schema", schema, description="d"))
    assert [x.path for x in described.losses] == ["response_format.description"]


def test_thinking_is_a_flag_or_a_word() -> None:
    assert body(thinking=ThinkingConfig(suppress=True))["think"] is False
    assert body(thinking=ThinkingConfig(level="on"))["think"] is True
    assert body(thinking=ThinkingConfig(effort="high"))["think"] == "high"
    assert "think" not in body(thinking=ThinkingConfig())
    for config in (ThinkingConfig(budget_tokens=5), ThinkingConfig(effort="minimal"), ThinkingConfig(level="deep")):
        with pytest.raises(InvalidRequestError, match=r"thinking\."):
            body(thinking=config)


def test_arguments_go_back_as_an_object_and_a_result_names_its_tool() -> None:
    turn = [
        *HI,
        ChatMessage("assistant", (ThinkingPart("hm"), ToolCall("c1", "f", {"x": 1}, '{"x":1}'))),
        ChatMessage("tool", (ToolResultPart("c1", "2"), ToolResultPart("c9", (TextPart("no"),), is_error=True))),
    ]
    assert body(turn)["messages"][1:] == [
        {
            "role": "assistant",
            "content": "",
            "thinking": "hm",
            "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}}],
        },
        {"role": "tool", "content": "2", "tool_call_id": "c1", "tool_name": "f"},
        {"role": "tool", "content": "Error: no", "tool_call_id": "c9"},
    ]


def test_arguments_that_are_no_object_go_back_empty_and_a_custom_call_not_at_all() -> None:
    broken = ToolCall("c", "f", raw_arguments="{", arguments_error="not JSON")
    sent = send([ChatMessage("assistant", (broken,))])
    assert isinstance(sent.json, dict)
    assert sent.json["messages"][0]["tool_calls"][0]["function"]["arguments"] == {}  # type: ignore[index,call-overload]
    assert [x.path for x in sent.losses] == ["messages[0].content[0].arguments"]
    with pytest.raises(InvalidRequestError, match=r"messages\[0\]\.content\[0\]"):
        message("assistant", ToolCall("c", "f", kind="custom"))


def test_images_go_as_base64_and_never_by_url() -> None:
    inline = message("user", TextPart("see"), ImagePart(data=b"x", media_type="image/png"))
    assert inline == {"role": "user", "content": "see", "images": ["eA=="]}
    assert message("user", ImagePart(url="data:image/png;base64,eA=="))["images"] == ["eA=="]
    with pytest.raises(InvalidRequestError, match="an image by url"):
        message("user", ImagePart(url="https://a.example/i.png"))
    with pytest.raises(InvalidRequestError, match="FilePart"):
        message("user", FilePart(b"x", "text/plain"))
    with pytest.raises(InvalidRequestError, match="ImagePart"):
        message("tool", ToolResultPart("c", (ImagePart(data=b"x", media_type="image/png"),)))


def test_the_choice_of_a_tool_and_strictness_are_refused_by_name() -> None:
    tools = [ToolDefinition("f")]
    assert "tool_choice" not in body(tools=tools, tool_choice="auto")
    for choice in ("required", "none", "f"):
        with pytest.raises(InvalidRequestError, match="tool_choice"):
            body(tools=tools, tool_choice=choice)
    with pytest.raises(InvalidRequestError, match="strict"):
        body(tools=[ToolDefinition("f", strict=True)])


def test_what_only_another_provider_understands_is_left_out_and_listed() -> None:
    foreign = (ThinkingPart("", Opaque("anthropic", {"signature": "s"})), OpaquePart(Opaque("google", {"x": 1})))
    sent = send([*HI, ChatMessage("assistant", foreign), ChatMessage("user", "go", name="ann")])
    assert isinstance(sent.json, dict)
    assert sent.json["messages"] == [*HI, {"role": "user", "content": "go"}]
    assert [x.path for x in sent.losses] == ["messages[1].content[0]", "messages[1].content[1]", "messages[2].name"]


def test_extra_body_reaches_into_options() -> None:
    assert body(seed=1, extra_body={"options": {"min_p": 0.1}})["options"] == {"seed": 1, "min_p": 0.1}
