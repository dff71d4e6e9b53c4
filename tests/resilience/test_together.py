"""The engine under the policy, through the container: neither knows the other."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, LLMModule
from lexigram.app import Application
from lexigram.config import ConfigError
from lexigram.contracts.ai import LLMClientProtocol, RateLimit, ResiliencePolicyProtocol
from lexigram.contracts.ai.errors import CircuitOpenError, LLMRateLimitError, ProviderServerError
from lexigram.resilience import (
    LimitKey,
    MemoryLimiter,
    ResilienceConfig,
    ResilienceModule,
    ResiliencePolicy,
    ResilientClient,
)
from lexigram.testing import Canary

USER = [{"role": "user", "content": "Hi"}]
OK = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
LIMITS = {
    "x-ratelimit-limit-requests": "10000",
    "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "6ms",
}
FAST: dict[str, Any] = {"retry": {"base": 0.001, "cap": 0.001}}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LEX_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def answering(*replies: httpx.Response) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        reply = replies[min(len(seen), len(replies)) - 1]
        return httpx.Response(reply.status_code, headers=reply.headers, content=reply.content)

    return httpx.MockTransport(handler), seen


def modules(transport: httpx.MockTransport, config: dict[str, Any], **more: Any) -> list[Any]:
    llm = LLMModule.configure(ClientConfig(api_key="sk-1", model="m", timeout=20, **more), transport=transport)
    return [llm, ResilienceModule.configure(config)]


@pytest.mark.parametrize("turned", [False, True])
async def test_the_containers_client_is_under_the_policy_in_whatever_order_the_modules_stand(turned: bool) -> None:
    transport, seen = answering(httpx.Response(503), httpx.Response(200, json=OK, headers=LIMITS))
    parts = modules(transport, FAST)
    async with Application(modules=parts[::-1] if turned else parts) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        policy = await app.container.resolve(ResiliencePolicy)
        assert isinstance(llm, ResilientClient)
        assert await app.container.resolve(ResiliencePolicyProtocol) is policy
        completion = (await llm.complete(USER)).unwrap()
        assert [a.outcome for a in completion.attempts] == ["LEX_ERR_LLM_023", "ok"]
        assert {a.provider for a in completion.attempts} == {"openai"}
        assert completion.rate_limits == (RateLimit("requests", 10000, 9999, 0.006),)
        assert seen[0].headers["idempotency-key"] == seen[1].headers["idempotency-key"]
        assert seen[0].headers["authorization"] == seen[1].headers["authorization"] == "Bearer sk-1"
        streamed = (await llm.stream_chat(USER).completion()).unwrap()
        assert streamed.rate_limits == completion.rate_limits
        assert streamed.content == "Hello"


async def test_without_the_module_the_engine_retries_nothing() -> None:
    transport, seen = answering(httpx.Response(503))
    async with Application(modules=modules(transport, {})[:1]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert (await llm.complete(USER)).is_err()
    assert len(seen) == 1
    assert "idempotency-key" not in seen[0].headers


async def test_limits_are_learnt_from_the_headers_of_answers_and_refusals() -> None:
    refused = httpx.Response(
        429, headers={**LIMITS, "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "30s"}
    )
    transport, _ = answering(httpx.Response(200, json=OK, headers=LIMITS), refused)
    async with Application(modules=modules(transport, {"retry": {"max_attempts": 1}})) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        policy = await app.container.resolve(ResiliencePolicy)
        assert isinstance(llm, ResilientClient) and isinstance(policy.limiter, MemoryLimiter)
        await llm.complete(USER)
        key = LimitKey("openai", "m", llm.identity.account)
        (window,) = policy.limiter._door(key)[1].windows
        assert (window.unit, window.limit, window.seconds) == ("requests", 10000, 60.0)
        error = (await llm.complete(USER)).err()
        assert isinstance(error, LLMRateLimitError)
        assert error.rate_limits[0].remaining == 0
        frozen = (await llm.complete(USER, timeouts=1.0)).err()
        assert isinstance(frozen, LLMRateLimitError)
        assert frozen.retry_after is not None and 20 < frozen.retry_after <= 30


async def test_an_open_circuit_is_typed_and_carries_no_key(canary: Canary) -> None:
    transport, seen = answering(httpx.Response(500))
    config = {"retry": {"max_attempts": 1}, "breaker": {"min_calls": 1}}
    llm_module = LLMModule.configure(ClientConfig(api_key=f"sk-{canary.value}", model="m"), transport=transport)
    async with Application(modules=[llm_module, ResilienceModule.configure(config)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        policy = await app.container.resolve(ResiliencePolicy)
        assert isinstance((await llm.complete(USER)).err(), ProviderServerError)
        error = (await llm.complete(USER)).err()
        assert isinstance(error, CircuitOpenError)
        assert error.retry_after is not None and 0 < error.retry_after <= 10
        canary.assert_absent(error, error.to_dict(), llm, policy, list(policy._lanes), vars(policy.limiter))
    assert len(seen) == 1


async def test_settings_come_from_the_environment_and_a_misspelt_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEX_RESILIENCE__RETRY__MAX_ATTEMPTS", "5")
    monkeypatch.setenv("LEX_RESILIENCE__LIMITER__REQUESTS_PER_MINUTE", "600")
    async with Application(modules=[ResilienceModule.configure({"hedge": {"enabled": True}})]) as app:
        config = await app.container.resolve(ResilienceConfig)
    assert (config.retry.max_attempts, config.limiter.requests_per_minute, config.hedge.enabled) == (5, 600, True)
    monkeypatch.setenv("LEX_RESILIENCE__RETRY__MAX_ATEMPTS", "5")
    with pytest.raises(ConfigError, match="MAX_ATEMPTS"):
        async with Application(modules=[ResilienceModule.configure()]):
            pass


async def test_the_redis_password_is_shown_nowhere(canary: Canary) -> None:
    pytest.importorskip("redis")
    module = ResilienceModule.configure({"limiter": {"redis": {"url": f"redis://:{canary.value}@127.0.0.1:1/0"}}})
    async with Application(modules=[module]) as app:
        policy = await app.container.resolve(ResiliencePolicy)
        canary.assert_absent(policy.config, policy.config.model_dump_json(), policy, module, app)


def test_a_request_body_is_the_same_with_and_without_the_policy() -> None:
    import asyncio

    async def bodies() -> list[Any]:
        found = []
        for count in (1, 2):
            transport, seen = answering(httpx.Response(200, json=OK))
            async with Application(modules=modules(transport, {})[:count]) as app:
                llm = await app.container.resolve(LLMClientProtocol)
                await llm.complete(USER, temperature=0.5, extra_body={"x": 1})
            found.append(json.loads(seen[0].content))
        return found

    first, second = asyncio.run(bodies())
    assert first == second
