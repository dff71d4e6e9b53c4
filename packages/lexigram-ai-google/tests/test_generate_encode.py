"""Requests of the generateContent wire: every option and part, what is refused, what is reported as lost."""

from typing import Any

import pytest

from lexigram.ai.google import embeddings, generate, vertex, vertex_embeddings
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, Quirks

HERE = Endpoint("gemini", "https://g.example/v1beta")
VERTEX = Endpoint("vertex", "https://v.example/v1/projects/p/locations/l/publishers/google")
HI: Any = [{"role": "user", "content": "hi"}]
SIG = "CuYB+AE/x=="
TOOL = ToolDefinition("f", "does", {"type": "object", "properties": {"x": {"type": "integer"}}})


def sent(messages: Any = HI, *, model: str = "gemini-2.5-flash", stream: bool = False, **options: Any) -> HttpRequest:
    names = ("temperature", "max_tokens", "tools", "stop_sequences")
    named = {k: options.pop(k) for k in names if k in options}
    return generate.encode_request(build_request(messages, model=model, options=options, **named), HERE, stream=stream)


def body(messages: Any = HI, **options: Any) -> Any:
    return sent(messages, **options).json


def parts(message: ChatMessage, **options: Any) -> Any:
    return body([*HI, message], **options)["contents"][1]["parts"]


def config(**options: Any) -> Any:
    return body(**options)["generationConfig"]


# -- where to


@pytest.mark.parametrize(
    ("endpoint", "model", "url"),
    [
        (HERE, "gemini-x", "https://g.example/v1beta/models/gemini-x"),
        (HERE, "models/gemini-x", "https://g.example/v1beta/models/gemini-x"),
        (HERE, "tunedModels/mine", "https://g.example/v1beta/tunedModels/mine"),
        (HERE, "a?b#c:d", "https://g.example/v1beta/models/a%3Fb%23c%3Ad"),
        (VERTEX, "gemini-x", f"{VERTEX.base_url}/models/gemini-x"),
        (VERTEX, "publishers/meta/models/y", "https://v.example/v1/projects/p/locations/l/publishers/meta/models/y"),
        (VERTEX, "endpoints/5", "https://v.example/v1/projects/p/locations/l/endpoints/5"),
        (VERTEX, "projects/q/locations/m/endpoints/5", "https://v.example/v1/projects/q/locations/m/endpoints/5"),
    ],
)
def test_the_url_names_the_model_and_no_key(endpoint: Endpoint, model: str, url: str) -> None:
    assert generate.model_url(model, "generateContent", endpoint) == f"{url}:generateContent"


@pytest.mark.parametrize("model", ["../x", "a/../b", "a//b", "models/", "./a"])
def test_a_model_cannot_lead_elsewhere(model: str) -> None:
    with pytest.raises(InvalidRequestError):
        sent(model=model)


def test_a_stream_is_asked_for_as_events() -> None:
    assert sent(stream=True).url.endswith("/models/gemini-2.5-flash:streamGenerateContent?alt=sse")
    assert sent(stream=True).json == sent().json


# -- messages


def test_instructions_stand_apart_and_late_ones_are_reported() -> None:
    made = sent([{"role": "system", "content": "a"}, *HI, {"role": "developer", "content": "b"}])
    assert made.json["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}  # type: ignore[index,call-overload]
    assert [loss.path for loss in made.losses] == ["messages[2]"]


def test_only_instructions_are_no_conversation() -> None:
    with pytest.raises(InvalidRequestError, match="messages"):
        sent([{"role": "system", "content": "a"}])


def test_an_image_is_no_instruction() -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[0\].content\[0\]"):
        sent([ChatMessage("system", (ImagePart(url="https://a.example/b.png"),)), *HI])


def test_a_turn_with_a_tool() -> None:
    own = Opaque("gemini", {"thoughtSignature": SIG, "id": None})
    history = [
        *HI,
        ChatMessage("assistant", (ToolCall("made-up", "f", {"x": 1}, opaque=own), ToolCall("i2", "g"))),
        ChatMessage("tool", (ToolResultPart("made-up", '{"sum": 3}'),)),
        ChatMessage("tool", (ToolResultPart("i2", "text", is_error=True),)),
        *HI,
    ]
    assert body(history)["contents"][1:4] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"x": 1}}, "thoughtSignature": SIG},
                {"functionCall": {"name": "g", "args": {}, "id": "i2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"sum": 3}}},
                {"functionResponse": {"name": "g", "id": "i2", "response": {"error": "text"}}},
            ],
        },
        {"role": "user", "parts": [{"text": "hi"}]},
    ]


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("text", {"output": "text"}),
        ("[1]", {"output": "[1]"}),
        ("{broken", {"output": "{broken"}),
        ('{"a": NaN}', {"output": '{"a": NaN}'}),
        ('{"a": 1}', {"a": 1}),
        ("", {"output": ""}),
    ],
)
def test_a_result_is_an_object(content: str, response: Any) -> None:
    history = [
        *HI,
        ChatMessage("assistant", (ToolCall("i", "f"),)),
        ChatMessage("tool", (ToolResultPart("i", content),)),
    ]
    assert body(history)["contents"][2]["parts"][0]["functionResponse"]["response"] == response


