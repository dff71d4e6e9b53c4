"""The client's settings, and where they are read from."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from lexigram.contracts.ai.request import ThinkingConfig, Timeouts

__all__ = ["DEFAULT_MODEL", "SECTION", "ClientConfig"]

SECTION: Final = "ai_llm"
DEFAULT_MODEL: Final = "gpt-4-turbo"


class ClientConfig(BaseModel):
    """Settings of a client; each may also come from ``LEX_AI_LLM__<FIELD>``.

    Attributes:
        provider: name of a vendor in the :class:`ProviderRegistry`.
        model: the model to ask when a call names none. Where only the provider is set, the vendor's own default.
        api_key: the key; else ``LEX_AI_LLM__API_KEY``, the vendor's own variable, or its key file.
        api_base: base URL instead of the vendor's.
        api: which of the vendor's dialects to speak; its first when None.
        temperature: 0 … 2; None leaves it to the vendor.
        max_tokens: most tokens of an answer, ≥ 1; None leaves it to the vendor.
        timeout: seconds for a whole call.
        timeouts: finer deadlines; its ``total`` wins over ``timeout``.
        enable_cache, cache_ttl: whether to cache answers, and for how many seconds (needs a cache backend).
        thinking: how to reason, for every call that does not say so itself.
        extra: the vendor's own settings (region, resource, account …), by name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)

    provider: str = Field(default="openai", min_length=1)
    model: str = Field(default=DEFAULT_MODEL, min_length=1)
    api_key: SecretStr | None = None
    api_base: str | None = None
    api: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    timeout: float = Field(default=60.0, gt=0)
    timeouts: Timeouts | None = None
    enable_cache: bool = False
    cache_ttl: int = Field(default=3600, ge=1)
    thinking: ThinkingConfig | None = None
    extra: dict[str, Any] = Field(default_factory=dict[str, Any])

    @field_validator("api_base")
    @classmethod
    def _strip_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @property
    def deadlines(self) -> Timeouts:
        """The deadlines of a call that names none."""
        own = self.timeouts or Timeouts()
        return Timeouts(own.total or self.timeout, own.connect or 10.0, own.first_token, own.idle)
