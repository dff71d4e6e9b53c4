"""Options in the words of the Messages wire: carried, or refused by name."""

from typing import Any

import pytest

from lexigram.ai.anthropic import messages, vertex
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage, Opaque, TextPart
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, Quirks

HERE = Endpoint("acme", "https://acme.example/v1")
NEW = Endpoint("acme", "https://acme.example/v1", params={"api_version": "2026-10-21"})
HI: Any = [{"role": "user", "content": "hi"}]
F = ToolDefinition("f", "does f", {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})


def encode(talk: Any = HI, where: Endpoint = HERE, **options: Any) -> HttpRequest:
    names = ("temperature", "max_tokens", "tools", "stop_sequences")
    named = {k: options.pop(k) for k in names if k in options}
    return messages.encode_request(build_request(talk, model="m", options=options, **named), where, stream=False)


def body(talk: Any = HI, where: Endpoint = HERE, **options: Any) -> Any:
    return encode(talk, where, **options).json


REFUSED = {
    "frequency_penalty": 0.1, "presence_penalty": 0.1, "seed": 1, "logprobs": True, "top_logprobs": 1,
    "logit_bias": {"1": 1.0}, "verbosity": "low", "store": True, "modalities": ("text",), "audio": {"voice": "v"},
    "prediction": "p", "metadata": {"a": "b"}, "prompt_cache": "a key", "temperature": 1.5,
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_option_that_the_wire_has_no_parameter_for_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        encode(**{name: REFUSED[name]})


def test_a_vendors_row_may_refuse_more_or_take_more() -> None:
    with pytest.raises(InvalidRequestError, match="top_k"):
        encode(where=Endpoint("acme", "https://a.example", Quirks(refuses=frozenset({"top_k"}))), top_k=5)
    assert body(where=Endpoint("acme", "https://a.example", Quirks(accepts=frozenset({"seed"}))), seed=5)["seed"] == 5


def test_options_that_the_wire_has_go_under_its_names() -> None:
    sent = body(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=4, stop_sequences=["x"], user="u", service_tier="auto",
        extra_body={"metadata": {"more": 1}, "container": "c"},
    )  # fmt: skip
    del sent["messages"], sent["model"]
    assert sent == {
        "max_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 4, "stop_sequences": ["x"],
        "service_tier": "auto", "metadata": {"user_id": "u", "more": 1}, "container": "c",
    }  # fmt: skip


# -- API versions


def test_the_newer_version_is_named_and_has_no_sampling_parameters() -> None:
    assert encode(where=NEW).headers["anthropic-version"] == "2026-10-21"
    assert messages.encode_health(NEW).headers["anthropic-version"] == "2026-10-21"
    for option in ({"temperature": 1}, {"top_p": 0.5}, {"top_k": 5}):
        with pytest.raises(InvalidRequestError, match=next(iter(option))):
            encode(where=NEW, **option)


def test_a_version_that_is_no_date_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="api_version"):
        encode(where=Endpoint("acme", "https://a.example", params={"api_version": "newest\r\n"}))
    with pytest.raises(InvalidRequestError, match="system_messages"):
        encode(where=Endpoint("acme", "https://a.example", params={"system_messages": "middle"}))


# -- tools


def test_tools_have_an_object_for_their_input_and_the_vendors_own_go_as_they_are() -> None:
    search = {"type": "web_search_20250305", "name": "web_search"}
    assert body(tools=[F, ToolDefinition("g"), ProviderTool(search)])["tools"] == [
        {"name": "f", "description": "does f", "input_schema": F.parameters},
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
        search,
    ]


def test_a_strict_tool_gets_a_schema_that_can_be_held_and_the_rest_is_listed() -> None:
    sent: Any = encode(tools=[ToolDefinition("f", "", F.parameters, strict=True)])
    (tool,) = sent.json["tools"]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    assert tool["input_schema"]["properties"]["n"] == {"type": "integer", "description": "{minimum: 1}"}
    assert [loss.path for loss in sent.losses] == ["tools[0].parameters.properties.n.minimum"]
    with pytest.raises(InvalidRequestError, match="strict"):
        none = Endpoint("acme", "https://a.example", Quirks(tool_strict=False))
        encode(where=none, tools=[ToolDefinition("f", strict=True)])


@pytest.mark.parametrize(
    ("choice", "parallel", "made"),
    [
        ("auto", None, {"type": "auto"}),
        ("required", None, {"type": "any"}),
        ("none", False, {"type": "none"}),
        ("f", False, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, True, {"type": "auto", "disable_parallel_tool_use": False}),
        ({"type": "of_tomorrow"}, None, {"type": "of_tomorrow"}),
        (None, None, None),
    ],
)
def test_the_choice_of_tools(choice: Any, parallel: bool | None, made: Any) -> None:
    assert body(tools=[F], tool_choice=choice, parallel_tool_calls=parallel).get("tool_choice") == made


