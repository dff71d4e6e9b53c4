"""The clients that wrap or play another keep what the kit asks of any, as far as they say anything at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lexigram.ai.llm.factory import client_of_row
from lexigram.ai.llm.routing import LLMConfig, LLMRouter, Target
from lexigram.ai.llm.stub import StubClient
from lexigram.ai.openai import vendors
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.completion import Completion, StreamChunk, Usage
from lexigram.contracts.ai.errors import LLMRateLimitError, StreamError
from lexigram.contracts.ai.messages import ToolCall
from lexigram.contracts.ai.request import Timeouts
from lexigram.resilience import ResilienceConfig, ResiliencePolicy
from lexigram.testing import FakeLLM
from lexigram.testing.conformance.client import ClientConformance, Situation
from lexigram.testing.conformance.http_client import HttpClientConformance
from lexigram.testing.conformance.samples import load_samples

ONCE = ResilienceConfig.of(retry={"max_attempts": 1}, breaker={"enabled": False})


SAMPLES = load_samples("lexigram.ai.openai")["openai.chat"]


class TestResilientClient(HttpClientConformance):
    claims = HttpClientConformance.ALL
    # Without hints to wait, which it heeds.
    samples = replace(SAMPLES, refusals=tuple(replace(refusal, headers={}) for refusal in SAMPLES.refusals))

    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        row = next(row for row in vendors() if row.name == "groq")
        return ResiliencePolicy(ONCE).wrap(client_of_row(row, base_url=base_url, key=key, model=self.samples.model))


class TestRouter(TestResilientClient):
    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        one = super().make_client(base_url, key)
        return LLMRouter([Target("one", one, self.samples.model)], timeouts=Timeouts(total=60, connect=10))


class TestRacingRouter(TestResilientClient):
    # A race asks more than once by its nature, and so there is more than one request to look into.
    claims = HttpClientConformance.ALL - {"asks_once", "sends_the_key_in_a_header"}

    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        clients = [super(TestRacingRouter, self).make_client(base_url, key) for _ in range(2)]
        targets = [Target(f"{number}", client, self.samples.model) for number, client in enumerate(clients)]
        return LLMRouter(targets, LLMConfig(strategy="parallel_race"))


class TestFakeLLM(ClientConformance):
    # It asks nobody: nothing can hang, and there is no provider to be unwell.
    claims = ClientConformance.ALL - {"keeps_deadlines", "checks_health_in_bounded_time"}

    def make(self, situation: Situation) -> LLMClientProtocol:
        usage = Usage(9, 3, 12, source="reported")
        call = ToolCall("call-1", self.tool, {"city": "Oslo"})
        reply: Any = {
            "answers": Completion(self.text, usage=usage),
            "calls a tool": Completion(parts=(call,), usage=usage),
            "refuses": lambda request: LLMRateLimitError(
                "slow down", status=429, provider="fake", model=request.model, attempts=_tried(request.model)
            ),
            "breaks off": lambda _: [StreamChunk("Hello"), StreamError("cut", provider="fake")],
        }[situation]
        return FakeLLM(*[reply] * 500)


def _tried(model: str) -> Any:
    from lexigram.contracts.ai import Attempt

    return (Attempt("fake", model, "LEX_ERR_LLM_007"),)


class TestStubClient(ClientConformance):
    text = ""
    claims = frozenset(
        {"answers", "refuses_unknown_options", "refuses_wrong_messages", "settles_when_read_to_the_end",
         "settles_when_cancelled", "survives_cancellation", "answers_many_at_once", "serves_several_event_loops",
         "closes_twice"}
    )  # fmt: skip

    def make(self, situation: Situation) -> LLMClientProtocol:
        return StubClient()
