"""Routing in an application: settings from code, environment and key files; each provider its own address and key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest
from router_kit import USER

from lexigram.ai.llm import ClientConfig, LLMModule, LLMRoutingProvider, ProviderRegistry
from lexigram.ai.llm.routing import LLMConfig, LLMRouter, ProviderConfig
from lexigram.app import Application
from lexigram.config import ConfigError
from lexigram.contracts.ai import EmbeddingClientProtocol, LLMClientProtocol
from lexigram.contracts.ai.errors import InvalidMessageError, LLMConfigurationError
from lexigram.contracts.ai.request import ThinkingConfig
from lexigram.resilience import ResilienceModule, ResilientClient
from lexigram.testing import Canary, FakeLLM

ANSWER = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("LEX_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


class World:
    """Answers for all providers, and keeps what they were asked. Hosts in ``down`` fail."""

    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []
        self.down: set[str] = set()
        self.transport = httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(500) if request.url.host in self.down else httpx.Response(200, json=ANSWER)

    @property
    def hosts(self) -> list[str]:
        return [request.url.host for request in self.seen]


async def ask(world: World, *args: Any, **kwargs: Any) -> str:
    module = LLMModule.configure(*args, transport=world.transport, **kwargs)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        return (await llm.complete(USER)).unwrap().provider


TWO = {
    "openai": ProviderConfig(model="gpt-5", api_key="sk-one"),
    "groq": ProviderConfig(model="llama", api_key="sk-two", base_url="https://groq.example/v1"),
}


async def test_each_provider_is_asked_at_its_own_address_with_its_own_key() -> None:
    world = World()
    world.down.add("api.openai.com")
    assert await ask(world, routing=LLMConfig(providers=TWO)) == "groq"
    assert world.hosts == ["api.openai.com", "groq.example"]
    assert [r.headers["authorization"] for r in world.seen] == ["Bearer sk-one", "Bearer sk-two"]
    assert [json.loads(r.content)["model"] for r in world.seen] == ["gpt-5", "llama"]


async def test_providers_can_be_set_by_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "LEX_AI_LLM__STRATEGY": "sequential",
        "LEX_AI_LLM__PROVIDERS__GROQ__MODEL": "llama",
        "LEX_AI_LLM__PROVIDERS__GROQ__BASE_URL": "https://groq.example/v1",
        "LEX_AI_LLM__PROVIDERS__MISTRAL__API_KEY": "sk-mistral",
        "LEX_AI_LLM__PROVIDERS__MISTRAL__MODEL": "small",
        "LEX_AI_LLM__PROVIDERS__XAI__ENABLED": "false",
        "GROQ_API_KEY": "sk-groq",
    }.items():
        monkeypatch.setenv(name, value)
    world = World()
    world.down.add("groq.example")
    assert await ask(world) == "mistral"
    assert [r.headers["authorization"] for r in world.seen] == ["Bearer sk-groq", "Bearer sk-mistral"]


async def test_sources_are_merged_field_by_field_in_the_order_of_the_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEX_AI_LLM__PROVIDERS__GROQ__API_KEY", "sk-env")
    monkeypatch.setenv("LEX_AI_LLM__PROVIDERS__ANTHROPIC__MODEL", "claude")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant")
    (tmp_path / "lexigram.yaml").write_text(
        "ai_llm:\n  providers:\n    groq: {model: yaml}\n    openai: {model: yaml}\n"
    )
    keys = tmp_path / ".lexigram" / "keys"
    keys.mkdir(parents=True)
    (keys / "openai").write_text("sk-file")
    (keys / "openai").chmod(0o600)
    routing = {"providers": {"openai": {}, "groq": {"model": "explicit"}}}
    async with Application(modules=[LLMModule.configure(routing=routing)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert isinstance(llm, LLMRouter)
        assert [(t.name, t.model) for t in llm.targets.values()] == [
            ("openai", "yaml"),
            ("groq", "explicit"),
            ("anthropic", "claude"),
        ]


async def test_what_all_share_comes_from_the_client_and_each_may_say_otherwise() -> None:
    world = World()
    config = ClientConfig(temperature=0.3, max_tokens=50, timeout=9)
    providers = {
        "one": ProviderConfig(provider="groq", model="a", api_key="k"),
        "two": ProviderConfig(
            provider="groq", model="b", api_key="k", temperature=0.9, thinking=ThinkingConfig(effort="low")
        ),
    }
    world.down.add("api.groq.com")
    module = LLMModule.configure(config, routing=LLMConfig(providers=providers), transport=world.transport)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert isinstance(llm, LLMRouter)
        assert llm.timeouts.total == 9
        await llm.complete(USER)
    bodies = [json.loads(r.content) for r in world.seen]
    assert [b["temperature"] for b in bodies] == [0.3, 0.9]
    assert [b.get("max_completion_tokens", b.get("max_tokens")) for b in bodies] == [50, 50]
    assert [b.get("reasoning_effort") for b in bodies] == [None, "low"]


async def test_the_clients_own_provider_is_the_first_of_them() -> None:
    world = World()
    world.down.add("api.anthropic.com")
    config = ClientConfig(provider="anthropic", model="claude", api_key="sk-ant")
    assert await ask(world, config, routing=LLMConfig(providers={"groq": TWO["groq"]})) == "groq"
    assert world.hosts == ["api.anthropic.com", "groq.example"]


async def test_routing_without_providers_is_over_the_one_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    world = World()
    assert await ask(world, routing=LLMConfig()) == "openai"


async def test_the_guides_provider_class_does_the_same() -> None:
    world = World()
    provider = LLMRoutingProvider(LLMConfig(providers=TWO), transport=world.transport)
    async with Application(providers=[provider]) as app:
        assert isinstance(await app.container.resolve(LLMClientProtocol), LLMRouter)


async def test_each_provider_has_its_own_client_in_the_container_by_its_name() -> None:
    world = World()
    module = LLMModule.configure(routing=LLMConfig(providers=TWO), transport=world.transport)
    async with Application(modules=[module, ResilienceModule.configure({})]) as app:
        groq = await app.container.resolve(LLMClientProtocol, name="groq")
        assert isinstance(groq, ResilientClient)
        assert (await groq.complete(USER)).unwrap().provider == "groq"
        assert [h.healthy for h in await app.health()] == [True]
        assert isinstance(await app.container.resolve(EmbeddingClientProtocol), EmbeddingClientProtocol)


async def test_a_provider_of_ones_own_can_be_among_them() -> None:
    fake = FakeLLM("mine", provider="mine")
    registry = ProviderRegistry()
    registry.register("mine", client=lambda _: fake)
    routing = LLMConfig(providers={"mine": ProviderConfig(model="m")})
    async with Application(modules=[LLMModule.configure(routing=routing, registry=registry)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        assert (await llm.complete(USER)).unwrap().content == "mine"
    assert fake.closed


async def test_code_that_names_one_provider_gets_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEX_AI_LLM__PROVIDERS__GROQ__MODEL", "llama")
    monkeypatch.setenv("GROQ_API_KEY", "sk-groq")
    world = World()
    assert await ask(world, ClientConfig(provider="openai", model="m", api_key="sk-1")) == "openai"
    assert await ask(world, ClientConfig(temperature=0.1)) == "groq"


# -- mistakes


@pytest.mark.parametrize(
    ("routing", "config", "message", "hint"),
    [
        ({"providers": {"openai": {}}}, None, "providers.openai: openai needs an API key", "LEX_AI_LLM__PROVIDERS__OPENAI__API_KEY, OPENAI_API_KEY"),
        ({"providers": {"opnai": {}}}, None, "providers.opnai: there is no provider 'opnai'; did you mean 'openai'?", ""),
        ({"providers": {"openai_compatible": {"model": "m"}}}, None, "openai_compatible needs the address of its server", "set base_url=… or LEX_AI_LLM__PROVIDERS__OPENAI_COMPATIBLE__BASE_URL"),
        ({"providers": {"groq": {"api_key": "k"}}}, None, "groq has no default model", "LEX_AI_LLM__PROVIDERS__GROQ__MODEL"),
        ({"providers": {"groq": {"api_key": "k", "base_url": "http://x.example"}}}, None, "has no default model", ""),
        ({"providers": {"groq": {"model": "m", "api_key": "k", "base_url": "http://x.example"}}}, None, "base_url: plain http would send the key", "https"),
        ({"providers": {"groq": {"enabled": False}}}, None, "no provider is enabled", "providers.<name>.enabled"),
        ({"providers": TWO}, {"provider": "groq", "model": "m"}, "provider 'groq' stands twice", "leave provider out"),
        ({"providers": TWO}, {"model": "m"}, "model: of which provider? There are openai, groq", "providers.<name>.model"),
        ({"providers": TWO}, {"api_base": "https://x.example"}, "api_base: of which provider?", "providers.<name>.base_url"),
    ],
)  # fmt: skip
async def test_a_mistake_fails_at_boot_with_what_to_do(
    routing: dict[str, Any], config: dict[str, Any] | None, message: str, hint: str
) -> None:
    plain = {
        "providers": {
            n: e.model_dump(exclude_unset=True) if isinstance(e, ProviderConfig) else e
            for n, e in routing["providers"].items()
        }
    }
    for given in (plain, LLMConfig.model_validate(routing)):
        with pytest.raises(LLMConfigurationError) as caught:
            async with Application(modules=[LLMModule.configure(config, routing=given)]):
                pass
        assert message in str(caught.value)
        assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"LEX_AI_LLM__STRATEGY": "fastest"}, "strategy"),
        ({"LEX_AI_LLM__STRATEGIE": "sequential"}, "did you mean LEX_AI_LLM__STRATEGY?"),
        ({"LEX_AI_LLM__PROVIDERS__GROQ__BASEURL": "x"}, "did you mean LEX_AI_LLM__PROVIDERS__GROQ__BASE_URL?"),
        ({"LEX_AI_LLM__PROVIDERS__GROQ__WEIGHT": "-1"}, "providers.groq.weight"),
    ],
)
async def test_a_misspelt_or_bad_setting_is_named(
    env: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        async with Application(modules=[LLMModule.configure()]):
            pass
    assert message in str(caught.value)


async def test_clients_that_started_are_closed_when_a_later_one_cannot() -> None:
    fake = FakeLLM(provider="mine")
    registry = ProviderRegistry()
    registry.register("mine", client=lambda _: fake)
    routing = LLMConfig(providers={"mine": ProviderConfig(model="m"), "groq": ProviderConfig(model="m")})
    with pytest.raises(LLMConfigurationError, match=r"providers\.groq: groq needs an API key"):
        async with Application(modules=[LLMModule.configure(routing=routing, registry=registry)]):
            pass
    assert fake.closed


async def test_no_key_of_any_provider_is_shown(canary: Canary) -> None:
    providers = {"openai": ProviderConfig(model="m", api_key=canary.value)}
    module = LLMModule.configure(routing=LLMConfig(providers=providers), transport=World().transport)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        settings = await app.container.resolve(ClientConfig)
        canary.assert_absent(repr(llm), repr(settings), str(settings), repr(module), settings.model_dump_json())
        assert isinstance(llm, LLMRouter)
        canary.assert_absent(*map(repr, llm.targets.values()))


@pytest.mark.parametrize("option", ["prefer_model", "prefer_provider"])
async def test_without_routing_there_is_nothing_to_prefer(option: str) -> None:
    module = LLMModule.configure(ClientConfig(api_key="k", model="m"), transport=World().transport)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        with pytest.raises(InvalidMessageError, match=f"{option}: there is nothing to prefer"):
            await llm.complete(USER, **{option: "last"})
