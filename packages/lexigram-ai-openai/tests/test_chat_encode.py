"""What goes out: every option and part in the wire's own form, and a refusal by name where it has none."""

import json
from typing import Any

import pytest

from lexigram.ai.openai import chat
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ResponseFormat, ThinkingConfig, ToolChoice, ToolDefinition
from lexigram.contracts.wire import Endpoint, Quirks

HI = [{"role": "user", "content": "hi"}]
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}}
STRICT: Any = {**SCHEMA, "required": ["x"], "additionalProperties": False}


def encode(messages: Any = HI, *, quirks: Quirks | None = None, stream: bool = False, **options: Any) -> dict[str, Any]:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    request = build_request(messages, model="m", options=options, **named)
    sent = chat.encode_request(request, Endpoint("acme", "https://acme.example/v1", quirks or Quirks()), stream=stream)
    assert isinstance(sent.json, dict)
    return json.loads(json.dumps(sent.json))  # type: ignore[no-any-return]


def message(*parts: Part, role: Any = "user", **quirks: Any) -> dict[str, Any]:
    return encode([ChatMessage(role, parts)], quirks=Quirks(**quirks))["messages"][0]  # type: ignore[no-any-return]


def test_a_bare_request_holds_nothing_but_model_and_messages() -> None:
    assert encode() == {"model": "m", "messages": HI}
    request = build_request(HI, model="m", options={"extra_headers": {"X-Title": "t"}})
    sent = chat.encode_request(request, Endpoint("acme", "https://acme.example/v1"), stream=False)
    assert (sent.method, sent.url, dict(sent.headers)) == (
        "POST",
        "https://acme.example/v1/chat/completions",
        {"X-Title": "t"},
    )


def test_the_same_request_encodes_to_the_same_value() -> None:
    assert encode(tools=[ToolDefinition("f")], seed=1) == encode(tools=[ToolDefinition("f")], seed=1)


def test_a_stream_asks_for_usage_unless_the_vendor_knows_it_not() -> None:
    assert encode(stream=True)["stream_options"] == {"include_usage": True}
    assert encode(stream=True, quirks=Quirks(stream_usage=False)).keys() == {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("option", "value", "sent"),
    [
        ("temperature", 0.0, {"temperature": 0.0}),
        ("top_p", 0.5, {"top_p": 0.5}),
        ("frequency_penalty", 1, {"frequency_penalty": 1}),
        ("presence_penalty", -1, {"presence_penalty": -1}),
        ("seed", 0, {"seed": 0}),
        ("max_tokens", 5, {"max_tokens": 5}),
        ("stop_sequences", ("a", "b"), {"stop": ["a", "b"]}),
        ("parallel_tool_calls", False, {"parallel_tool_calls": False}),
        ("logprobs", True, {"logprobs": True}),
        ("top_logprobs", 2, {"logprobs": True, "top_logprobs": 2}),
        ("logit_bias", {"1": 2}, {"logit_bias": {"1": 2}}),
        ("service_tier", "flex", {"service_tier": "flex"}),
        ("verbosity", "low", {"verbosity": "low"}),
        ("store", False, {"store": False}),
        ("user", "u", {"user": "u"}),
        ("modalities", ("text", "audio"), {"modalities": ["text", "audio"]}),
        ("audio", {"voice": "v", "format": "wav"}, {"audio": {"voice": "v", "format": "wav"}}),
        ("prediction", "abc", {"prediction": {"type": "content", "content": "abc"}}),
        ("metadata", {"a": "b"}, {"metadata": {"a": "b"}}),
        ("prompt_cache", "k", {"prompt_cache_key": "k"}),
        ("response_format", "json_object", {"response_format": {"type": "json_object"}}),
        ("timeouts", 3.0, {}),
        ("api", "chat", {}),
    ],
)
def test_an_option_goes_out_under_the_wires_name(option: str, value: Any, sent: dict[str, Any]) -> None:
    assert encode(**{option: value}) == {"model": "m", "messages": HI, **sent}


def test_the_limit_goes_into_the_vendors_field() -> None:
    body = encode(max_tokens=5, quirks=Quirks(max_tokens_field="max_completion_tokens"))
    assert (body["max_completion_tokens"], "max_tokens" in body) == (5, False)


