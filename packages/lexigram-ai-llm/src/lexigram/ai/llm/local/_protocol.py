"""What the engine asks of a server that it starts itself (entry-point group ``lexigram.llm_servers``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

from lexigram.contracts.health import HealthCheckResult
from lexigram.contracts.values import Secret

__all__ = ["LocalServer"]


class LocalServer(Protocol):
    """A model server on this machine that lives and ends with the application."""

    @classmethod
    def from_config(cls, model: str | None, extra: Mapping[str, object]) -> Self:
        """Return a server, not yet started, for the settings of a client.

        Raises:
            LLMConfigurationError: naming the setting that is wrong, and what is allowed.
        """
        ...

    @property
    def base_url(self) -> str:
        """Where it answers, e.g. ``http://127.0.0.1:40123/v1``; known once it is started."""
        ...

    @property
    def api_key(self) -> Secret:
        """The key that it asks for."""
        ...

    @property
    def model_name(self) -> str:
        """The name under which it serves its model."""
        ...

    @property
    def synthetic(self) -> bool:
        """Whether the model is a stand-in that knows nothing."""
        ...

    async def start(self) -> Self:
        """Return once it answers. Does nothing when it runs already.

        Raises:
            LLMConfigurationError: if it cannot be started as configured.
            LLMTimeoutError: if it is not ready in time.
            ProviderConnectionError: if it died.
        """
        ...

    async def stop(self) -> None:
        """End it. Safe to call again."""
        ...

    def ensure_running(self) -> None:
        """Return if it runs.

        Raises:
            ProviderConnectionError: if it died: its exit code, its last words and what to do.
        """
        ...

    async def health(self, timeout: float = 5.0) -> HealthCheckResult:
        """Return how it is, within ``timeout`` seconds; never raises for a failure."""
        ...
