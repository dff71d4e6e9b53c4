"""From settings to a client that is ready to be asked: its server started where the application runs it itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lexigram.ai.llm.factory import OWN_SPELLING, Spelling, build_client, find_server
from lexigram.contracts.ai.protocols import LLMClientProtocol, ResiliencePolicyProtocol

if TYPE_CHECKING:
    from lexigram.ai.llm.config import ClientConfig
    from lexigram.ai.llm.local import LocalServer
    from lexigram.ai.llm.registry import ProviderRegistry
    from lexigram.ai.llm.transport import Limits, Transport

__all__ = ["Started", "start"]


@dataclass(slots=True)
class Started:
    """A client, and what stands behind it.

    Attributes:
        client: to be asked: under the policy, where there is one.
        engine: the client inside.
        server: the one that was started for it, or None.
    """

    client: LLMClientProtocol
    engine: LLMClientProtocol
    server: LocalServer | None = None

    async def stop(self) -> None:
        """Close the client, then end its server."""
        try:
            await self.client.close()
        finally:
            if self.server is not None:
                await self.server.stop()


async def start(
    config: ClientConfig,
    registry: ProviderRegistry,
    *,
    transport: Transport | None = None,
    limits: Limits | None = None,
    policy: ResiliencePolicyProtocol | None = None,
    spelling: Spelling = OWN_SPELLING,
) -> Started:
    """Return the client of the settings.

    Args:
        config: the settings, read from all their sources.
        registry: has the provider.
        transport: instead of the engine's own.
        limits: of the transport.
        policy: wraps the client.
        spelling: how errors name the settings.

    Raises:
        LLMConfigurationError: for whatever is missing, with what to do about it.
    """
    server: LocalServer | None = None
    make = registry.factory(config.provider)
    if make is not None:
        engine = make(config)
    else:
        vendor = registry.get(config.provider)
        server = find_server(config, vendor)
        try:
            if server is not None:
                await server.start()
            engine = build_client(
                config,
                vendor,
                server=server,
                transport=transport,
                limits=limits,
                read_limits=policy is not None,
                spelling=spelling,
            )
        except BaseException:
            if server is not None:
                await server.stop()
            raise
    return Started(engine if policy is None else policy.wrap(engine), engine, server)
