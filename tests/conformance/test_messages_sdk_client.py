"""The official SDK's client and ours, answered with the same recorded bytes, agree."""

from typing import Any

import httpx
import messages_corpus as corpus
import pytest
from anthropic import AsyncAnthropic, _base_client

from lexigram.ai.llm import ClientConfig, ProviderRegistry
from lexigram.ai.llm.factory import build_client

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
theirs = _base_client.httpx2 if hasattr(_base_client, "httpx2") else httpx
ASK: Any = [{"role": "user", "content": "q"}]


# What the SDK's own client fails at: a delta of compaction, and a router's `[DONE]` after the end.
SDK_FAILS = ("compaction_delta", "data: [DONE]")


def _sample(streaming: bool) -> list[dict[str, Any]]:
    return [
        r
        for r in corpus.records("anthropic.messages")
        if r["id"] in corpus.core_ids()
        and r["status"] == 200
        and r["streaming"] == streaming
        and not any(words in r["response_body"] for words in SDK_FAILS)
        and len(r["response_body"]) < 60_000
    ]


def _reply(module: Any, record: dict[str, Any]) -> Any:
    kind = "text/event-stream" if record["streaming"] else "application/json"
    headers = {"content-type": kind, "request-id": "req_1"}
    return module.MockTransport(lambda _: module.Response(200, content=record["response_body"], headers=headers))


async def _sdk(record: dict[str, Any]) -> Any:
    http = theirs.AsyncClient(transport=_reply(theirs, record))
    async with AsyncAnthropic(api_key="KEY", http_client=http, max_retries=0) as client:
        if record["streaming"]:
            async with client.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:
                return await stream.get_final_message()
        return await client.messages.create(model="m", max_tokens=9, messages=ASK)


async def _ours(record: dict[str, Any]) -> Any:
    config = ClientConfig(provider="anthropic", model="m", api_key="KEY")
    client = build_client(config, ProviderRegistry().get("anthropic"), transport=_reply(httpx, record))
    if record["streaming"]:
        return (await client.stream_chat(ASK, max_tokens=9).completion()).unwrap()
    return (await client.complete(ASK, max_tokens=9)).unwrap()


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_both_clients_say_the_same(streaming: bool) -> None:
    sample = _sample(streaming)
    assert len(sample) > 5
    for record in sample:
        its, mine = await _sdk(record), await _ours(record)
        blocks = [b.to_dict(mode="json", warnings=False) for b in its.content]
        assert mine.content == "".join(b["text"] for b in blocks if b["type"] == "text"), record["id"]
        calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        assert [(c.id, c.name, dict(c.arguments)) for c in mine.tool_calls] == calls, record["id"]
        assert mine.raw_finish_reason == its.stop_reason, record["id"]
        assert mine.usage.output_tokens == its.usage.output_tokens, record["id"]
        cached = (its.usage.cache_read_input_tokens or 0) + (its.usage.cache_creation_input_tokens or 0)
        assert mine.usage.input_tokens == its.usage.input_tokens + cached, record["id"]
        assert (mine.id, mine.request_id) == (its.id, "req_1"), record["id"]
