"""What an application is put together from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lexigram.di import Container

__all__ = ["Module", "Provider", "ProviderBase"]


@runtime_checkable
class Provider(Protocol):
    """Brings services into the container and looks after them.

    A provider with ``health_check`` (see ``HealthCheckProtocol``) is asked by ``Application.health()``.
    """

    @property
    def name(self) -> str:
        """How errors and health checks call it."""
        ...

    async def register(self, container: Container) -> None:
        """Register services; nothing can be resolved yet."""
        ...

    async def boot(self, container: Container) -> None:
        """Start what has to run. Everything is registered, and the providers before this one have booted."""
        ...

    async def shutdown(self) -> None:
        """Stop what ``boot`` started. Called only after ``boot`` succeeded."""
        ...


class ProviderBase:
    """A provider that does nothing; override what is needed."""

    @property
    def name(self) -> str:
        """The class's name, unless overridden."""
        return type(self).__name__

    async def register(self, container: Container) -> None:
        """Register nothing."""

    async def boot(self, container: Container) -> None:
        """Start nothing."""

    async def shutdown(self) -> None:
        """Stop nothing."""


@dataclass(frozen=True)
class Module:
    """Providers that belong together, and the modules they need.

    Attributes:
        name: unique in the application.
        providers: registered and booted in this order.
        imports: modules whose providers come first.
    """

    name: str
    providers: tuple[Provider, ...] = ()
    imports: tuple[Module, ...] = ()
