"""What the Messages dialect sends is what the SDK's types and the API description allow, and says what was said."""

import json
from typing import Any

import messages_corpus as corpus
import messages_request_oracle as oracle
import pytest
from messages_check import decode
from messages_requests import expressible, meaning, reencode

from lexigram.ai.anthropic import messages, vendors
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.ai.messages import (
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
from lexigram.contracts.ai.request import CompletionRequest, ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint

ANTHROPIC = next(v for v in vendors() if v.name == "anthropic")
HI: Any = [{"role": "user", "content": "hi"}]
TOOL = ToolDefinition("f", "d", {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}}, strict=True)
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
PNG = ImagePart(data=b"x", media_type="image/png")
CITED = ({"type": "char_location", "cited_text": "c", "document_index": 0, "document_title": None,
          "start_char_index": 0, "end_char_index": 1, "file_id": None},)  # fmt: skip
CACHED = Opaque("anthropic", {"cache_control": {"type": "ephemeral", "ttl": "1h"}})
TURN = [
    ChatMessage("system", "be brief"),
    ChatMessage("developer", (TextPart("and kind", opaque=CACHED),), name="boss"),
    ChatMessage("user", (TextPart("see"), ImagePart(url="https://a.example/i.png", detail="low"), PNG)),
    ChatMessage(
        "assistant",
        (
            ThinkingPart("t", Opaque("anthropic", {"signature": "s"})),
            OpaquePart(Opaque("anthropic", {"type": "redacted_thinking", "data": "d"})),
            TextPart("a", CITED, Opaque("anthropic", {})),
            ToolCall("i", "f", {"x": 1}),
            ToolCall("functions.f:0", "f", {}, "{", "not JSON"),
        ),
    ),
    ChatMessage("tool", (ToolResultPart("i", (TextPart("1"), PNG)),)),
    ChatMessage("tool", (ToolResultPart("functions.f:0", "boom", is_error=True),)),
    ChatMessage("assistant", (RefusalPart("no"),)),
    ChatMessage("system", "in the middle"),
    ChatMessage(
        "user",
        (
            FilePart(data=b"x", media_type="application/pdf", filename="a.pdf"),
            FilePart(file_id="f"),
            FilePart(url="https://a.example/a.pdf"),
            FilePart(data=b"x", media_type="text/plain", opaque=Opaque("anthropic", {"citations": {"enabled": True}})),
        ),
    ),
]
FEATURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bare": (HI, {}),
    "every part": (TURN, {}),
    "sampling": (HI, {"temperature": 0.5, "top_p": 0.5, "top_k": 5, "max_tokens": 5}),
    "stop": (HI, {"stop_sequences": ["a", "b"]}),
    "tools": (HI, {"tools": [TOOL, SEARCH], "tool_choice": "f", "parallel_tool_calls": False}),
    "required": (HI, {"tools": [TOOL], "tool_choice": "required"}),
    "no tools now": (HI, {"tools": [ToolDefinition("g")], "tool_choice": "none", "parallel_tool_calls": False}),
    "json": (HI, {"response_format": "json_object"}),
    "schema": (HI, {"response_format": ResponseFormat("json_schema", {"type": "object"}, "n", "d")}),
    "budget": (HI, {"thinking": ThinkingConfig(budget_tokens=2000)}),
    "effort": (HI, {"thinking": ThinkingConfig(effort="xhigh")}),
    "adaptive": (HI, {"thinking": ThinkingConfig(level="adaptive")}),
    "no thinking": (HI, {"thinking": ThinkingConfig(suppress=True)}),
    "bookkeeping": (HI, {"user": "u", "service_tier": "standard_only"}),
    "cache": (TURN, {"prompt_cache": "1h", "tools": [TOOL]}),
    "extra": (HI, {"extra_body": {"thinking": {"type": "adaptive", "display": "omitted"}}}),
}


def _request(name: str) -> CompletionRequest:
    given, options = FEATURES[name]
    named = {k: v for k, v in options.items() if k in ("temperature", "max_tokens", "tools", "stop_sequences")}
    rest = {k: v for k, v in options.items() if k not in named}
    return build_request(given, model="claude-opus-4-8", options=rest, **named)


def _endpoint(**params: str) -> Endpoint:
    return Endpoint("anthropic", ANTHROPIC.base_url or "", ANTHROPIC.quirks, params)


def _body(name: str, kind: str, **params: str) -> dict[str, Any]:
    where = _endpoint(**params)
    if kind == "count":
        sent = messages.encode_count(_request(name), where)
    else:
        sent = messages.encode_request(_request(name), where, stream=kind == "stream")
    body: dict[str, Any] = json.loads(json.dumps(sent.json))
    return body


