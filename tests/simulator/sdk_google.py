"""The google-genai package; what it is sent is validated against its types besides, which forbid unknown fields."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, TEXT, WEATHER, Ground, certifies, fails, fits

MODEL, NEWER = "gemini-2.5-flash", "gemini-3-flash-preview"
WIRE = "gemini.generate"
gemini = functools.partial(certifies, "google-genai", WIRE)
TOOLS: Any = [
    {
        "function_declarations": [
            {"name": "weather", "parameters_json_schema": WEATHER},
            {"name": "clock", "parameters_json_schema": CLOCK},
        ]
    }
]


def client(url: str, key: str = KEY) -> Any:
    from google import genai

    return genai.Client(api_key=key, vertexai=False, http_options={"base_url": url})


def ask(ground: Ground, contents: Any = "Hi", model: str = MODEL, key: str = KEY, **config: Any) -> Any:
    with client(ground.url("gemini"), key) as google:
        return google.models.generate_content(model=model, contents=contents, config=config or None)


def streamed(ground: Ground, contents: Any = "Hi", model: str = MODEL, **config: Any) -> list[Any]:
    with client(ground.url("gemini")) as google:
        return list(google.models.generate_content_stream(model=model, contents=contents, config=config or None))


def parts(responses: list[Any]) -> list[Any]:
    return [part for said in responses for part in said.candidates[0].content.parts or ()]


def thoughts(found: list[Any]) -> str:
    return "".join(part.text or "" for part in found if part.thought)


def raw(ground: Ground, form: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the responses as they come: ``whole``, ``sse`` or ``array``."""
    import httpx

    verb, query = ("generateContent", "") if form == "whole" else ("streamGenerateContent", "")
    query = "?alt=sse" if form == "sse" else query
    url = f"{ground.url('gemini')}/v1beta/models/{MODEL}:{verb}{query}"
    reply = httpx.post(url, json=body, headers={"x-goog-api-key": KEY}).raise_for_status()
    if form == "sse":
        assert reply.headers["content-type"] == "text/event-stream"
        return [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line]
    value = reply.json()
    return value if form == "array" else [value]


