"""What Google, Cohere, Ollama, Amazon and Mistral refuse, in their own words and shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lexigram.testing.simulator import Answer, Call, Failure, Faults, RateLimits

Ask = Callable[..., Any]

GEMINI = "/gemini/v1beta/models/m:generateContent"
NEWER = "/gemini/v1beta/models/gemini-3-pro:generateContent"
COHERE, OLLAMA = "/cohere/v2/chat", "/ollama/api/chat"
BEDROCK, STREAM = "/bedrock/model/m/converse", "/bedrock/model/m/converse-stream"
MISTRAL = "/mistral/v1/chat/completions"
TURN = [{"role": "user", "content": "Hi"}]
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
MESSAGES = [{"role": "user", "content": [{"text": "Hi"}]}]
PATHS = {
    "gemini": (GEMINI, {"contents": CONTENTS}),
    "cohere": (COHERE, {"model": "m", "messages": TURN}),
    "ollama": (OLLAMA, {"model": "m", "messages": TURN, "stream": False}),
    "bedrock": (BEDROCK, {"messages": MESSAGES}),
    "mistral": (MISTRAL, {"model": "m", "messages": TURN}),
}


def called(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [*MESSAGES, {"role": "assistant", "content": [{"toolUse": call} for call in calls]}]


def results(*ids: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"toolResult": {"toolUseId": one, "content": [{"text": "1"}]}} for one in ids]}


TOOLS = {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
CALL = {"toolUseId": "a", "name": "f", "input": {}}
FUNCTION = {"functionDeclarations": [{"name": "f"}]}


def signed(signature: str | None) -> list[dict[str, Any]]:
    part: dict[str, Any] = {"functionCall": {"name": "f", "args": {}}}
    return [*CONTENTS, {"role": "model", "parts": [part | ({"thoughtSignature": signature} if signature else {})]}]


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (GEMINI, {}, 400, "contents is not specified"),
        (GEMINI, {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, 400, "Please use a valid role: user, model."),
        (GEMINI, {"contents": [{"role": "user", "parts": []}]}, 400, "parts must not be empty"),
        (GEMINI, {"contents": CONTENTS, "generation_config": {"max_output_tokens": 0}}, 400, "maxOutputTokens"),
        (GEMINI, {"contents": CONTENTS, "generationConfig": {"responseSchema": {"type": "OBJECT"}}}, 400, "response_mime_type"),
        (GEMINI, {"contents": CONTENTS, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, 400, "function_declarations"),
        (GEMINI, {"contents": signed("bm90IG91cnM="), "tools": [FUNCTION]}, 400, "Thought signature is not valid"),
        (GEMINI, {"contents": signed("no base64"), "tools": [FUNCTION]}, 400, "Base64 decoding failed"),
        (NEWER, {"contents": signed(None), "tools": [FUNCTION]}, 400, "missing a thought_signature"),
        (GEMINI.replace("generateContent", "embedContent"), {"content": {}}, 400, "not specified"),
        (COHERE, {"messages": TURN}, 400, "model is required"),
        (COHERE, {"model": "m", "messages": []}, 400, "at least 1 message"),
        (COHERE, {"model": "m", "messages": [{"role": "pope", "content": "x"}]}, 400, "role must be one of"),
        (COHERE, {"model": "m", "messages": [{"role": "user", "content": ""}]}, 400, "non-empty content or tool calls"),
        (COHERE, {"model": "m", "messages": [{"role": "tool", "content": "x"}]}, 400, "must have a tool_call_id"),
        (COHERE, {"model": "m", "messages": TURN, "stop_sequences": list("abcdef")}, 400, "at most 5"),
        (COHERE, {"model": "m", "messages": TURN, "tools": [{"type": "function"}]}, 400, "tools[0]"),
        ("/cohere/v2/embed", {"model": "m", "texts": ["a"]}, 400, "input_type"),
        ("/cohere/v2/embed", {"model": "m", "texts": ["a"] * 97, "input_type": "x"}, 400, "at most 96, received 97"),
        (OLLAMA, {"messages": TURN}, 400, "model is required"),
        (OLLAMA, {"model": "m", "messages": [{"role": "pope"}]}, 400, "invalid role: pope"),
        (OLLAMA, {"model": "m", "messages": [{"role": "user", "content": [{"type": "text"}]}]}, 400, "cannot unmarshal array"),
        (OLLAMA, {"model": "m", "messages": TURN, "format": "xml"}, 400, "invalid format"),
        (OLLAMA, {"model": "m", "messages": TURN, "think": "very"}, 400, "invalid think value"),
        (BEDROCK, {"messages": []}, 400, "at least one message"),
        (BEDROCK, {"messages": [{"role": "assistant", "content": [{"text": "x"}]}]}, 400, "must start with a user message"),
        (BEDROCK, {"messages": [*MESSAGES, *MESSAGES]}, 400, "must alternate"),
        (BEDROCK, {"messages": [{"role": "user", "content": [{"text": ""}]}]}, 400, "is blank"),
        (BEDROCK, {"messages": [*called(CALL), results("a")]}, 400, "toolConfig field must be defined"),
        (BEDROCK, {"messages": [*called(CALL), results("b")], "toolConfig": TOOLS}, 400, "for the following Ids: a"),
        (BEDROCK, {"messages": [*called(CALL), results("a", "b")], "toolConfig": TOOLS}, 400, "exceeds the number"),
        (STREAM, {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 0}}, 400, "greater than or equal to 1"),
        (MISTRAL, {"messages": TURN}, 422, "Field required"),
        (MISTRAL, {"model": "m", "messages": [*TURN, {"role": "assistant", "content": "x"}]}, 400, "Expected last role User"),
        (
            MISTRAL,
            {"model": "m", "messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
            400,
            "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.",
        ),
    ],
)  # fmt: skip
async def test_a_bad_body_is_refused_in_the_vendors_words(
    ask: Ask, path: str, body: dict[str, Any], status: int, words: str
) -> None:
    asker = ask()
    reply = await asker.send(path, body)
    assert (reply.status_code, asker.simulator.journal.last.outcome) == (status, "refused")
    assert words in json.dumps(reply.json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("kind", "gemini", "cohere", "ollama", "bedrock", "mistral"),
    [
        ("invalid_request", 400, 400, 400, 400, 400),
        ("context_length", 400, 400, 400, 400, 400),
        ("authentication", 400, 401, 401, 403, 401),
        ("permission", 403, 403, 403, 403, 403),
        ("model_not_found", 404, 404, 404, 400, 400),
        ("rate_limit", 429, 429, 429, 429, 429),
        ("quota", 429, 402, 429, 400, 402),
        ("server", 500, 500, 500, 500, 500),
        ("unavailable", 503, 503, 503, 503, 503),
        ("overloaded", 503, 503, 503, 503, 429),
    ],
)
async def test_a_scripted_failure_has_the_vendors_status(
    ask: Ask, kind: Any, gemini: int, cohere: int, ollama: int, bedrock: int, mistral: int
) -> None:
    statuses = {"gemini": gemini, "cohere": cohere, "ollama": ollama, "bedrock": bedrock, "mistral": mistral}
    asker = ask(Failure(kind, retry_after=2.5))
    for vendor, (path, body) in PATHS.items():
        reply = await asker.send(path, body)
        assert (vendor, reply.status_code) == (vendor, statuses[vendor])
        if vendor == "gemini":
            hints = [detail.get("retryDelay") for detail in reply.json()["error"].get("details", ())]
            assert ("2.5s" in hints) == (kind == "rate_limit")
        else:
            assert reply.headers["retry-after"] == "3"


@pytest.mark.parametrize("vendor", PATHS)
async def test_a_rate_limit_is_told_as_the_vendor_tells_it(ask: Ask, vendor: str) -> None:
    asker = ask("Hi", limits=RateLimits(requests_per_minute=1))
    path, body = PATHS[vendor]
    first, second = await asker.send(path, body), await asker.send(path, body)
    assert (first.status_code, second.status_code) == (200, 429)
    if vendor == "gemini":
        error = second.json()["error"]
        kinds = [detail["@type"].rpartition(".")[2] for detail in error["details"]]
        assert (error["status"], kinds) == ("RESOURCE_EXHAUSTED", ["Help", "QuotaFailure", "RetryInfo"])
        assert error["details"][1]["violations"][0]["quotaValue"] == "1"
        assert "retry-after" not in second.headers
    elif vendor == "cohere":
        assert "limited to 1 API calls / minute" in second.json()["message"]
        assert second.headers["x-trial-endpoint-call-limit"] == "1"
    elif vendor == "bedrock":
        assert second.headers["x-amzn-errortype"].startswith("ThrottlingException:http://")
    elif vendor == "mistral":
        assert second.json()["code"] == "1300"
        assert first.headers["x-ratelimit-remaining-req-minute"] == "0"
    if vendor != "gemini":
        assert 55 <= int(second.headers["retry-after"]) <= 60


@pytest.mark.parametrize("vendor", PATHS)
async def test_a_stream_that_fails_says_so_in_the_vendors_way(ask: Ask, vendor: str) -> None:
    from botocore.eventstream import EventStreamBuffer

    asker = ask("one two three four five", faults=Faults(1.0, ("error",)))
    path, body = PATHS[vendor]
    if vendor == "gemini":
        path = path.replace("generateContent", "streamGenerateContent") + "?alt=sse"
        array = await asker.send(path.partition("?")[0], body)
        assert array.json()[-1]["error"]["status"] == "UNAVAILABLE"
    reply = await asker.send(STREAM if vendor == "bedrock" else path, {**body, "stream": True})
    assert reply.status_code == 200
    if vendor == "bedrock":
        buffer = EventStreamBuffer()
        buffer.add_data(reply.content)
        last = list(buffer)[-1]
        assert last.headers[":message-type"] == "exception"
        assert json.loads(last.payload)["message"]
    else:
        last = [line for line in reply.text.splitlines() if line and line != "data: [DONE]"][-1]
        assert "error" in last.lower()


@pytest.mark.parametrize("vendor", ["gemini", "ollama", "bedrock"])
async def test_broken_arguments_cannot_come_over_a_wire_of_objects(ask: Ask, vendor: str) -> None:
    path, body = PATHS[vendor]
    reply = await ask(Answer(tool_calls=(Call("f", '{"a": '),))).send(path, body)
    assert reply.status_code == 400
    assert "arguments that are no JSON" in reply.text


async def test_gemini_takes_field_names_in_both_spellings(ask: Ask) -> None:
    asker = ask()
    said = {"parts": [{"text": "Be brief."}]}
    for more in (
        {"systemInstruction": said, "generationConfig": {"maxOutputTokens": 3, "stopSequences": ["x"]}},
        {"system_instruction": said, "generation_config": {"max_output_tokens": 3, "stop_sequences": ["x"]}},
    ):
        await asker.send(GEMINI, {"contents": CONTENTS, **more})
    first, second = [entry.question for entry in asker.simulator.journal]
    assert (first.turns, first.max_tokens, first.stop) == (second.turns, 3, ("x",))
    assert first.turns[0].role == "system"


async def test_gemini_3_wants_the_signatures_of_the_current_turn_only(ask: Ask) -> None:
    answered = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"x": 1}}}]}
    older = {"contents": [*signed(None), answered, *CONTENTS], "tools": [FUNCTION]}
    current = {"contents": [*signed(None), answered], "tools": [FUNCTION]}
    assert (await ask().send(NEWER, older)).status_code == 200
    assert (await ask().send(NEWER, current)).status_code == 400
    assert (await ask().send(GEMINI, current)).status_code == 200


async def test_geminis_own_schemas_are_understood(ask: Ask) -> None:
    own = {
        "type": "OBJECT",
        "properties": {"a": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}, "minItems": "2"}},
        "required": ["a"],
    }
    config = {"responseMimeType": "application/json", "responseSchema": own}
    reply = await ask().send(GEMINI, {"contents": CONTENTS, "generationConfig": config})
    value = json.loads(reply.json()["candidates"][0]["content"]["parts"][0]["text"])
    assert len(value["a"]) >= 2
    assert all(item is None or isinstance(item, str) for item in value["a"])


async def test_the_query_tells_geminis_streams_apart(ask: Ask) -> None:
    asker = ask("Hi")
    path = GEMINI.replace("generateContent", "streamGenerateContent")
    events, array = (
        await asker.send(path + "?alt=sse", {"contents": CONTENTS}),
        await asker.send(path, {"contents": CONTENTS}),
    )
    assert events.headers["content-type"] == "text/event-stream"
    assert events.text.startswith("data: {")
    assert "\r\n\r\n" in events.text
    assert array.headers["content-type"].startswith("application/json")
    assert len(array.json()) == events.text.count("data: ")
    assert [entry.wire for entry in asker.simulator.journal] == ["gemini.generate", "gemini.generate.array"]


async def test_the_models_of_bedrock_may_have_colons_and_slashes(ask: Ask) -> None:
    asker = ask("Hi")
    arn = "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.model-v1%3A0"
    assert (await asker.send(f"/bedrock/model/{arn}/converse", {"messages": MESSAGES})).status_code == 200
    assert asker.simulator.journal.last.model == "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.model-v1:0"