def test_top_k_is_refused_unless_the_vendor_takes_it() -> None:
    with pytest.raises(InvalidRequestError, match="'top_k'") as caught:
        encode(top_k=3)
    assert "extra_body" in str(caught.value)
    assert encode(top_k=3, quirks=Quirks(accepts=frozenset({"top_k"})))["top_k"] == 3
    assert encode(extra_body={"top_k": 3})["top_k"] == 3


@pytest.mark.parametrize(
    ("option", "value"), [("seed", 1), ("user", "u"), ("stop_sequences", ("x",)), ("thinking", ThinkingConfig())]
)
def test_what_the_vendor_refuses_is_refused_by_name_and_only_when_used(option: str, value: Any) -> None:
    quirks = Quirks(refuses=frozenset({option}))
    encode(quirks=quirks)
    with pytest.raises(InvalidRequestError, match=f"acme has no parameter for '{option}'"):
        encode(quirks=quirks, **{option: value})


def test_extra_body_comes_last_and_merges_objects_at_every_depth() -> None:
    body = encode(
        stream=True,
        seed=1,
        stop_sequences=("a",),
        extra_body={"seed": 2, "stop": ["b"], "stream_options": {"x": {"y": 1}}, "new": None},
    )
    assert (body["seed"], body["stop"], body["new"]) == (2, ["b"], None)
    assert body["stream_options"] == {"include_usage": True, "x": {"y": 1}}


def test_instructions_go_under_the_vendors_role() -> None:
    both = [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}]
    assert [m["role"] for m in encode(both)["messages"]] == ["system", "system"]
    assert [m["role"] for m in encode(both, quirks=Quirks(system_role="developer"))["messages"]] == [
        "developer",
        "developer",
    ]


