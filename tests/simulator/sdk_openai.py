"""The openai package, with every reply validated against its types."""

from __future__ import annotations

import functools
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, exact, fails, fits

CHAT, RESPONSES, EMBEDDINGS = "openai.chat", "openai.responses", "openai.embeddings"
MODEL = "gpt-5-mini"
chat = functools.partial(certifies, "openai", CHAT)
responses = functools.partial(certifies, "openai", RESPONSES)
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": schema, "strict": True}}
    for name, schema in (("weather", WEATHER), ("clock", CLOCK))
]
FLAT: Any = [{"type": "function", **tool["function"]} for tool in TOOLS]


def client(url: str, key: str = KEY) -> Any:
    from openai import OpenAI

    return OpenAI(api_key=key, base_url=url, max_retries=0, _strict_response_validation=True)


def ask(ground: Ground, text: str = "Hi", **options: Any) -> Any:
    with client(ground.url("openai")) as openai:
        return openai.chat.completions.create(
            **{"model": MODEL, "messages": [{"role": "user", "content": text}], **options}
        )


@chat("whole", "usage")
def whole(ground: Ground) -> None:
    said = exact(ask(ground))
    assert said.choices[0].message.content == TEXT
    assert (said.choices[0].finish_reason, said.model, said.object) == ("stop", MODEL, "chat.completion")
    assert said.usage.prompt_tokens > 0
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens


@chat("stream")
def stream(ground: Ground) -> None:
    with client(ground.url("openai")) as openai:
        chunks = list(
            openai.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": "Hi"}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    exact(chunks)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert chunks[-1].usage == ask(ground).usage
    assert len({c.id for c in chunks}) == 1


@chat("tools")
def tools(ground: Ground) -> None:
    message = exact(ask(ground, "call", tools=TOOLS)).choices[0].message
    assert message.content == PLAN
    assert [c.function.name for c in message.tool_calls] == [name for name, _ in CALLS]
    given = [{"role": "tool", "tool_call_id": c.id, "content": "ok"} for c in message.tool_calls]
    asked = [{"role": "user", "content": "call"}, message, *given]
    assert ask(ground, messages=asked, tools=TOOLS).choices[0].message.content == "The tools said: ok"


@chat("streamed tools", "structured output")
def helper_stream(ground: Ground) -> None:
    with client(ground.url("openai")) as openai:
        question: Any = [{"role": "user", "content": "call"}]
        with openai.chat.completions.stream(model=MODEL, messages=question, tools=TOOLS) as events:
            for _ in events:
                pass
            calls = events.get_final_completion().choices[0].message.tool_calls
        assert [(c.function.name, c.function.parsed_arguments) for c in calls] == list(CALLS)
    schema = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    fits(ask(ground, response_format=schema).choices[0].message.content)


@chat("thinking")
def thinking(ground: Ground) -> None:
    said = exact(ask(ground, reasoning_effort="low"), "reasoning_content")
    assert said.choices[0].message.reasoning_content
    assert said.usage.completion_tokens_details.reasoning_tokens > 0


@chat("length", "stop sequences", "choices")
def limits(ground: Ground) -> None:
    short = ask(ground, max_completion_tokens=3)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 3)
    stopped = ask(ground, stop=["Second"]).choices[0]
    assert (stopped.finish_reason, stopped.message.content) == ("stop", TEXT.partition("Second")[0])
    assert [c.index for c in exact(ask(ground, n=3)).choices] == [0, 1, 2]


@chat("errors")
def errors(ground: Ground) -> None:
    import openai

    cases: Any = [
        ("fail rate_limit", openai.RateLimitError, 429),
        ("fail quota", openai.RateLimitError, 429),
        ("fail permission", openai.PermissionDeniedError, 403),
        ("fail server", openai.InternalServerError, 500),
        ("fail overloaded", openai.InternalServerError, 503),
    ]
    for text, error, status in cases:
        caught = fails(error, functools.partial(ask, ground, text))
        assert caught.status_code == status
        assert caught.body["message"]
        assert caught.request_id.startswith("req_")
    limited = fails(openai.RateLimitError, lambda: ask(ground, "fail rate_limit"))
    assert (limited.code, limited.response.headers["retry-after"]) == ("rate_limit_exceeded", "2")
    assert limited.response.headers["retry-after-ms"] == "2000"
    unknown = fails(openai.NotFoundError, lambda: ask(ground, model="nope"))
    assert unknown.code == "model_not_found"
    assert "messages" in fails(openai.BadRequestError, lambda: ask(ground, messages=[])).message
    with client(ground.url("openai"), "wrong") as stranger:
        assert fails(openai.AuthenticationError, lambda: stranger.models.list()).code == "invalid_api_key"


