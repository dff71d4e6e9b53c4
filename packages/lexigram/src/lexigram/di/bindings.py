"""The container's records: what is registered, what is built, and what is being built."""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from lexigram.di.inspection import Key, Parameter, link

if TYPE_CHECKING:
    from lexigram.di.registry import Registry

__all__ = [
    "LOCK",
    "UNSET",
    "Binding",
    "Build",
    "Finalizer",
    "Layer",
    "Lifetime",
    "Slot",
    "Unset",
    "current_build",
    "finalizer",
]

Lifetime: TypeAlias = Literal["singleton", "transient", "scoped"]
"""How long what a factory returns is kept: by the container, by nobody, by the scope that asked."""

Finalizer: TypeAlias = Callable[[], Any]

LOCK: Final = threading.RLock()
"""Guards every slot. Held for a few dictionary look-ups, never while something is built."""


class Unset(Enum):
    """The type of a value that was not given."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET


@dataclass(slots=True, eq=False)
class Binding:
    """One registration."""

    service: Any
    name: str | None
    owner: Registry
    factory: Callable[..., Any] | None
    value: Any
    scope: Lifetime
    close: Callable[[Any], Awaitable[None] | None] | None
    plan: tuple[Parameter, ...] | None = None

    @property
    def key(self) -> Key:
        """The service and its name."""
        return (self.service, self.name)


@dataclass(slots=True, eq=False)
class Slot:
    """Where a kept instance lives, with the keys that it was built from."""

    value: Any = UNSET
    needs: frozenset[Key] = frozenset()
    build: Build | None = None


class Build:
    """One run of a factory. Whoever else wants its result waits for ``finished``."""

    __slots__ = ("binding", "done", "finished", "needs", "parameter", "parent", "thread", "waits")

    def __init__(self, binding: Binding, parameter: str | None, parent: Build | None) -> None:
        self.binding = binding
        self.parameter = parameter
        self.parent = parent
        self.needs: set[Key] = set()
        self.waits: list[Slot] = []
        self.thread = threading.get_ident()
        self.done = False
        self.finished: Future[None] = Future()
        # A running future refuses cancel(): one cancelled waiter must not wake the others.
        self.finished.set_running_or_notify_cancel()

    def finish(self) -> None:
        """Wake those who wait."""
        self.done = True
        self.finished.set_result(None)

    def chain(self) -> Iterator[Build]:
        """Yield this build, then the one that asked for it, and so on."""
        build: Build | None = self
        while build is not None:
            yield build
            build = build.parent

    def path(self) -> str:
        """Return how this build came about: ``A -> B (parameter 'b')``."""
        return " -> ".join(link(b.binding.key, b.parameter) for b in reversed(list(self.chain())))

    def waits_for(self, others: set[Build]) -> bool:
        """Return whether this build cannot end before one of ``others`` does."""
        seen: set[Build] = set()
        pending: list[Build] = [self]
        while pending:
            build = pending.pop()
            if build in others:
                return True
            if build not in seen:
                seen.add(build)
                pending.extend(slot.build for slot in build.waits if slot.build is not None)
        return False


_serial = itertools.count()


@dataclass(slots=True, eq=False)
class Layer:
    """One active override: what it puts in place, and what was built while it stood there."""

    binding: Binding
    slots: dict[tuple[Registry, Binding], Slot] = field(default_factory=dict["tuple[Registry, Binding]", Slot])
    finalizers: list[tuple[Any, Finalizer]] = field(default_factory=list[tuple[Any, Finalizer]])
    serial: int = field(default_factory=lambda: next(_serial))


_current: ContextVar[Build | None] = ContextVar("lexigram_di_build", default=None)


def current_build() -> Build | None:
    """Return the build whose factory is running here, or None. A task outlives the factory that started it."""
    build = _current.get()
    return None if build is None or build.done else build


async def run_factory(
    build: Build, args: list[Any], kwargs: dict[str, Any], refuse_async: Callable[[], Exception] | None
) -> Any:
    """Call the factory of ``build``; what it resolves itself counts as needed by it.

    Args:
        build: the build under way.
        args: positional arguments.
        kwargs: keyword arguments.
        refuse_async: makes the error for a factory that has to be awaited; None where awaiting is fine.
    """
    factory = build.binding.factory
    assert factory is not None
    if refuse_async is not None and inspect.iscoroutinefunction(factory):
        raise refuse_async()
    token = _current.set(build)
    try:
        value = factory(*args, **kwargs)
        # Only coroutines and futures are awaited: some clients define __await__ for their own purposes.
        if isinstance(factory, type) or not (inspect.iscoroutine(value) or hasattr(value, "add_done_callback")):
            return value
        if refuse_async is not None:
            if inspect.iscoroutine(value):
                value.close()
            raise refuse_async()
        return await value
    finally:
        _current.reset(token)


def finalizer(binding: Binding, value: Any) -> Finalizer | None:
    """Return what closes ``value``: the registration's ``close``, else its ``aclose()`` or ``close()``."""
    if binding.close is not None:
        close = binding.close
        return lambda: close(value)
    if isinstance(value, type):
        return None
    for name in ("aclose", "close"):
        method = getattr(value, name, None)
        if callable(method):
            found: Finalizer = method
            return found
    return None
