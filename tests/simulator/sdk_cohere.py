"""The cohere package, version 2 of the API; what it is sent is validated against its types besides."""

from __future__ import annotations

import functools
import json
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, fails, fits, holds, posted

MODEL = "command-a-03-2025"
cohere_v2 = functools.partial(certifies, "cohere", "cohere.chat")
# What Cohere sends with a message's start; the package has no fields for it.
UNDESCRIBED = ("content", "tool_plan", "tool_calls", "citations")
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in (("weather", WEATHER), ("clock", CLOCK))
]


def client(url: str, key: str = KEY) -> Any:
    import cohere

    return cohere.ClientV2(key, base_url=url, max_retries=0)


def question(text: str = "Hi", **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **options}


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    return client(ground.url("cohere")).chat(**question(text, **options))


def streamed(ground: Ground, text: str = "Hi", **options: Any) -> list[Any]:
    return list(client(ground.url("cohere")).chat_stream(**question(text, **options)))


@cohere_v2("whole", "stream")
def strict(ground: Ground) -> None:
    from typing import get_args

    from cohere import V2ChatResponse, V2ChatStreamResponse

    events = {t.model_fields["type"].default: t for t in get_args(get_args(V2ChatStreamResponse)[0])}

    bodies = [question(), question("call", tools=TOOLS), question(thinking={"type": "enabled"})]
    for body in bodies:
        holds(V2ChatResponse, posted(ground.url("cohere") + "/v2/chat", body).json(), "reasoning_tokens")
        reply = posted(ground.url("cohere") + "/v2/chat", {**body, "stream": True})
        lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        for line in lines:
            event = json.loads(line)
            holds(
                events[event["type"]],
                event,
                *(UNDESCRIBED if event["type"] == "message-start" else ["reasoning_tokens"]),
            )


@cohere_v2("whole", "usage")
def whole(ground: Ground) -> None:
    said = ask(ground)
    assert (said.message.content[0].text, said.finish_reason) == (TEXT, "COMPLETE")
    assert said.usage.tokens.input_tokens > 0
    assert said.usage.billed_units.output_tokens == said.usage.tokens.output_tokens > 0


@cohere_v2("stream")
def stream(ground: Ground) -> None:
    events = streamed(ground)
    assert [events[0].type, events[-1].type] == ["message-start", "message-end"]
    assert "".join(e.delta.message.content.text for e in events if e.type == "content-delta") == TEXT
    assert events[-1].delta.usage == ask(ground).usage


@cohere_v2("tools", "streamed tools")
def tools(ground: Ground) -> None:
    said = ask(ground, "call", tools=TOOLS)
    calls = said.message.tool_calls
    assert (said.message.tool_plan, said.finish_reason) == (PLAN, "TOOL_CALL")
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == list(CALLS)
    given = [{"role": "tool", "tool_call_id": c.id, "content": "ok"} for c in calls]
    asked = [{"role": "user", "content": "call"}, said.message, *given]
    assert ask(ground, messages=asked, tools=TOOLS).message.content[0].text == "The tools said: ok"
    events = streamed(ground, "call", tools=TOOLS)
    assert "".join(e.delta.message.tool_plan for e in events if e.type == "tool-plan-delta") == PLAN
    starts = [e.delta.message.tool_calls for e in events if e.type == "tool-call-start"]
    assert [(s.id, s.function.name) for s in starts] == [(c.id, c.function.name) for c in calls]
    written = [
        "".join(
            e.delta.message.tool_calls.function.arguments
            for e in events
            if e.type == "tool-call-delta" and e.index == i
        )
        for i in range(len(calls))
    ]
    assert written == [c.function.arguments for c in calls]


@cohere_v2("thinking")
def thinking(ground: Ground) -> None:
    said = ask(ground, thinking={"type": "enabled"}).message.content
    assert [part.type for part in said] == ["thinking", "text"]
    events = streamed(ground, thinking={"type": "enabled"})
    shown = "".join(e.delta.message.content.thinking or "" for e in events if e.type == "content-delta")
    assert shown == said[0].thinking


@cohere_v2("structured output", "length", "stop sequences")
def options(ground: Ground) -> None:
    said = ask(ground, response_format={"type": "json_object", "json_schema": PERSON})
    fits(said.message.content[0].text)
    short = ask(ground, max_tokens=3)
    assert (short.finish_reason, short.usage.tokens.output_tokens) == ("MAX_TOKENS", 3)
    stopped = ask(ground, stop_sequences=["Second"])
    assert (stopped.finish_reason, stopped.message.content[0].text) == ("STOP_SEQUENCE", TEXT.partition("Second")[0])


@cohere_v2("embeddings", "models", "count tokens")
def others(ground: Ground) -> None:
    cohere = client(ground.url("cohere"))
    found = cohere.embed(
        model="embed-v4.0",
        texts=["a", "b"],
        input_type="search_document",
        embedding_types=["float", "int8"],
        output_dimension=256,
    )
    assert [len(one) for one in found.embeddings.float_] == [256, 256]
    assert [len(one) for one in found.embeddings.int8] == [256, 256]
    assert MODEL in [model.name for model in cohere.models.list().models]
    assert cohere.models.get(MODEL).endpoints == ["chat"]
    tokens = cohere.tokenize(text="Hello there", model=MODEL, offline=False)
    assert "".join(tokens.token_strings) == "Hello there"
    assert len(tokens.tokens) == len(tokens.token_strings)


@cohere_v2("errors")
def errors(ground: Ground) -> None:
    import cohere

    cases: Any = [
        ("fail rate_limit", cohere.TooManyRequestsError, 429),
        ("fail permission", cohere.ForbiddenError, 403),
        ("fail server", cohere.InternalServerError, 500),
        ("fail unavailable", cohere.ServiceUnavailableError, 503),
        ("fail context_length", cohere.BadRequestError, 400),
    ]
    for text, error, status in cases:
        caught = fails(error, functools.partial(ask, ground, text))
        assert caught.status_code == status
        assert caught.body["message"]
        assert caught.body["id"]
    assert fails(cohere.TooManyRequestsError, lambda: streamed(ground, "fail rate_limit")).headers["retry-after"] == "2"
    assert "nope" in fails(cohere.NotFoundError, lambda: ask(ground, model="nope")).body["message"]
    assert fails(cohere.BadRequestError, lambda: ask(ground, messages=[])).body["message"]
    stranger = client(ground.url("cohere"), "wrong")
    assert fails(cohere.UnauthorizedError, lambda: stranger.chat(**question())).body["message"]


@cohere_v2("error in a stream")
def broken(ground: Ground) -> None:
    events = list(client(ground.broken.base_urls["cohere"]).chat_stream(**question()))
    assert (events[-1].type, events[-1].delta.finish_reason) == ("message-end", "ERROR")
    assert events[-1].delta.error