# -- thinking


@pytest.mark.parametrize(
    ("config", "thinking", "output"),
    [
        (ThinkingConfig(budget_tokens=2000), {"type": "enabled", "budget_tokens": 2000}, None),
        (ThinkingConfig(budget_tokens=2000, effort="low"), {"type": "enabled", "budget_tokens": 2000}, "low"),
        (ThinkingConfig(effort="max"), {"type": "adaptive"}, "max"),
        (ThinkingConfig(level="high"), {"type": "adaptive"}, "high"),
        (ThinkingConfig(level="adaptive"), {"type": "adaptive"}, None),
        (ThinkingConfig(effort="none"), {"type": "disabled"}, None),
        (ThinkingConfig(suppress=True, budget_tokens=2000), {"type": "disabled"}, None),
        (ThinkingConfig(), None, None),
    ],
)
def test_thinking_in_the_wires_words(config: ThinkingConfig, thinking: Any, output: str | None) -> None:
    sent = body(thinking=config)
    assert sent.get("thinking") == thinking
    assert sent.get("output_config") == ({"effort": output} if output else None)


@pytest.mark.parametrize("name", ["thinking", "thinking.effort", "thinking.suppress"])
def test_a_row_may_refuse_thinking_or_a_part_of_it(name: str) -> None:
    row = Endpoint("acme", "https://a.example", Quirks(refuses=frozenset({name})))
    config = ThinkingConfig(suppress=True) if name == "thinking.suppress" else ThinkingConfig(effort="low")
    with pytest.raises(InvalidRequestError, match=name):
        encode(where=row, thinking=config)


def test_a_budget_comes_on_top_of_the_default_limit() -> None:
    assert body(thinking=ThinkingConfig(budget_tokens=2000))["max_tokens"] == 6096


@pytest.mark.parametrize(
    ("config", "options", "name"),
    [
        (ThinkingConfig(budget_tokens=1000), {}, "budget_tokens"),
        (ThinkingConfig(budget_tokens=2000), {"max_tokens": 2000}, "max_tokens"),
        (ThinkingConfig(budget_tokens=2000), {"temperature": 0.5}, "temperature"),
        (ThinkingConfig(budget_tokens=2000), {"top_k": 5}, "top_k"),
        (ThinkingConfig(budget_tokens=2000), {"top_p": 0.5}, "top_p"),
        (ThinkingConfig(budget_tokens=2000), {"tools": [F], "tool_choice": "required"}, "tool_choice"),
        (ThinkingConfig(budget_tokens=2000, level="adaptive"), {}, "budget_tokens"),
        (ThinkingConfig(effort="minimal"), {}, r"thinking\.effort"),
        (ThinkingConfig(level="deep"), {}, r"thinking\.level"),
    ],
)
def test_what_the_vendor_would_refuse_is_refused_here(config: Any, options: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequestError, match=name):
        encode(thinking=config, **options)


def test_interleaved_thinking_may_spend_more_than_one_answer_holds() -> None:
    beta = {"anthropic-beta": "interleaved-thinking-2025-05-14"}
    sent = body(thinking=ThinkingConfig(budget_tokens=2000), max_tokens=1500, extra_headers=beta, temperature=1)
    assert sent["thinking"]["budget_tokens"] == 2000


# -- formats


def test_a_schema_is_guaranteed_by_the_vendor_and_what_it_does_not_enforce_is_listed() -> None:
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "string", "format": "email", "pattern": "a+", "description": "d"},
            "many": {"type": "array", "minItems": 2, "items": {"oneOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]}},
            "free": {"type": "object", "additionalProperties": {"type": "integer"}},
            "id": {"type": "string", "format": "custom"},
        },
        "$defs": {"T": {"type": "object", "properties": {}}},
    }
    sent: Any = encode(response_format=ResponseFormat("json_schema", schema, description="the answer"))
    made = sent.json["output_config"]["format"]
    assert made["type"] == "json_schema"
    assert made["schema"] == {
        "type": "object",
        "description": "the answer",
        "additionalProperties": False,
        "properties": {
            "minimum": {"type": "string", "format": "email", "description": "d\n\n{pattern: a+}"},
            "many": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "null"}]},
                     "description": "{minItems: 2}"},
            "free": {"type": "object", "additionalProperties": False},
            "id": {"type": "string", "description": "{format: custom}"},
        },
        "$defs": {"T": {"type": "object", "properties": {}, "additionalProperties": False}},
    }  # fmt: skip
    assert [loss.path.removeprefix("response_format.schema.properties.") for loss in sent.losses] == [
        "minimum.pattern", "many.minItems", "many.items.oneOf", "free.additionalProperties", "id.format",
    ]  # fmt: skip


