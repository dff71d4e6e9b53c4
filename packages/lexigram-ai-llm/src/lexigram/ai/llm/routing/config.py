"""The settings of routing: which providers there are, and who is asked first."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from lexigram.ai.llm.config import ClientConfig
from lexigram.contracts.ai.request import ThinkingConfig

__all__ = ["LLMConfig", "LLMSettings", "Price", "ProviderConfig", "StrategyName"]

StrategyName: TypeAlias = Literal["sequential", "parallel_race", "cost_optimized", "latency_optimized", "weighted"]
"""Who is asked first: see :class:`LLMConfig`."""


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Settings):
    """What a model costs, in US dollars for a million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)


class ProviderConfig(_Settings):
    """One provider that calls may go to; each field may also come from ``LEX_AI_LLM__PROVIDERS__<NAME>__<FIELD>``.

    Attributes:
        provider: its name in the registry, where the entry goes by another name (two entries of one vendor).
        model: the model to ask when a call names none, or a name that is not in ``models``; else the vendor's default.
        models: further models that it serves: the name that calls use, and the vendor's own.
        api_key: the key; else the vendor's own variable, or its key file.
        base_url: instead of the vendor's.
        api: which of the vendor's dialects to speak.
        timeout: seconds for its part of a call; the call's own total holds besides.
        temperature, max_tokens, thinking: for calls that do not say so themselves, instead of the client's.
        enabled: whether it is asked at all.
        weight: its share of the calls with ``weighted``; 0 makes it a fallback only.
        price: of its model, for ``cost_optimized``; else looked up in the ``genai-prices`` package.
        extra: the vendor's own settings (region, resource, account …), by name.
    """

    provider: str | None = Field(default=None, min_length=1)
    model: str | None = Field(default=None, min_length=1)
    models: dict[str, str] = Field(default_factory=dict[str, str])
    api_key: SecretStr | None = None
    base_url: str | None = None
    api: str | None = None
    timeout: float | None = Field(default=None, gt=0)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    thinking: ThinkingConfig | None = None
    enabled: bool = True
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    price: Price | None = None
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])


class LLMConfig(_Settings):
    """Settings of routing; each may also come from ``LEX_AI_LLM__<FIELD>``.

    Whoever is asked first, the others are asked when it fails, each at least once; a stream goes over to another
    provider only as long as nothing of it has been handed out.

    Attributes:
        strategy: who is asked first: ``sequential``: in the order of ``providers``; ``weighted``: at random, by weight;
            ``cost_optimized``: the cheapest for the request; ``latency_optimized``: the one that answered fastest of
            late; ``parallel_race``: all at once, and the first good answer is taken.
        providers: by name. In code, those given in code come first, in their order.
        fallback_models: a chain of models, by their names or those of their providers, or ``provider:model``. A call
            begins with the one that it names, or that the strategy picks, and goes on along the chain, round its end.
            Without a chain a call that names a model stays with the providers that serve it.
        attempts_before_failover: tries at one provider before the next untried one is asked.
        cooldown: seconds for which a provider that refuses every call (key, permission, quota, no such model) is passed
            over; one that fails again and again is passed over for up to as long.
        reserve: share of the call's deadline that is kept for each provider not asked yet, 0 … 1.
        forget_after: seconds after which a measured latency does not count any more.
    """

    strategy: StrategyName = "sequential"
    providers: dict[str, ProviderConfig] = Field(default_factory=dict[str, ProviderConfig])
    fallback_models: tuple[str, ...] = ()
    attempts_before_failover: int = Field(default=1, ge=1)
    cooldown: float = Field(default=60.0, ge=0)
    reserve: float = Field(default=0.2, ge=0, lt=1)
    forget_after: float = Field(default=300.0, gt=0)


class LLMSettings(ClientConfig, LLMConfig):
    """All settings of the section ``ai_llm``: those of a client, and those of routing."""
