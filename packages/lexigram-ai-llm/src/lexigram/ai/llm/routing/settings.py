"""From the settings of routing to the providers that are started for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lexigram.ai.llm.config import ClientConfig
from lexigram.ai.llm.factory import Spelling
from lexigram.ai.llm.routing.config import LLMSettings, ProviderConfig
from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["client_settings", "spelling_of", "with_own_provider"]

_OF_ONE: Final = ("model", "api_key", "api_base", "api", "extra")


def with_own_provider(settings: LLMSettings, sources: Mapping[str, str]) -> dict[str, ProviderConfig]:
    """Return the providers that are enabled, by name; the client's own, where one is set, is the first of them.

    Args:
        settings: of all sources.
        sources: where each came from.

    Raises:
        LLMConfigurationError: none is enabled, or it is not said whose a setting of the client is.
    """
    given = {name.partition(".")[0] for name, source in sources.items() if _is_ours(source)}
    own: dict[str, ProviderConfig] = {}
    if "provider" in given or not settings.providers:
        if settings.provider in settings.providers:
            raise LLMConfigurationError(
                f"provider {settings.provider!r} stands twice: as the client's own, and among the providers",
                hint="leave provider out, and set the rest in providers",
            )
        fields = {name: getattr(settings, name) for name in ("api_key", "api", "extra")}
        model = settings.model if "model" in settings.model_fields_set else None
        own[settings.provider] = ProviderConfig(model=model, base_url=settings.api_base, **fields)
    elif homeless := [name for name in _OF_ONE if name in given]:
        name = homeless[0]
        raise LLMConfigurationError(
            f"{name}: of which provider? There are {', '.join(settings.providers)}",
            hint=f"set providers.<name>.{'base_url' if name == 'api_base' else name}",
        )
    enabled = {name: entry for name, entry in {**own, **settings.providers}.items() if entry.enabled}
    if not enabled:
        raise LLMConfigurationError("no provider is enabled", hint="set providers.<name>.enabled")
    return enabled


def client_settings(name: str, entry: ProviderConfig, settings: LLMSettings) -> ClientConfig:
    """Return the settings of one provider's client: its own, what they leave out from those of all."""
    own: dict[str, Any] = {
        field: getattr(entry, field)
        for field in ("model", "api_key", "api", "temperature", "max_tokens", "thinking")
        if getattr(entry, field) is not None
    }
    shared = ("temperature", "max_tokens", "thinking", "timeout", "timeouts", "enable_cache", "cache_ttl")
    values = {field: getattr(settings, field) for field in shared if field in settings.model_fields_set} | own
    return ClientConfig(provider=entry.provider or name, api_base=entry.base_url, extra=entry.extra, **values)


def spelling_of(name: str) -> Spelling:
    """Return how errors name the settings of one provider."""
    return Spelling(f"LEX_AI_LLM__PROVIDERS__{name.upper()}__", "base_url")


def _is_ours(source: str) -> bool:
    """Return whether a setting was set for Lexigram, and not found in a vendor's variable or key file."""
    return source != "default" and (source.startswith("env LEX_") or not source.startswith(("env ", "file ")))
