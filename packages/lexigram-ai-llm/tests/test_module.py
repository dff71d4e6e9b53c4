"""LLMModule: what an application gets from its container, and one clear message for each mistake, at boot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, LLMModule, ParserRegistry, ProviderRegistry, TokenCounterRegistry
from lexigram.app import Application
from lexigram.config import ConfigError
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import InvalidMessageError, LLMConfigurationError
from lexigram.testing import FakeLLM

USER = [{"role": "user", "content": "Hi"}]
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LEX_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def capturing(seen: list[httpx.Request]) -> httpx.MockTransport:
    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER)

    return httpx.MockTransport(handler)


class Service:
    """What a user writes: the client comes from the container."""

    def __init__(self, llm: LLMClientProtocol) -> None:
        self.llm = llm


async def test_a_service_gets_the_client_injected() -> None:
    module = LLMModule.configure(ClientConfig(api_key="sk-1", model="m"), transport=capturing([]))
    async with Application(modules=[module]) as app:
        app_llm = await app.container.resolve(LLMClientProtocol)
        service = await app.container.call(Service)
        assert service.llm is app_llm
        assert (await service.llm.complete(USER)).unwrap().content == "Hello"
        assert isinstance(await app.container.resolve(ProviderRegistry), ProviderRegistry)
        assert isinstance(await app.container.resolve(TokenCounterRegistry), TokenCounterRegistry)
        assert isinstance(await app.container.resolve(ParserRegistry), ParserRegistry)
        assert (await app.container.resolve(ClientConfig)).model == "m"
        assert [h.healthy for h in await app.health()] == [True]


@pytest.mark.parametrize(
    ("explicit", "env", "key", "model"),
    [
        ({}, {"OPENAI_API_KEY": "sk-vendor"}, "sk-vendor", "gpt-4-turbo"),
        ({}, {"OPENAI_API_KEY": "sk-vendor", "LEX_AI_LLM__API_KEY": "sk-lex"}, "sk-lex", "gpt-4-turbo"),
        ({"api_key": "sk-mine"}, {"LEX_AI_LLM__API_KEY": "sk-lex", "LEX_AI_LLM__MODEL": "m-lex"}, "sk-mine", "m-lex"),
        ({"model": "m-mine"}, {"LEX_AI_LLM__API_KEY": "sk-lex", "LEX_AI_LLM__MODEL": "m-lex"}, "sk-lex", "m-mine"),
        ({"provider": "groq", "model": "m"}, {"OPENAI_API_KEY": "sk-wrong", "GROQ_API_KEY": "sk-groq"}, "sk-groq", "m"),
    ],
)
async def test_settings_are_merged_field_by_field(
    explicit: dict[str, Any], env: dict[str, str], key: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    seen: list[httpx.Request] = []
    async with Application(modules=[LLMModule.configure(ClientConfig(**explicit), transport=capturing(seen))]) as app:
        await (await app.container.resolve(LLMClientProtocol)).complete(USER)
    assert seen[0].headers["authorization"] == f"Bearer {key}"
    assert json.loads(seen[0].content)["model"] == model


async def test_a_key_file_and_yaml_are_read(tmp_path: Path) -> None:
    keys = tmp_path / ".lexigram" / "keys"
    keys.mkdir(parents=True)
    (keys / "openai").write_text("sk-file\n")
    (keys / "openai").chmod(0o600)
    (tmp_path / "lexigram.yaml").write_text("ai_llm:\n  model: m-yaml\n  thinking:\n    effort: low\n")
    seen: list[httpx.Request] = []
    async with Application(modules=[LLMModule.configure(transport=capturing(seen))]) as app:
        await (await app.container.resolve(LLMClientProtocol)).complete(USER)
    assert seen[0].headers["authorization"] == "Bearer sk-file"
    body = json.loads(seen[0].content)
    assert (body["model"], body["reasoning_effort"]) == ("m-yaml", "low")


async def boot(**fields: Any) -> None:
    registry = fields.pop("registry", None)
    async with Application(modules=[LLMModule.configure(fields, registry=registry)]):
        pass


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "m"}, r"openai needs an API key.*\n.*LEX_AI_LLM__API_KEY, OPENAI_API_KEY.*~/.lexigram/keys/openai"),
        ({"provider": "nobody"}, "there is no provider 'nobody'"),
        ({"provider": "opnai"}, "did you mean 'openai'"),
        (
            {"provider": "openai", "registry": ProviderRegistry(discover=False)},
            r'pip install "lexigram-ai-llm\[openai\]"',
        ),
        ({"provider": "groq", "api_key": "k"}, r"groq has no default model.*\n.*LEX_AI_LLM__MODEL"),
        ({"provider": "openai_compatible", "model": "m"}, "needs the address of its server"),
        ({"provider": "cloudflare", "api_key": "k", "model": "m"}, "needs the setting 'account_id'"),
        ({"provider": "cloudflare", "api_key": "k", "model": "m", "extra": {"account_id": "../x"}}, "may hold letters"),
        ({"api_key": "k", "extra": {"regoin": "x"}}, "knows no setting 'regoin'"),
        ({"api_key": "k", "api_base": "http://llm.example/v1"}, "plain http would send the key"),
        ({"api_key": "k", "api_base": "ftp://llm.example"}, "not an http or https address"),
        ({"api_key": "k", "api_base": "https://u:p@llm.example"}, "may hold no user"),
        ({"api_key": "k", "api": "telegraph"}, "openai has no api 'telegraph'; allowed: chat"),
        ({"api_key": "k", "enable_cache": True}, "enable_cache needs a cache"),
    ],
)
async def test_a_mistake_in_the_provider_is_one_clear_message_at_boot(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(LLMConfigurationError, match=said):
        await boot(**fields)


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"LEX_AI_LLM__MODLE": "m"}, "LEX_AI_LLM__MODLE.*LEX_AI_LLM__MODEL"),
        ({"LEX_AI_LLM__TEMPERATURE": "hot"}, "LEX_AI_LLM__TEMPERATURE"),
        ({"LEX_AI_LLM__TEMPERATURE": "3"}, "temperature.*2"),
        ({"LEX_AI_LLM__THINKING__BUDGET": "3"}, "BUDGET_TOKENS"),
        ({"LEX_AI_LLM__API_KEY": "sk-\r\nx"}, "LEX_AI_LLM__API_KEY"),
    ],
)
async def test_a_mistake_in_a_setting_is_one_clear_message_at_boot(
    env: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said) as caught:
        await boot()
    assert "pydantic" not in str(caught.value)


async def test_all_mistakes_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEX_AI_LLM__MODLE", "m")
    monkeypatch.setenv("LEX_AI_LLM__TIMEOUT", "soon")
    with pytest.raises(ConfigError) as caught:
        await boot()
    assert "MODLE" in str(caught.value)
    assert "TIMEOUT" in str(caught.value)


async def test_a_provider_of_ones_own_is_used_by_its_name() -> None:
    registry = ProviderRegistry()
    made = FakeLLM("from mine")
    registry.register("my_provider", client=lambda config: made)
    registry.register("my_proxy", like="openai", base_url="https://proxy.example/v1")
    async with Application(
        modules=[LLMModule.configure(ClientConfig(provider="my_provider"), registry=registry)]
    ) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert (await llm.complete(USER)).unwrap().content == "from mine"
    assert made.closed
    seen: list[httpx.Request] = []
    registry = ProviderRegistry()
    registry.register("my_proxy", like="openai", base_url="https://proxy.example/v1", key_env=("MY_KEY",))
    module = LLMModule.configure(
        {"provider": "my_proxy", "model": "m", "api_key": "k"}, registry=registry, transport=capturing(seen)
    )
    async with Application(modules=[module]) as app:
        await (await app.container.resolve(LLMClientProtocol)).complete(USER)
    assert seen[0].url.host == "proxy.example"


async def test_the_stub_checks_requests_and_answers_with_nothing() -> None:
    async with Application(modules=[LLMModule.stub()]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        completion = (await llm.complete(USER)).unwrap()
        assert (completion.content, completion.provider) == ("", "stub")
        assert (await llm.stream_chat(USER).completion()).unwrap().content == ""
        assert (await llm.health_check()).healthy
        with pytest.raises(InvalidMessageError):
            await llm.complete([{"role": "robot", "content": ""}])


async def test_after_shutdown_the_client_is_gone_and_says_why() -> None:
    module = LLMModule.configure(ClientConfig(api_key="k", model="m"))
    app = Application(modules=[module])
    async with app:
        pass
    with pytest.raises(Exception, match=r"shut down|closed"):
        await app.container.resolve(LLMClientProtocol)
