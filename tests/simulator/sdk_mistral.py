"""The mistralai package; what it is sent is validated against its types besides."""

from __future__ import annotations

import functools
import json
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, TEXT, WEATHER, Ground, certifies, fails, fits, holds, posted

MODEL = "mistral-small-latest"
mistral_chat = functools.partial(certifies, "mistralai", "mistral.chat")
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in (("weather", WEATHER), ("clock", CLOCK))
]


def client(url: str, key: str = KEY) -> Any:
    from mistralai.client import Mistral

    return Mistral(api_key=key, server_url=url)


def question(text: str = "Hi", **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **options}


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    with client(ground.url("mistral")) as mistral:
        return mistral.chat.complete(**question(text, **options))


def streamed(ground: Ground, text: str = "Hi", **options: Any) -> list[Any]:
    with client(ground.url("mistral")) as mistral:
        return [event.data for event in mistral.chat.stream(**question(text, **options))]


@mistral_chat("whole", "stream")
def strict(ground: Ground) -> None:
    from mistralai.client.models import ChatCompletionResponse, CompletionChunk

    url = ground.url("mistral") + "/v1/chat/completions"
    for body in (question(), question("call", tools=TOOLS), question(reasoning_effort="high")):
        # Mistral sends the details; the package has no field for them.
        holds(ChatCompletionResponse, posted(url, body).json(), "prompt_tokens_details")
        lines = [
            line.removeprefix("data: ") for line in posted(url, {**body, "stream": True}).text.splitlines() if line
        ]
        assert lines.pop() == "[DONE]"
        for line in lines:
            holds(CompletionChunk, json.loads(line), "prompt_tokens_details")


@mistral_chat("whole", "usage")
def whole(ground: Ground) -> None:
    said = ask(ground)
    assert (said.choices[0].message.content, said.choices[0].finish_reason) == (TEXT, "stop")
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


@mistral_chat("stream")
def stream(ground: Ground) -> None:
    chunks = streamed(ground)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == TEXT
    assert chunks[-1].usage.total_tokens == ask(ground).usage.total_tokens


@mistral_chat("tools", "streamed tools")
def tools(ground: Ground) -> None:
    said = ask(ground, "call", tools=TOOLS).choices[0]
    calls = said.message.tool_calls
    assert said.finish_reason == "tool_calls"
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == list(CALLS)
    given = [{"role": "tool", "tool_call_id": c.id, "content": "ok"} for c in calls]
    asked = [{"role": "user", "content": "call"}, said.message, *given]
    assert ask(ground, messages=asked, tools=TOOLS).choices[0].message.content == "The tools said: ok"
    flowing = [c for chunk in streamed(ground, "call", tools=TOOLS) for c in chunk.choices[0].delta.tool_calls or ()]
    assert [(c.id, c.function.arguments) for c in flowing] == [(c.id, c.function.arguments) for c in calls]


@mistral_chat("thinking")
def thinking(ground: Ground) -> None:
    said = ask(ground, reasoning_effort="high").choices[0].message.content
    assert [part.type for part in said] == ["thinking", "text"]
    deltas = [c.choices[0].delta.content for c in streamed(ground, reasoning_effort="high")]
    shown = "".join(part.thinking[0].text for delta in deltas if isinstance(delta, list) for part in delta)
    assert shown == said[0].thinking[0].text
    assert "".join(delta for delta in deltas if isinstance(delta, str)) == said[1].text == TEXT


@mistral_chat("structured output", "length", "stop sequences", "choices")
def options(ground: Ground) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    fits(ask(ground, response_format=schema).choices[0].message.content)
    short = ask(ground, max_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)
    assert ask(ground, stop=["Second"]).choices[0].message.content == TEXT.partition("Second")[0]
    assert [c.index for c in ask(ground, n=2).choices] == [0, 1]


@mistral_chat("embeddings", "models")
def others(ground: Ground) -> None:
    with client(ground.url("mistral")) as mistral:
        found = mistral.embeddings.create(model="mistral-embed", inputs=["a", "b"], output_dimension=64)
        assert [len(one.embedding) for one in found.data] == [64, 64]
        assert MODEL in [model.id for model in mistral.models.list().data]
        assert mistral.models.retrieve(model_id=MODEL).capabilities.completion_chat


@mistral_chat("error in a stream")
def broken(ground: Ground) -> None:
    from mistralai.client.errors import ResponseValidationError

    def read() -> None:
        with client(ground.broken.base_urls["mistral"]) as mistral:
            list(mistral.chat.stream(**question()))

    # The package has no type for it, and says so with what it was sent.
    assert "capacity" in fails(ResponseValidationError, read).body


@mistral_chat("errors")
def errors(ground: Ground) -> None:
    from mistralai.client.errors import HTTPValidationError, SDKError

    for text, status in (("rate_limit", 429), ("server", 500), ("unavailable", 503), ("permission", 403)):
        caught = fails(SDKError, functools.partial(ask, ground, f"fail {text}"))
        assert caught.status_code == status
        assert json.loads(caught.body)["object"] == "error"
    assert fails(SDKError, lambda: ask(ground, "fail rate_limit")).headers["retry-after"] == "2"
    assert json.loads(fails(SDKError, lambda: ask(ground, model="nope")).body)["type"] == "invalid_model"
    assert fails((HTTPValidationError, SDKError), lambda: ask(ground, messages=[])).status_code == 422  # type: ignore[arg-type]
    with client(ground.url("mistral"), "wrong") as stranger:
        caught = fails(SDKError, lambda: stranger.chat.complete(**question()))
        assert (caught.status_code, json.loads(caught.body)) == (401, {"detail": "Invalid API Key"})
