"""Operations beside answers: counting with the vendor's own API, and streams of a vendor's own."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lexigram.ai.ollama import models
from lexigram.contracts.ai import TokenCount
from lexigram.contracts.ai.errors import InvalidMessageError, LLMAuthenticationError, LLMError, ModelNotFoundError
from lexigram.contracts.result import Err, Ok

USER = [{"role": "user", "content": "How long is this?"}]
PULL = [
    {"status": "pulling manifest"},
    {"status": "downloading", "digest": "sha256:x", "completed": 5, "total": 10},
    {"status": "success"},
]


def lines(*values: Any) -> bytes:
    return b"".join(json.dumps(v).encode() + b"\n" for v in values)


async def test_a_vendor_that_counts_is_asked(make_client: Any) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"input_tokens": 11})

    client = make_client(handler, provider="anthropic", model="claude")
    assert await client.count_tokens(USER, tools=[{"name": "f"}]) == Ok(TokenCount(11, "counted"))
    assert str(seen[0].url).endswith("/messages/count_tokens")
    assert json.loads(seen[0].content)["tools"][0]["name"] == "f"


async def test_a_vendor_that_does_not_is_counted_here_without_network(make_client: Any, forbid_network: None) -> None:
    counted = (await make_client(model="some-llama").count_tokens(USER)).unwrap()
    assert counted.tokens > 3
    assert counted.source == "estimated"


async def test_a_count_that_fails_is_an_err_and_a_wrong_message_is_raised(make_client: Any) -> None:
    client = make_client(
        lambda _: httpx.Response(
            401, json={"type": "error", "error": {"type": "authentication_error", "message": "no"}}
        ),
        provider="anthropic",
        model="claude",
    )
    failed = await client.count_tokens(USER)
    assert isinstance(failed, Err)
    assert isinstance(failed.err_value, LLMAuthenticationError)
    with pytest.raises(InvalidMessageError):
        await client.count_tokens([{"role": "robot", "content": "x"}])


async def test_the_progress_of_a_download_is_a_stream(make_client: Any) -> None:
    client = make_client(lambda _: httpx.Response(200, content=lines(*PULL)), provider="ollama")
    request = models.encode_pull("qwen3", client.endpoint)
    seen = [p async for p in client.events(request, lambda data: models.decode_pull_event(data, client.endpoint))]
    assert [(p.status, p.completed, p.total, p.done) for p in seen] == [
        ("pulling manifest", None, None, False), ("downloading", 5, 10, False), ("success", None, None, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "cls"),
    [
        (httpx.Response(404, json={"error": "model 'x' not found"}), ModelNotFoundError),
        (httpx.Response(200, content=lines({"status": "pulling manifest"}, {"error": "disk full"})), LLMError),
        (httpx.Response(200, content=b"nonsense\n"), LLMError),
    ],
)
async def test_a_download_that_fails_is_a_typed_error(
    make_client: Any, reply: httpx.Response, cls: type[LLMError]
) -> None:
    client = make_client(lambda _: reply, provider="ollama")
    stream = client.events(
        models.encode_pull("x", client.endpoint), lambda data: models.decode_pull_event(data, client.endpoint)
    )
    collected = await stream.collect()
    assert isinstance(collected, Err)
    assert isinstance(collected.err_value, cls)
    assert collected.err_value.provider == "ollama"
