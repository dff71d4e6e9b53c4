"""The base of clients, and asking any client with a frozen request."""

from __future__ import annotations

from typing import Any

import pytest

from lexigram.contracts.ai import Completion, LLMClientProtocol, ResponseFormat, ThinkingConfig, Timeouts, ToolChoice
from lexigram.contracts.ai.client import ClientBase, RequestClientProtocol, options_of, over_requests
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.result import Ok
from lexigram.testing import FakeLLM

USER = [{"role": "user", "content": "Hi"}]
REQUEST = build_request(
    USER, model="m", temperature=0.2, max_tokens=3, tools=[{"name": "f"}], stop_sequences=["x"],
    options={
        "tool_choice": "f", "response_format": "json_object", "thinking": ThinkingConfig(effort="low"), "timeouts": 3.0, "seed": 1,
        "extra_headers": {"a": "b"},
    },
)  # fmt: skip


class Foreign:
    """A client that knows the published protocol only."""

    def __init__(self) -> None:
        self.inner = FakeLLM("one", "two")

    async def complete(self, messages: Any, **options: Any) -> Any:
        return await self.inner.complete(messages, **options)

    def stream_chat(self, messages: Any, **options: Any) -> Any:
        return self.inner.stream_chat(messages, **options)

    async def health_check(self, timeout: float = 5.0) -> Any:
        return await self.inner.health_check(timeout)

    async def close(self) -> None:
        await self.inner.close()


@pytest.mark.parametrize("client", [FakeLLM("one", "two"), Foreign()], ids=["ours", "foreign"])
async def test_any_client_gets_the_same_request(client: Any) -> None:
    assert isinstance(client, LLMClientProtocol)
    asked = over_requests(client)
    assert (await asked.complete_request(REQUEST)).map(lambda c: c.content) == Ok("one")
    assert (await asked.stream_request(REQUEST).completion()).map(lambda c: c.content) == Ok("two")
    inner = client if isinstance(client, FakeLLM) else client.inner
    assert inner.requests == [REQUEST, REQUEST]


def test_ours_are_asked_without_building_the_request_anew() -> None:
    fake = FakeLLM()
    assert over_requests(fake) is fake
    assert not isinstance(Foreign(), RequestClientProtocol)
    assert issubclass(FakeLLM, ClientBase)


def test_the_options_of_a_request_are_the_keywords_that_give_it_again() -> None:
    options = options_of(REQUEST)
    assert options == {
        "tool_choice": ToolChoice("tool", "f"), "response_format": ResponseFormat("json_object"), "thinking": ThinkingConfig(effort="low"),
        "timeouts": Timeouts(total=3.0), "seed": 1, "extra_headers": {"a": "b"},
    }  # fmt: skip
    assert options_of(build_request(USER, model="m")) == {}


async def test_a_wrapper_is_three_methods() -> None:
    class Shouting(ClientBase):
        def __init__(self, inner: FakeLLM) -> None:
            self.inner = inner

        def make_request(self, *given: Any) -> Any:
            return self.inner.make_request(*given)

        async def complete_request(self, request: Any) -> Any:
            return (await self.inner.complete_request(request)).map(lambda c: Completion(c.content.upper()))

        def stream_request(self, request: Any) -> Any:
            return self.inner.stream_request(request)

        async def health_check(self, timeout: float = 5.0) -> Any:
            return await self.inner.health_check(timeout)

        async def close(self) -> None:
            await self.inner.close()

    client = Shouting(FakeLLM("hey"))
    assert isinstance(client, LLMClientProtocol)
    assert (await client.complete(USER, seed=1)).unwrap().content == "HEY"
    with pytest.raises(TypeError, match="did you mean 'seed'"):
        await client.complete(USER, seeed=1)  # type: ignore[call-arg]


async def test_a_foreign_client_keeps_its_own_default_model() -> None:
    foreign = Foreign()
    await over_requests(foreign).complete(USER)
    assert foreign.inner.requests[0].model == "fake-model"
