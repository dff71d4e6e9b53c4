"""What the dialects send is what the SDK's types and Google's API descriptions allow, and says what was said."""

import json
from typing import Any

import google_corpus as corpus
import google_request_oracle as oracle
import pytest
from google_check import decode, signatures
from google_requests import Inexpressible, camel, meaning, model_of, reencode, request_of

from lexigram.ai.google import embeddings, generate, vendors, vertex, vertex_embeddings
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import (
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint

ROWS = {v.name: v for v in vendors()}
DIALECTS = {"gemini": generate, "vertex": vertex}
HI: Any = [{"role": "user", "content": "hi"}]
SCHEMA = {
    "type": "object",
    "properties": {"x": {"type": ["integer", "null"], "minimum": 1}, "y": {"$ref": "#/$defs/Y"}},
    "$defs": {"Y": {"enum": ["a", "b"]}},
    "required": ["x"],
    "additionalProperties": False,
}
TOOL = ToolDefinition("f", "d", SCHEMA, strict=True)
TURN = [
    ChatMessage("system", "be brief"),
    ChatMessage("user", (TextPart("see"), ImagePart(url="https://a.example/i.png", detail="low"))),
    ChatMessage(
        "assistant",
        (
            ThinkingPart("hm", Opaque("gemini", {})),
            TextPart("a", opaque=Opaque("gemini", {"thoughtSignature": "c2ln"})),
            ToolCall("i", "f", {"x": 1}, opaque=Opaque("gemini", {"thoughtSignature": "c2ln", "id": None})),
            ToolCall("j", "f", {"x": 2}),
        ),
    ),
    ChatMessage("tool", (ToolResultPart("i", "text"),)),
    ChatMessage("tool", (ToolResultPart("j", (TextPart("1"), ImagePart(data=b"x", media_type="image/png"))),)),
    ChatMessage("assistant", (RefusalPart("no"),)),
    ChatMessage("user", (AudioPart(data=b"x"), FilePart(data=b"x", media_type="application/pdf"), FilePart(file_id="files/f"))),
]  # fmt: skip
FEATURES: dict[str, tuple[Any, dict[str, Any]]] = {
    "bare": (HI, {}),
    "every part": (TURN, {}),
    "sampling": (HI, {"temperature": 0.5, "top_p": 0.5, "top_k": 3, "seed": 1, "max_tokens": 5}),
    "penalties": (HI, {"frequency_penalty": 1, "presence_penalty": 1, "stop_sequences": ["a", "b"]}),
    "tools": (HI, {"tools": [TOOL, ProviderTool({"googleSearch": {}})], "tool_choice": "f"}),
    "strict": (HI, {"tools": [TOOL]}),
    "no tools": (HI, {"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": True}),
    "json": (HI, {"response_format": "json_object"}),
    "schema": (HI, {"response_format": ResponseFormat("json_schema", SCHEMA, "n", "d")}),
    "logprobs": (HI, {"top_logprobs": 2}),
    "budget": (HI, {"thinking": ThinkingConfig(budget_tokens=512)}),
    "effort": (HI, {"thinking": ThinkingConfig(effort="low")}),
    "no thinking": (HI, {"thinking": ThinkingConfig(suppress=True)}),
    "audio": (HI, {"modalities": ("audio",), "audio": {"voice": "Kore"}}),
    "cache": (HI, {"prompt_cache": "cachedContents/c"}),
    "extra": (HI, {"extra_body": {"generationConfig": {"candidateCount": 2}}}),
}
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "gemini": {"tier": {"service_tier": "flex"}, "store": {"store": False}},
    "vertex": {"labels": {"metadata": {"team": "a"}}},
}
CASES = [(v, f, o) for v in ROWS for f, (_, o) in FEATURES.items()] + [
    (v, f, o) for v in OWN for f, o in OWN[v].items()
]


def _request(name: str, options: dict[str, Any]) -> CompletionRequest:
    named = {k: v for k, v in options.items() if k in ("temperature", "max_tokens", "tools", "stop_sequences")}
    rest = {k: v for k, v in options.items() if k not in named}
    messages = FEATURES.get(name, (HI, {}))[0]
    return build_request(messages, model="gemini-3-flash-preview", options=rest, **named)


def _endpoint(vendor: str) -> Endpoint:
    return Endpoint(vendor, "https://host.invalid/v1/publishers/google", ROWS[vendor].quirks)


def _body(vendor: str, name: str, options: dict[str, Any]) -> dict[str, Any]:
    sent = DIALECTS[vendor].encode_request(_request(name, options), _endpoint(vendor), stream=False)
    body: dict[str, Any] = json.loads(json.dumps(sent.json))
    return body


@pytest.mark.parametrize(("vendor", "name", "options"), CASES, ids=lambda c: c if isinstance(c, str) else "")
def test_the_sdks_types_accept_every_feature(vendor: str, name: str, options: dict[str, Any]) -> None:
    assert oracle.sdk_objections(_body(vendor, name, options)) == []


@pytest.mark.skipif(not oracle.has_specs(), reason=f"no API descriptions in {corpus.SPECS}")
@pytest.mark.parametrize(("vendor", "name", "options"), CASES, ids=lambda c: c if isinstance(c, str) else "")
def test_the_api_description_accepts_every_feature(vendor: str, name: str, options: dict[str, Any]) -> None:
    assert oracle.spec_objections(_body(vendor, name, options), vendor) == []


