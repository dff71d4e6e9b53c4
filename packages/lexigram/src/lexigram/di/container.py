"""The container that users hold; what it knows is in ``registry.py``, how it builds in ``building.py``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from lexigram.di.bindings import LOCK, UNSET, Binding, Build, Lifetime, Unset, current_build
from lexigram.di.building import arguments, get, get_all
from lexigram.di.errors import AsyncFactoryError, ContainerFrozenError
from lexigram.di.inspection import label, parameters
from lexigram.di.override import Override
from lexigram.di.registration import make_binding
from lexigram.di.registry import Registry
from lexigram.di.validation import check_graph

__all__ = ["Container"]

T = TypeVar("T")


class Container:
    """Builds services from what is registered for them, keeps them, and closes them.

    A service is a class, an abstract class or a protocol. What its factory needs is read from the factory's
    type hints. The container is registered in itself. One container may be used from several tasks, threads
    and event loops at the same time.

    Example:
        >>> container = Container()
        >>> container.register(Clock, SystemClock).register(Orders)     # doctest: +SKIP
        >>> orders = await container.resolve(Orders)                    # doctest: +SKIP
        >>> await container.aclose()                                    # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._registry = Registry(self)

    # -- registering ---------------------------------------------------------------------------------------

    def register(
        self,
        service: Callable[..., Any],
        factory: Callable[..., object] | None = None,
        *,
        instance: object | Unset = UNSET,
        scope: Lifetime = "singleton",
        name: str | None = None,
        close: Callable[[Any], Awaitable[None] | None] | None = None,
    ) -> Self:
        """Say how ``service`` is had; a later registration of the same service and name wins.

        Args:
            service: a class, abstract class or protocol; without ``factory`` and ``instance`` the class builds itself.
            factory: a class, function or coroutine function; its parameters are injected.
            instance: a ready object. It stays the caller's: it is closed only if ``close`` is given.
            scope: ``singleton`` is built once by the container it is registered in, from what that container
                knows; ``scoped`` once for each ``scope()``; ``transient`` each time.
            name: tells several of one service apart; see :class:`Named`.
            close: closes what was built, instead of its own ``aclose()`` or ``close()``.

        Raises:
            RegistrationError: it could never be built.
            ContainerFrozenError: after ``freeze()``.
        """
        self._registry.open()
        if self._registry.frozen:
            raise ContainerFrozenError(f"{label(service, name)} cannot be registered: the container is frozen")
        binding = make_binding(self._registry, service, factory, instance, scope, name, close)
        with LOCK:
            self._registry.registrations.append(service, binding)
            if binding.factory is None:
                self._registry.adopt(binding, binding.value, None)
        return self

    def freeze(self) -> None:
        """Refuse registrations from now on. Scopes opened later still take their own."""
        self._registry.frozen = True

    def has(self, service: Callable[..., Any], *, name: str | None = None) -> bool:
        """Return whether something is registered for ``service``."""
        return self._registry.find((service, name)) is not None

    def validate(self) -> None:
        """Check that everything registered can be built, without building anything.

        Raises:
            UnresolvableDependencyError: a link is missing; the message has its path.
            CircularDependencyError: a service needs itself.
            ScopeError: a singleton needs a scoped service.
            RegistrationError: type hints cannot be read.
        """
        check_graph(self._registry)

    # -- resolving -----------------------------------------------------------------------------------------

    async def resolve(self, service: Callable[..., T], *, name: str | None = None) -> T:
        """Return the instance registered last for ``service``, building it if need be.

        ``service`` is typed as a callable and not as ``type[T]``, because mypy refuses protocols and abstract
        classes as ``type[T]``.

        Raises:
            UnresolvableDependencyError: nothing is registered; the message has the path.
            CircularDependencyError: it needs itself.
            ScopeError: it is scoped and this is no scope.
            Exception: whatever a factory raised, with the path as a note.
        """
        return await get(self._registry, (service, name), None, current_build(), sync=False)  # type: ignore[no-any-return]

    def resolve_sync(self, service: Callable[..., T], *, name: str | None = None) -> T:
        """Return what :meth:`resolve` returns, without an event loop.

        Raises:
            AsyncFactoryError: an async factory is involved that has not run yet.
        """
        return _drive(get(self._registry, (service, name), None, current_build(), sync=True))  # type: ignore[no-any-return]

    async def resolve_optional(self, service: Callable[..., T], *, name: str | None = None) -> T | None:
        """Return what :meth:`resolve` returns, or None where nothing is registered for ``service`` itself."""
        build = current_build()
        if build is not None:
            build.needs.add((service, name))
        return await self.resolve(service, name=name) if self.has(service, name=name) else None

    async def resolve_all(self, service: Callable[..., T]) -> list[T]:
        """Return an instance for each registration of ``service``, named ones too, oldest first."""
        return await get_all(self._registry, service, None, current_build(), sync=False)

    @overload
    async def call(self, fn: Callable[..., Coroutine[Any, Any, T]], /, **given: Any) -> T: ...
    @overload
    async def call(self, fn: Callable[..., T], /, **given: Any) -> T: ...
    async def call(self, fn: Callable[..., Any], /, **given: Any) -> Any:
        """Call ``fn`` with its parameters injected, except those given, and return (or await) its result."""
        binding = Binding(fn, None, self._registry, fn, UNSET, "transient", None)
        plan = tuple(p for p in parameters(fn, self._registry.names()) if p.name not in given)
        build = Build(binding, None, current_build())
        try:
            args, kwargs = await arguments(self._registry, plan, build, sync=False)
        finally:
            build.finish()
        result = fn(*args, **kwargs, **given)
        return await result if inspect.isawaitable(result) else result

    # -- overriding, scopes, closing -----------------------------------------------------------------------

    def override(
        self,
        service: Callable[..., Any],
        factory: Callable[..., object] | None = None,
        *,
        instance: object | Unset = UNSET,
        name: str | None = None,
    ) -> Override:
        """Put something else in place of ``service`` while a ``with`` or ``async with`` block runs.

        Singletons that were built from the overridden service are built anew inside the block, and are what they
        were after it. What the block built is closed at its end (``async with``) or with the container (``with``).
        Also takes a service that is not registered. Meant for tests: it holds for every task of the container.
        """
        return Override(
            self._registry, make_binding(self._registry, service, factory, instance, "singleton", name, None)
        )

    def scope(self) -> Container:
        """Return a child container, to be used as ``async with container.scope() as child``.

        The child sees what its parent has, owns what is ``scoped`` and closes it at the block's end. What is
        registered or overridden in the child is seen by the child alone; singletons of the parent never see it.
        """
        self._registry.open()
        child = type(self)()
        child._registry = Registry(child, self._registry)
        return child

    async def aclose(self) -> None:
        """Close what the container built, newest first; open scopes before it. Safe to call again.

        A transient that was resolved directly belongs to whoever asked for it and is not closed.

        Raises:
            ExceptionGroup: what failed, after everything was closed.
        """
        errors = await self._registry.aclose()
        if errors:
            raise ExceptionGroup("closing the container failed", errors)

    async def __aenter__(self) -> Self:
        self._registry.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _drive(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never has to wait."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    work.close()
    raise AsyncFactoryError("a factory waits for an event loop")
