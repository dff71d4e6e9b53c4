"""What a container knows and holds: registrations, instances, overrides, and what is to be closed."""

from __future__ import annotations

import inspect
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import punq

from lexigram.di.bindings import LOCK, UNSET, Binding, Finalizer, Layer, Slot, finalizer
from lexigram.di.errors import ContainerClosedError
from lexigram.di.inspection import Key, Parameter, parameters

if TYPE_CHECKING:
    from lexigram.di.container import Container

__all__ = ["Registry"]


class Registry:
    """The state of one container; a scope's registry has a ``parent``."""

    def __init__(self, container: Container, parent: Registry | None = None) -> None:
        self.container = container
        self.parent = parent
        self.registrations: punq.RegistrationScope = punq.RegistrationScope(
            None if parent is None else parent.registrations
        )
        self.slots: dict[Binding, Slot] = {}
        self.layers: list[Layer] = []
        self.finalizers: list[tuple[Any, Finalizer]] = []
        # ids of objects that somebody closes already; each is kept alive by a binding, a finalizer or an override
        self.known: set[int] = set()
        self.children: weakref.WeakSet[Registry] = weakref.WeakSet()
        self.frozen = False
        self.closed = False
        if parent is not None:
            parent.children.add(self)

    def open(self) -> None:
        """Raise if this container or one above it is closed."""
        for registry in self.lineage():
            if registry.closed:
                raise ContainerClosedError("the container is closed")

    def lineage(self) -> Iterator[Registry]:
        """Yield this registry, then the one above it, and so on."""
        registry: Registry | None = self
        while registry is not None:
            yield registry
            registry = registry.parent

    def bindings(self, service: Any) -> list[Binding]:
        """Return the registrations of ``service`` that count here, oldest first."""
        found: list[Binding] = self.registrations.get(service)
        for registry in reversed(list(self.lineage())):
            for layer in registry.layers:
                if layer.binding.service == service:
                    found = [b for b in found if b.name != layer.binding.name]
                    found.append(layer.binding)
        return found

    def find(self, key: Key) -> Binding | None:
        """Return the registration that counts for ``key``, or None."""
        service, name = key
        with LOCK:
            found = next((b for b in reversed(self.bindings(service)) if b.name == name), None)
        if found is None and service is type(self.container) and name is None:
            return Binding(service, None, self, None, self.container, "singleton", None)
        return found

    def names(self) -> dict[str, Any]:
        """Return the registered classes by name, where the name is theirs alone."""
        names: dict[str, Any] = {"Container": type(self.container)}
        classes = [service for service in self.services() if isinstance(service, type)]
        count = Counter(service.__name__ for service in classes)
        names.update((service.__name__, service) for service in classes if count[service.__name__] == 1)
        return names

    def services(self) -> list[Any]:
        """Return every service that is registered or overridden here or above."""
        with LOCK:
            found = dict.fromkeys(s for c in self.lineage() for s in c.registrations.entries)
            found.update(dict.fromkeys(layer.binding.service for c in self.lineage() for layer in c.layers))
        return list(found)

    def plan(self, binding: Binding) -> tuple[Parameter, ...]:
        """Return what the factory of ``binding`` needs."""
        if binding.plan is None:
            binding.plan = parameters(binding.factory, self.names()) if binding.factory is not None else ()
        return binding.plan

    def active_layers(self) -> list[Layer]:
        """Return the overrides in force, newest first."""
        return sorted((layer for c in self.lineage() for layer in c.layers), key=lambda layer: -layer.serial)

    def layer_for(self, binding: Binding, needs: set[Key]) -> Layer | None:
        """Return the override that owns what was built: the newest, if anything that went into it is overridden."""
        layers = self.active_layers()
        touched = any(layer.binding is binding or layer.binding.key in needs for layer in layers)
        return layers[0] if touched else None

    def slot(self, binding: Binding) -> Slot:
        """Return the slot of ``binding`` that no active override makes stale."""
        base = self.slots.setdefault(binding, Slot())
        overridden: set[Key] = set()
        layers = self.active_layers()
        for layer in layers:
            slot = layer.slots.get((self, binding))
            if slot is not None and overridden.isdisjoint(slot.needs):
                return slot
            overridden.add(layer.binding.key)
        if base.value is UNSET or overridden.isdisjoint(base.needs):
            return base
        return layers[0].slots.setdefault((self, binding), Slot())

    def keep(self, binding: Binding, value: Any, layer: Layer | None = None) -> None:
        """Close ``value``, which a factory built, later."""
        close = finalizer(binding, value)
        if close is not None:
            self.adopt(binding, value, close, layer)

    def adopt(self, binding: Binding, value: Any, close: Finalizer | None, layer: Layer | None = None) -> bool:
        """Close ``value`` later, unless somebody already does (a factory may return another one's object).

        Returns:
            Whether it is looked after from now on, and was not before.
        """
        if binding.factory is None and binding.close is not None:
            close = finalizer(binding, value)
        with LOCK:
            if any(id(value) in registry.known for registry in self.lineage()):
                return False
            self.known.add(id(value))
            if close is not None:
                (self.finalizers if layer is None else layer.finalizers).append((value, close))
            return True

    async def finalize(self, finalizers: list[tuple[Any, Finalizer]]) -> list[Exception]:
        """Close, newest first, and return what failed."""
        errors: list[Exception] = []
        while finalizers:
            value, close = finalizers.pop()
            self.known.discard(id(value))
            try:
                result = close()
                if inspect.isawaitable(result):
                    await result
            except Exception as error:  # noqa: BLE001 - collected, and raised by aclose()
                error.add_note(f"while closing {type(value).__name__}")
                errors.append(error)
        return errors

    async def aclose(self) -> list[Exception]:
        """Close open scopes, then everything that was built here, newest first; return what failed."""
        self.closed = True
        errors: list[Exception] = []
        for child in list(self.children):
            errors += await child.aclose()
        if self.parent is not None:
            self.parent.children.discard(self)
        errors += await self.finalize(self.finalizers)
        with LOCK:
            self.slots.clear()
        return errors
