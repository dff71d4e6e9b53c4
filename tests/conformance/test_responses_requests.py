"""What the Responses dialect sends is what the SDK's types and OpenAI's API description allow, and says what was said."""

import json
from typing import Any

import pytest
import request_oracle as oracle
import responses_corpus as corpus
from responses_requests import expressible, meaning, reencode, shares

from lexigram.ai.openai import grammar_tool, responses, vendors
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import LLMError
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
from lexigram.contracts.ai.request import ResponseFormat, ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint

OPENAI = next(v for v in vendors() if v.name == "openai")
HI: Any = [{"role": "user", "content": "hi"}]
TOOL = ToolDefinition("f", "d", {"type": "object", "properties": {"x": {"type": "integer"}}}, strict=True)


def _own(**item: Any) -> Opaque:
    return Opaque("openai", {"item": item})


HEAD = _own(id="msg_1", type="message", role="assistant", status="completed", phase="final_answer")
TURN = [
    ChatMessage("system", "be brief"),
    ChatMessage("developer", (TextPart("and kind"),)),
    ChatMessage(
        "user",
        (
            TextPart("see"),
            ImagePart(url="https://a.example/i.png", detail="low"),
            ImagePart(data=b"x", media_type="image/png"),
            FilePart(data=b"x", media_type="application/pdf"),
            FilePart(file_id="f"),
            FilePart(url="https://a.example/f.pdf"),
        ),
    ),
    ChatMessage(
        "assistant",
        (
            ThinkingPart("hm", _own(id="rs_1", type="reasoning", summary=[], encrypted_content="E")),
            TextPart("a", opaque=HEAD),
            RefusalPart("no", HEAD),
            OpaquePart(_own(id="ws_1", type="web_search_call", status="completed", action={"type": "search", "query": "q"})),
            ToolCall("i", "f", {"x": 1}, opaque=_own(id="fc_1", type="function_call", status="completed")),
            ToolCall("j", "sql", raw_arguments="1", kind="custom"),
        ),
    ),
    ChatMessage(
        "tool",
        (ToolResultPart("i", (TextPart("1"), ImagePart(data=b"x", media_type="image/png"))), ToolResultPart("j", "2")),
    ),
    ChatMessage("assistant", (TextPart("plain"),)),
]  # fmt: skip
FEATURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bare": (HI, {}),
    "every part": (TURN, {}),
    "sampling": (HI, {"temperature": 0.5, "top_p": 0.5, "max_tokens": 50, "top_logprobs": 2}),
    "tools": (HI, {"tools": [TOOL, {"type": "web_search"}], "tool_choice": "f", "parallel_tool_calls": False}),
    "grammar": (HI, {"tools": [grammar_tool("sql", "lark", "start: WORD"), grammar_tool("d", "regex", "[0-9]+", "a")]}),
    "custom of chat": (HI, {"tools": [{"type": "custom", "custom": {"name": "sql"}}]}),
    "custom choice": (HI, {"tools": [grammar_tool("s", "regex", "a")], "tool_choice": {"type": "custom", "name": "s"}}),
    "required": (HI, {"tools": [TOOL], "tool_choice": "required"}),
    "allowed": (
        HI,
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "f"}],
            },
        },
    ),
    "json": (HI, {"response_format": "json_object"}),
    "schema": (HI, {"response_format": ResponseFormat("json_schema", {"type": "object"}, "n", "d", strict=True)}),
    "effort": (HI, {"thinking": ThinkingConfig(effort="low"), "verbosity": "low"}),
    "no effort": (HI, {"thinking": ThinkingConfig(suppress=True)}),
    "bookkeeping": (
        HI,
        {"store": True, "metadata": {"a": "b"}, "user": "u", "service_tier": "flex", "prompt_cache": "k"},
    ),
    "resumed": (HI, {"extra_body": {"previous_response_id": "resp_1", "truncation": "auto"}}),
}


def _body(name: str, stream: bool) -> dict[str, Any]:
    messages, options = FEATURES[name]
    named = {k: v for k, v in options.items() if k in ("temperature", "max_tokens", "tools")}
    rest = {k: v for k, v in options.items() if k not in named}
    request = build_request(messages, model="gpt-5", options=rest, **named)
    endpoint = Endpoint("openai", OPENAI.base_url or "", OPENAI.quirks)
    body: dict[str, Any] = json.loads(json.dumps(responses.encode_request(request, endpoint, stream=stream).json))
    return body


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_sdks_types_accept_every_feature(name: str, stream: bool) -> None:
    assert oracle.sdk_objections(_body(name, stream), "/responses") == []


