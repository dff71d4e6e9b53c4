"""Puts something else in place of a service for a while."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from lexigram.di.bindings import LOCK, Binding, Layer
from lexigram.di.registry import Registry

if TYPE_CHECKING:
    from lexigram.di.container import Container

__all__ = ["Override"]


class Override:
    """What :meth:`Container.override` returns; a context manager of both kinds."""

    def __init__(self, registry: Registry, binding: Binding) -> None:
        self._registry = registry
        self._layer = Layer(binding)
        self._adopted = False

    def __enter__(self) -> Container:
        binding = self._layer.binding
        with LOCK:
            self._registry.layers.append(self._layer)
            self._adopted = binding.factory is None and self._registry.adopt(binding, binding.value, None)
        return self._registry.container

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        self._registry.finalizers.extend(self._layer.finalizers)

    async def __aenter__(self) -> Container:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave()
        errors = await self._registry.finalize(self._layer.finalizers)
        if errors:
            raise ExceptionGroup("closing what an override built failed", errors)

    def _leave(self) -> None:
        with LOCK:
            self._registry.layers.remove(self._layer)
            if self._adopted:
                self._registry.known.discard(id(self._layer.binding.value))
