"""One adapter for each client: an async function of a base URL that returns how to ask.

``base`` ends in ``/v1``. Imports are inside, so that a client's environment needs nothing but the client. To add a
client, write its adapter and name what it installs and imports in ``CLIENTS``.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

MODEL = "gpt-4.1-mini"
KEY = "sk-test"
HEADERS = {"authorization": f"Bearer {KEY}"}
MOST = 1000

Complete = Callable[[str], Awaitable[str | None]]
Stream = Callable[[str], AsyncIterator[str]]


class Asked(NamedTuple):
    """A client, ready: whole answers, streamed pieces of text, and how to close it."""

    complete: Complete
    stream: Stream | None = None
    close: Callable[[], Awaitable[Any]] | None = None


class Client(NamedTuple):
    """What to install into a client's environment (nothing: the workspace), what to import, how to make it."""

    installs: str
    imports: str
    make: Callable[[str], Awaitable[Asked]]


def messages(prompt: str) -> list[Any]:
    """Return the prompt as messages."""
    return [{"role": "user", "content": prompt}]


def payload(prompt: str, stream: bool = False) -> dict[str, Any]:
    """Return the request's body."""
    extra = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return {"model": MODEL, "messages": messages(prompt), **extra}


def text_of(line: str) -> str | None:
    """Return the text of a line of a stream."""
    if not line.startswith("data: ") or line.startswith("data: [DONE]"):
        return None
    choices = json.loads(line[6:])["choices"]
    return choices[0]["delta"].get("content") if choices else None


async def floor(base: str) -> Asked:
    """A bare socket."""
    from floor import Floor

    client = Floor(base, MODEL, KEY)
    return Asked(client.complete, client.stream, client.close)


async def lexigram(base: str, *more: Any) -> Asked:
    """Ours, as an application gets it: from the container."""
    from lexigram.ai.llm import ClientConfig, LLMModule
    from lexigram.app import Application
    from lexigram.contracts.ai import LLMClientProtocol

    config = ClientConfig(provider="openai", model=MODEL, api_key=KEY, api_base=base)
    app = Application(modules=[LLMModule.configure(config), *more])
    await app.__aenter__()
    llm = await app.container.resolve(LLMClientProtocol)

    async def complete(prompt: str) -> str:
        return (await llm.complete(messages(prompt))).unwrap().content

    async def stream(prompt: str) -> AsyncIterator[str]:
        async for chunk in llm.stream_chat(messages(prompt)):
            if chunk.delta:
                yield chunk.delta

    async def close() -> None:
        await app.__aexit__(None, None, None)

    return Asked(complete, stream, close)


async def resilient(base: str) -> Asked:
    """The same under a policy: deadline, retries, budget, breaker, limits learnt from the headers."""
    from lexigram.resilience import ResilienceModule

    return await lexigram(base, ResilienceModule.configure())


async def httpx(base: str) -> Asked:
    """Plain httpx, without any client of a provider over it."""
    import httpx

    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=MOST, max_keepalive_connections=MOST), timeout=60)
    url = f"{base}/chat/completions"

    async def complete(prompt: str) -> str:
        reply = await client.post(url, headers=HEADERS, json=payload(prompt))
        reply.raise_for_status()
        return reply.json()["choices"][0]["message"]["content"]

    async def stream(prompt: str) -> AsyncIterator[str]:
        async with client.stream("POST", url, headers=HEADERS, json=payload(prompt, True)) as reply:
            reply.raise_for_status()
            async for line in reply.aiter_lines():
                if text := text_of(line):
                    yield text

    return Asked(complete, stream, client.aclose)


async def aiohttp(base: str) -> Asked:
    """Plain aiohttp."""
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MOST))
    url = f"{base}/chat/completions"

    async def complete(prompt: str) -> str:
        async with session.post(url, headers=HEADERS, json=payload(prompt)) as reply:
            reply.raise_for_status()
            return (await reply.json())["choices"][0]["message"]["content"]

    async def stream(prompt: str) -> AsyncIterator[str]:
        async with session.post(url, headers=HEADERS, json=payload(prompt, True)) as reply:
            reply.raise_for_status()
            async for line in reply.content:
                if text := text_of(line.decode()):
                    yield text

    return Asked(complete, stream, session.close)