def test_user_parts_of_every_kind() -> None:
    parts = message(
        TextPart("t"),
        ImagePart(url="https://a.example/i.png", detail="low"),
        ImagePart(data=b"\x01", media_type="image/png"),
        AudioPart(data=b"\x01", format="mp3"),
        FilePart(data=b"\x01", media_type="application/pdf", filename="a.pdf"),
        FilePart(file_id="file-1"),
    )["content"]
    assert parts == [
        {"type": "text", "text": "t"},
        {"type": "image_url", "image_url": {"url": "https://a.example/i.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQ=="}},
        {"type": "input_audio", "input_audio": {"data": "AQ==", "format": "mp3"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AQ==", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]


@pytest.mark.parametrize(
    ("part", "role", "named"),
    [
        (FilePart(url="https://a.example/a.pdf"), "user", "file by url"),
        (AudioPart(id="x"), "user", "audio by id"),
        (ThinkingPart("x"), "user", "ThinkingPart"),
        (RefusalPart("x"), "user", "RefusalPart"),
        (ImagePart(url="https://a.example/i"), "assistant", "ImagePart"),
        (TextPart("x"), "tool", "tool results"),
    ],
)
def test_a_part_that_the_wire_cannot_carry_is_refused_with_its_place(part: Part, role: str, named: str) -> None:
    with pytest.raises(InvalidRequestError, match=rf"messages\[0\].*{named}"):
        message(part, role=role)


def test_an_assistants_turn_goes_back_whole() -> None:
    sent = message(
        ThinkingPart("hm"),
        TextPart("a"),
        TextPart("b"),
        RefusalPart("no"),
        AudioPart(data=b"x", id="au"),
        ToolCall("i", "f", {"x": 1}, '{"x":  1}'),
        ToolCall("j", "g"),
        ToolCall("k", "h", {"é": 1}),
        ToolCall("l", "sql", raw_arguments="select 1", kind="custom"),
        role="assistant",
    )
    assert sent == {
        "role": "assistant",
        "content": "ab",
        "refusal": "no",
        "audio": {"id": "au"},
        "tool_calls": [
            {"id": "i", "type": "function", "function": {"name": "f", "arguments": '{"x":  1}'}},
            {"id": "j", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            {"id": "k", "type": "function", "function": {"name": "h", "arguments": '{"é": 1}'}},
            {"id": "l", "type": "custom", "custom": {"name": "sql", "input": "select 1"}},
        ],
    }


def test_calls_without_text_have_null_content() -> None:
    assert message(ToolCall("i", "f"), role="assistant")["content"] is None
    assert message(role="assistant")["content"] == ""


@pytest.mark.parametrize(("raw", "sent"), [("", "{}"), ("null", "{}"), ('{"x": ', '{"x": ')])
def test_arguments_go_back_as_the_model_wrote_them_but_for_nothing(raw: str, sent: str) -> None:
    call = message(ToolCall("i", "f", {}, raw), role="assistant")["tool_calls"][0]
    assert call["function"]["arguments"] == sent


def test_thinking_goes_back_only_in_the_vendors_field() -> None:
    said = (ThinkingPart("hm"), TextPart("a"))
    assert message(*said, role="assistant") == {"role": "assistant", "content": "a"}
    assert message(*said, role="assistant", thinking_field="reasoning_content")["reasoning_content"] == "hm"
    assert message(*said, role="assistant", thinking_field="reasoning")["reasoning"] == "hm"
    listed = message(*said, role="assistant", thinking_field="content")["content"]
    assert listed == [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}]


def test_reasoning_details_go_back_unchanged_to_their_writer_and_to_nobody_else() -> None:
    details = [{"type": "reasoning.encrypted", "data": "ÄÖ\ud800=="}]
    own = message(
        ThinkingPart("hm", Opaque("acme", {"reasoning_details": details})), role="assistant", thinking_field="reasoning"
    )
    assert own == {"role": "assistant", "content": "", "reasoning_details": details}
    other = message(
        ThinkingPart("hm", Opaque("other", {"reasoning_details": details})),
        role="assistant",
        thinking_field="reasoning",
    )
    assert other == {"role": "assistant", "content": "", "reasoning": "hm"}


def test_foreign_opaque_data_is_left_out_and_ones_own_is_kept() -> None:
    sent = message(
        TextPart("t", opaque=Opaque("acme", {"cache_control": {"type": "ephemeral"}})),
        TextPart("u", opaque=Opaque("other", {"secret": 1})),
        OpaquePart(Opaque("other", {"type": "theirs"})),
        OpaquePart(Opaque("acme", {"type": "ours"})),
    )
    assert sent["content"] == [
        {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "u"},
        {"type": "ours"},
    ]


def test_a_calls_signature_goes_back_with_the_call() -> None:
    extra = {"google": {"thought_signature": "S"}}
    body = {
        "id": "1",
        "choices": [
            {
                "message": {
                    "tool_calls": [{"id": "a", "extra_content": extra, "function": {"name": "f", "arguments": "{}"}}]
                }
            }
        ],
    }
    turn = chat.decode_response(body, Endpoint("acme", "https://acme.example")).message
    assert encode([turn])["messages"][0]["tool_calls"][0]["extra_content"] == extra


def test_tool_results_become_tool_messages_in_order() -> None:
    turn = ChatMessage(
        "tool", (ToolResultPart("a", "1"), ToolResultPart("b", (TextPart("2"), TextPart("3")), is_error=True))
    )
    assert encode([turn])["messages"] == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: 23"},
    ]
    assert (
        encode([ChatMessage("tool", (ToolResultPart("a", "error: x", is_error=True),))])["messages"][0]["content"]
        == "error: x"
    )


def test_images_of_tool_results_follow_the_run_of_tool_messages_in_a_user_message() -> None:
    image = ImagePart(url="https://a.example/i.png")
    sent = encode(
        [
            ChatMessage("tool", (ToolResultPart("a", (TextPart("see"), image)),)),
            ChatMessage("tool", (ToolResultPart("b", "2"),)),
            ChatMessage("user", "go on"),
        ]
    )["messages"]
    assert [m["role"] for m in sent] == ["tool", "tool", "user", "user"]
    assert sent[0]["content"].startswith("see\n")
    assert sent[2]["content"][0]["text"] == "Attachments of the result of tool call a:"
    assert sent[2]["content"][1]["image_url"]["url"] == "https://a.example/i.png"


def test_tool_results_in_a_user_message_come_before_its_text() -> None:
    sent = encode([ChatMessage("user", (TextPart("and?"), ToolResultPart("a", "1")))])["messages"]
    assert sent == [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]


def test_tools_are_functions_and_a_vendors_own_pass_as_they_are() -> None:
    own = {"type": "web_search", "x": 1}
    sent = encode(tools=[ToolDefinition("f", "d", STRICT, strict=True), ToolDefinition("g"), own])["tools"]
    assert sent == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": STRICT, "strict": True}},
        {"type": "function", "function": {"name": "g", "parameters": {"type": "object", "properties": {}}}},
        own,
    ]


def test_strict_is_refused_where_the_vendor_has_it_not() -> None:
    quirks = Quirks(tool_strict=False)
    assert "strict" not in encode(tools=[ToolDefinition("f", strict=False)], quirks=quirks)["tools"][0]["function"]
    with pytest.raises(InvalidRequestError, match="'strict'"):
        encode(tools=[ToolDefinition("f", strict=True)], quirks=quirks)


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("f", {"type": "function", "function": {"name": "f"}}),
        (ToolChoice("tool", "sql"), {"type": "custom", "custom": {"name": "sql"}}),
        ({"type": "allowed_tools"}, {"type": "allowed_tools"}),
    ],
)
def test_a_tool_choice_of_every_kind(choice: Any, sent: Any) -> None:
    tools = [ToolDefinition("f"), {"type": "custom", "custom": {"name": "sql"}}]
    assert encode(tools=tools, tool_choice=choice)["tool_choice"] == sent


