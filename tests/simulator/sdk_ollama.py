"""The ollama package; what it is sent is validated against its types besides."""

from __future__ import annotations

import functools
import json
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, fails, fits, holds, posted

MODEL = "qwen3:4b"
ollama_chat = functools.partial(certifies, "ollama", "ollama.chat")
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in (("weather", WEATHER), ("clock", CLOCK))
]


def client(url: str, key: str = KEY) -> Any:
    from ollama import Client

    return Client(url, headers={"authorization": f"Bearer {key}"})


def question(text: str = "Hi", **options: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **options}


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    return client(ground.url("ollama")).chat(**question(text, **options))


def streamed(ground: Ground, text: str = "Hi", **options: Any) -> list[Any]:
    return list(client(ground.url("ollama")).chat(**question(text, **options), stream=True))


@ollama_chat("whole", "stream")
def strict(ground: Ground) -> None:
    from ollama import ChatResponse

    for body in (question(), question("call", tools=TOOLS), question(think=True)):
        lines = posted(ground.url("ollama") + "/api/chat", body).text.splitlines()
        lines += posted(ground.url("ollama") + "/api/chat", {**body, "stream": False}).text.splitlines()
        for line in lines:
            raw = json.loads(line)
            for call in raw["message"].get("tool_calls", ()):
                # Ollama sends both; the package has no field for them.
                assert (call.pop("id").startswith("call_"), call["function"].pop("index") in (0, 1)) == (True, True)
            holds(ChatResponse, raw)


@ollama_chat("whole", "usage")
def whole(ground: Ground) -> None:
    said = ask(ground)
    assert (said.message.content, said.done, said.done_reason) == (TEXT, True, "stop")
    assert said.prompt_eval_count > 0
    assert said.total_duration >= said.load_duration + said.prompt_eval_duration + said.eval_duration


@ollama_chat("stream")
def stream(ground: Ground) -> None:
    lines = streamed(ground)
    assert "".join(line.message.content for line in lines) == TEXT
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1].eval_count == ask(ground).eval_count


@ollama_chat("tools", "streamed tools")
def tools(ground: Ground) -> None:
    said = ask(ground, "call", tools=TOOLS).message
    assert said.content == PLAN
    assert [(c.function.name, c.function.arguments) for c in said.tool_calls] == list(CALLS)
    given = [{"role": "tool", "tool_name": c.function.name, "content": "ok"} for c in said.tool_calls]
    asked = [{"role": "user", "content": "call"}, said, *given]
    assert ask(ground, messages=asked, tools=TOOLS).message.content == "The tools said: ok"
    calls = [c for line in streamed(ground, "call", tools=TOOLS) for c in line.message.tool_calls or ()]
    assert [(c.function.name, c.function.arguments) for c in calls] == list(CALLS)


@ollama_chat("thinking")
def thinking(ground: Ground) -> None:
    said, lines = ask(ground, think=True).message, streamed(ground, think=True)
    assert said.thinking
    assert "".join(line.message.thinking or "" for line in lines) == said.thinking
    assert "".join(line.message.content for line in lines) == said.content == TEXT


@ollama_chat("structured output", "length", "stop sequences")
def options(ground: Ground) -> None:
    fits(ask(ground, format=PERSON).message.content)
    assert isinstance(json.loads(ask(ground, format="json").message.content), dict)
    short = ask(ground, options={"num_predict": 3})
    assert (short.done_reason, short.eval_count) == ("length", 3)
    assert ask(ground, options={"stop": ["Second"]}).message.content == TEXT.partition("Second")[0]


@ollama_chat("embeddings", "models", "generate")
def others(ground: Ground) -> None:
    from ollama import EmbedResponse, ListResponse, ShowResponse

    ollama = client(ground.url("ollama"))
    found = ollama.embed("nomic-embed-text", ["a", "b"], dimensions=64)
    assert isinstance(found, EmbedResponse)
    assert [len(one) for one in found.embeddings] == [64, 64]
    listed, shown = ollama.list(), ollama.show(MODEL)
    assert isinstance(listed, ListResponse)
    assert MODEL in [model.model for model in listed.models]
    assert isinstance(shown, ShowResponse)
    assert "tools" in shown.capabilities
    assert MODEL in [model.model for model in ollama.ps().models]
    written = ollama.generate(MODEL, "Hi", system="Be brief.")
    assert (written.response, written.done) == (TEXT, True)
    assert "".join(line.response for line in ollama.generate(MODEL, "Hi", stream=True)) == TEXT


@ollama_chat("errors")
def errors(ground: Ground) -> None:
    from ollama import ResponseError

    for text, status in (("rate_limit", 429), ("server", 500), ("overloaded", 503), ("permission", 403)):
        caught = fails(ResponseError, functools.partial(ask, ground, f"fail {text}"))
        assert caught.status_code == status
        assert caught.error
        assert fails(ResponseError, functools.partial(streamed, ground, f"fail {text}")).status_code == status
    assert fails(ResponseError, lambda: ask(ground, model="nope")).error == "model 'nope' not found"
    assert "invalid think value" in fails(ResponseError, lambda: ask(ground, think="very")).error
    stranger = client(ground.url("ollama"), "wrong")
    assert fails(ResponseError, lambda: stranger.chat(**question())).error == "unauthorized"


@ollama_chat("error in a stream")
def broken(ground: Ground) -> None:
    from ollama import ResponseError

    ollama = client(ground.broken.base_urls["ollama"])
    assert "busy" in fails(ResponseError, lambda: list(ollama.chat(**question(), stream=True))).error
