"""Every vendor's wire can be recorded and played, whatever carries the key and however streams are framed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.llm import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.testing import Canary, forbid_network
from lexigram.testing.recording import Cassette
from lexigram.testing.simulator import Answer, Call, Failure, Server, Simulator, When

TOOL = {"name": "weather", "description": "The weather", "parameters": {"type": "object"}}
SCRIPT = [
    When("call", Answer("Let me see.", tool_calls=(Call("weather", {"city": "Zürich"}),))),
    When("fail", Failure("rate_limit", retry_after=3.0)),
    When("", Answer("Grüße, 世界! 🌍")),
]
VENDORS = ["openai", "anthropic", "gemini", "cohere", "ollama", "mistral", "bedrock"]


async def ask(transport: Any, server: Server, vendor: str, key: str) -> list[Any]:
    """Return what came of a few calls, without what is measured anew each time."""
    extra = {"region": "eu-west-1"} if vendor == "bedrock" else {}
    config = {
        "provider": vendor,
        "model": "m",
        "api_base": server.api_bases[vendor],
        "api_key": key,
        "extra": extra,
        "max_tokens": 100,
    }
    seen: list[Any] = []
    async with Application(modules=[LLMModule.configure(config, transport=transport)]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        for text in ("Hi", "call", "fail"):
            asked = [{"role": "user", "content": text}]
            for result in (
                await llm.complete(asked, tools=[TOOL]),
                await llm.stream_chat(asked, tools=[TOOL]).completion(),
            ):
                if result.is_ok():
                    seen.append(dataclasses.replace(result.unwrap(), attempts=()))
                else:
                    error = result.unwrap_err()
                    seen.append((type(error), str(error), error.retry_after, error.request_id))
    return seen


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_vendors_calls_play_as_they_were(vendor: str, tmp_path: Path, canary: Canary) -> None:
    path = tmp_path / "wire.json"
    async with Simulator(SCRIPT).serve() as server:
        with Cassette(path, "once") as cassette:
            real = await ask(cassette.transport(), server, vendor, canary.value)
    assert not canary.is_in(path.read_bytes())
    with Cassette(path) as cassette, forbid_network():
        assert await ask(cassette.transport(), server, vendor, "another key") == real
        cassette.assert_played()


async def test_a_signed_request_is_recorded_without_its_signature(
    tmp_path: Path, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE1234567")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", canary.value)
    path = tmp_path / "signed.json"
    simulator = Simulator("Hello")
    async with simulator.serve() as server:
        config = {
            "provider": "bedrock",
            "model": "m",
            "api_base": server.api_bases["bedrock"],
            "extra": {"region": "eu-west-1"},
        }
        with Cassette(path, "once") as cassette:
            async with Application(modules=[LLMModule.configure(config, transport=cassette.transport())]) as app:
                llm = await app.container.resolve(LLMClientProtocol)
                assert (await llm.complete([{"role": "user", "content": "Hi"}])).unwrap().content == "Hello"
    text = path.read_text()
    assert not canary.is_in(text)
    assert "AKIDEXAMPLE" not in text
    assert "Signature" not in text
