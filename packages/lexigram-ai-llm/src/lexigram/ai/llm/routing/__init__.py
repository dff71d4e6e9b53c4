"""Routing over several providers: a client that asks one of them, and the others when it fails.

``LLMModule.configure(routing=LLMConfig(…))`` puts an :class:`LLMRouter` into the container as ``LLMClientProtocol``.
Names are loaded when first used: an application without routing pays for its settings only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexigram.ai.llm.routing.client import LLMRouter
    from lexigram.ai.llm.routing.config import LLMConfig, Price, ProviderConfig
    from lexigram.ai.llm.routing.strategies import Strategy
    from lexigram.ai.llm.routing.target import Place, Target

__all__ = ["LLMConfig", "LLMRouter", "Place", "Price", "ProviderConfig", "Strategy", "Target"]

_HOMES = {
    "LLMConfig": "config",
    "LLMRouter": "client",
    "Place": "target",
    "Price": "config",
    "ProviderConfig": "config",
    "Strategy": "strategies",
    "Target": "target",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
