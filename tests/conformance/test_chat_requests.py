"""What the dialect sends is what the SDK's types and OpenAI's API description allow, and says what was said."""

import json
from typing import Any

import chat_corpus as corpus
import pytest
import request_oracle as oracle
from chat_requests import expressible, meaning, reencode

from lexigram.ai.openai import chat, vendors
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint

OPENAI = next(v for v in vendors() if v.name == "openai")
HI: Any = [{"role": "user", "content": "hi"}]
TOOL = ToolDefinition("f", "d", {"type": "object", "properties": {"x": {"type": "integer"}}}, strict=False)
CUSTOM = {"type": "custom", "custom": {"name": "sql", "description": "d"}}
TURN = [
    ChatMessage("system", "be brief"),
    ChatMessage("developer", (TextPart("and kind"),), name="boss"),
    ChatMessage("user", (TextPart("see"), ImagePart(url="https://a.example/i.png", detail="low"))),
    ChatMessage(
        "assistant",
        (TextPart("a"), ToolCall("i", "f", {"x": 1}), ToolCall("j", "sql", raw_arguments="1", kind="custom")),
    ),
    ChatMessage(
        "tool",
        (ToolResultPart("i", (TextPart("1"), ImagePart(data=b"x", media_type="image/png"))), ToolResultPart("j", "2")),
    ),
    ChatMessage("assistant", (RefusalPart("no"),)),
    ChatMessage("assistant", (AudioPart(id="au"),)),
    ChatMessage(
        "user", (AudioPart(data=b"x"), FilePart(data=b"x", media_type="application/pdf"), FilePart(file_id="f"))
    ),
]
FEATURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bare": (HI, {}),
    "every part": (TURN, {}),
    "sampling": (
        HI,
        {"temperature": 0.5, "top_p": 0.5, "frequency_penalty": 1, "presence_penalty": 1, "seed": 1, "max_tokens": 5},
    ),
    "stop": (HI, {"stop_sequences": ["a", "b"]}),
    "tools": (HI, {"tools": [TOOL, CUSTOM], "tool_choice": "f", "parallel_tool_calls": False}),
    "custom choice": (HI, {"tools": [CUSTOM], "tool_choice": {"type": "custom", "custom": {"name": "sql"}}}),
    "required": (HI, {"tools": [TOOL], "tool_choice": "required"}),
    "json": (HI, {"response_format": "json_object"}),
    "schema": (HI, {"response_format": ResponseFormat("json_schema", {"type": "object"}, "n", "d", strict=True)}),
    "logprobs": (HI, {"top_logprobs": 2, "logit_bias": {"1": 2}}),
    "effort": (HI, {"thinking": ThinkingConfig(effort="low"), "verbosity": "low"}),
    "no effort": (HI, {"thinking": ThinkingConfig(suppress=True)}),
    "audio": (HI, {"modalities": ("text", "audio"), "audio": {"voice": "alloy", "format": "wav"}}),
    "bookkeeping": (
        HI,
        {
            "store": True,
            "metadata": {"a": "b"},
            "user": "u",
            "service_tier": "flex",
            "prompt_cache": "k",
            "prediction": "p",
        },
    ),
    "extra": (HI, {"extra_body": {"n": 2, "web_search_options": {}}}),
}


def _body(name: str, stream: bool) -> dict[str, Any]:
    messages, options = FEATURES[name]
    named = {k: v for k, v in options.items() if k in ("temperature", "max_tokens", "tools", "stop_sequences")}
    request = build_request(
        messages, model="gpt-5", options={k: v for k, v in options.items() if k not in named}, **named
    )
    endpoint = Endpoint("openai", OPENAI.base_url or "", OPENAI.quirks)
    body: dict[str, Any] = json.loads(json.dumps(chat.encode_request(request, endpoint, stream=stream).json))
    return body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_sdks_types_accept_every_feature(name: str, stream: bool) -> None:
    assert oracle.sdk_objections(_body(name, stream)) == []


@pytest.mark.skipif(not oracle.has_spec(), reason=f"no API description in {corpus.SPECS}")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_api_description_accepts_every_feature(name: str, stream: bool) -> None:
    assert oracle.spec_objections(_body(name, stream)) == []


BROKEN: list[dict[str, Any]] = [
    {"max_token": 5},
    {"temperature": "hot"},
    {"messages": [{"role": "robot", "content": "x"}]},
    {"messages": [{"role": "user", "content": [{"type": "texto", "text": "x"}]}]},
    {"tools": [{"type": "function", "function": {"nam": "f"}}]},
    {"response_format": {"type": "json_schema", "json_schema": {}}},
]


@pytest.mark.parametrize("broken", BROKEN, ids=json.dumps)
def test_the_sdk_judge_rejects_what_is_wrong(broken: dict[str, Any]) -> None:
    assert oracle.sdk_objections({**_body("bare", stream=False), **broken})


@pytest.mark.skipif(not oracle.has_spec(), reason=f"no API description in {corpus.SPECS}")
@pytest.mark.parametrize("broken", BROKEN, ids=json.dumps)
def test_the_description_rejects_what_is_wrong(broken: dict[str, Any]) -> None:
    assert oracle.spec_objections({**_body("bare", stream=False), **broken})


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
@pytest.mark.parametrize("api", corpus.apis())
def test_a_recorded_request_that_our_words_can_express_is_encoded_in_the_same_meaning(api: str) -> None:
    wrong = []
    for record in corpus.records(api):
        if expressible(record) is not None:
            continue
        sent, recorded = reencode(record), record["request_body"]
        if meaning(sent) != meaning(recorded):
            mine, its = meaning(sent), meaning(recorded)
            keys = [k for k in {*mine, *its} if mine.get(k) != its.get(k)]
            wrong.append(f"{record['id']} {[(k, mine.get(k), its.get(k)) for k in keys]}"[:700])
    assert not wrong, "\n".join(wrong[:5])