def bodies() -> Iterator[dict[str, Any]]:
    def said(text: str) -> Any:
        return [{"parts": [{"text": text}]}]

    declared = [{"functionDeclarations": [{"name": "weather"}, {"name": "clock"}]}]
    yield {"contents": said("Hi")}
    yield {"contents": said("call"), "tools": declared}
    yield {"contents": said("Hi"), "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}


@gemini("whole", "stream", "array stream")
def strict(ground: Ground) -> None:
    from google.genai import types

    for body in bodies():
        texts = set[str]()
        for form in ("whole", "sse", "array"):
            found = [types.GenerateContentResponse.model_validate(one) for one in raw(ground, form, body)]
            text = "".join(p.text or "" for p in parts(found) if not p.thought)
            texts.add(json.dumps([text, thoughts(parts(found)), found[-1].usage_metadata.total_token_count]))
            assert found[-1].candidates[0].finish_reason == types.FinishReason.STOP
        assert len(texts) == 1


@gemini("whole", "usage")
def whole(ground: Ground) -> None:
    said = ask(ground)
    assert (said.text, said.model_version) == (TEXT, MODEL)
    usage = said.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count


@gemini("stream")
def stream(ground: Ground) -> None:
    said = streamed(ground)
    assert "".join(one.text or "" for one in said) == TEXT
    assert said[-1].usage_metadata.total_token_count == ask(ground).usage_metadata.total_token_count


@gemini("tools", "streamed tools", "thought signatures")
def tools(ground: Ground) -> None:
    for model in (MODEL, NEWER):
        said = ask(ground, "call", model, tools=TOOLS, automatic_function_calling={"disable": True})
        flowing = streamed(ground, "call", model, tools=TOOLS, automatic_function_calling={"disable": True})
        for found in (said.candidates[0].content.parts, parts(flowing)):
            calls = [part.function_call for part in found if part.function_call]
            assert [(c.name, c.args) for c in calls] == list(CALLS)
            assert "".join(part.text or "" for part in found) == PLAN
        given = [
            {"function_response": {"name": c.name, "id": c.id, "response": {"result": "ok"}}}
            for c in said.function_calls
        ]
        asked = [
            {"role": "user", "parts": [{"text": "call"}]},
            said.candidates[0].content,
            {"role": "user", "parts": given},
        ]
        assert "ok" in ask(ground, asked, model, tools=TOOLS, automatic_function_calling={"disable": True}).text
        if model == NEWER:
            unsigned = said.candidates[0].content.model_copy(deep=True)
            for part in unsigned.parts:
                part.thought_signature = None
            asked[1] = unsigned
            from google.genai import errors

            caught = fails(errors.ClientError, functools.partial(ask, ground, asked, model, tools=TOOLS))
            assert "thought_signature" in caught.message


@gemini("thinking")
def thinking(ground: Ground) -> None:
    config = {"thinking_config": {"include_thoughts": True}}
    said, flowing = ask(ground, **config), streamed(ground, **config)
    thought = thoughts(said.candidates[0].content.parts)
    assert thought
    assert thought == thoughts(parts(flowing))
    assert said.usage_metadata.thoughts_token_count == flowing[-1].usage_metadata.thoughts_token_count > 0
    assert said.text == TEXT
    assert parts(flowing)[-1].thought_signature


@gemini("structured output", "length", "stop sequences", "choices")
def options(ground: Ground) -> None:
    json_form = {"response_mime_type": "application/json"}
    fits(ask(ground, **json_form, response_json_schema=PERSON).text)
    own = {
        "type": "OBJECT",
        "properties": {
            "name": {"type": "STRING"},
            "age": {"type": "INTEGER"},
            "tags": {"type": "ARRAY", "items": {"type": "STRING"}, "min_items": "1"},
        },
        "required": ["name", "age", "tags"],
    }
    fits(ask(ground, **json_form, response_schema=own).text)
    short = ask(ground, max_output_tokens=3)
    assert short.candidates[0].finish_reason.value == "MAX_TOKENS"
    assert short.usage_metadata.candidates_token_count == 3
    assert ask(ground, stop_sequences=["Second"]).text == TEXT.partition("Second")[0]
    assert [c.index for c in ask(ground, candidate_count=2).candidates] == [0, 1]


@gemini("count tokens", "embeddings", "models")
def others(ground: Ground) -> None:
    with client(ground.url("gemini")) as google:
        counted = google.models.count_tokens(model=MODEL, contents="Hi")
        assert counted.total_tokens == ask(ground).usage_metadata.prompt_token_count
        found = google.models.embed_content(
            model="gemini-embedding-001", contents=["a", "b"], config={"output_dimensionality": 16}
        )
        assert [len(one.values) for one in found.embeddings] == [16, 16]
        assert f"models/{MODEL}" in [model.name for model in google.models.list()]
        assert google.models.get(model=MODEL).name == f"models/{MODEL}"


@gemini("errors")
def errors(ground: Ground) -> None:
    from google.genai import errors

    cases: Any = [
        ("fail rate_limit", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("fail permission", errors.ClientError, 403, "PERMISSION_DENIED"),
        ("fail server", errors.ServerError, 500, "INTERNAL"),
        ("fail overloaded", errors.ServerError, 503, "UNAVAILABLE"),
    ]
    for text, error, code, status in cases:
        caught = fails(error, functools.partial(ask, ground, text))
        assert (caught.code, caught.status) == (code, status)
    caught = fails(errors.ClientError, lambda: ask(ground, "fail rate_limit"))
    assert caught.details["error"]["details"][-1]["retryDelay"] == "2s"
    assert fails(errors.ClientError, lambda: ask(ground, model="nope")).status == "NOT_FOUND"
    assert "role" in fails(errors.ClientError, lambda: ask(ground, [{"role": "x", "parts": [{"text": "Hi"}]}])).message
    assert "API key not valid" in fails(errors.ClientError, lambda: ask(ground, key="wrong")).message
    caught = fails(errors.ClientError, lambda: streamed(ground, "fail rate_limit"))
    assert caught.code == 429


@gemini("error in a stream")
def broken(ground: Ground) -> None:
    from google.genai import errors

    def read() -> None:
        with client(ground.broken.base_urls["gemini"]) as google:
            list(google.models.generate_content_stream(model=MODEL, contents="Hi"))

    assert fails(errors.APIError, read).code == 503
