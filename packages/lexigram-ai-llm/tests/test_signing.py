"""A vendor that signs instead of taking a key: when, with what, inside which deadline, and not at all where a key is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, LLMClient, ProviderRegistry
from lexigram.ai.llm.factory import build_client
from lexigram.contracts.ai.errors import LLMAuthenticationError, LLMConfigurationError, LLMTimeoutError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.health import HealthStatus
from lexigram.contracts.result import Err, Ok

USER = [{"role": "user", "content": "Hi"}]
ANSWER = {"choices": [{"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}]}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@dataclass
class FakeSigner:
    """Signs the length of the body; notes what it was given."""

    failure: Exception | None = None
    delay: float = 0.0
    settings: Mapping[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        self.calls.append((method, url, headers, body))
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        return {"Authorization": f"Signed {len(body)}"}


MakeSigned = Callable[..., LLMClient]


@pytest.fixture
def make_signed() -> MakeSigned:
    def make(signer: FakeSigner, seen: list[httpx.Request], **config: Any) -> LLMClient:
        def made(settings: Mapping[str, str]) -> FakeSigner:
            signer.settings = settings
            return signer

        def reply(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            streamed = b'"stream":true' in request.content
            return httpx.Response(200, content=EVENT if streamed else json.dumps(ANSWER).encode())

        row = replace(ProviderRegistry().get("openai"), name="signed", signer=made, settings=("region",))
        settings = ClientConfig.model_validate({"provider": "signed", "model": "m", **config})
        return build_client(settings, row, transport=httpx.MockTransport(reply))

    return make


async def test_without_a_key_the_bytes_that_go_out_are_signed(make_signed: MakeSigned) -> None:
    signer, seen = FakeSigner(), list[httpx.Request]()
    client = make_signed(signer, seen, extra={"region": "here"})
    assert isinstance(await client.complete(USER), Ok)
    assert await client.stream_chat(USER).completion()
    assert (await client.health_check()).status is HealthStatus.HEALTHY
    assert len(signer.calls) == len(seen) == 3
    for (method, url, headers, body), request in zip(signer.calls, seen, strict=True):
        assert (method, url, body) == (request.method, str(request.url), request.content)
        assert request.headers["authorization"] == f"Signed {len(body)}"
        assert "user-agent" in headers
        assert "authorization" not in headers
    assert signer.settings == {"region": "here"}


async def test_a_key_comes_before_the_signer(make_signed: MakeSigned) -> None:
    signer, seen = FakeSigner(), list[httpx.Request]()
    assert isinstance(await make_signed(signer, seen, api_key="sk-k").complete(USER), Ok)
    assert signer.calls == []
    assert seen[0].headers["authorization"] == "Bearer sk-k"


async def test_missing_credentials_are_an_err_and_nothing_is_sent(make_signed: MakeSigned) -> None:
    signer, seen = FakeSigner(LLMAuthenticationError("no credentials")), list[httpx.Request]()
    client = make_signed(signer, seen)
    outcome = await client.complete(USER)
    assert isinstance(outcome, Err)
    assert isinstance(outcome.err_value, LLMAuthenticationError)
    assert outcome.err_value.provider == "signed"
    with pytest.raises(LLMAuthenticationError):
        await anext(client.stream_chat(USER))
    assert (await client.health_check()).status is HealthStatus.UNHEALTHY
    assert seen == []


async def test_signing_is_inside_the_deadline(make_signed: MakeSigned) -> None:
    client = make_signed(FakeSigner(delay=30), list[httpx.Request]())
    outcome = await client.complete(USER, timeouts=Timeouts(total=0.05))
    assert isinstance(outcome, Err)
    assert isinstance(outcome.err_value, LLMTimeoutError)
    with pytest.raises(LLMTimeoutError):
        await anext(client.stream_chat(USER, timeouts=Timeouts(first_token=0.05)))


def test_a_signature_does_not_go_over_plain_http(make_signed: MakeSigned) -> None:
    with pytest.raises(LLMConfigurationError, match="plain http"):
        make_signed(FakeSigner(), list[httpx.Request](), api_base="http://far.example/v1")


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({"location": "us-east5", "project": "p"}, "https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/google"),
        ({"location": "global", "project": "p"}, "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google"),
    ],
)  # fmt: skip
def test_vertex_has_an_address_of_its_own_for_the_global_location(extra: dict[str, str], url: str) -> None:
    config = ClientConfig.model_validate({"provider": "vertex", "model": "m", "extra": extra})
    client = build_client(config, ProviderRegistry().get("vertex"))
    assert client.endpoint.base_url == url


@pytest.mark.parametrize(("extra", "named"), [({"location": "global"}, "project"), ({"project": "p"}, "location")])
def test_a_missing_setting_of_vertex_is_named(extra: dict[str, str], named: str) -> None:
    config = ClientConfig.model_validate({"provider": "vertex", "model": "m", "extra": extra})
    with pytest.raises(LLMConfigurationError, match=named):
        build_client(config, ProviderRegistry().get("vertex"))


KEY_INVALID = {"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT",
                         "details": [{"reason": "API_KEY_INVALID"}]}}  # fmt: skip


@pytest.mark.parametrize("wrapped", [False, True], ids=["object", "array"])
@pytest.mark.parametrize("status", [400, 200])
async def test_an_error_in_json_where_events_were_asked_for_is_typed(status: int, wrapped: bool) -> None:
    """Google labels it text/event-stream all the same."""
    content = json.dumps([KEY_INVALID] if wrapped else KEY_INVALID, indent=2).encode()
    reply = httpx.Response(status, content=content, headers={"content-type": "text/event-stream"})
    config = ClientConfig.model_validate({"provider": "gemini", "model": "m", "api_key": "k"})
    client = build_client(config, ProviderRegistry().get("gemini"), transport=httpx.MockTransport(lambda _: reply))
    with pytest.raises(LLMAuthenticationError) as failed:
        await anext(client.stream_chat(USER))
    assert (failed.value.status, failed.value.provider) == (status, "gemini")


async def test_an_array_of_messages_where_events_were_asked_for_is_an_answer() -> None:
    parts = [{"candidates": [{"content": {"parts": [{"text": t}]}}]} for t in "Hi"]
    parts[-1]["candidates"][0]["finishReason"] = "STOP"  # type: ignore[assignment]
    body = json.dumps(parts).replace("}, {", "}\n,\r\n{").encode()
    config = ClientConfig.model_validate({"provider": "gemini", "model": "m", "api_key": "k"})
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    client = build_client(config, ProviderRegistry().get("gemini"), transport=transport)
    assert (await client.stream_chat(USER).completion()).unwrap().content == "Hi"
