"""What an application adds to get ``LLMClientProtocol`` from its container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lexigram.ai.llm.client import LLMClient
from lexigram.ai.llm.config import SECTION, ClientConfig
from lexigram.ai.llm.embedding import EmbeddingClient
from lexigram.ai.llm.factory import build_client, find_server
from lexigram.ai.llm.parsers import ParserRegistry
from lexigram.ai.llm.registry import ProviderRegistry
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
from lexigram.di import Container

if TYPE_CHECKING:
    from lexigram.ai.llm.local import LocalServer
    from lexigram.ai.llm.routing import LLMConfig
    from lexigram.ai.llm.transport import Limits, Transport

__all__ = ["LLMModule", "LLMProvider", "read_config"]


class LLMModule:
    """Makes the module that registers the client and its helpers.

    In the container afterwards: ``LLMClientProtocol``, :class:`ClientConfig`, :class:`ProviderRegistry`,
    :class:`TokenCounterRegistry` and :class:`ParserRegistry`; ``EmbeddingClientProtocol`` too where the provider has
    embeddings.
    """

    @staticmethod
    def configure(
        config: ClientConfig | Mapping[str, Any] | None = None,
        *,
        routing: LLMConfig | None = None,
        registry: ProviderRegistry | None = None,
        transport: Transport | None = None,
        limits: Limits | None = None,
    ) -> Module:
        """Return a module for one client.

        Args:
            config: settings; what they leave out is read from the environment, key files and YAML.
            routing: not in this version.
            registry: with providers of your own; the installed ones are found by themselves.
            transport: sends the requests instead of httpx's own transport; it is not closed with the application.
            limits: hard limits of the transport.

        Raises:
            LLMConfigurationError: with ``routing``.
        """
        if routing is not None:
            from lexigram.ai.llm.routing import not_yet

            raise not_yet()
        return Module("llm", (LLMProvider(config, registry=registry, transport=transport, limits=limits),))

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
        registry: ProviderRegistry | None = None,
        transport: Transport | None = None,
        limits: Limits | None = None,
        stub: bool = False,
    ) -> None:
        self._explicit = config
        self._registry = registry or ProviderRegistry()
        self._transport = transport
        self._limits = limits
        self._stub = stub
        self._config = ClientConfig()
        self._client: LLMClientProtocol | None = None
        self._engine: LLMClientProtocol | None = None
        self._server: LocalServer | None = None

    @property
    def name(self) -> str:
        """``llm``."""
        return "llm"

    async def register(self, container: Container) -> None:
        """Read the settings and register everything.

        Raises:
            ConfigError: for a setting that is misspelt or has a bad value.
        """
        if self._stub and isinstance(self._explicit, ClientConfig):
            self._config = self._explicit
        else:
            self._config = read_config(self._explicit, self._registry).value
        container.register(ClientConfig, instance=self._config)
        container.register(ProviderRegistry, instance=self._registry)
        container.register(TokenCounterRegistry, TokenCounterRegistry.with_defaults)
        container.register(ParserRegistry, ParserRegistry.with_defaults)
        container.register(LLMClientProtocol, self._get_client)
        if self._has_embeddings():
            container.register(EmbeddingClientProtocol, self._get_embedder)

    async def boot(self, container: Container) -> None:
        """Check the provider, its package, key and address, start its server if it is ours, and make the client.

        The client is wrapped by the container's ``ResiliencePolicyProtocol``, where one is registered.

        Raises:
            LLMConfigurationError: for whatever is missing, with what to do about it.
        """
        policy = await container.resolve_optional(ResiliencePolicyProtocol)
        await self._start(read_limits=policy is not None)
        self._engine = self._client
        if policy is not None and self._client is not None:
            self._client = policy.wrap(self._client)

    async def _start(self, *, read_limits: bool) -> None:
        self._registry.freeze()
        if self._stub:
            self._client = StubClient(self._config.model)
            return
        make = self._registry.factory(self._config.provider)
        if make is not None:
            self._client = make(self._config)
            return
        vendor = self._registry.get(self._config.provider)
        self._server = find_server(self._config, vendor)
        try:
            if self._server is not None:
                await self._server.start()
            self._client = build_client(
                self._config,
                vendor,
                server=self._server,
                transport=self._transport,
                limits=self._limits,
                read_limits=read_limits,
            )
        except BaseException:
            await self.shutdown()
            raise

    async def shutdown(self) -> None:
        """Close the client, then end its server."""
        client, self._client = self._client, None
        server, self._server = self._server, None
        try:
            if client is not None:
                await client.close()
        finally:
            if server is not None:
                await server.stop()

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

    def _has_embeddings(self) -> bool:
        name = self._config.provider
        if self._stub or name not in self._registry or self._registry.factory(name) is not None:
            return False
        return self._registry.get(name).embeddings is not None

    def _get_embedder(self) -> EmbeddingClientProtocol:
        client = self._engine or self._get_client()
        if not isinstance(client, LLMClient):
            raise LLMConfigurationError(f"a {type(client).__name__} has no embeddings")
        return EmbeddingClient(client)


def read_config(
    explicit: ClientConfig | Mapping[str, Any] | None,
    registry: ProviderRegistry,
    *,
    env: Mapping[str, str] | None = None,
) -> Loaded[ClientConfig]:
    """Return the settings of all sources, and where each came from. What is explicit wins, field by field.

    Raises:
        ConfigError: every problem of every source at once.
    """

    def fallbacks(values: Mapping[str, Any]) -> Iterable[VendorEnv | KeyFile]:
        name = values.get("provider")
        if not isinstance(name, str) or name not in registry or registry.factory(name) is not None:
            return ()
        vendor = registry.get(name)
        return (VendorEnv("api_key", vendor.key_env), KeyFile("api_key", vendor.name))

    return load_settings(ClientConfig, section=SECTION, explicit=explicit, env=env, fallbacks=fallbacks)
