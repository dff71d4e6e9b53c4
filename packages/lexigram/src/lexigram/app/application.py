"""Runs modules: registers all, checks the graph, boots in order, shuts down in reverse order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Literal, Self

from lexigram.app.errors import ApplicationStateError, ModuleConflictError
from lexigram.app.module import Module, Provider
from lexigram.contracts.health import HealthCheckProtocol, HealthCheckResult, HealthStatus
from lexigram.di import Container

__all__ = ["Application"]


class Application:
    """A service's parts and their life.

    Args:
        modules: what the application is made of; the imports of a module come before it, each module once.
        providers: further providers, after those of the modules.
        name: how errors call the application.
        container: a container to use; the application closes it at the end. A new one if None.

    Raises:
        ModuleConflictError: two different modules have the same name.

    Example:
        >>> async with Application(modules=[LLMModule.configure()]) as app:      # doctest: +SKIP
        ...     llm = await app.container.resolve(LLMClientProtocol)
    """

    def __init__(
        self,
        modules: Sequence[Module] = (),
        providers: Sequence[Provider] = (),
        *,
        name: str = "app",
        container: Container | None = None,
    ) -> None:
        self.name = name
        self._container = Container() if container is None else container
        self._providers = _in_order(modules, providers)
        self._booted: list[Provider] = []
        self._state: Literal["new", "starting", "running", "stopped"] = "new"

    @property
    def container(self) -> Container:
        """Where services are resolved from."""
        return self._container

    async def start(self) -> None:
        """Register all providers, check the graph, then boot all, in order.

        If anything fails, what has booted is shut down in reverse order, the container is closed, and the error is
        raised as it is; failures of that clean-up are added to it as notes.

        Raises:
            ApplicationStateError: it was started before.
        """
        if self._state != "new":
            raise ApplicationStateError(f"application {self.name!r} cannot start: it is {self._state}")
        self._state = "starting"
        try:
            for provider in self._providers:
                await provider.register(self._container)
            self._container.validate()
            for provider in self._providers:
                await provider.boot(self._container)
                self._booted.append(provider)
        except BaseException as error:
            await self._stop_after(error)
            raise
        self._state = "running"

    async def stop(self) -> None:
        """Shut down what has booted, in reverse order, then close the container. Safe to call again.

        Raises:
            ExceptionGroup: what failed, after everything was stopped.
        """
        errors = await self._stop()
        if errors:
            raise ExceptionGroup(f"stopping application {self.name!r} failed", errors)

    async def health(self, timeout: float = 5.0) -> list[HealthCheckResult]:
        """Ask every provider that has a ``health_check``, all at once, ``timeout`` seconds each at most."""
        asked = [(p.name, p) for p in self._booted if isinstance(p, HealthCheckProtocol)]
        return list(await asyncio.gather(*(_check(name, check, timeout) for name, check in asked)))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            await self.stop()
        else:
            # The block's own error (or its cancellation) is the one that counts.
            await self._stop_after(error)

    async def _stop_after(self, error: BaseException) -> None:
        for failure in await self._stop():
            notes = "; ".join(getattr(failure, "__notes__", ()))
            error.add_note(f"and {notes or 'while stopping'}: {type(failure).__name__}: {failure}")

    async def _stop(self) -> list[Exception]:
        self._state = "stopped"
        errors: list[Exception] = []
        while self._booted:
            provider = self._booted.pop()
            try:
                await provider.shutdown()
            except Exception as error:  # noqa: BLE001 - collected, and raised by stop()
                error.add_note(f"while shutting down provider {provider.name!r}")
                errors.append(error)
        try:
            await self._container.aclose()
        except ExceptionGroup as group:
            errors.extend(group.exceptions)
        return errors


def _in_order(modules: Iterable[Module], providers: Iterable[Provider]) -> list[Provider]:
    seen: dict[str, Module] = {}
    ordered: dict[int, Provider] = {}

    def add(module: Module) -> None:
        known = seen.get(module.name)
        if known is not None:
            if known != module:
                raise ModuleConflictError(f"two different modules are named {module.name!r}")
            return
        seen[module.name] = module
        for imported in module.imports:
            add(imported)
        for provider in module.providers:
            ordered.setdefault(id(provider), provider)

    for module in modules:
        add(module)
    for provider in providers:
        ordered.setdefault(id(provider), provider)
    return list(ordered.values())


async def _check(name: str, component: HealthCheckProtocol, timeout: float) -> HealthCheckResult:
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            return await component.health_check(timeout)
    except TimeoutError:
        message = f"no answer within {timeout:g} s"
    except Exception as error:  # noqa: BLE001 - a failure is a result
        message = f"the check itself failed: {type(error).__name__}"
    elapsed = (time.monotonic() - started) * 1000
    return HealthCheckResult(name, HealthStatus.UNHEALTHY, message, elapsed)
