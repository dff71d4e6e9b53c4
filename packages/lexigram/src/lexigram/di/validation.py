"""Checks the whole graph of registrations without building anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexigram.di.bindings import Binding
from lexigram.di.errors import CircularDependencyError, DIError, ScopeError, UnresolvableDependencyError
from lexigram.di.inspection import Key, Parameter, label, link

if TYPE_CHECKING:
    from lexigram.di.registry import Registry

__all__ = ["check_graph", "missing"]


def missing(registry: Registry, key: Key, path: str) -> UnresolvableDependencyError:
    """Return the error for a service that nothing is registered for."""
    service, name = key
    what = label(service, name)
    others = [b.name for b in registry.bindings(service)]
    same_name = [
        s for s in registry.services() if s is not service and label(s) == label(service) and registry.bindings(s)
    ]
    if service is Any:
        hint = "give the parameter a type hint, a default, or wrap the factory in a function without it"
    elif others:
        known = ", ".join("without a name" if n is None else repr(n) for n in others)
        hint = f"{label(service)} is registered {known}: ask for Annotated[{label(service)}, Named(...)] or name=..."
    elif same_name:
        hint = f"another {label(service)} is registered, from module {same_name[0].__module__}: check the import"
    else:
        hint = f"register it before: container.register({label(service)}, factory), or add the module that provides it"
    return UnresolvableDependencyError(f"{path}: nothing is registered for {what}", hint=hint, details={"path": path})


def check_graph(registry: Registry) -> None:
    """Raise the error of the graph; if it has several, one error that lists them all."""
    bindings = [b for service in registry.services() for b in registry.bindings(service)]
    check = _Check(registry)
    # What nobody needs goes first, so that paths begin where an application begins.
    for binding in sorted(bindings, key=lambda b: b.key in check.needed(bindings)):
        check.visit(binding, registry, [], [])
    if not check.errors:
        return
    if len(check.errors) == 1:
        raise check.errors[0]
    lines = [f"\n  - {e.message}" + (f"\n      {e.hint}" if e.hint else "") for e in check.errors]
    raise type(check.errors[0])(f"{len(check.errors)} services cannot be built:{''.join(lines)}")


class _Check:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.errors: list[DIError] = []
        self._seen: set[tuple[Registry, Binding]] = set()
        self._needed: set[Key] | None = None

    def needed(self, bindings: list[Binding]) -> set[Key]:
        if self._needed is None:
            self._needed = set()
            for binding in bindings:
                try:
                    self._needed.update(p.key for p in self.registry.plan(binding) if p.key is not None)
                except DIError:
                    continue
        return self._needed

    def visit(self, binding: Binding, asker: Registry, path: list[str], open_: list[Binding]) -> None:
        here = path or [label(*binding.key)]
        if binding in open_:
            self.errors.append(CircularDependencyError(f"a cycle: {' -> '.join(here)}"))
            return
        home = binding.owner if binding.scope == "singleton" else asker
        if (home, binding) in self._seen:
            return
        try:
            plan = home.plan(binding)
        except DIError as error:
            self.errors.append(error)
            self._seen.add((home, binding))
            return
        for parameter in plan:
            for needed in self._needs(home, parameter, here):
                step = [*here, link(needed.key, parameter.name)]
                if binding.scope == "singleton" and needed.scope == "scoped":
                    text = f"{' -> '.join(step)}: a singleton cannot keep the scoped {label(*needed.key)}"
                    self.errors.append(ScopeError(text, hint=f"register {label(*binding.key)} as scoped, too"))
                self.visit(needed, home, step, [*open_, binding])
        self._seen.add((home, binding))

    def _needs(self, home: Registry, parameter: Parameter, path: list[str]) -> list[Binding]:
        found = home.find(parameter.key) if parameter.key is not None else None
        if found is not None:
            return [found]
        many = home.bindings(parameter.item) if parameter.item is not None else []
        if not many and not parameter.has_default and not parameter.optional:
            key = parameter.key or (Any, None)
            self.errors.append(missing(home, key, " -> ".join([*path, link(key, parameter.name)])))
        return many