@pytest.mark.skipif(not oracle.has_spec(), reason="no API description")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FEATURES)
def test_the_api_description_accepts_every_feature(name: str, stream: bool) -> None:
    assert oracle.spec_objections(_body(name, stream), "/responses") == []


BROKEN: list[dict[str, Any]] = [
    {"max_tokens": 5},
    {"temperature": "hot"},
    {"input": [{"role": "robot", "content": "x"}]},
    {"tools": [{"type": "function", "nam": "f"}]},
    {"text": {"format": {"type": "json_schema"}}},
]


@pytest.mark.parametrize("broken", BROKEN, ids=json.dumps)
def test_the_sdk_judge_rejects_what_is_wrong(broken: dict[str, Any]) -> None:
    assert oracle.sdk_objections({**_body("bare", stream=False), **broken}, "/responses")


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
@pytest.mark.parametrize("api", corpus.apis())
def test_a_recorded_request_that_our_words_can_express_is_encoded_in_the_same_meaning(api: str) -> None:
    wrong = []
    for record in corpus.records(api):
        if expressible(record) is not None:
            continue
        mine, its = meaning(reencode(record)), meaning(record["request_body"])
        if mine != its:
            keys = [k for k in {*mine, *its} if mine.get(k) != its.get(k)]
            wrong.append(f"{record['id']} {[(k, mine.get(k), its.get(k)) for k in keys]}"[:700])
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
def test_most_recorded_requests_are_expressible() -> None:
    total, good, _ = shares()
    assert good / total > 0.9


def _turns() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Exchanges whose request sends back what an earlier reply of the same file said."""
    found = []
    for api in corpus.apis():
        by_path: dict[str, list[dict[str, Any]]] = {}
        for record in corpus.records(api):
            by_path.setdefault(record["source"]["path"], []).append(record)
        for records in by_path.values():
            records.sort(key=lambda r: r["source"]["index"])
            for first, second in zip(records, records[1:], strict=False):
                asked = second["request_body"]
                if not isinstance(asked, dict) or not isinstance(asked.get("input"), list):
                    continue
                if first["status"] == 200 and not corpus.is_error(first) and corpus.out_of_scope(first) is None:
                    found.append((first, second))
    return found


def _output(record: dict[str, Any]) -> list[dict[str, Any]]:
    if not record["streaming"]:
        items: list[dict[str, Any]] = json.loads(record["response_body"]).get("output") or []
        return items
    return [e["item"] for _, e in corpus.events(record) if e.get("type") == "response.output_item.done"]


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
def test_what_a_reply_wants_back_goes_back_unchanged_as_the_recorded_second_turns_do() -> None:
    compared = 0
    for first, second in _turns():
        sent_back = [i for i in second["request_body"]["input"] if i.get("type") not in (None, "message")]
        theirs = {i["encrypted_content"] for i in sent_back if i["type"] == "reasoning" and i.get("encrypted_content")}
        try:
            completion = corpus.decode(first)
        except LLMError:
            continue  # a first turn that failed has nothing to send back
        message = message_from_dict(json.loads(json.dumps(message_to_dict(completion.message))))
        request = build_request([message, ChatMessage("user", "go on")], model="m", options={"store": True})
        where = Endpoint(first["provider"], "https://host.invalid/v1")
        body: Any = responses.encode_request(request, where, stream=False).json
        said = {
            i["encrypted_content"]
            for i in _output(first)
            if i.get("type") == "reasoning" and i.get("encrypted_content")
        }
        ours = [i for i in body["input"] if i.get("type") == "reasoning"]
        # Everything opaque of the reply, and so whatever of it the recorded second turn sends back.
        assert {i["encrypted_content"] for i in ours if i.get("encrypted_content")} == said, first["id"]
        assert said & theirs <= {i.get("encrypted_content") for i in ours}, first["id"]
        for mine, its in zip(ours, [i for i in _output(first) if i["type"] == "reasoning"], strict=True):
            assert mine == its, first["id"]
        compared += len(said & theirs)
    assert compared > 10


def test_the_same_history_is_byte_equal_after_json() -> None:
    stored = [message_from_dict(json.loads(json.dumps(message_to_dict(m)))) for m in TURN]
    endpoint = Endpoint("openai", "https://host.invalid/v1")
    once = responses.encode_request(build_request(TURN, model="m"), endpoint, stream=False).json
    again = responses.encode_request(build_request(stored, model="m"), endpoint, stream=False).json
    assert json.dumps(once) == json.dumps(again)