def test_a_result_takes_media_along() -> None:
    result = ToolResultPart("i", (TextPart("see"), ImagePart(data=b"x", media_type="image/png")))
    made = body([*HI, ChatMessage("assistant", (ToolCall("i", "f"),)), ChatMessage("tool", (result,))])
    response = made["contents"][2]["parts"][0]["functionResponse"]
    assert response["response"] == {"output": "see"}
    assert response["parts"] == [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]


def test_a_result_needs_its_call_or_its_name() -> None:
    with pytest.raises(InvalidRequestError, match="'i'"):
        sent([*HI, ChatMessage("tool", (ToolResultPart("i", "x"),))])
    made = parts(ChatMessage("tool", (ToolResultPart("i", "x", name="f"),)))
    assert made[0]["functionResponse"] == {"name": "f", "id": "i", "response": {"output": "x"}}


def test_the_latest_call_with_an_id_is_the_one_meant() -> None:
    turns = [ChatMessage("assistant", (ToolCall("i", n),)) for n in ("f", "g")]
    results = [ChatMessage("tool", (ToolResultPart("i", "x"),))] * 2
    made = body([*HI, turns[0], results[0], turns[1], results[1]])["contents"]
    assert [made[i]["parts"][0]["functionResponse"]["name"] for i in (2, 4)] == ["f", "g"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ImagePart(url="https://a.example/b.PNG?x"), {"fileData": {"fileUri": "https://a.example/b.PNG?x", "mimeType": "image/png"}}),
        (ImagePart(url="gs://b/c"), {"fileData": {"fileUri": "gs://b/c"}}),
        (ImagePart(url="data:image/png;base64,eA=="), {"inlineData": {"mimeType": "image/png", "data": "eA=="}}),
        (ImagePart(data=b"x", media_type="image/png", detail="high"),
         {"inlineData": {"mimeType": "image/png", "data": "eA=="}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}),
        (AudioPart(data=b"x", format="mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "eA=="}}),
        (FilePart(data=b"x", media_type="application/pdf"), {"inlineData": {"mimeType": "application/pdf", "data": "eA=="}}),
        (FilePart(file_id="files/abc"), {"fileData": {"fileUri": "https://g.example/v1beta/files/abc"}}),
        (FilePart(file_id="gs://b/c.pdf"), {"fileData": {"fileUri": "gs://b/c.pdf", "mimeType": "application/pdf"}}),
        (FilePart(url="https://youtu.be/x", media_type="video/*"), {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/*"}}),
        (TextPart("a", opaque=Opaque("gemini", {"videoMetadata": {}})), {"text": "a", "videoMetadata": {}}),
        (RefusalPart("no"), {"text": "no"}),
    ],
)  # fmt: skip
def test_parts(part: Any, expected: Any) -> None:
    assert parts(ChatMessage("user", (part,))) == [expected]


@pytest.mark.parametrize(
    "part",
    [AudioPart(id="a"), FilePart(data=b"x"), ImagePart(url="data:image/png,x"), FilePart(url="data:text/plain,x")],
)
def test_parts_that_cannot_be_sent_are_refused_by_their_place(part: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[1\].content\[0\]"):
        parts(ChatMessage("user", (part,)))


def test_opaque_parts_go_back_as_they_came() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": SIG}
    own = (
        OpaquePart(Opaque("gemini", code), "executableCode"),
        ThinkingPart("hm", Opaque("gemini", {"thoughtSignature": SIG})),
        TextPart("", opaque=Opaque("gemini", {"thoughtSignature": SIG})),
    )
    assert parts(ChatMessage("assistant", own)) == [
        code,
        {"text": "hm", "thought": True, "thoughtSignature": SIG},
        {"text": "", "thoughtSignature": SIG},
    ]


def test_what_another_vendor_wrote_is_left_out_and_reported() -> None:
    foreign = (
        OpaquePart(Opaque("acme", {"x": 1}), "web_search"),
        ThinkingPart("hm", Opaque("vertex", {"thoughtSignature": SIG})),
        ThinkingPart("hm"),
        TextPart("a", opaque=Opaque("acme", {"x": 1})),
        ToolCall("i", "sql", raw_arguments="select", kind="custom"),
        ToolCall("j", "f", raw_arguments="{bro", arguments_error="not JSON"),
    )
    made = sent([*HI, ChatMessage("assistant", foreign, name="bot")])
    assert made.json["contents"][1]["parts"] == [  # type: ignore[index,call-overload]
        {"text": "a"},
        {"functionCall": {"name": "sql", "args": {"input": "select"}, "id": "i"}},
        {"functionCall": {"name": "f", "args": {}, "id": "j"}},
    ]
    paths = ["name", *(f"content[{i}]" for i in range(5)), "content[5].arguments"]
    assert [loss.path for loss in made.losses] == [f"messages[1].{path}" for path in paths]


def test_a_message_of_nothing_but_foreign_parts_is_left_out() -> None:
    made = sent([*HI, ChatMessage("assistant", (ThinkingPart("hm"),)), *HI])
    assert [c["role"] for c in made.json["contents"]] == ["user", "user"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize(("model", "placed"), [("gemini-3-pro", True), ("gemini-2.5-flash", False), ("other", False)])
def test_an_unsigned_first_call_gets_the_placeholder_where_a_signature_is_needed(model: str, placed: bool) -> None:
    made = sent([*HI, ChatMessage("assistant", (ToolCall("i", "f"), ToolCall("j", "f")))], model=model)
    first, second = made.json["contents"][1]["parts"]  # type: ignore[index,call-overload]
    assert ("thoughtSignature" in first) == placed
    assert "thoughtSignature" not in second
    assert len(made.losses) == placed


# -- options


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"temperature": 0.0, "top_p": 0.5, "top_k": 3}, {"temperature": 0.0, "topP": 0.5, "topK": 3}),
        ({"max_tokens": 5, "seed": 1, "stop_sequences": ["a"]}, {"maxOutputTokens": 5, "seed": 1, "stopSequences": ["a"]}),
        ({"presence_penalty": 1, "frequency_penalty": 0.5}, {"presencePenalty": 1, "frequencyPenalty": 0.5}),
        ({"logprobs": True}, {"responseLogprobs": True}),
        ({"top_logprobs": 2}, {"responseLogprobs": True, "logprobs": 2}),
        ({"modalities": ("text", "image")}, {"responseModalities": ["TEXT", "IMAGE"]}),
        ({"audio": {"voice": "Kore"}}, {"speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}}),
        ({"audio": {"languageCode": "de"}}, {"speechConfig": {"languageCode": "de"}}),
        ({"response_format": "json_object"}, {"responseMimeType": "application/json"}),
        ({"thinking": ThinkingConfig()}, {"thinkingConfig": {"includeThoughts": True}}),
        ({"thinking": ThinkingConfig(budget_tokens=9)}, {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 9}}),
        ({"thinking": ThinkingConfig(effort="low")}, {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}}),
        ({"thinking": ThinkingConfig(level="high")}, {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}}),
        ({"thinking": ThinkingConfig(suppress=True)}, {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}}),
        ({"thinking": ThinkingConfig(effort="none")}, {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}}),
    ],
)  # fmt: skip
def test_the_configuration(options: dict[str, Any], expected: Any) -> None:
    assert config(**options) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("logit_bias", {"1": 2}),
        ("user", "u"),
        ("verbosity", "low"),
        ("prediction", "p"),
        ("parallel_tool_calls", False),
        ("prompt_cache", "my-key"),
        ("audio.format", {"voice": "Kore", "format": "wav"}),
        ("thinking.effort", ThinkingConfig(effort="max")),
    ],
)
def test_what_the_wire_cannot_say_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        sent(**{name.partition(".")[0]: value})


def test_what_the_vendor_cannot_take_is_refused_by_name() -> None:
    request = build_request(HI, model="m", options={"metadata": {"a": "b"}})
    assert generate.encode_request(request, HERE, stream=False).json["labels"] == {"a": "b"}  # type: ignore[index,call-overload]
    with pytest.raises(InvalidRequestError, match="metadata"):
        generate.encode_request(
            request, Endpoint("x", "https://x", Quirks(refuses=frozenset({"metadata"}))), stream=False
        )


def test_bookkeeping() -> None:
    made = body(service_tier="flex", store=False, prompt_cache="cachedContents/c", parallel_tool_calls=True)
    assert (made["serviceTier"], made["store"], made["cachedContent"]) == ("flex", False, "cachedContents/c")


def test_the_extra_body_is_merged_last() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]
    extra = {"safetySettings": safety, "generationConfig": {"candidateCount": 2}}
    made = body(temperature=1, extra_body=extra, extra_headers={"x": "y"})
    assert (made["safetySettings"], made["generationConfig"]) == (safety, {"temperature": 1, "candidateCount": 2})
    assert sent(extra_headers={"x": "y"}).headers == {"x": "y"}


# -- tools


def test_tools_stand_together_and_googles_own_are_passed_as_they_are() -> None:
    plain = ToolDefinition("g")
    assert body(tools=[TOOL, ProviderTool({"googleSearch": {}}), plain])["tools"] == [
        {"functionDeclarations": [{"name": "f", "description": "does", "parametersJsonSchema": dict(TOOL.parameters)}, {"name": "g"}]},
        {"googleSearch": {}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "strict", "expected"),
    [
        ("auto", None, {"mode": "AUTO"}),
        ("none", None, {"mode": "NONE"}),
        ("required", True, {"mode": "ANY"}),
        ("f", None, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        ("auto", True, {"mode": "VALIDATED"}),
        (None, True, {"mode": "VALIDATED"}),
        ({"functionCallingConfig": {"mode": "ANY"}}, None, {"mode": "ANY"}),
    ],
)
def test_the_choice_of_tools(choice: Any, strict: bool | None, expected: Any) -> None:
    options = {} if choice is None else {"tool_choice": choice}
    made = body(tools=[ToolDefinition("f", strict=strict)], **options)
    assert made["toolConfig"] == {"functionCallingConfig": expected}
    assert "toolConfig" not in body(tools=[TOOL])


# -- schemas


def test_a_schema_goes_out_as_far_as_google_takes_it() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "pattern": "x"},
            "age": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 150, "default": 3},
            "kind": {"const": "a"},
            "flag": {"enum": [True, None]},
            "pattern": {"allOf": [{"type": "string", "maxLength": 3}]},
            "ref": {"$ref": "#/definitions/R", "description": "d"},
            "many": {
                "type": "array",
                "items": {"anyOf": [{"type": "null"}, {"not": {}}]},
                "prefixItems": [{"multipleOf": 2}],
            },
        },
        "definitions": {"R": {"type": "string"}},
        "additionalProperties": {"uniqueItems": True},
    }
    made = sent(response_format=ResponseFormat("json_schema", schema, description="whole"))
    config = made.json["generationConfig"]  # type: ignore[index,call-overload]
    assert config["responseMimeType"] == "application/json"
    assert config["responseJsonSchema"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 1, "maximum": 149, "default": 3},
            "kind": {"enum": ["a"]},
            "flag": {},
            "pattern": {"type": "string"},
            "ref": {"$ref": "#/$defs/R"},
            "many": {"type": "array", "items": {"anyOf": [{"type": "null"}, {}]}, "prefixItems": [{}]},
        },
        "$defs": {"R": {"type": "string"}},
        "additionalProperties": {},
        "description": "whole",
    }
    assert [loss.path.removeprefix("response_format.schema.") for loss in made.losses] == [
        "properties.name.minLength",
        "properties.name.pattern",
        "properties.flag.enum",
        "properties.pattern.allOf[0].maxLength",
        "properties.ref.description",
        "properties.many.items.anyOf[1].not",
        "properties.many.prefixItems[0].multipleOf",
        "additionalProperties.uniqueItems",
    ]
    assert schema["properties"]["name"]["minLength"] == 1  # type: ignore[index]


def test_a_tools_schema_reports_its_losses_too() -> None:
    tool = ToolDefinition("f", parameters={"type": "object", "properties": {"x": {"type": "string", "pattern": "a"}}})
    assert [loss.path for loss in sent(tools=[tool]).losses] == ["tools[0].parameters.properties.x.pattern"]


def test_a_schema_without_a_bottom_is_refused() -> None:
    schema: Any = {"type": "array"}
    schema["items"] = schema
    with pytest.raises(InvalidRequestError, match="nested"):
        sent(response_format=ResponseFormat("json_schema", schema))


# -- counting, health, embeddings


def test_counting_has_two_shapes() -> None:
    request = build_request([{"role": "system", "content": "s"}, *HI], model="m", max_tokens=5, tools=[TOOL])
    one, two = generate.encode_count(request, HERE), vertex.encode_count(request, VERTEX)
    assert one.url == "https://g.example/v1beta/models/m:countTokens"
    whole: Any = one.json
    assert set(whole["generateContentRequest"]) == {
        "model",
        "contents",
        "systemInstruction",
        "tools",
        "generationConfig",
    }
    assert whole["generateContentRequest"]["model"] == "models/m"
    assert two.url == f"{VERTEX.base_url}/models/m:countTokens"
    assert set(two.json) == {"contents", "systemInstruction", "tools", "generationConfig"}  # type: ignore[arg-type]


def test_health_checks_cost_nothing() -> None:
    assert generate.encode_health(HERE) == HttpRequest("GET", "https://g.example/v1beta/models?pageSize=1")
    assert vertex.encode_health(VERTEX).url.endswith(":countTokens")


def test_embeddings_are_asked_for_in_three_shapes() -> None:
    batch: Any = embeddings.encode_embeddings(["a", "b"], "e", 8, HERE)
    assert batch.url == "https://g.example/v1beta/models/e:batchEmbedContents"
    each = {"model": "models/e", "outputDimensionality": 8}
    assert batch.json["requests"] == [{**each, "content": {"parts": [{"text": t}]}} for t in "ab"]
    predict: Any = vertex_embeddings.encode_embeddings(["a"], "gemini-embedding-001", 8, VERTEX)
    assert predict.url == f"{VERTEX.base_url}/models/gemini-embedding-001:predict"
    assert predict.json == {"instances": [{"content": "a"}], "parameters": {"outputDimensionality": 8}}
    embed: Any = vertex_embeddings.encode_embeddings(["a"], "gemini-embedding-2", None, VERTEX)
    assert embed.url.endswith(":embedContent")
    assert embed.json == {"content": {"parts": [{"text": "a"}]}}
    with pytest.raises(InvalidRequestError):
        vertex_embeddings.encode_embeddings(["a", "b"], "gemini-embedding-2", None, VERTEX)


@pytest.mark.parametrize(
    ("reply", "vectors", "tokens"),
    [
        ({"embedding": {"values": [1, 2.5]}, "usageMetadata": {"promptTokenCount": 3}}, ((1.0, 2.5),), 3),
        ({"embeddings": [{"values": [1]}, {"values": [2]}]}, ((1.0,), (2.0,)), None),
        (
            {"predictions": [{"embeddings": {"values": [1], "statistics": {"token_count": 4.0}}}] * 2},
            ((1.0,), (1.0,)),
            8,
        ),
    ],
)
def test_vectors_come_in_three_shapes(reply: Any, vectors: Any, tokens: int | None) -> None:
    made = embeddings.decode_embeddings(reply, HERE)
    assert (made.vectors, made.usage.input_tokens) == (vectors, tokens)
    assert made.usage.source == ("unknown" if tokens is None else "reported")


@pytest.mark.parametrize(
    "reply", [{}, {"embeddings": []}, {"embedding": {"values": []}}, {"embeddings": [{"values": ["1"]}]}, []]
)
def test_a_reply_without_vectors_cannot_be_read(reply: Any) -> None:
    with pytest.raises(DecodeError):
        embeddings.decode_embeddings(reply, HERE)