def test_a_schema_goes_out_or_into_words_where_the_vendor_knows_json_mode_only() -> None:
    fmt = ResponseFormat("json_schema", STRICT, "answer", "d", strict=True)
    assert encode(response_format=fmt)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "description": "d", "schema": STRICT, "strict": True},
    }
    body = encode([{"role": "system", "content": "s"}, *HI], response_format=fmt, quirks=Quirks(json_schema=False))
    assert body["response_format"] == {"type": "json_object"}
    assert [m["role"] for m in body["messages"]] == ["system", "system", "user"]
    assert json.dumps(STRICT) in body["messages"][1]["content"]


T = ThinkingConfig


@pytest.mark.parametrize(
    ("kind", "config", "sent"),
    [
        ("reasoning_effort", T(effort="low"), {"reasoning_effort": "low"}),
        ("reasoning_effort", T(level="high"), {"reasoning_effort": "high"}),
        ("reasoning_effort", T(suppress=True), {"reasoning_effort": "none"}),
        ("reasoning", T(effort="low"), {"reasoning": {"effort": "low"}}),
        ("reasoning", T(budget_tokens=9), {"reasoning": {"max_tokens": 9}}),
        ("reasoning", T(suppress=True), {"reasoning": {"effort": "none"}}),
        ("thinking", T(suppress=True), {"thinking": {"type": "disabled"}}),
        ("thinking", T(effort="high"), {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}),
        ("enable_thinking", T(budget_tokens=9), {"enable_thinking": True, "thinking_budget": 9}),
        ("enable_thinking", T(effort="none"), {"enable_thinking": False}),
        ("chat_template", T(suppress=True), {"chat_template_kwargs": {"enable_thinking": False}}),
        (
            "chat_template",
            T(effort="low"),
            {"chat_template_kwargs": {"enable_thinking": True}, "reasoning_effort": "low"},
        ),
        ("none", T(), {}),
    ],
)
def test_thinking_is_asked_for_in_the_vendors_parameter(
    kind: Any, config: ThinkingConfig, sent: dict[str, Any]
) -> None:
    assert encode(thinking=config, quirks=Quirks(thinking=kind)) == {"model": "m", "messages": HI, **sent}


@pytest.mark.parametrize(
    ("quirks", "config", "named"),
    [
        (Quirks(), T(effort="low"), "thinking"),
        (Quirks(thinking="reasoning_effort"), T(budget_tokens=9), "thinking.budget_tokens"),
        (Quirks(thinking="enable_thinking"), T(effort="low"), "thinking.effort"),
        (Quirks(thinking="thinking", refuses=frozenset({"thinking.effort"})), T(effort="low"), "thinking.effort"),
        (
            Quirks(thinking="reasoning_effort", refuses=frozenset({"thinking.suppress"})),
            T(suppress=True),
            "thinking.suppress",
        ),
    ],
)
def test_a_wish_for_thinking_without_a_word_is_refused_by_name(
    quirks: Quirks, config: ThinkingConfig, named: str
) -> None:
    with pytest.raises(InvalidRequestError, match=f"'{named}'"):
        encode(thinking=config, quirks=quirks)


def test_health_is_a_listing_of_models() -> None:
    sent = chat.encode_health(Endpoint("acme", "https://acme.example/v1/"))
    assert (sent.method, sent.url, sent.json) == ("GET", "https://acme.example/v1/models", None)