@pytest.mark.parametrize("kind", ["whole", "stream", "count"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_sdks_types_accept_every_feature(name: str, kind: str) -> None:
    assert oracle.sdk_objections(_body(name, kind), count=kind == "count") == []


@pytest.mark.skipif(not oracle.has_spec(), reason=f"no API description in {corpus.SPECS}")
@pytest.mark.parametrize("kind", ["whole", "stream", "count"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_api_description_accepts_every_feature(name: str, kind: str) -> None:
    assert oracle.spec_objections(_body(name, kind), count=kind == "count") == []


def test_both_accept_instructions_where_they_stand() -> None:
    body = _body("every part", "whole", system_messages="inline")
    assert {m["role"] for m in body["messages"]} == {"user", "assistant", "system"}
    assert oracle.sdk_objections(body) == []
    if oracle.has_spec():
        assert oracle.spec_objections(body) == []


BROKEN: list[dict[str, Any]] = [
    {"max_token": 5},
    {"max_tokens": "many"},
    {"messages": [{"role": "robot", "content": "x"}]},
    {"messages": [{"role": "user", "content": [{"type": "texto", "text": "x"}]}]},
    {"thinking": {"type": "enabled"}},
    {"tool_choice": {"type": "required"}},
    {"output_config": {"effort": "minimal"}},
]


@pytest.mark.parametrize("broken", BROKEN, ids=json.dumps)
def test_both_judges_reject_what_is_wrong(broken: dict[str, Any]) -> None:
    body = {**_body("bare", "whole"), **broken}
    assert oracle.sdk_objections(body)
    if oracle.has_spec():
        assert oracle.spec_objections(body)


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
@pytest.mark.parametrize("api", corpus.apis())
def test_a_recorded_request_that_our_words_can_express_is_encoded_in_the_same_meaning(api: str) -> None:
    wrong = []
    for record in corpus.records(api):
        if expressible(record) is not None:
            continue
        sent = reencode(record)
        assert not sent.losses, record["id"]
        mine, its = meaning(json.loads(json.dumps(sent.json))), meaning(record["request_body"])
        if mine != its:
            keys = [k for k in {*mine, *its} if mine.get(k) != its.get(k)]
            wrong.append(f"{record['id']} {[(k, mine.get(k), its.get(k)) for k in keys]}"[:700])
        if record["provider"] == "vertex":
            assert sent.url.rpartition("/")[2] == record["url"].rpartition("/")[2], record["id"]
    assert not wrong, "\n".join(wrong[:5])


# -- what an answer carried goes back byte for byte

_KEPT = {"signature", "data", "id", "tool_use_id", "encrypted_content", "encrypted_index", "encrypted_stdout", "caller"}


def _kept(value: Any) -> set[tuple[str, str]]:
    if isinstance(value, list):
        return {found for item in value for found in _kept(item)}
    if not isinstance(value, dict):
        return set()
    own = {(k, json.dumps(v)) for k, v in value.items() if k in _KEPT and v}
    return own | {found for item in value.values() for found in _kept(item)}


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
def test_recorded_second_turns_find_every_opaque_value_in_our_encoding_of_the_same_history() -> None:
    talks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for api in corpus.apis():
        for record in corpus.records(api):
            if record["status"] == 200 and not corpus.is_count(record):
                talks.setdefault((record["source"]["repo"], record["source"]["path"]), []).append(record)
    pairs, values = 0, 0
    for talk in talks.values():
        for record in talk:
            made = decode(record)
            where = corpus.endpoint(record)
            stored = json.loads(json.dumps(message_to_dict(made.message)))
            history = (ChatMessage("user", "q"), message_from_dict(stored), ChatMessage("user", "next"))
            sent: Any = messages.encode_request(CompletionRequest(messages=history, model="m"), where, stream=False)
            ours = _kept([m for m in sent.json["messages"] if m["role"] == "assistant"])
            replied = _kept(json.loads(record["response_body"])) if not record["streaming"] else None
            for later in talk:
                body = later["request_body"]
                if later["source"]["index"] <= record["source"]["index"] or not isinstance(body, dict):
                    continue
                went_back = _kept([m for m in body["messages"] if m["role"] == "assistant"])
                if replied is None:
                    came = record["response_body"]
                    shared = {(k, v) for k, v in went_back if v in came}
                else:
                    shared = went_back & replied
                if shared:
                    assert shared <= ours, record["id"]
                    pairs, values = pairs + 1, values + len(shared)
    assert pairs > 50, pairs
    assert values > pairs
