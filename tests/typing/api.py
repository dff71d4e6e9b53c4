"""How the public API types, for mypy and pyright; never run."""

from __future__ import annotations

from typing import Any, assert_type

from lexigram.ai.llm import (
    ClientConfig,
    ConversationManager,
    JSONExtractor,
    LLMModule,
    StructuredExtractor,
    ThinkingConfig,
)
from lexigram.app import Application, Module
from lexigram.contracts.ai import (
    AsyncStream,
    ChatMessage,
    Completion,
    LLMClientProtocol,
    LLMError,
    StreamChunk,
    TextPart,
    ToolDefinition,
)
from lexigram.contracts.ai.llm import TokenLimitError
from lexigram.result import Err, Ok, Result, is_ok, partition
from lexigram.testing import FakeLLM


class Person:
    name: str


async def calls(llm: LLMClientProtocol) -> None:
    result = await llm.complete([{"role": "user", "content": "Hi"}], temperature=0.2, top_p=0.5, seed=1)
    assert_type(result, Ok[Completion] | Err[LLMError])
    assert_type(result.match(ok=lambda c: c.content, err=lambda e: e.message), str)
    if is_ok(result):
        assert_type(result, Ok[Completion])
    match result:
        case Ok(completion):
            assert_type(completion, Completion)
        case Err(error):
            assert_type(error, LLMError)
    stream = llm.stream_chat(
        [ChatMessage("user", "Hi"), ChatMessage("user", (TextPart("x"),))], tools=[ToolDefinition("f")]
    )
    assert_type(stream, AsyncStream[StreamChunk, LLMError])
    async for chunk in stream:
        assert_type(chunk, StreamChunk)
    assert_type(await stream.collect(), Ok[list[StreamChunk]] | Err[LLMError])
    assert_type(await stream.completion(), Ok[Completion] | Err[LLMError])
    assert_type(stream.map(lambda c: c.delta), AsyncStream[str, LLMError])
    await llm.complete([], nonsense=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def application() -> None:
    module = LLMModule.configure(ClientConfig(provider="openai", model="m", thinking=ThinkingConfig(effort="low")))
    assert_type(module, Module)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert_type(llm, LLMClientProtocol)
        assert_type(await JSONExtractor(llm_client=llm).extract("x"), Ok[Any] | Err[LLMError])
        assert_type(await StructuredExtractor(llm_client=llm).extract("x", Person), Ok[Person] | Err[LLMError])
        assert_type(await ConversationManager(llm_client=llm).get_response(), Completion)


def values(results: list[Result[int, TokenLimitError]]) -> None:
    assert_type(partition(results), tuple[list[int], list[TokenLimitError]])
    client: LLMClientProtocol = FakeLLM("x")
    assert client
