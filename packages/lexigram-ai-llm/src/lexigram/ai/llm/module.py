"""What an application adds to get ``LLMClientProtocol`` from its container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from lexigram.ai.llm.client import LLMClient
from lexigram.ai.llm.config import SECTION, ClientConfig
from lexigram.ai.llm.embedding import EmbeddingClient
from lexigram.ai.llm.factory import OWN_SPELLING, Spelling
from lexigram.ai.llm.parsers import ParserRegistry
from lexigram.ai.llm.registry import ProviderRegistry
from lexigram.ai.llm.routing.config import LLMConfig, LLMSettings, ProviderConfig
from lexigram.ai.llm.starting import Started, start
from lexigram.ai.llm.stub import StubClient
from lexigram.ai.llm.tokens import TokenCounterRegistry
from lexigram.app import Module, ProviderBase
from lexigram.config import KeyFile, Loaded, VendorEnv, load_settings
from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.contracts.ai.protocols import (
    EmbeddingClientProtocol,
    LLMClientProtocol,
    ResiliencePolicyProtocol,
)
from lexigram.contracts.health import HealthCheckResult
from lexigram.contracts.values import Sealed
from lexigram.di import Container

if TYPE_CHECKING:
    from lexigram.ai.llm.routing.client import LLMRouter
    from lexigram.ai.llm.transport import Limits, Transport

__all__ = ["LLMModule", "LLMProvider", "LLMRoutingProvider", "read_config"]


class LLMModule:
    """Makes the module that registers the client and its helpers.

    In the container afterwards: ``LLMClientProtocol``, :class:`ClientConfig`, :class:`ProviderRegistry`,
    :class:`TokenCounterRegistry` and :class:`ParserRegistry`; ``EmbeddingClientProtocol`` too where the provider has
    embeddings. With routing ``LLMClientProtocol`` is the router, and each provider's own client has its name.
    """

    @staticmethod
    def configure(
        config: ClientConfig | Mapping[str, Any] | None = None,
        *,
        routing: LLMConfig | Mapping[str, Any] | None = None,
        registry: ProviderRegistry | None = None,
        transport: Transport | None = None,
        limits: Limits | None = None,
    ) -> Module:
        """Return a module for one client.

        Args:
            config: settings; what they leave out is read from the environment, key files and YAML.
            routing: settings of routing over several providers; read from the same places. Without it there is
                routing where those places have ``providers``, unless ``config`` names one provider.
            registry: with providers of your own; the installed ones are found by themselves.
            transport: sends the requests instead of the engine's own; it is not closed with the application.
            limits: hard limits of the transport.
        """
        provider = LLMProvider(config, routing=routing, registry=registry, transport=transport, limits=limits)
        return Module("llm", (provider,))

    @staticmethod
    def stub(config: ClientConfig | None = None) -> Module:
        """Return a module whose client checks requests, asks nobody and answers with nothing."""
        return Module("llm", (LLMProvider(config or ClientConfig(), stub=True),))


class LLMProvider(ProviderBase):
    """Registers the client's helpers, checks the settings at boot, and starts and ends the client."""

    def __init__(
        self,
        config: ClientConfig | Mapping[str, Any] | None = None,
        *,
        routing: LLMConfig | Mapping[str, Any] | None = None,
        registry: ProviderRegistry | None = None,
        transport: Transport | None = None,
        limits: Limits | None = None,
        stub: bool = False,
    ) -> None:
        self._explicit = Sealed(config)
        self._routing = Sealed(routing)
        self._registry = registry or ProviderRegistry()
        self._transport = transport
        self._limits = limits
        self._stub = stub
        self._config: ClientConfig = ClientConfig()
        self._entries: dict[str, ProviderConfig] = {}
        self._started: dict[str, Started] = {}
        self._client: LLMClientProtocol | None = None

    @property
    def name(self) -> str:
        """``llm``."""
        return "llm"

    async def register(self, container: Container) -> None:
        """Read the settings and register everything.

        Raises:
            ConfigError: for a setting that is misspelt or has a bad value.
            LLMConfigurationError: for settings of routing that contradict each other.
        """
        explicit, routing = self._explicit.reveal(), self._routing.reveal()
        if self._stub and isinstance(explicit, ClientConfig):
            self._config = explicit
        else:
            loaded = read_config(explicit, self._registry, routing=routing)
            self._config = loaded.value
            # Code that names one provider and says nothing of routing means that one.
            named = loaded.sources["provider"] == "explicit"
            if routing is not None or (loaded.value.providers and not named):
                from lexigram.ai.llm.routing.settings import with_own_provider

                self._entries = with_own_provider(loaded.value, loaded.sources)
        container.register(ClientConfig, instance=self._config)
        container.register(ProviderRegistry, instance=self._registry)
        container.register(TokenCounterRegistry, TokenCounterRegistry.with_defaults)
        container.register(ParserRegistry, ParserRegistry.with_defaults)
        container.register(LLMClientProtocol, self._get_client)
        for name in self._entries:
            container.register(LLMClientProtocol, partial(self._get_named, name), name=name)
        if self._embedder_of() is not None:
            container.register(EmbeddingClientProtocol, self._get_embedder)

    async def boot(self, container: Container) -> None:
        """Check the providers, their packages, keys and addresses, start the servers that are ours, make the client.

        Each client is wrapped by the container's ``ResiliencePolicyProtocol``, where one is registered.

        Raises:
            LLMConfigurationError: for whatever is missing, with what to do about it.
        """
        policy = await container.resolve_optional(ResiliencePolicyProtocol)
        self._registry.freeze()
        try:
            if self._stub:
                stub = StubClient(self._config.model)
                self._client = stub if policy is None else policy.wrap(stub)
            elif self._entries and isinstance(self._config, LLMSettings):
                self._client = await self._start_router(self._config, policy)
            else:
                self._client = (await self._start("", self._config, policy, OWN_SPELLING)).client
        except BaseException:
            await self.shutdown()
            raise

    async def _start(
        self, name: str, config: ClientConfig, policy: ResiliencePolicyProtocol | None, spelling: Spelling
    ) -> Started:
        started = self._started[name] = await start(
            config,
            self._registry,
            transport=self._transport,
            limits=self._limits,
            policy=policy,
            spelling=spelling,
        )
        return started

    async def _start_router(self, settings: LLMSettings, policy: ResiliencePolicyProtocol | None) -> LLMRouter:
        from lexigram.ai.llm.routing.client import LLMRouter
        from lexigram.ai.llm.routing.settings import client_settings, spelling_of
        from lexigram.ai.llm.routing.target import Target

        targets: list[Target] = []
        for name, entry in self._entries.items():
            try:
                started = await self._start(name, client_settings(name, entry, settings), policy, spelling_of(name))
            except LLMConfigurationError as error:
                error.message = f"providers.{name}: {error.message}"
                raise
            engine = started.engine
            model = engine.defaults.model if isinstance(engine, LLMClient) else entry.model or ""
            targets.append(Target(name, started.client, model, entry.models, entry.weight, entry.price, entry.timeout))
        return LLMRouter(targets, settings, timeouts=settings.deadlines)

    async def shutdown(self) -> None:
        """Close the clients, then end their servers."""
        self._client = None
        while self._started:
            _, started = self._started.popitem()
            await started.stop()

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask the client."""
        return await self._get_client().health_check(timeout)

    def _get_client(self) -> LLMClientProtocol:
        if self._client is None:
            raise LLMConfigurationError(
                "there is no client: the application has not booted, or has shut down",
                hint="resolve LLMClientProtocol inside `async with Application(…)`",
            )
        return self._client

    def _get_named(self, name: str) -> LLMClientProtocol:
        self._get_client()
        return self._started[name].client

    def _embedder_of(self) -> str | None:
        """Return the name of the first provider that has embeddings, ``""`` of the only one, or None."""
        if self._stub:
            return None
        named = {name: entry.provider or name for name, entry in self._entries.items()}
        for name, provider in (named or {"": self._config.provider}).items():
            is_row = provider in self._registry and self._registry.factory(provider) is None
            if is_row and self._registry.get(provider).embeddings is not None:
                return name
        return None

    def _get_embedder(self) -> EmbeddingClientProtocol:
        self._get_client()
        engine = self._started[self._embedder_of() or ""].engine
        if not isinstance(engine, LLMClient):
            raise LLMConfigurationError(f"a {type(engine).__name__} has no embeddings")
        return EmbeddingClient(engine)


class LLMRoutingProvider(LLMProvider):
    """The provider of a router: ``Application(providers=…)`` in place of ``LLMModule.configure(routing=…)``."""

    def __init__(self, config: LLMConfig | Mapping[str, Any] | None = None, **options: Any) -> None:
        super().__init__(routing=config or LLMConfig(), **options)


def read_config(
    explicit: ClientConfig | Mapping[str, Any] | None,
    registry: ProviderRegistry,
    *,
    routing: LLMConfig | Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Loaded[LLMSettings]:
    """Return the settings of all sources, and where each came from. What is explicit wins, field by field.

    Raises:
        ConfigError: every problem of every source at once.
    """

    def fallbacks(values: Mapping[str, Any]) -> Iterable[VendorEnv | KeyFile]:
        providers = values.get("providers")
        named = {"api_key": values.get("provider")}
        if isinstance(providers, Mapping):
            for name, entry in providers.items():
                own = entry.get("provider") if isinstance(entry, Mapping) else None
                named[f"providers.{name}.api_key"] = own or name
        for field, name in named.items():
            if isinstance(name, str) and name in registry and registry.factory(name) is None:
                vendor = registry.get(name)
                yield VendorEnv(field, vendor.key_env)
                yield KeyFile(field, vendor.name)

    given = {**_set_fields(explicit), **_set_fields(routing)}
    loaded = load_settings(LLMSettings, section=SECTION, explicit=given or None, env=env, fallbacks=fallbacks)
    first = given.get("providers")
    if not isinstance(first, Mapping) or not loaded.value.providers:
        return loaded
    # Sources are merged from the weakest on; the order of calls is that of the code.
    order = [*first, *(name for name in loaded.value.providers if name not in first)]
    in_order = {name: loaded.value.providers[name] for name in order}
    return Loaded(loaded.value.model_copy(update={"providers": in_order}), loaded.sources)


def _set_fields(given: BaseModel | Mapping[str, Any] | None) -> Mapping[str, Any]:
    if isinstance(given, BaseModel):
        return {name: getattr(given, name) for name in given.model_fields_set}
    return given or {}
