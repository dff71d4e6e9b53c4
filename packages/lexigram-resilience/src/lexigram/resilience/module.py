"""What an application adds to have its clients retried, limited and guarded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexigram.app import Module, ProviderBase
from lexigram.config import load_settings
from lexigram.contracts.ai.protocols import ResiliencePolicyProtocol, TokenCounterProtocol
from lexigram.contracts.values import Sealed
from lexigram.di import Container
from lexigram.resilience.config import SECTION, ResilienceConfig
from lexigram.resilience.limiter import LimiterProtocol
from lexigram.resilience.policy import ResiliencePolicy

__all__ = ["ResilienceModule", "ResilienceProvider"]


class ResilienceModule:
    """Makes the module that registers the policy.

    In the container afterwards: ``ResiliencePolicyProtocol``, :class:`ResiliencePolicy` (the same object) and
    :class:`ResilienceConfig`. The module of the engine finds it there, in whatever order the modules stand.
    """

    @staticmethod
    def configure(
        config: ResilienceConfig | Mapping[str, Any] | None = None,
        *,
        limiter: LimiterProtocol | None = None,
        counter: TokenCounterProtocol | None = None,
    ) -> Module:
        """Return the module.

        Args:
            config: settings; what they leave out is read from ``LEX_RESILIENCE__…`` and YAML.
            limiter: a backend of your own, instead of memory or Redis.
            counter: counts a request's tokens for the limits, instead of an estimate.
        """
        return Module("resilience", (ResilienceProvider(config, limiter=limiter, counter=counter),))


class ResilienceProvider(ProviderBase):
    """Reads the settings, registers the policy, and closes its limiter."""

    def __init__(
        self,
        config: ResilienceConfig | Mapping[str, Any] | None = None,
        *,
        limiter: LimiterProtocol | None = None,
        counter: TokenCounterProtocol | None = None,
    ) -> None:
        self._explicit = Sealed(config)  # it may hold the password of a Redis
        self._limiter = limiter
        self._counter = counter
        self._policy: ResiliencePolicy | None = None

    @property
    def name(self) -> str:
        """``resilience``."""
        return "resilience"

    async def register(self, container: Container) -> None:
        """Read the settings and register everything.

        Raises:
            ConfigError: for a setting that is misspelt or has a bad value.
            LLMConfigurationError: Redis is asked for, and its package is missing.
        """
        config = load_settings(ResilienceConfig, section=SECTION, explicit=self._explicit.reveal()).value
        policy = self._policy = ResiliencePolicy(config, limiter=self._limiter, counter=self._counter)
        container.register(ResilienceConfig, instance=config)
        container.register(ResiliencePolicy, instance=policy)
        container.register(ResiliencePolicyProtocol, instance=policy)

    async def shutdown(self) -> None:
        """Give back what the limiter holds."""
        if self._policy is not None:
            await self._policy.aclose()
