"""Fail-over through the container over real sockets: a provider that misbehaves, and another that answers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.routing import LLMConfig, LLMRouter, ProviderConfig
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError, StreamError
from lexigram.resilience import ResilienceModule, ResiliencePolicy
from lexigram.testing.faults import FaultServer

USER = [{"role": "user", "content": "Hi"}]
FAST: dict[str, Any] = {"retry": {"base": 0.001, "cap": 0.001}}
BAD = ["status=500", "rst", "eof", "html200", "empty200", "err200", "trunc_json", "hang", "status=429:retry-after~9"]
BAD_STREAMS = ["status=500", "rst", "s_html200", "s_empty", "s_json200", "hang", "s_comments_forever"]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in list(os.environ):
        if name.startswith("LEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def servers() -> Iterator[tuple[FaultServer, FaultServer]]:
    with FaultServer() as one, FaultServer() as two:
        yield one, two


@contextlib.asynccontextmanager
async def routed(
    servers: tuple[FaultServer, FaultServer], resilience: dict[str, Any] = FAST, **config: Any
) -> AsyncGenerator[tuple[LLMRouter, Any]]:
    providers = {
        name: ProviderConfig(provider="openai_compatible", model=f"m-{name}", base_url=f"{server.url()}/v1")
        for name, server in zip(("one", "two"), servers, strict=True)
    }
    modules = [
        LLMModule.configure({"timeout": 3.0}, routing=LLMConfig(providers=providers, reserve=0.8, **config)),
        ResilienceModule.configure(resilience),
    ]
    async with Application(modules=modules) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert isinstance(llm, LLMRouter)
        yield llm, app


@pytest.mark.parametrize("fault", BAD)
async def test_whatever_the_first_provider_does_the_second_answers_and_the_ledger_tells(
    servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    one, two = servers
    one.play(*[fault] * 9)
    async with routed(servers) as (llm, _):
        completion = (await llm.complete(USER)).unwrap()
    assert completion.content == "hello"
    assert [a.model for a in completion.attempts] == ["m-one", "m-two"]
    assert completion.attempts[0].outcome != "ok"
    assert completion.attempts[1].outcome == "ok"
    assert len(two.journal.requests) == 1


@pytest.mark.parametrize("strategy", ["sequential", "parallel_race"])
@pytest.mark.parametrize("fault", BAD_STREAMS)
async def test_a_stream_that_fails_before_its_first_token_is_the_second_providers(
    servers: tuple[FaultServer, FaultServer], fault: str, strategy: str
) -> None:
    one, two = servers
    one.play(*[fault] * 9)
    async with routed(servers, strategy=strategy) as (llm, _):
        stream = llm.stream_chat(USER)
        text = "".join([chunk.delta async for chunk in stream])
        completion = (await stream.completion()).unwrap()
    assert text == completion.content == "hello"
    assert [a.model for a in completion.attempts] == ["m-one", "m-two"]
    assert len(two.journal.requests) == 1


@pytest.mark.parametrize("fault", ["s_rst", "s_eof_close", "s_badjson", "s_eof_chunked", "s_err"])
async def test_a_stream_that_breaks_in_its_middle_repeats_no_token(
    servers: tuple[FaultServer, FaultServer], fault: str
) -> None:
    one, two = servers
    one.play(fault)
    seen: list[str] = []
    async with routed(servers) as (llm, _):
        with pytest.raises(LLMError) as caught:
            async for chunk in llm.stream_chat(USER):
                seen.append(chunk.delta)
    text = "".join(seen)
    assert text
    assert "hello".startswith(text)
    assert isinstance(caught.value, LLMError)
    assert caught.value.partial is not None
    assert caught.value.partial.content == text
    assert not two.journal.requests
    assert [a.model for a in caught.value.attempts] == ["m-one"]


async def test_one_layer_retries_whatever_stands_over_another(servers: tuple[FaultServer, FaultServer]) -> None:
    for server in servers:
        server.play(*["status=503"] * 99)
    async with routed(servers) as (llm, app):
        policy = await app.container.resolve(ResiliencePolicy)
        error = (await policy.wrap(llm).complete(USER)).unwrap_err()
    assert [len(s.journal.requests) for s in servers] == [1, 2]
    assert len(error.attempts) == 3


async def test_a_provider_out_of_service_costs_one_try_until_it_is_back(
    servers: tuple[FaultServer, FaultServer],
) -> None:
    one, _ = servers
    one.play("status=401")
    async with routed(servers) as (llm, _):
        for _ in range(20):
            assert (await llm.complete(USER)).is_ok()
        assert len(one.journal.requests) == 1
        llm.unblock("one")
        assert [a.model for a in (await llm.complete(USER)).unwrap().attempts] == ["m-one"]


async def test_a_race_over_sockets_leaves_nothing_open(servers: tuple[FaultServer, FaultServer]) -> None:
    one, _ = servers
    one.play(*["s_stall"] * 40)
    async with routed(servers, strategy="parallel_race") as (llm, _):
        tasks = asyncio.all_tasks()
        results = await asyncio.gather(*(llm.stream_chat(USER).completion() for _ in range(20)))
        assert {r.unwrap().content for r in results if r.is_ok()} <= {"hello"}
        assert all(isinstance(r.unwrap_err(), StreamError | LLMError) for r in results if r.is_err())
        gc.collect()
        assert asyncio.all_tasks() == tasks
