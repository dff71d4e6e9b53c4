"""The surprises of the Cohere v2 chat wire, one test each, on small fixtures."""

from __future__ import annotations

from typing import Any

import pytest

from lexigram.ai.cohere import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMError,
    ModelNotFoundError,
    StreamError,
    TokenLimitError,
)
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import (
    AudioPart,
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
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, HttpResponse

HERE = Endpoint("cohere", "https://api.cohere.com")
HI = [{"role": "user", "content": "hi"}]
USAGE = {"billed_units": {"input_tokens": 3, "output_tokens": 2}, "tokens": {"input_tokens": 90, "output_tokens": 12}}


def send(messages: Any = HI, *, stream: bool = False, **options: Any) -> HttpRequest:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    return chat.encode_request(build_request(messages, model="m", options=options, **named), HERE, stream=stream)


def body(messages: Any = HI, **options: Any) -> dict[str, Any]:
    sent = send(messages, **options).json
    assert isinstance(sent, dict)
    return sent


def message(role: Any, *parts: Part) -> dict[str, Any]:
    return body([ChatMessage(role, parts)])["messages"][0]  # type: ignore[no-any-return]


def answer(reply: dict[str, Any], **fields: Any) -> Completion:
    return chat.decode_response({"id": "a", "finish_reason": "COMPLETE", "message": reply, **fields}, HERE)


def event(kind: str, index: int | None = None, **inner: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "delta": {"message": inner}}
    return made if index is None else {**made, "index": index}


def end(word: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": word, "usage": USAGE, **fields}}


def fold(*events: dict[str, Any]) -> Completion:
    state, made = chat.new_stream_state(HERE), CompletionFold(provider="cohere")
    for one in ({"type": "message-start", "id": "a", "delta": {"message": {"role": "assistant"}}}, *events):
        assert not state.finished
        for chunk in chat.decode_event(one["type"], one, state):
            made.add(chunk)
    assert state.finished
    return made.completion()


# -- what comes back


def test_usage_is_what_the_model_read_and_wrote_not_what_is_billed() -> None:
    usage = {**USAGE, "cached_tokens": 40, "tokens": {**USAGE["tokens"], "reasoning_tokens": 7}}
    made = answer({"content": [{"type": "text", "text": "x"}]}, usage=usage).usage
    assert made == Usage(90, 12, 102, cached_input_tokens=40, reasoning_tokens=7, source="reported")
    billed = answer({"content": []}, usage={"billed_units": {"input_tokens": 3.0, "output_tokens": 2}}).usage
    assert (billed.input_tokens, billed.output_tokens, billed.total_tokens) == (3, 2, 5)
    assert answer({"content": []}, usage={}).usage == Usage()


def test_a_message_without_content_has_calls_and_a_plan_which_is_thinking() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    made = answer({"role": "assistant", "tool_plan": "I call f", "tool_calls": [call]}, finish_reason="TOOL_CALL")
    assert (made.content, made.thinking, made.finish_reason) == ("", "I call f", "tool_calls")
    assert made.tool_calls[0] == ToolCall("c1", "f", {"x": 1}, '{"x":1}')
    back = body([*HI, made.message, ChatMessage("tool", (ToolResultPart("c1", "1"),))])["messages"]
    assert back[1] == {"role": "assistant", "tool_plan": "I call f", "tool_calls": [call]}
    assert back[2] == {"role": "tool", "tool_call_id": "c1", "content": "1"}


@pytest.mark.parametrize(
    ("word", "reason"),
    [("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "length"), ("TOOL_CALL", "tool_calls")],
)
def test_finish_reasons_are_words_in_capitals(word: str, reason: str) -> None:
    made = answer({"content": [{"type": "text", "text": "x"}]}, finish_reason=word)
    assert (made.finish_reason, made.raw_finish_reason) == (reason, word)


def test_citations_stand_on_the_text_that_they_cite() -> None:
    content = [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Ruby, 1993."}]
    placed = {"start": 6, "end": 11, "text": "1993.", "sources": [], "content_index": 1}
    loose = {"start": 0, "end": 4, "text": "Ruby", "sources": []}
    plan = {"start": 0, "end": 1, "text": "t", "sources": [], "content_index": 0, "type": "THINKING_CONTENT"}
    made = answer({"content": content, "citations": [placed, loose, plan]})
    assert made.parts == (ThinkingPart("t"), TextPart("Ruby, 1993.", (placed, loose)), TextPart("", (plan,)))
    streamed = fold(
        event("content-start", 0, content={"type": "thinking", "thinking": ""}),
        event("content-delta", 0, content={"thinking": "t"}),
        event("citation-start", 0, citations=plan),
        event("content-start", 1, content={"type": "text", "text": ""}),
        event("content-delta", 1, content={"text": "Ruby, "}),
        event("citation-start", 1, citations=placed),
        event("content-delta", 1, content={"text": "1993."}),
        event("citation-start", 2, citations=loose),
        event("citation-end", 2),
        end(),
    )
    assert streamed.parts == made.parts


def test_unknown_content_is_kept_and_goes_back_to_the_same_vendor() -> None:
    made = answer({"content": [{"type": "chart", "data": [1]}]})
    assert made.parts == (OpaquePart(Opaque("cohere", {"type": "chart", "data": [1]}), kind="chart"),)
    assert body([*HI, made.message])["messages"][1]["content"] == [{"type": "chart", "data": [1]}]


def test_indices_count_per_kind_and_a_call_without_arguments_has_no_delta() -> None:
    def call(index: int, **inner: Any) -> dict[str, Any]:
        return event("tool-call-start", index, tool_calls={"type": "function", **inner})

    made = fold(
        event("tool-plan-delta", tool_plan="I "),
        event("tool-plan-delta", tool_plan="call"),
        call(0, id="c1", function={"name": "now", "arguments": ""}),
        event("tool-call-end", 0),
        call(1, id="c2", function={"name": "f", "arguments": ""}),
        event("tool-call-delta", 1, tool_calls={"function": {"arguments": '{"x"'}}),
        event("tool-call-delta", 1, tool_calls={"function": {"arguments": ":1}"}}),
        event("tool-call-end", 1),
        end("TOOL_CALL"),
    )
    assert made.parts == (
        ThinkingPart("I call", Opaque("cohere", {"tool_plan": True})),
        ToolCall("c1", "now", {}, ""),
        ToolCall("c2", "f", {"x": 1}, '{"x":1}'),
    )
    assert (made.finish_reason, made.usage.input_tokens, made.id) == ("tool_calls", 90, "a")


def test_a_call_without_an_id_gets_the_same_one_every_time() -> None:
    listed = [{"function": {"name": "f", "arguments": "{}"}}]
    first, second = answer({"tool_calls": listed}), answer({"tool_calls": listed})
    streamed = fold(event("tool-call-start", 0, tool_calls={"function": {"name": "f", "arguments": "{}"}}), end())
    assert first.tool_calls[0].id == second.tool_calls[0].id == streamed.tool_calls[0].id != ""


def test_an_answer_that_broke_off_is_an_error_with_the_vendors_word() -> None:
    state = chat.new_stream_state(HERE)
    failed = {"finish_reason": "ERROR", "usage": {}, "error": "bad call", "error_type": "INVALID_TOOL_GENERATION"}
    with pytest.raises(InvalidRequestError, match="bad call") as caught:
        chat.decode_event("message-end", {"type": "message-end", "delta": failed}, state)
    assert caught.value.provider_code == "INVALID_TOOL_GENERATION"
    assert not state.finished
    with pytest.raises(StreamError) as unnamed:
        chat.decode_event("message-end", end("TIMEOUT"), chat.new_stream_state(HERE))
    assert unnamed.value.reason == "error"
    with pytest.raises(LLMError, match="ERROR") as whole:
        answer({"content": [{"type": "text", "text": "half"}]}, finish_reason="ERROR")
    assert whole.value.partial is not None
    assert whole.value.partial.content == "half"


def test_events_of_unknown_types_add_nothing_and_text_in_the_start_is_text() -> None:
    made = fold(
        {"type": "debug", "prompt": "…"},
        event("content-start", 0, content={"type": "text", "text": "a"}),
        event("content-delta", 0, content={"text": "b"}),
        event("content-end", 0),
        end("MAX_TOKENS"),
    )
    assert (made.content, made.finish_reason) == ("ab", "length")


def test_errors_are_flat_and_the_body_has_the_requests_id() -> None:
    gone = {"id": "r1", "message": "model 'x' not found, make sure the correct model ID was used"}
    error = chat.decode_error(HttpResponse(404, {}, b""), gone, HERE)
    assert isinstance(error, ModelNotFoundError)
    assert (error.request_id, error.status, error.message) == ("r1", 404, gone["message"])
    long = {"message": "too many tokens: the limit for this model is 288000 tokens.", "error_type": "TOO_MANY_TOKENS"}
    assert isinstance(chat.decode_error(HttpResponse(400, {}, b""), long, HERE), TokenLimitError)


@pytest.mark.parametrize("wrong", [None, [], "x", {"id": "a"}, {"message": 3}])
def test_a_body_that_is_no_answer_is_a_decode_error(wrong: Any) -> None:
    with pytest.raises(DecodeError):
        chat.decode_response(wrong, HERE)


# -- what goes out


def test_options_have_their_own_names_on_this_wire() -> None:
    sent = body(top_p=0.5, top_k=3, stop_sequences=["a"], max_tokens=4, seed=0, logprobs=True)
    want = {"p": 0.5, "k": 3, "stop_sequences": ["a"], "max_tokens": 4, "seed": 0, "logprobs": True}
    assert sent == {"model": "m", "messages": HI, **want}
    assert send().url == "https://api.cohere.com/v2/chat"
    assert "stream" not in body()
    assert send(stream=True).json["stream"] is True  # type: ignore[call-overload,index]


def test_a_schema_is_json_mode_with_a_schema_and_its_description_is_a_listed_loss() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    sent = send(response_format=ResponseFormat("json_schema", schema, description="d"))
    assert sent.json["response_format"] == {"type": "json_object", "json_schema": schema}  # type: ignore[call-overload,index]
    assert [loss.path for loss in sent.losses] == ["response_format.description"]
    assert body(response_format="json_object")["response_format"] == {"type": "json_object"}


def test_tool_choice_is_a_word_in_capitals_and_no_name() -> None:
    tools = [ToolDefinition("f")]
    assert "tool_choice" not in body(tools=tools, tool_choice="auto")
    assert body(tools=tools, tool_choice="none")["tool_choice"] == "NONE"
    assert body(tools=tools, tool_choice="required")["tool_choice"] == "REQUIRED"
    with pytest.raises(InvalidRequestError, match="tool_choice"):
        body(tools=tools, tool_choice="f")


def test_strict_holds_for_all_tools_or_for_none() -> None:
    assert body(tools=[ToolDefinition("f", strict=True), ToolDefinition("g", strict=True)])["strict_tools"] is True
    assert "strict_tools" not in body(tools=[ToolDefinition("f"), ProviderTool({"type": "x"})])
    with pytest.raises(InvalidRequestError, match="strict"):
        body(tools=[ToolDefinition("f", strict=True), ToolDefinition("g")])


def test_thinking_is_a_switch_with_a_budget() -> None:
    assert body(thinking=ThinkingConfig(budget_tokens=5))["thinking"] == {"type": "enabled", "token_budget": 5}
    assert body(thinking=ThinkingConfig(level="enabled"))["thinking"] == {"type": "enabled"}
    assert body(thinking=ThinkingConfig(suppress=True))["thinking"] == {"type": "disabled"}
    assert "thinking" not in body(thinking=ThinkingConfig())
    for config in (ThinkingConfig(effort="low"), ThinkingConfig(level="deep")):
        with pytest.raises(InvalidRequestError, match=r"thinking\."):
            body(thinking=config)


def test_text_files_become_documents_and_other_files_are_refused() -> None:
    file = FilePart(b"once", "text/plain; charset=utf-8", "story.txt")
    sent = body([ChatMessage("user", (TextPart("read"), file))])
    assert sent["documents"] == [{"data": {"text": "once", "title": "story.txt"}}]
    assert sent["messages"][0]["content"] == [{"type": "text", "text": "read"}]
    result = message("tool", ToolResultPart("c", (TextPart("see"), FilePart(b"{}", "application/json"))))
    assert result["content"][1] == {"type": "document", "document": {"data": {"text": "{}"}}}
    for bad in (FilePart(b"\xff", "text/plain"), FilePart(b"%PDF", "application/pdf"), FilePart(file_id="f")):
        with pytest.raises(InvalidRequestError, match=r"messages\[0\]"):
            message("user", bad)


def test_images_go_by_url_or_as_a_data_url() -> None:
    assert message("user", ImagePart(url="https://a.example/i.png", detail="low"))["content"] == [
        {"type": "image_url", "image_url": {"url": "https://a.example/i.png", "detail": "low"}}
    ]
    image = message("user", ImagePart(data=b"x", media_type="image/png"))["content"][0]
    assert image["image_url"]["url"] == "data:image/png;base64,eA=="


def test_a_failed_tool_says_so_in_its_text() -> None:
    assert message("tool", ToolResultPart("c", "boom", is_error=True))["content"] == "Error: boom"


def test_what_only_another_provider_understands_is_left_out_and_listed() -> None:
    thought = ThinkingPart("", Opaque("anthropic", {"signature": "s"}))
    block = OpaquePart(Opaque("google", {"x": 1}))
    sent = send([*HI, ChatMessage("assistant", (thought, block)), ChatMessage("user", "go", name="ann")])
    assert isinstance(sent.json, dict)
    assert sent.json["messages"] == [*HI, {"role": "user", "content": "go"}]
    assert [x.path for x in sent.losses] == ["messages[1].content[0]", "messages[1].content[1]", "messages[2].name"]


@pytest.mark.parametrize("part", [AudioPart(b"x"), ToolCall("i", "f", kind="custom", raw_arguments="x")])
def test_parts_that_the_wire_has_not_are_refused_with_their_place(part: Part) -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[0\]\.content\[0\]"):
        message("assistant", part)


def test_extra_body_is_merged_last() -> None:
    assert body(extra_body={"safety_mode": "STRICT", "model": "n"})["model"] == "n"
