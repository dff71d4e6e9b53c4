"""boto3: signed requests, binary frames with checksums; replies are compared with Amazon's service description."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, fails, fits

MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"
converse = functools.partial(certifies, "boto3", "bedrock.converse")
TOOLS: Any = {
    "tools": [
        {"toolSpec": {"name": name, "description": name, "inputSchema": {"json": schema}}}
        for name, schema in (("weather", WEATHER), ("clock", CLOCK))
    ]
}
THINK: Any = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
# What Bedrock sends and its description has not.
UNDESCRIBED = {"cacheReadInputTokenCount", "cacheWriteInputTokenCount", "serverToolUsage", "p"}


@functools.cache
def session() -> Any:
    import boto3

    return boto3.Session(aws_secret_access_key="secret", aws_access_key_id=KEY, region_name="us-east-1")


def client(url: str, key: str = KEY) -> Any:
    from botocore.config import Config

    return session().client(
        "bedrock-runtime",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True),
    )


def question(text: str = "Hi", **options: Any) -> dict[str, Any]:
    return {"modelId": MODEL, "messages": [{"role": "user", "content": [{"text": text}]}], **options}


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    return client(ground.url("bedrock")).converse(**question(text, **options))


def streamed(ground: Ground, text: str = "Hi", **options: Any) -> list[dict[str, Any]]:
    return list(client(ground.url("bedrock")).converse_stream(**question(text, **options))["stream"])


def undescribed(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """Give what the service description has no member for."""
    if shape.type_name == "structure" and isinstance(value, dict) and not shape.metadata.get("document"):
        for name, item in value.items():
            if name not in shape.members:
                yield f"{path}.{name}"
            else:
                yield from undescribed(shape.members[name], item, f"{path}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from undescribed(shape.member, item, f"{path}[]")


@converse("whole", "stream")
def strict(ground: Ground) -> None:
    from botocore.eventstream import EventStreamBuffer

    bedrock = client(ground.url("bedrock"))
    kept: list[Any] = []
    bedrock.meta.events.register("after-call", lambda http_response, **_: kept.append(http_response))
    service = bedrock.meta.service_model
    described = service.operation_model("Converse").output_shape
    events = service.operation_model("ConverseStream").output_shape.members["stream"]
    for asked in (question(), question("call", toolConfig=TOOLS), question(additionalModelRequestFields=THINK)):
        bedrock.converse(**asked)
        raw = json.loads(kept.pop().content)
        assert {path.rpartition(".")[2] for path in undescribed(described, raw)} <= UNDESCRIBED
        reply = bedrock.converse_stream(**asked)
        buffer = EventStreamBuffer()
        buffer.add_data(b"".join(kept.pop().raw.stream()))
        reply["stream"].close()
        for event in buffer:
            name = event.headers[":event-type"]
            payload = json.loads(event.payload)
            found = undescribed(events.members[name], payload)
            assert {path.rpartition(".")[2] for path in found} <= UNDESCRIBED


@converse("whole", "usage")
def whole(ground: Ground) -> None:
    said = ask(ground, system=[{"text": "Be brief."}])
    assert said["output"]["message"] == {"role": "assistant", "content": [{"text": TEXT}]}
    assert said["stopReason"] == "end_turn"
    usage = said["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]
    assert said["ResponseMetadata"]["RequestId"]


@converse("stream")
def stream(ground: Ground) -> None:
    events = streamed(ground)
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e) == TEXT
    assert [next(iter(e)) for e in events][-2:] == ["messageStop", "metadata"]
    whole, flowing = ask(ground)["usage"], events[-1]["metadata"]["usage"]
    assert flowing == {name: whole[name] for name in flowing}
    assert flowing["totalTokens"] > 0


@converse("tools", "streamed tools")
def tools(ground: Ground) -> None:
    said = ask(ground, "call", toolConfig=TOOLS)
    message = said["output"]["message"]
    calls = [block["toolUse"] for block in message["content"][1:]]
    assert (message["content"][0]["text"], said["stopReason"]) == (PLAN, "tool_use")
    assert [(c["name"], c["input"]) for c in calls] == list(CALLS)
    given = [{"toolResult": {"toolUseId": c["toolUseId"], "content": [{"text": "ok"}]}} for c in calls]
    asked = [*question("call")["messages"], message, {"role": "user", "content": given}]
    again = ask(ground, messages=asked, toolConfig=TOOLS)["output"]["message"]["content"]
    assert again == [{"text": "The tools said: ok & ok"}]
    written: dict[int, str] = {}
    for event in streamed(ground, "call", toolConfig=TOOLS):
        if "toolUse" in (delta := event.get("contentBlockDelta", {"delta": {}}))["delta"]:
            index = delta["contentBlockIndex"]
            written[index] = written.get(index, "") + delta["delta"]["toolUse"]["input"]
    assert [json.loads(text) for _, text in sorted(written.items())] == [arguments for _, arguments in CALLS]


@converse("thinking", "thought signatures")
def thinking(ground: Ground) -> None:
    from botocore.exceptions import ClientError

    message = ask(ground, additionalModelRequestFields=THINK)["output"]["message"]
    shown = message["content"][0]["reasoningContent"]["reasoningText"]
    deltas = [
        e["contentBlockDelta"]["delta"]["reasoningContent"]
        for e in streamed(ground, additionalModelRequestFields=THINK)
        if "reasoningContent" in e.get("contentBlockDelta", {"delta": {}})["delta"]
    ]
    assert "".join(d.get("text", "") for d in deltas) == shown["text"]
    assert deltas[-1]["signature"] == shown["signature"]
    more = {"role": "user", "content": [{"text": "More"}]}
    assert ask(ground, messages=[*question()["messages"], message, more])["stopReason"] == "end_turn"
    shown["text"] += "!"
    caught = fails(ClientError, lambda: ask(ground, messages=[*question()["messages"], message, more]))
    assert "signature" in caught.response["Error"]["Message"]


@converse("structured output", "length", "stop sequences")
def options(ground: Ground) -> None:
    schema = {"jsonSchema": {"schema": json.dumps(PERSON), "name": "person"}}
    form = {"textFormat": {"type": "json_schema", "structure": schema}}
    fits(ask(ground, outputConfig=form)["output"]["message"]["content"][0]["text"])
    short = ask(ground, inferenceConfig={"maxTokens": 3})
    assert (short["stopReason"], short["usage"]["outputTokens"]) == ("max_tokens", 3)
    stopped = ask(ground, inferenceConfig={"stopSequences": ["Second"]})
    assert stopped["stopReason"] == "stop_sequence"
    assert stopped["output"]["message"]["content"][0]["text"] == TEXT.partition("Second")[0]


@converse("count tokens")
def counted(ground: Ground) -> None:
    bedrock = client(ground.url("bedrock"))
    found = bedrock.count_tokens(modelId=MODEL, input={"converse": {"messages": question()["messages"]}})
    assert found["inputTokens"] == ask(ground)["usage"]["inputTokens"]


@converse("errors")
def errors(ground: Ground) -> None:
    from botocore.exceptions import ClientError

    bedrock = client(ground.url("bedrock"))
    cases = [
        ("fail rate_limit", bedrock.exceptions.ThrottlingException, 429),
        ("fail permission", bedrock.exceptions.AccessDeniedException, 403),
        ("fail server", bedrock.exceptions.InternalServerException, 500),
        ("fail unavailable", bedrock.exceptions.ServiceUnavailableException, 503),
        ("fail context_length", bedrock.exceptions.ValidationException, 400),
    ]
    for text, error, status in cases:
        caught = fails(error, functools.partial(bedrock.converse, **question(text)))
        assert caught.response["ResponseMetadata"]["HTTPStatusCode"] == status
        assert caught.response["Error"]["Message"]
    limited = fails(ClientError, lambda: bedrock.converse_stream(**question("fail rate_limit")))
    assert limited.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "2"
    unknown = fails(bedrock.exceptions.ValidationException, lambda: ask(ground, modelId="nope"))
    assert "model identifier is invalid" in unknown.response["Error"]["Message"]
    roles = fails(bedrock.exceptions.ValidationException, lambda: ask(ground, messages=question()["messages"] * 2))
    assert "alternate" in roles.response["Error"]["Message"]
    stranger = client(ground.url("bedrock"), "wrong")
    caught = fails(ClientError, lambda: stranger.converse(**question()))
    assert caught.response["Error"]["Code"] == "UnrecognizedClientException"


@converse("error in a stream")
def broken(ground: Ground) -> None:
    from botocore.exceptions import EventStreamError

    bedrock = client(ground.broken.base_urls["bedrock"])
    caught = fails(EventStreamError, lambda: list(bedrock.converse_stream(**question())["stream"]))
    assert caught.response["Error"]["Code"] == "serviceUnavailableException"
