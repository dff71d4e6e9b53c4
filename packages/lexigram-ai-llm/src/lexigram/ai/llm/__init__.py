"""The LLM engine. ``LLMModule`` puts a client into the container; everything public is listed in ``__all__``.

Names are loaded when first used: importing this package imports neither httpx nor pydantic nor a provider.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lexigram.ai.llm.client import LLMClient
    from lexigram.ai.llm.config import ClientConfig
    from lexigram.ai.llm.conversation import ConversationConfig, ConversationManager
    from lexigram.ai.llm.embedding import EmbeddingClient
    from lexigram.ai.llm.extraction import JSONExtractor, StructuredExtractor
    from lexigram.ai.llm.module import LLMModule, LLMRoutingProvider
    from lexigram.ai.llm.parsers import CSVParser, EnumParser, JSONParser, ParserRegistry, PydanticParser
    from lexigram.ai.llm.plan import RequestPlan
    from lexigram.ai.llm.registry import ProviderRegistry
    from lexigram.ai.llm.tokens import CharEstimateCounter, HuggingFaceCounter, TiktokenCounter, TokenCounterRegistry
    from lexigram.ai.llm.transport import Limits
    from lexigram.contracts.ai.request import ThinkingConfig

__all__ = [
    "CSVParser",
    "CharEstimateCounter",
    "ClientConfig",
    "ConversationConfig",
    "ConversationManager",
    "EmbeddingClient",
    "EnumParser",
    "HuggingFaceCounter",
    "JSONExtractor",
    "JSONParser",
    "LLMClient",
    "LLMModule",
    "LLMRoutingProvider",
    "Limits",
    "ParserRegistry",
    "ProviderRegistry",
    "PydanticParser",
    "RequestPlan",
    "StructuredExtractor",
    "ThinkingConfig",
    "TiktokenCounter",
    "TokenCounterRegistry",
]

_HOMES = {
    "client": ("LLMClient",),
    "config": ("ClientConfig",),
    "conversation": ("ConversationConfig", "ConversationManager"),
    "embedding": ("EmbeddingClient",),
    "extraction": ("JSONExtractor", "StructuredExtractor"),
    "module": ("LLMModule", "LLMRoutingProvider"),
    "parsers": ("CSVParser", "EnumParser", "JSONParser", "ParserRegistry", "PydanticParser"),
    "plan": ("RequestPlan",),
    "registry": ("ProviderRegistry",),
    "tokens": ("CharEstimateCounter", "HuggingFaceCounter", "TiktokenCounter", "TokenCounterRegistry"),
    "transport": ("Limits",),
}
_MODULES = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}
_MODULES["ThinkingConfig"] = "lexigram.contracts.ai.request"


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