async def openai(base: str) -> Asked:
    """OpenAI's SDK."""
    from openai import AsyncOpenAI

    client = AsyncOpenAI(base_url=base, api_key=KEY)
    create = client.chat.completions.create

    async def complete(prompt: str) -> str | None:
        return (await create(model=MODEL, messages=messages(prompt))).choices[0].message.content

    async def stream(prompt: str) -> AsyncIterator[str]:
        asked = create(model=MODEL, messages=messages(prompt), stream=True, stream_options={"include_usage": True})
        async for chunk in await asked:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text

    return Asked(complete, stream, client.close)


async def anthropic(base: str) -> Asked:
    """Anthropic's SDK, on its own wire."""
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(base_url=base.removesuffix("/v1"), api_key=KEY)
    create = client.messages.create

    async def complete(prompt: str) -> str:
        answer: Any = await create(model="claude-sonnet-4-5", max_tokens=100, messages=messages(prompt))
        return answer.content[0].text

    async def stream(prompt: str) -> AsyncIterator[str]:
        events: Any = await create(model="claude-sonnet-4-5", max_tokens=100, messages=messages(prompt), stream=True)
        async for event in events:
            if event.type == "content_block_delta":
                yield event.delta.text

    return Asked(complete, stream, client.close)


async def litellm(base: str) -> Asked:
    """The acompletion of litellm, whose connections belong to the process: closing them would break the next client."""
    import litellm

    litellm.suppress_debug_info = True
    fixed: dict[str, Any] = {"model": f"openai/{MODEL}", "api_base": base, "api_key": KEY}

    async def complete(prompt: str) -> str | None:
        answer: Any = await litellm.acompletion(messages=messages(prompt), **fixed)
        return answer.choices[0].message.content

    async def stream(prompt: str) -> AsyncIterator[str]:
        more = {"stream": True, "stream_options": {"include_usage": True}}
        chunks: Any = await litellm.acompletion(messages=messages(prompt), **fixed, **more)
        async for chunk in chunks:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text

    return Asked(complete, stream)


async def pydantic_ai(base: str) -> Asked:
    """pydantic-ai's direct requests, without an agent."""
    from pydantic_ai.direct import model_request, model_request_stream
    from pydantic_ai.messages import ModelRequest, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=base, api_key=KEY)
    model = OpenAIChatModel(MODEL, provider=provider)

    async def complete(prompt: str) -> str:
        answer = await model_request(model, [ModelRequest.user_text_prompt(prompt)])
        return answer.parts[0].content

    async def stream(prompt: str) -> AsyncIterator[str]:
        async with model_request_stream(model, [ModelRequest.user_text_prompt(prompt)]) as events:
            async for event in events:
                if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                    yield event.delta.content_delta
                elif isinstance(event, PartStartEvent) and isinstance(event.part, TextPart) and event.part.content:
                    yield event.part.content

    return Asked(complete, stream, provider.client.close)


async def lm_deluge(base: str) -> Asked:
    """lm-deluge, its limits out of the way. Its documented ``stream`` is not measured."""
    from lm_deluge import LLMClient
    from lm_deluge.models import register_model

    os.environ.setdefault("OPENAI_API_KEY", KEY)
    name = "bench"
    fixed: dict[str, Any] = {"api_key_env_var": "OPENAI_API_KEY", "api_spec": "openai", "provider": "openai"}
    register_model(id=name, name=MODEL, api_base=base, **fixed)
    client = LLMClient(
        name,
        max_requests_per_minute=10_000_000,
        max_tokens_per_minute=10_000_000_000,
        max_concurrent_requests=100_000,
        max_new_tokens=100,
    )
    client.open(total=0, show_progress=False)

    async def complete(prompt: str) -> str | None:
        return (await client.start(prompt)).completion

    return Asked(complete)


CLIENTS: dict[str, Client] = {
    "floor": Client("", "asyncio, orjson", floor),
    "lexigram": Client("", "lexigram.ai.llm, lexigram.ai.llm.module", lexigram),
    "lexigram + resilience": Client("", "lexigram.ai.llm, lexigram.ai.llm.module, lexigram.resilience", resilient),
    "aiohttp": Client("aiohttp", "aiohttp", aiohttp),
    "httpx": Client("httpx", "httpx", httpx),
    "lm-deluge": Client("lm-deluge", "lm_deluge", lm_deluge),
    "anthropic SDK": Client("anthropic", "anthropic", anthropic),
    "openai SDK": Client("openai", "openai", openai),
    "pydantic-ai": Client("pydantic-ai-slim[openai]", "pydantic_ai.direct, pydantic_ai.models.openai", pydantic_ai),
    "litellm": Client("litellm", "litellm", litellm),
}
