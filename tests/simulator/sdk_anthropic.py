"""The anthropic package, with every reply validated against its types."""

from __future__ import annotations

import functools
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, exact, fails, fits

MODEL = "claude-sonnet-4-5"
messages = functools.partial(certifies, "anthropic", "anthropic.messages")
TOOLS: Any = [{"name": "weather", "input_schema": WEATHER}, {"name": "clock", "input_schema": CLOCK}]
THINK: Any = {"type": "enabled", "budget_tokens": 1024}


def client(url: str, key: str = KEY) -> Any:
    from anthropic import Anthropic

    return Anthropic(api_key=key, base_url=url, max_retries=0, _strict_response_validation=True)


def question(text: str = "Hi", **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 4096, "messages": [{"role": "user", "content": text}], **options}


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    with client(ground.url("anthropic")) as anthropic:
        return anthropic.messages.create(**question(text, **options))


def streamed(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    with client(ground.url("anthropic")) as anthropic, anthropic.messages.stream(**question(text, **options)) as events:
        exact(list(events))
        return events.get_final_message()


def plain(message: Any) -> Any:
    """What two answers to one question share: calls have the same ids, messages have not."""
    return message.content, message.stop_reason, message.usage.input_tokens, message.usage.output_tokens


@messages("whole", "usage")
def whole(ground: Ground) -> None:
    said = exact(ask(ground))
    assert (said.content[0].text, said.stop_reason) == (TEXT, "end_turn")
    assert said.usage.input_tokens > 0
    assert said.usage.output_tokens > 0


@messages("stream", "streamed tools")
def stream(ground: Ground) -> None:
    whole = ask(ground)
    assert plain(streamed(ground))[1:] == plain(whole)[1:]
    assert streamed(ground).content[0].text == TEXT
    calls = [block for block in streamed(ground, "call", tools=TOOLS).content if block.type == "tool_use"]
    assert [(c.name, c.input) for c in calls] == list(CALLS)


@messages("tools")
def tools(ground: Ground) -> None:
    said = exact(ask(ground, "call", tools=TOOLS))
    assert (said.content[0].text, said.stop_reason) == (PLAN, "tool_use")
    calls = said.content[1:]
    assert [(c.name, c.input) for c in calls] == list(CALLS)
    given = [{"type": "tool_result", "tool_use_id": c.id, "content": "ok"} for c in calls]
    asked = [
        {"role": "user", "content": "call"},
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": given},
    ]
    assert ask(ground, messages=asked, tools=TOOLS).content[0].text == "The tools said: ok & ok"


@messages("thinking", "thought signatures")
def thinking(ground: Ground) -> None:
    import anthropic

    said, flowing = exact(ask(ground, thinking=THINK)), streamed(ground, thinking=THINK)
    assert [block.type for block in said.content] == ["thinking", "text"] == [b.type for b in flowing.content]
    assert said.content[0].thinking == flowing.content[0].thinking
    assert said.content[0].signature == flowing.content[0].signature
    again = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": said.content},
        {"role": "user", "content": "More"},
    ]
    assert ask(ground, messages=again, thinking=THINK).content[-1].text == TEXT
    said.content[0].signature = said.content[0].signature[:-8] + "AAAAAAA="
    refused = fails(anthropic.BadRequestError, lambda: ask(ground, messages=again, thinking=THINK))
    assert "signature" in refused.message


@messages("structured output", "length", "stop sequences")
def options(ground: Ground) -> None:
    fits(ask(ground, output_config={"format": {"type": "json_schema", "schema": PERSON}}).content[0].text)
    short = ask(ground, max_tokens=3)
    assert (short.stop_reason, short.usage.output_tokens) == ("max_tokens", 3)
    stopped = ask(ground, stop_sequences=["Second"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "Second")


@messages("count tokens", "models")
def counted(ground: Ground) -> None:
    with client(ground.url("anthropic")) as anthropic:
        count = exact(anthropic.messages.count_tokens(model=MODEL, messages=question()["messages"]))
        assert count.input_tokens == ask(ground).usage.input_tokens
        assert MODEL in [model.id for model in exact(list(anthropic.models.list()))]
        assert exact(anthropic.models.retrieve(MODEL)).id == MODEL


@messages("errors")
def errors(ground: Ground) -> None:
    import anthropic

    cases: Any = [
        ("fail rate_limit", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("fail permission", anthropic.PermissionDeniedError, 403, "permission_error"),
        ("fail server", anthropic.InternalServerError, 500, "api_error"),
        ("fail overloaded", anthropic.InternalServerError, 529, "overloaded_error"),
    ]
    for text, error, status, kind in cases:
        caught = fails(error, functools.partial(ask, ground, text))
        assert (caught.status_code, caught.body["error"]["type"]) == (status, kind)
        assert caught.request_id.startswith("req_")
    assert (
        fails(anthropic.RateLimitError, lambda: ask(ground, "fail rate_limit")).response.headers["retry-after"] == "2"
    )
    assert "nope" in fails(anthropic.NotFoundError, lambda: ask(ground, model="nope")).message
    assert fails(anthropic.BadRequestError, lambda: ask(ground, messages=[])).body["error"]["type"] == (
        "invalid_request_error"
    )
    with client(ground.url("anthropic"), "wrong") as stranger:
        caught = fails(anthropic.AuthenticationError, lambda: stranger.messages.create(**question()))
        assert caught.body["error"]["type"] == "authentication_error"


@messages("error in a stream")
def broken(ground: Ground) -> None:
    import anthropic

    def read() -> None:
        with client(ground.broken.base_urls["anthropic"]) as broken, broken.messages.stream(**question()) as events:
            list(events)

    assert "overloaded" in str(fails(anthropic.APIStatusError, read)).lower()
