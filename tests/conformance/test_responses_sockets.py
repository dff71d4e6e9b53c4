"""The official SDK and our client over real sockets against the same recorded Responses bytes tell the same answer."""

from __future__ import annotations

from typing import Any

import chat_corpus
import openai
import pytest
import responses_corpus as corpus
from replay import replaying

from lexigram.ai.llm import ClientConfig, ProviderRegistry
from lexigram.ai.llm.factory import build_client

pytestmark = pytest.mark.skipif(not chat_corpus.available(), reason=chat_corpus.NO_RECORDINGS)
USER: Any = [{"role": "user", "content": "Hi"}]


def sample() -> list[dict[str, Any]]:
    core = chat_corpus.core_ids()
    found = []
    for record in corpus.records("openai.responses"):
        whole = record["streaming"] or '"object":"response"' in record["response_body"].replace(" ", "").replace(
            "\n", ""
        )
        done = '"completed"' in record["response_body"]
        if record["id"] in core and record["status"] == 200 and whole and done and record["method"] == "POST":
            found.append(record)
    return found


async def test_text_usage_and_calls_agree() -> None:
    records = sample()
    assert len(records) > 20
    async with replaying(records) as base:
        for record in records:
            url = f"{base}/{record['id']}/v1"
            config = ClientConfig(provider="openai", api="responses", api_base=url, api_key="sk-x", model="gpt-5")
            client = build_client(config, ProviderRegistry().get("openai"))
            answer = await (client.stream_chat(USER).completion() if record["streaming"] else client.complete(USER))
            await client.close()
            ours = answer.unwrap()
            async with openai.AsyncOpenAI(base_url=url, api_key="sk-x", max_retries=0) as sdk:
                if record["streaming"]:
                    final = None
                    async for event in await sdk.responses.create(model="gpt-5", input="Hi", stream=True):
                        if event.type in ("response.completed", "response.incomplete"):
                            final = event.response
                else:
                    final = await sdk.responses.create(model="gpt-5", input="Hi")
            assert final is not None, record["id"]
            assert ours.content == final.output_text, record["id"]
            calls = [(i.call_id, i.name, i.arguments) for i in final.output if i.type == "function_call"]
            assert [(c.id, c.name, c.raw_arguments) for c in ours.tool_calls if c.kind == "function"] == calls, record[
                "id"
            ]
            if final.usage is not None:
                assert (ours.usage.input_tokens, ours.usage.output_tokens) == (
                    final.usage.input_tokens,
                    final.usage.output_tokens,
                ), record["id"]
