"""Our own client, over every wire: it knows nothing of the simulator's writing, nor the simulator of its reading."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sdk_kit import CALLS, CLOCK, KEY, PERSON, PLAN, RETRY_AFTER, TEXT, WEATHER, Ground, certifies, fits

from lexigram.contracts.ai import Usage

WIRES: Mapping[str, dict[str, Any]] = {
    "openai.chat": {"provider": "openai", "model": "gpt-5-mini", "api": "chat"},
    "openai.responses": {"provider": "openai", "model": "gpt-5-mini", "api": "responses"},
    "anthropic.messages": {"provider": "anthropic", "model": "claude-sonnet-4-5"},
    "gemini.generate": {"provider": "gemini", "model": "gemini-3-flash-preview"},
    "cohere.chat": {"provider": "cohere", "model": "command-a-03-2025"},
    "ollama.chat": {"provider": "ollama", "model": "qwen3:4b"},
    "mistral.chat": {"provider": "mistral", "model": "mistral-small-latest"},
    "bedrock.converse": {"provider": "bedrock", "model": "anthropic.claude-sonnet-4-20250514-v1:0"},
}
COUNTED = ("anthropic.messages", "gemini.generate")
EMBEDDING = {
    "openai.chat": "text-embedding-3-small",
    "gemini.generate": "gemini-embedding-001",
    "cohere.chat": "embed-v4.0",
    "ollama.chat": "nomic-embed-text",
    "mistral.chat": "mistral-embed",
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in (("weather", WEATHER), ("clock", CLOCK))
]
ERRORS = {
    "rate_limit": ("LLMRateLimitError", RETRY_AFTER),
    "permission": ("LLMPermissionError", None),
    "server": ("ProviderServerError", None),
    "unavailable": ("ProviderOverloadedError", None),
    "overloaded": ("ProviderOverloadedError", None),
    "context_length": ("TokenLimitError", None),
    "quota": ("LLMQuotaExceededError", None),
}
# Where a vendor's own words say something else.
OTHERWISE = {
    ("mistral.chat", "overloaded"): "LLMRateLimitError",
    ("gemini.generate", "quota"): "LLMRateLimitError",
    ("ollama.chat", "quota"): "LLMRateLimitError",
}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def through(
    wire: str, ground: Ground, use: Callable[[Any], Awaitable[None]], *, broken: bool = False, **config: Any
) -> None:
    """Use a client for the wire."""
    from lexigram.ai.llm import LLMModule
    from lexigram.app import Application
    from lexigram.contracts.ai import EmbeddingClientProtocol, LLMClientProtocol

    chosen = WIRES[wire]
    base = (ground.broken if broken else ground.server).api_bases[chosen["provider"]]
    module = LLMModule.configure(
        {
            **chosen,
            "api_base": base,
            "api_key": KEY,
            "extra": {"region": "us-east-1"} if chosen["provider"] == "bedrock" else {},
            **config,
        }
    )
    wanted = EmbeddingClientProtocol if "embed" in config.get("model", "") else LLMClientProtocol

    async def run() -> None:
        async with Application(modules=[module]) as app:
            await use(await app.container.resolve(wanted))

    asyncio.run(run())


def same(whole: Any, flowing: Any) -> None:
    """Check that a stream ended in what the whole reply was."""
    for name in ("content", "thinking", "parts", "tool_calls", "finish_reason", "raw_finish_reason", "usage", "model"):
        one, other = (_anonymous(getattr(completion, name)) for completion in (whole, flowing))
        assert one == other, f"{name} is {one!r} whole and {other!r} streamed"


def _anonymous(value: Any) -> Any:
    """Leave out what whole replies and streams differ in on the wire: the ids of the Responses API's items and what it
    encrypts with them; where Gemini puts a text's signature, which is in a part of its own in a stream; the cache of
    which Bedrock's streams tell only where it was used.
    """
    if isinstance(value, Usage):
        used = value.cached_input_tokens or 0, value.cache_write_tokens or 0
        return dataclasses.replace(value, cached_input_tokens=used[0], cache_write_tokens=used[1])
    if isinstance(value, tuple):
        parts = [_anonymous(item) for item in value]
        signed = [part for part in parts if getattr(part, "text", None) == ""]
        return (*parts[: -2 * len(signed) or None], *[_with_opaque(parts[-2], signed[0].opaque) for _ in signed])
    opaque = getattr(value, "opaque", None)
    if opaque is None or "item" not in (data := dict(opaque.data)):
        return value
    data["item"] = {name: item for name, item in data["item"].items() if name not in ("id", "encrypted_content")}
    return _with_opaque(value, dataclasses.replace(opaque, data=data))


def _with_opaque(part: Any, opaque: Any) -> Any:
    return dataclasses.replace(part, opaque=opaque)


def over(wire: str, *features: str) -> Callable[[Callable[[str, Ground], None]], None]:
    """List a check of our client over a wire."""

    def listed(function: Callable[[str, Ground], None]) -> None:
        bound = functools.partial(function, wire)
        functools.update_wrapper(bound, function)
        embeds = features == ("embeddings",) and wire == "openai.chat"
        certifies("lexigram", "openai.embeddings" if embeds else wire, *features)(bound)

    return listed


def whole_and_stream(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        whole = (await llm.complete([user("Hi")])).unwrap()
        assert (whole.content, whole.finish_reason) == (TEXT, "stop")
        assert whole.usage.source == "reported"
        assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
        stream = llm.stream_chat([user("Hi")])
        assert "".join([chunk.delta async for chunk in stream]) == TEXT
        same(whole, (await stream.completion()).unwrap())
        if wire != "openai.responses":  # it has no stop sequences
            stopped = (await llm.complete([user("Hi")], stop_sequences=["Second"])).unwrap()
            assert (stopped.content, stopped.finish_reason) == (TEXT.partition("Second")[0], "stop")
        short = (await llm.complete([user("Hi")], max_tokens=3)).unwrap()
        assert (short.finish_reason, short.usage.output_tokens) == ("length", 3)

    through(wire, ground, use)


def tools(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        whole = (await llm.complete([user("call")], tools=TOOLS)).unwrap()
        assert [(c.name, c.arguments) for c in whole.tool_calls] == list(CALLS)
        assert whole.finish_reason == "tool_calls"
        assert whole.content in (PLAN, "")  # a vendor may call it a plan
        flowing = (await llm.stream_chat([user("call")], tools=TOOLS).completion()).unwrap()
        same(whole, flowing)
        for completion in (whole, flowing):
            results = [
                {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": f"ok {call.name}"}
                for call in completion.tool_calls
            ]
            history = [user("call"), completion.message, *results]
            again = (await llm.complete(history, tools=TOOLS)).unwrap()
            assert again.content.startswith("The tools said: ")
            assert "ok clock" in again.content

    through(wire, ground, use)


def thinking(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        from lexigram.contracts.ai import ThinkingConfig

        effort = wire in ("openai.chat", "openai.responses", "mistral.chat", "ollama.chat")
        config = ThinkingConfig(effort="high") if effort else ThinkingConfig(budget_tokens=1024)
        options: Any = {"thinking": config, "max_tokens": 4096}
        whole = (await llm.complete([user("Hi")], **options)).unwrap()
        assert whole.thinking
        assert whole.content == TEXT
        flowing = (await llm.stream_chat([user("Hi")], **options).completion()).unwrap()
        same(whole, flowing)
        for completion in (whole, flowing):
            history = [user("Hi"), completion.message, user("More")]
            assert (await llm.complete(history, **options)).unwrap().content == TEXT

    through(wire, ground, use)


def structured(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
        fits((await llm.complete([user("Who?")], response_format=form)).unwrap().content)

    through(wire, ground, use)


def errors(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        for kind, (name, after) in ERRORS.items():
            expected = OTHERWISE.get((wire, kind), name)
            whole = (await llm.complete([user(f"fail {kind}")])).unwrap_err()
            flowing = (await llm.stream_chat([user(f"fail {kind}")]).completion()).unwrap_err()
            for error in (whole, flowing):
                assert type(error).__name__ == expected, f"{kind} is {error!r}"
                assert error.retry_after == after
                assert KEY not in str(error)
        unknown = (await llm.complete([user("Hi")], model="nope")).unwrap_err()
        assert type(unknown).__name__ == "ModelNotFoundError", repr(unknown)

    through(wire, ground, use)

    async def refused(llm: Any) -> None:
        error = (await llm.complete([user("Hi")])).unwrap_err()
        assert type(error).__name__ == "LLMAuthenticationError", repr(error)

    through(wire, ground, refused, api_key="wrong-key-0123456789")


def broken(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        error = (await llm.stream_chat([user("Hi")]).completion()).unwrap_err()
        assert type(error).__name__ in (
            "ProviderOverloadedError",
            "ProviderServerError",
            "LLMRateLimitError",
            "StreamError",
        ), repr(error)
        assert error.partial is None or TEXT.startswith(error.partial.content)

    through(wire, ground, use, broken=True)


def counted(wire: str, ground: Ground) -> None:
    async def use(llm: Any) -> None:
        count = (await llm.count_tokens([user("Hi")])).unwrap()
        usage = (await llm.complete([user("Hi")])).unwrap().usage
        assert (count.tokens, count.source) == (usage.input_tokens, "counted")

    through(wire, ground, use)


def embeddings(wire: str, ground: Ground) -> None:
    async def use(embedder: Any) -> None:
        found = (await embedder.embed(["a", "b"], dimensions=256)).unwrap()
        assert [len(vector) for vector in found.vectors] == [256, 256]

    through(wire, ground, use, model=EMBEDDING[wire])


for name in WIRES:
    stops = () if name == "openai.responses" else ("stop sequences",)
    over(name, "whole", "stream", "usage", "length", *stops)(whole_and_stream)
    over(name, "tools", "streamed tools")(tools)
    over(name, "structured output")(structured)
    over(name, "thinking")(thinking)
    over(name, "errors")(errors)
    over(name, "error in a stream")(broken)
for name in COUNTED:
    over(name, "count tokens")(counted)
for name in EMBEDDING:
    over(name, "embeddings")(embeddings)