@chat("error in a stream")
def broken(ground: Ground) -> None:
    import openai

    with client(ground.broken.base_urls["openai"]) as broken:
        events = broken.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True)
        assert fails(openai.APIError, lambda: list(events)).message


# -- responses


def known(value: Any) -> Any:
    """Check every field, but for those that OpenAI sends and its types have not."""
    return exact(value, "frequency_penalty", "presence_penalty", "store")


def respond(ground: Ground, asked: Any = "Hi", **options: Any) -> Any:
    with client(ground.url("openai")) as openai:
        return openai.responses.create(**{"model": MODEL, "input": asked, **options})


@responses("whole", "usage")
def response(ground: Ground) -> None:
    said = known(respond(ground))
    assert (said.output_text, said.status) == (TEXT, "completed")
    assert said.usage.total_tokens == said.usage.input_tokens + said.usage.output_tokens


@responses("stream", "streamed tools")
def response_stream(ground: Ground) -> None:
    with client(ground.url("openai")) as openai:
        with openai.responses.stream(model=MODEL, input="Hi") as events:
            seen = known(list(events))
            final = events.get_final_response()
        assert "".join(e.delta for e in seen if e.type == "response.output_text.delta") == TEXT == final.output_text
        assert [e.sequence_number for e in seen if hasattr(e, "sequence_number")] == sorted(
            e.sequence_number for e in seen if hasattr(e, "sequence_number")
        )
        with openai.responses.stream(model=MODEL, input="call", tools=FLAT) as events:
            known(list(events))
            calls = [item for item in events.get_final_response().output if item.type == "function_call"]
    assert [(c.name, c.parsed_arguments) for c in calls] == list(CALLS)


@responses("tools")
def response_tools(ground: Ground) -> None:
    said = known(respond(ground, "call", tools=FLAT))
    calls = [item for item in said.output if item.type == "function_call"]
    assert [c.name for c in calls] == [name for name, _ in CALLS]
    given = [{"type": "function_call_output", "call_id": c.call_id, "output": "ok"} for c in calls]
    asked = [{"role": "user", "content": "call"}, *said.output, *given]
    assert "The tools said: " in respond(ground, asked, tools=FLAT).output_text


@responses("structured output", "thinking", "length")
def response_options(ground: Ground) -> None:
    form = {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}
    fits(known(respond(ground, text={"format": form})).output_text)
    thought = known(respond(ground, reasoning={"effort": "low", "summary": "auto"}))
    assert next(item for item in thought.output if item.type == "reasoning").summary[0].text
    assert thought.usage.output_tokens_details.reasoning_tokens > 0
    short = known(respond(ground, max_output_tokens=3))
    assert (short.status, short.incomplete_details.reason) == ("incomplete", "max_output_tokens")


@responses("errors")
def response_errors(ground: Ground) -> None:
    import openai

    limited = fails(openai.RateLimitError, lambda: respond(ground, "fail rate_limit"))
    assert limited.response.headers["retry-after"] == "2"
    assert fails(openai.BadRequestError, lambda: respond(ground, model="nope")).code == "model_not_found"
    assert fails(openai.InternalServerError, lambda: respond(ground, "fail server")).status_code == 500


@responses("error in a stream")
def response_broken(ground: Ground) -> None:
    import openai

    def read() -> None:
        with client(ground.broken.base_urls["openai"]) as broken:
            for event in broken.responses.create(model=MODEL, input="Hi", stream=True):
                if event.type in ("response.failed", "error"):
                    raise openai.APIError(str(event), broken._base_url, body=None)  # type: ignore[arg-type]

    assert "overloaded" in str(fails(openai.APIError, read)).lower()


@certifies("openai", EMBEDDINGS, "embeddings", "models")
def embeddings(ground: Ground) -> None:
    with client(ground.url("openai")) as openai:
        asked: Any = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 8}
        plain = exact(openai.embeddings.create(**asked, encoding_format="float"))
        assert [len(one.embedding) for one in plain.data] == [8, 8]
        # Unasked, the SDK asks for base64 and unpacks it, which its own strict types then refuse.
        openai._strict_response_validation = False
        packed = openai.embeddings.create(**asked)
        assert [[round(x, 6) for x in one.embedding] for one in packed.data] == [
            [round(x, 6) for x in one.embedding] for one in plain.data
        ]
        listed = exact(openai.models.list().data)
        assert MODEL in [model.id for model in listed]
        assert exact(openai.models.retrieve(MODEL)).id == MODEL
