"""Routing over several providers: the door. The room behind it is not built yet, and says so."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["LLMConfig"]


class LLMConfig(BaseModel):
    """Settings of routing. Passing it to ``LLMModule.configure`` is an error in this version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["sequential", "parallel_race", "cost_optimized", "latency_optimized"] = "sequential"


def not_yet() -> LLMConfigurationError:
    """Return the error for an application that asks for routing."""
    return LLMConfigurationError(
        "routing over several providers is not part of this version",
        hint="configure one provider: LLMModule.configure(ClientConfig(provider=…))",
    )
