"""Every client of this house keeps what the conformance kit asks of any."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import pytest

from lexigram.ai.llm.factory import client_of_row
from lexigram.ai.llm.stub import StubClient
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.errors import LLMRateLimitError, StreamError
from lexigram.contracts.ai.messages import ToolCall
from lexigram.contracts.wire import Vendor
from lexigram.resilience import ResilienceConfig, ResiliencePolicy
from lexigram.testing import FakeLLM
from lexigram.testing.conformance.client import ClientConformance, Situation
from lexigram.testing.conformance.http_client import HttpClientConformance
from lexigram.testing.conformance.samples import load_samples

PACKAGES = "openai anthropic google cohere ollama bedrock replicate".split()
NO_STREAMS = {name for name in HttpClientConformance.ALL if "stream" in name or name.startswith("settles")} | {
    "tells_usage", "gives_failures_as_values", "keeps_deadlines", "answers_many_at_once", "serves_several_event_loops",
    "shows_no_secret", "reads_any_chunking", "follows_no_redirect", "asks_once", "closes_its_connections", "calls_tools",
}  # fmt: skip


class OfTheEngine(HttpClientConformance):
    vendor: ClassVar[Vendor]
    api: ClassVar[str]

    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        return client_of_row(
            self.vendor,
            base_url=base_url,
            key=key,
            model=self.samples.model,
            api=self.api,
            params=self.samples.settings,
        )


def _classes() -> dict[str, type[OfTheEngine]]:
    """One class a wire: the engine over each dialect that an installed package brings."""
    found: dict[str, type[OfTheEngine]] = {}
    for package in PACKAGES:
        samples = load_samples(f"lexigram.ai.{package}")
        for row in importlib.import_module(f"lexigram.ai.{package}").vendors():
            for api, dialect in row.dialects.items():
                name = "Test" + "".join(word.capitalize() for word in dialect.NAME.split("."))
                claims = HttpClientConformance.ALL - (NO_STREAMS if package == "replicate" else set())
                about: dict[str, Any] = {"claims": claims, "vendor": row, "api": api, "samples": samples[dialect.NAME]}
                found.setdefault(name, type(name, (OfTheEngine,), {**about, "framing": dialect.FRAMING}))
    return found


globals().update(_classes())
