"""What callers write becomes values, or an error that gives the place."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest

from lexigram.contracts.ai.coerce import build_request, coerce_messages, coerce_tools, make_tool_call
from lexigram.contracts.ai.errors import InvalidMessageError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, Timeouts, ToolChoice, ToolDefinition


def test_dicts_objects_and_values_are_messages() -> None:
    class Mine:
        role = "user"
        content = "c"

    got = coerce_messages(
        [
            {"role": "user", "content": "a"},
            ChatMessage("assistant", "b"),
            Mine(),
            SimpleNamespace(role="user", content="d"),
        ]
    )
    assert [(m.role, m.text) for m in got] == [("user", "a"), ("assistant", "b"), ("user", "c"), ("user", "d")]


def test_every_openai_part_is_read() -> None:
    data = base64.b64encode(b"abc").decode()
    (message,) = coerce_messages([{"role": "user", "content": [
        {"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
        {"type": "file", "file": {"file_id": "f-1"}}, {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{data}", "filename": "a.pdf"}},
    ]}])  # fmt: skip
    assert message.parts == (
        TextPart("t"), ImagePart(url="https://x/y.png", detail="low"), AudioPart(b"abc", "mp3"), FilePart(file_id="f-1"),
        FilePart(b"abc", "application/pdf", "a.pdf"),
    )  # fmt: skip


def test_an_assistant_message_with_calls_and_its_results() -> None:
    assistant, tool = coerce_messages([
        {"role": "assistant", "content": None, "reasoning_content": "hm", "refusal": "no", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]},
        {"role": "tool", "tool_call_id": "a", "content": "42"},
    ])  # fmt: skip
    assert assistant.parts == (ThinkingPart("hm"), RefusalPart("no"), ToolCall("a", "f", {"x": 1}, '{"x":1}'))
    assert tool.parts == (ToolResultPart("a", "42"),)


WRONG: list[tuple[Any, str]] = [
    ("hello", "messages: expected a sequence"),
    ({"role": "user"}, "messages: expected a sequence"),
    ([], "messages: at least one"),
    ([1], r"messages\[0\]: expected a dict"),
    (
        [{"role": "user", "content": "a"}, {"role": "robot", "content": "x"}],
        r"messages\[1\].role: 'robot' is not a role; allowed: system",
    ),
    ([{"content": "x"}], r"messages\[0\].role: is missing"),
    ([{"role": "user"}], r"messages\[0\].content: is missing"),
    ([{"role": "user", "content": None}], r"messages\[0\].content: is None"),
    ([{"role": "user", "content": 5}], r"messages\[0\].content: expected text or a list"),
    ([{"role": "user", "contents": "x"}], r"messages\[0\]: unknown key 'contents' \(did you mean 'content'\?\)"),
    ([{"role": "user", "content": [{"type": "txt"}]}], r"messages\[0\].content\[0\].type: 'txt' is not a part"),
    ([{"role": "user", "content": [{"type": "text"}]}], r"messages\[0\].content\[0\].text: is missing"),
    ([{"role": "user", "content": [{"type": "text", "text": 1}]}], r"content\[0\].text: expected text, got int"),
    ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], r"content\[0\].url: is missing"),
    (
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "%%", "format": "wav"}}]}],
        r"content\[0\]: cannot be read",
    ),
    ([{"role": "user", "content": [ImagePart()]}], r"content\[0\]: an image has either a url or data"),
    ([{"role": "user", "content": [ImagePart(data=b"x")]}], r"media_type"),
    ([{"role": "tool", "content": "x"}], r"messages\[0\].tool_call_id"),
    ([{"role": "user", "content": "x", "tool_call_id": "a"}], r"tool_call_id: only a tool message"),
    ([{"role": "assistant"}], r"messages\[0\].content: an assistant message needs"),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
        r"tool_calls\[0\].function.name: is missing",
    ),
]


@pytest.mark.parametrize(("messages", "said"), WRONG)
def test_a_wrong_message_gives_its_index_and_field(messages: Any, said: str) -> None:
    with pytest.raises(InvalidMessageError, match=said):
        coerce_messages(messages)
    with pytest.raises(ValueError, match="messages"):
        coerce_messages(messages)


def test_arguments_of_a_call_without_any_are_an_empty_object() -> None:
    for raw in ("", "null", "{}", "  "):
        call = make_tool_call("a", "f", raw)
        assert (call.arguments, call.arguments_error, call.raw_arguments) == ({}, None, raw)


def test_tools_as_values_openai_dicts_flat_dicts_and_vendor_tools() -> None:
    schema = {"type": "object"}
    got = coerce_tools([
        ToolDefinition("a"), {"type": "function", "function": {"name": "b", "parameters": schema, "strict": True}},
        {"name": "c", "description": "d", "parameters": schema}, {"type": "web_search"},
    ])  # fmt: skip
    assert got == (
        ToolDefinition("a"),
        ToolDefinition("b", "", schema, True),
        ToolDefinition("c", "d", schema),
        ProviderTool({"type": "web_search"}),
    )
    with pytest.raises(
        InvalidMessageError, match=r"tools\[0\]: unknown key 'descripton' \(did you mean 'description'\?\)"
    ):
        coerce_tools([{"name": "f", "descripton": "x"}])
    with pytest.raises(InvalidMessageError, match=r"tools\[0\]: unknown key 'cache_control'"):
        coerce_tools([{"type": "function", "function": {"name": "f"}, "cache_control": {}}])
    with pytest.raises(InvalidMessageError, match=r"tools\[0\].name"):
        coerce_tools([{"description": "x"}])


def request(**options: Any) -> Any:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    return build_request([{"role": "user", "content": "x"}], model="m", options=options, **named)


def test_options_are_checked_and_normalised() -> None:
    class Person(pydantic.BaseModel):
        """A human."""

        name: str

    made = request(
        temperature=1, stop_sequences="END", timeouts=3, tools=[{"name": "f"}], tool_choice="f", response_format=Person, top_logprobs=5,
    )  # fmt: skip
    assert made.stop_sequences == ("END",)
    assert made.timeouts == Timeouts(total=3.0)
    assert made.tool_choice == ToolChoice("tool", "f")
    assert made.response_format == ResponseFormat("json_schema", Person.model_json_schema(), "Person", "A human.")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 3}, "temperature: 3 is out of range; allowed: 0 … 2"),
        ({"temperature": "hot"}, "temperature: 'hot' is out of range"),
        ({"max_tokens": 0}, "max_tokens: 0"),
        ({"top_logprobs": 21}, "allowed: 0 … 20"),
        ({"tool_choice": "nothing"}, "tool_choice: 'nothing' is neither a mode nor a tool"),
        ({"response_format": "yaml"}, "response_format: expected"),
        ({"stop_sequences": [1]}, "stop_sequences"),
        ({"thinking": {"effort": "low"}}, "thinking: expected a ThinkingConfig"),
    ],
)
def test_a_wrong_option_names_itself_and_what_is_allowed(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidMessageError, match=said):
        request(**options)


def test_an_unknown_option_is_a_type_error_with_the_near_name() -> None:
    with pytest.raises(TypeError, match=r"unknown option 'max_token' \(did you mean 'max_tokens'\?\).*extra_body"):
        request(max_token=5)


def test_the_callers_objects_are_not_changed() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}],
    }
    before = repr(message)
    coerce_messages([message])
    assert repr(message) == before
