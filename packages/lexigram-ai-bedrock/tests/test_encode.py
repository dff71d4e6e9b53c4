"""What goes out on the Converse wire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lexigram.ai.bedrock import converse
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
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest

HERE = Endpoint("bedrock", "https://bedrock-runtime.eu-west-1.amazonaws.com")
HI = [{"role": "user", "content": "hi"}]
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def send(messages: Any = HI, *, model: str = CLAUDE, stream: bool = False, **options: Any) -> HttpRequest:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    return converse.encode_request(build_request(messages, model=model, options=options, **named), HERE, stream=stream)


def body(messages: Any = HI, **options: Any) -> dict[str, Any]:
    sent = send(messages, **options).json
    assert isinstance(sent, dict)
    return sent


def blocks(role: Any, *parts: Part) -> list[Any]:
    return body([ChatMessage(role, parts)])["messages"][0]["content"]  # type: ignore[no-any-return]


def test_model_ids_and_arns_are_percent_encoded_in_the_path() -> None:
    base = "https://bedrock-runtime.eu-west-1.amazonaws.com/model"
    assert send().url == f"{base}/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
    arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a b"
    want = "arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fa%20b"
    assert send(model=arn, stream=True).url == f"{base}/{want}/converse-stream"
    assert converse.encode_health(HERE).url == "https://bedrock.eu-west-1.amazonaws.com/foundation-models"


def test_a_bare_request_is_messages_and_sampling_stands_apart() -> None:
    assert body() == {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    sent = body(temperature=0.5, max_tokens=5, top_p=0.9, stop_sequences=["a"])
    assert sent["inferenceConfig"] == {"maxTokens": 5, "temperature": 0.5, "topP": 0.9, "stopSequences": ["a"]}


def test_roles_alternate_and_results_join_the_users_turn() -> None:
    turn = [
        ChatMessage("system", "s"),
        *HI,
        ChatMessage("user", "there"),
        ChatMessage("assistant", (ToolCall("a", "f", {"x": 1}), ToolCall("b", "f"))),
        ChatMessage("tool", (ToolResultPart("a", "1"),)),
        ChatMessage("tool", (ToolResultPart("b", "no", is_error=True),)),
        ChatMessage("user", "go on"),
        ChatMessage("assistant", ""),
    ]
    sent = body(turn)
    assert sent["system"] == [{"text": "s"}]
    assert [m["role"] for m in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][0]["content"] == [{"text": "hi"}, {"text": "there"}]
    assert sent["messages"][1]["content"][1] == {"toolUse": {"toolUseId": "b", "name": "f", "input": {}}}
    assert sent["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "a", "content": [{"text": "1"}]}},
        {"toolResult": {"toolUseId": "b", "content": [{"text": "no"}], "status": "error"}},
        {"text": "go on"},
    ]


def test_late_instructions_move_to_the_front_and_that_is_listed() -> None:
    sent = send([*HI, ChatMessage("system", "s"), ChatMessage("user", "x", name="ann")])
    assert [loss.path for loss in sent.losses] == ["messages[1]", "messages[2].name"]


def test_signed_and_redacted_reasoning_and_citations_go_back_byte_equal() -> None:
    note = {"title": "t", "sourceContent": [{"text": "ü"}]}
    reply = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"text": "a"},
                    {"citationsContent": {"content": [{"text": "b"}], "citations": [note]}},
                    {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}},
                ],
            }
        },
        "stopReason": "tool_use",
    }
    made = converse.decode_response(reply, HERE)
    assert body([*HI, made.message])["messages"][1] == reply["output"]["message"]


def test_reasoning_without_a_signature_and_foreign_parts_are_left_out_and_listed() -> None:
    parts = (
        ThinkingPart("hm"),
        ThinkingPart("", Opaque("anthropic", {"signature": "s"})),
        OpaquePart(Opaque("google", {"x": 1})),
        TextPart("a", (), Opaque("google", {"y": 1})),
        ToolCall("t", "f", raw_arguments="{", arguments_error="not JSON"),
    )
    sent = send([*HI, ChatMessage("assistant", parts)])
    assert isinstance(sent.json, dict)
    kept = [{"text": "a"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}]
    assert sent.json["messages"][1]["content"] == kept  # type: ignore[index,call-overload]
    assert [x.path.removeprefix("messages[1].content") for x in sent.losses] == [
        "[0]", "[1]", "[2]", "[3]", "[4].arguments",
    ]  # fmt: skip


def test_cache_points_and_guarded_content_are_blocks_of_the_providers_own() -> None:
    point = OpaquePart(Opaque("bedrock", {"cachePoint": {"type": "default"}}))
    guarded = OpaquePart(Opaque("bedrock", {"guardContent": {"text": {"text": "q", "qualifiers": ["query"]}}}))
    assert blocks("user", guarded, point) == [guarded.opaque.data, {"cachePoint": {"type": "default"}}]
    assert body([ChatMessage("system", (TextPart("s"), point)), *HI])["system"][1] == {
        "cachePoint": {"type": "default"}
    }
    tools = [ToolDefinition("f"), ProviderTool({"cachePoint": {"type": "default"}})]
    assert body(tools=tools)["toolConfig"]["tools"][1] == {"cachePoint": {"type": "default"}}


def test_images_files_and_audio_go_as_bytes_or_from_s3() -> None:
    image = ImagePart(data=b"x", media_type="image/png")
    assert blocks("user", image) == [{"image": {"format": "png", "source": {"bytes": "eA=="}}}]
    assert blocks("user", ImagePart(url="data:image/webp;base64,eA=="))[0]["image"]["format"] == "webp"
    far = blocks("user", ImagePart(url="s3://b/i.jpeg"))[0]["image"]
    assert far == {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/i.jpeg"}}}
    assert blocks("user", AudioPart(b"x"))[0] == {"audio": {"format": "wav", "source": {"bytes": "eA=="}}}
    for bad in (
        ImagePart(url="https://a.example/i.png"),
        ImagePart(data=b"x", media_type="image/tiff"),
        FilePart(file_id="f"),
        FilePart(b"x", "application/zip"),
        AudioPart(id="a"),
        RefusalPart("no"),
    ):
        with pytest.raises(InvalidRequestError, match=r"messages\[0\]\.content\[0\]"):
            blocks("user", bad)


def test_names_of_documents_are_legal_and_each_their_own() -> None:
    files = [FilePart(b"x", "application/pdf", name) for name in ("q3_report.v2.pdf", "q3_report.v2.pdf", None)]
    made = blocks("user", *files, FilePart(b"x", None, "notes.md"))
    named = [(d["document"]["name"], d["document"]["format"]) for d in made]
    assert named == [("q3-report-v2", "pdf"), ("q3-report-v2 2", "pdf"), ("document", "pdf"), ("notes", "md")]


def test_a_schema_is_a_text_in_the_output_config() -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}}
    sent = body(response_format=ResponseFormat("json_schema", schema, "n", "d"))
    form = sent["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    given = form["structure"]["jsonSchema"]
    assert (json.loads(given["schema"]), given["name"], given["description"]) == (schema, "n", "d")
    with pytest.raises(InvalidRequestError, match="json_object"):
        body(response_format="json_object")


def test_the_choice_of_a_tool() -> None:
    def choice(word: Any) -> Any:
        return body(tools=[ToolDefinition("f", "d", {"type": "object"}, strict=True)], tool_choice=word)["toolConfig"]

    spec = {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}, "strict": True}
    assert choice("auto") == {"tools": [{"toolSpec": spec}], "toolChoice": {"auto": {}}}
    assert choice("required")["toolChoice"] == {"any": {}}
    assert choice("f")["toolChoice"] == {"tool": {"name": "f"}}
    with pytest.raises(InvalidRequestError, match="tool_choice: none"):
        choice("none")


def test_thinking_is_an_effort_or_a_field_of_claudes() -> None:
    assert body(thinking=ThinkingConfig(effort="high"))["outputConfig"] == {"effort": "high"}
    claude = body(
        thinking=ThinkingConfig(budget_tokens=2000), extra_body={"additionalModelRequestFields": {"top_k": 5}}
    )
    assert claude["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "top_k": 5,
    }
    off = body(thinking=ThinkingConfig(suppress=True))["additionalModelRequestFields"]
    assert off == {"thinking": {"type": "disabled"}}
    for config in (ThinkingConfig(budget_tokens=5), ThinkingConfig(suppress=True)):
        with pytest.raises(InvalidRequestError, match=r"thinking\..*nova"):
            body(model="amazon.nova-lite-v1:0", thinking=config)


def test_tier_and_metadata_have_their_own_words() -> None:
    sent = body(service_tier="flex", metadata={"a": "b"})
    assert (sent["serviceTier"], sent["requestMetadata"]) == ({"type": "flex"}, {"a": "b"})


def test_media_may_be_a_tools_result() -> None:
    result = ToolResultPart("t", (TextPart("1"), ImagePart(data=b"x", media_type="image/png")))
    content = blocks("tool", result)[0]["toolResult"]["content"]
    assert content == [{"text": "1"}, {"image": {"format": "png", "source": {"bytes": "eA=="}}}]