def test_a_schema_that_keeps_to_the_rules_is_unchanged() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1]}}, "required": ["a"], "additionalProperties": False}
    sent: Any = encode(response_format=ResponseFormat("json_schema", schema))
    assert sent.json["output_config"]["format"]["schema"] == schema
    assert sent.losses == ()


def test_without_structured_outputs_the_schema_is_told_in_words() -> None:
    old = Endpoint("acme", "https://a.example", Quirks(json_schema=False))
    sent = body(where=old, response_format=ResponseFormat("json_schema", {"type": "object"}))
    assert '{"type": "object"}' in sent["system"]
    assert "output_config" not in sent
    assert "JSON" in body(response_format="json_object")["system"]


# -- the prompt cache


def test_the_prompt_cache_is_pointed_at_the_ends_of_tools_system_and_last_user_message() -> None:
    talk = [
        ChatMessage("system", "a"), ChatMessage("system", "b"), ChatMessage("user", "q"),
        ChatMessage("assistant", "x"), ChatMessage("user", (TextPart("p"), TextPart("q"))),
    ]  # fmt: skip
    sent = body(talk, tools=[F, ToolDefinition("g")], prompt_cache="1h")
    point = {"type": "ephemeral", "ttl": "1h"}
    assert [t.get("cache_control") for t in sent["tools"]] == [None, point]
    assert [b.get("cache_control") for b in sent["system"]] == [None, point]
    assert sent["messages"][0]["content"] == "q"
    assert [b.get("cache_control") for b in sent["messages"][2]["content"]] == [None, point]
    assert body(prompt_cache="5m")["messages"][0]["content"][0]["cache_control"]["ttl"] == "5m"


def test_points_set_by_hand_stay_and_there_are_never_more_than_four() -> None:
    own = Opaque("acme", {"cache_control": {"type": "ephemeral"}})
    talk = [ChatMessage("system", "a"), ChatMessage("user", tuple([TextPart(t, opaque=own) for t in "pqr"]))]
    sent = body([*talk, ChatMessage("user", "last")], tools=[F], prompt_cache="5m")
    found = [b for b in sent["messages"][0]["content"] if "cache_control" in b]
    assert [b["cache_control"].get("ttl") for b in found] == [None, None, None, "5m"]
    assert sent["system"] == "a"
    assert "cache_control" not in sent["tools"][0]


def test_encoding_changes_nothing_of_the_callers() -> None:
    own: Any = {"type": "web_search_20250305", "name": "web_search"}
    body(tools=[ProviderTool(own)], prompt_cache="5m")
    assert own == {"type": "web_search_20250305", "name": "web_search"}


# -- counting, and Vertex AI


def test_a_count_asks_with_what_counts_and_nothing_else() -> None:
    extra = {"context_management": {}, "container": "c"}
    options: Any = {
        "thinking": ThinkingConfig(budget_tokens=2000), "tool_choice": "auto", "user": "u", "extra_body": extra,
    }  # fmt: skip
    request = build_request(HI, model="m", max_tokens=9000, tools=[F], temperature=1, options=options)
    sent: Any = messages.encode_count(request, HERE)
    assert sent.url == "https://acme.example/v1/messages/count_tokens"
    assert set(sent.json) == {"model", "messages", "tools", "tool_choice", "thinking", "context_management"}


def test_vertex_has_the_model_in_the_path_and_the_version_in_the_body() -> None:
    where = Endpoint("v", "https://aiplatform.googleapis.com/v1/projects/p/locations/global")
    request = build_request(HI, model="claude-haiku-4-5@20251001")
    models = f"{where.base_url}/publishers/anthropic/models"
    whole: Any = vertex.encode_request(request, where, stream=False)
    assert whole.url == f"{models}/claude-haiku-4-5@20251001:rawPredict"
    assert whole.json == {
        "anthropic_version": "vertex-2023-10-16", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}],
    }  # fmt: skip
    assert "anthropic-version" not in whole.headers
    stream: Any = vertex.encode_request(request, where, stream=True)
    assert stream.url.endswith(":streamRawPredict")
    assert stream.json["stream"] is True
    count: Any = vertex.encode_count(request, where)
    assert count.url == f"{models}/count-tokens:rawPredict"
    assert count.json["model"] == "claude-haiku-4-5@20251001"
    assert (
        vertex.encode_request(build_request(HI, model="../x?y"), where, stream=False).url
        == f"{models}/..%2Fx%3Fy:rawPredict"
    )