@pytest.mark.skipif(not oracle.has_specs(), reason=f"no API descriptions in {corpus.SPECS}")
def test_the_api_descriptions_accept_counts_and_embeddings() -> None:
    one, two = _endpoint("gemini"), _endpoint("vertex")
    request = _request("tools", FEATURES["tools"][1])
    prefix = "GoogleCloudAiplatformV1"
    cases: list[tuple[Any, str, str]] = [
        (generate.encode_count(request, one).json, "gemini", "CountTokensRequest"),
        (vertex.encode_count(request, two).json, "vertex", f"{prefix}CountTokensRequest"),
        (embeddings.encode_embeddings(["a"], "m", 3, one).json["requests"][0], "gemini", "EmbedContentRequest"),  # type: ignore[index,call-overload]
        (vertex_embeddings.encode_embeddings(["a"], "gemini-embedding-001", 3, two).json, "vertex", f"{prefix}PredictRequest"),
        (vertex_embeddings.encode_embeddings(["a"], "gemini-embedding-2", 3, two).json, "vertex", f"{prefix}EmbedContentRequest"),
    ]  # fmt: skip
    for body, vendor, schema in cases:
        assert oracle.spec_objections(body, vendor, schema) == [], schema


BROKEN: list[dict[str, Any]] = [
    {"content": []},
    {"contents": [{"role": "user", "parts": [{"texto": "x"}]}]},
    {"generationConfig": {"maxTokens": 5}},
    {"generationConfig": {"temperature": "hot"}},
    {"tools": [{"functionDeclarations": [{"nam": "f"}]}]},
    {"toolConfig": {"functionCalling": {}}},
]


@pytest.mark.parametrize("broken", BROKEN, ids=json.dumps)
def test_the_judges_reject_what_is_wrong(broken: dict[str, Any]) -> None:
    body = {**_body("gemini", "bare", {}), **broken}
    assert oracle.sdk_objections(body)
    if oracle.has_specs():
        assert oracle.spec_objections(body, "gemini")


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
@pytest.mark.parametrize("api", corpus.GENERATE)
def test_a_recorded_request_that_our_words_can_express_is_encoded_in_the_same_meaning(api: str) -> None:
    wrong, seen = [], 0
    for record in corpus.records(api):
        try:
            sent = reencode(record)
        except Inexpressible:
            continue
        seen += 1
        mine, its = meaning(json.loads(json.dumps(sent.json))), meaning(record["request_body"])
        if mine != its:
            wrong.append(f"{record['id']} {[(k, mine[k], its[k]) for k in mine if mine[k] != its[k]]}"[:700])
        assert f"/{model_of(record)}:" in sent.url
        assert all(loss.path.startswith(("tools[", "response_format.schema.")) for loss in sent.losses), record["id"]
    assert seen > 90
    assert not wrong, "\n".join(wrong[:5])


def _standard(signature: str) -> str:
    return signature.replace("-", "+").replace("_", "/")


def _recorded_turns() -> list[tuple[dict[str, Any], dict[str, Any], int]]:
    """Pairs of an answer and a later request of the same file that holds it, with the place of the answer."""
    pairs = []
    for api in corpus.GENERATE if corpus.available() else ():
        by_path: dict[Any, list[dict[str, Any]]] = {}
        for record in corpus.records(api):
            if record["status"] == 200 and isinstance(record["request_body"], dict):
                by_path.setdefault((record["source"]["repo"], record["source"]["path"]), []).append(record)
        for found in by_path.values():
            found.sort(key=lambda r: r["source"]["index"])
            for answer, later in zip(found, found[1:], strict=False):
                contents = camel(later["request_body"])["contents"]
                at = len(camel(answer["request_body"])["contents"])
                if len(contents) > at and contents[at].get("role") == "model":
                    pairs.append((answer, later, at))
    return pairs


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
def test_the_second_turn_carries_the_signatures_and_ids_that_the_recorded_one_carries() -> None:
    """Our answer, stored as JSON and read back, goes out with what the recorded client sent back of it."""
    checked = signed = 0
    for answer, later, at in _recorded_turns():
        recorded = camel(later["request_body"])["contents"][at]["parts"]
        # Google's own Python client writes the same bytes in the other base64 alphabet.
        wanted = [_standard(p["thoughtSignature"]) for p in recorded if p.get("thoughtSignature")]
        made = decode(answer)
        if not set(wanted) <= {_standard(s) for s in signatures(made)}:
            continue  # the client's placeholder, or a recording whose signatures were replaced separately
        message = message_from_dict(json.loads(json.dumps(message_to_dict(made.message))))
        request = build_request([*HI, message], model=later["model"] or "m")
        where = corpus.endpoint(later)
        sent = corpus.dialect(later).encode_request(request, where, stream=False)
        content = json.loads(json.dumps(sent.json))["contents"][1]
        mine = [p["thoughtSignature"] for p in content["parts"] if "thoughtSignature" in p]
        assert mine == signatures(made), later["id"]
        assert not sent.losses
        calls = [p["functionCall"] for p in content["parts"] if "functionCall" in p]
        theirs = [
            p["functionCall"]
            for m in corpus.messages(answer)
            for p in m["candidates"][0].get("content", {}).get("parts", [])
            if p.get("functionCall", {}).get("name") and "willContinue" not in p["functionCall"]
        ]
        if len(theirs) == len(calls):
            assert [{"args": {}, **t} for t in theirs] == calls, later["id"]
        checked += 1
        signed += bool(wanted)
    assert checked > 150
    assert signed > 150


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
def test_recorded_histories_survive_json_byte_for_byte() -> None:
    seen = 0
    for api in corpus.GENERATE:
        for record in corpus.records(api):
            try:
                request = request_of(record)
            except Inexpressible:
                continue
            stored = json.dumps([message_to_dict(m) for m in request.messages])
            assert tuple(message_from_dict(m) for m in json.loads(stored)) == request.messages, record["id"]
            seen += 1
    assert seen > 500
