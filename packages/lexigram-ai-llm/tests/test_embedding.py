"""The embedding client: batches in order, one result."""

import json
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, EmbeddingClient, LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import EmbeddingClientProtocol
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidMessageError,
    LLMConfigurationError,
    LLMRateLimitError,
)


class Vendor:
    def __init__(self, status: int = 200, short: bool = False) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.status = status
        self.short = short

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/embeddings"
        body = json.loads(request.content)
        self.bodies.append(body)
        if self.status != 200:
            return httpx.Response(self.status, json={"error": {"message": "slow"}}, headers={"x-request-id": "r1"})
        rows = [{"index": i, "embedding": [float(t)]} for i, t in enumerate(body["input"])][::-1]
        count = len(body["input"])
        return httpx.Response(
            200,
            json={"data": rows[: -1 if self.short else None], "model": "e-1",
                  "usage": {"prompt_tokens": count, "total_tokens": count}},
        )  # fmt: skip


async def test_many_texts_are_batches_and_one_ordered_result(make_client: Any) -> None:
    vendor = Vendor()
    client = EmbeddingClient(make_client(vendor), model="e-1")
    assert isinstance(client, EmbeddingClientProtocol)
    made = (await client.embed([str(i) for i in range(300)], dimensions=8)).unwrap()
    assert [v[0] for v in made.vectors] == list(range(300))
    assert [len(b["input"]) for b in vendor.bodies] == [128, 128, 44]
    assert vendor.bodies[0]["dimensions"] == 8
    assert (made.model, made.usage.input_tokens, made.usage.source) == ("e-1", 300, "reported")


async def test_no_texts_ask_nobody_and_wrong_ones_are_raised(make_client: Any) -> None:
    vendor = Vendor()
    client = EmbeddingClient(make_client(vendor))
    assert (await client.embed([])).unwrap().vectors == ()
    wrong: tuple[Any, ...] = ("text", [1], None)
    for texts in wrong:
        with pytest.raises(InvalidMessageError, match="texts"):
            await client.embed(texts)
    with pytest.raises(InvalidMessageError, match="dimensions"):
        await client.embed(["1"], dimensions=0)
    assert vendor.bodies == []


async def test_failures_are_one_typed_err(make_client: Any) -> None:
    error = (await EmbeddingClient(make_client(Vendor(429))).embed(["1"], model="e-9")).unwrap_err()
    assert isinstance(error, LLMRateLimitError)
    assert (error.model, error.request_id, error.provider) == ("e-9", "r1", "openai")
    short = (await EmbeddingClient(make_client(Vendor(short=True))).embed(["1", "2"])).unwrap_err()
    assert isinstance(short, DecodeError)


def test_a_vendor_without_embeddings_says_so(make_client: Any) -> None:
    with pytest.raises(LLMConfigurationError, match="groq has no embeddings"):
        EmbeddingClient(make_client(Vendor(), provider="groq"))


async def test_the_module_registers_it_where_the_vendor_has_embeddings() -> None:
    config = ClientConfig.model_validate({"provider": "openai", "model": "e-1", "api_key": "sk-test"})
    transport = httpx.MockTransport(Vendor())
    async with Application(modules=[LLMModule.configure(config, transport=transport)]) as app:
        client = await app.container.resolve(EmbeddingClientProtocol)
        assert (await client.embed(["7"])).unwrap().vectors == ((7.0,),)
