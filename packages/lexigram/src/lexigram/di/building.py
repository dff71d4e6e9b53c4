"""Builds what is asked for: each kept instance once, whoever asks first, from whatever task, thread or loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from lexigram.di.bindings import LOCK, UNSET, Binding, Build, Slot, run_factory
from lexigram.di.errors import AsyncFactoryError, CircularDependencyError, ContainerClosedError, ScopeError
from lexigram.di.inspection import Key, Parameter, label, link
from lexigram.di.registry import Registry
from lexigram.di.validation import missing

__all__ = ["arguments", "get", "get_all"]


async def get(registry: Registry, key: Key, parameter: str | None, parent: Build | None, *, sync: bool) -> Any:
    """Return the instance for ``key``, asked for by ``parameter`` of what ``parent`` builds."""
    registry.open()
    if parent is not None:
        parent.needs.add(key)
    binding = registry.find(key)
    if binding is None:
        raise missing(registry, key, f"{parent.path()} -> {link(key, parameter)}" if parent else link(key, parameter))
    return await _provide(registry, binding, parameter, parent, sync=sync)


async def get_all(
    registry: Registry, service: Any, parameter: str | None, parent: Build | None, *, sync: bool
) -> list[Any]:
    """Return an instance for each registration of ``service``, oldest first."""
    registry.open()
    if parent is not None:
        parent.needs.add((service, None))
    with LOCK:
        bindings = registry.bindings(service)
    return [await _provide(registry, binding, parameter, parent, sync=sync) for binding in bindings]


async def _provide(
    registry: Registry, binding: Binding, parameter: str | None, parent: Build | None, *, sync: bool
) -> Any:
    if parent is not None:
        parent.needs.add(binding.key)
    if binding.factory is None:
        return binding.value
    if binding.scope == "transient":
        build = Build(binding, parameter, parent)
        try:
            value = await _make(registry, build, sync=sync)
        finally:
            build.finish()
        if parent is not None:
            parent.needs |= build.needs
            registry.keep(binding, value)
        return value
    if binding.scope == "scoped" and registry.parent is None:
        path = f"{parent.path()} -> {link(binding.key, parameter)}" if parent else label(*binding.key)
        raise ScopeError(f"{path}: {label(*binding.key)} is scoped and this container is no scope")
    home = binding.owner if binding.scope == "singleton" else registry
    return await _kept(home, binding, parameter, parent, sync=sync)


async def _kept(
    registry: Registry, binding: Binding, parameter: str | None, parent: Build | None, *, sync: bool
) -> Any:
    """Return the one instance of ``binding`` here; whoever comes first builds it, the others wait."""
    while True:
        with LOCK:
            slot = registry.slot(binding)
            if parent is not None and slot.value is not UNSET:
                parent.needs |= slot.needs
            if slot.value is not UNSET:
                return slot.value
            other = slot.build
            above = [] if parent is None else list(parent.chain())
            if other is not None and parent is not None and other.waits_for(set(above)):
                raise CircularDependencyError(f"a cycle: {parent.path()} -> {link(binding.key, parameter)}")
            build = Build(binding, parameter, parent)
            if other is None:
                slot.build = build
            for asker in above:
                asker.waits.append(slot)
        try:
            if other is None:
                return await _fill(registry, slot, build, sync=sync)
            await _wait(other, sync=sync)
        finally:
            with LOCK:
                for asker in above:
                    asker.waits.remove(slot)


async def _fill(registry: Registry, slot: Slot, build: Build, *, sync: bool) -> Any:
    binding, parent = build.binding, build.parent
    try:
        value = await _make(registry, build, sync=sync)
        with LOCK:
            layer = registry.layer_for(binding, build.needs)
            target = slot if layer is None else layer.slots.setdefault((registry, binding), Slot())
            registry.keep(binding, value, layer)
            target.value, target.needs = value, frozenset(build.needs)
    finally:
        with LOCK:
            slot.build = None
            if parent is not None:
                parent.needs |= build.needs
            build.finish()
    if registry.closed:
        await registry.finalize(registry.finalizers)
        raise ContainerClosedError(f"the container was closed while {label(*binding.key)} was built")
    return value


async def _make(registry: Registry, build: Build, *, sync: bool) -> Any:
    if any(b.binding is build.binding for b in list(build.chain())[1:]):
        raise CircularDependencyError(f"a cycle: {build.path()}")
    args, kwargs = await arguments(registry, registry.plan(build.binding), build, sync=sync)
    path = build.path()

    def refuse() -> AsyncFactoryError:
        return AsyncFactoryError(f"{path}: the factory of {label(*build.binding.key)} is async")

    try:
        return await run_factory(build, args, kwargs, refuse if sync else None)
    except Exception as error:
        if not any(note.startswith("while building ") for note in getattr(error, "__notes__", ())):
            error.add_note(f"while building {path}")
        raise


async def arguments(
    registry: Registry, plan: tuple[Parameter, ...], build: Build, *, sync: bool
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and keyword arguments that ``plan`` asks for."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for parameter in plan:
        key = parameter.key
        found = key is not None and registry.find(key) is not None
        if key is not None:
            build.needs.add(key)
        if not found and parameter.item is not None and registry.bindings(parameter.item):
            value: Any = await get_all(registry, parameter.item, parameter.name, build, sync=sync)
        elif not found and parameter.has_default:
            continue
        elif not found and parameter.optional:
            value = None
        else:
            value = await get(registry, key or (Any, None), parameter.name, build, sync=sync)
        if parameter.positional:
            args.append(value)
        else:
            kwargs[parameter.name] = value
    return args, kwargs


async def _wait(build: Build, *, sync: bool) -> None:
    if not sync:
        await asyncio.wrap_future(build.finished)
    elif build.thread == threading.get_ident():
        raise AsyncFactoryError(f"{label(*build.binding.key)} is being built by a task of this very thread")
    else:
        build.finished.result()
