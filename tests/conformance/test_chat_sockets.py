"""The official SDK and our client, each over a real socket against the same recorded bytes, tell the same answer."""

from __future__ import annotations

import ssl
from typing import Any

import chat_check as check
import chat_corpus as corpus
import pytest
import trustme
from replay import replaying

from lexigram.ai.llm import ClientConfig, ProviderRegistry
from lexigram.ai.llm.factory import build_client
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.result import Err, Ok, Result
from lexigram.http import HttpTransport, Pool

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
USER: Any = [{"role": "user", "content": "Hi"}]


def sample(api: str) -> list[dict[str, Any]]:
    core = corpus.core_ids()
    return [
        record
        for record in corpus.records(api)
        if record["id"] in core and record["status"] == 200 and record["id"] not in corpus.EXCLUDED
    ]


async def ours(base: str, record: dict[str, Any], transport: Any = None) -> Result[Completion, Any]:
    config = ClientConfig(provider="openai", api_base=f"{base}/{record['id']}/v1", api_key="sk-x", model="m")
    client = build_client(config, ProviderRegistry().get("openai"), transport=transport)
    try:
        return await (client.stream_chat(USER).completion() if record["streaming"] else client.complete(USER))
    finally:
        await client.close()


@pytest.mark.parametrize("api", corpus.apis())
async def test_the_answer_over_a_socket_is_the_answer_of_the_bytes(api: str) -> None:
    """Plain and TLS, our pool: what the client gives is what the dialect alone reads from the whole body."""
    records = sample(api)
    authority = trustme.CA()
    served, trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(served)
    authority.configure_trust(trusted)
    async with replaying(records) as plain, replaying(records, served) as secure:
        async with HttpTransport(Pool(ssl_context=trusted)) as over_tls:
            for record in records:
                results = [await ours(plain, record), await ours(secure, record, over_tls)]
                outcome = check.check(record)
                for result in results:
                    if outcome.kind == "error":
                        assert isinstance(result, Err), record["id"]
                        continue
                    assert isinstance(result, Ok), (record["id"], result)
                    assert check.read_ours(result.ok_value)[0][0] == check.read_ours(check.decode(record))[0][0], (
                        record["id"]
                    )


async def test_the_official_sdk_reads_the_same_from_the_same_socket() -> None:
    import openai

    records = sample("openai.chat")
    assert records
    async with replaying(records) as base:
        for record in records:
            result = (await ours(base, record)).unwrap()
            sdk = openai.AsyncOpenAI(base_url=f"{base}/{record['id']}/v1", api_key="sk-x", max_retries=0)
            async with sdk:
                if record["streaming"]:
                    text, usage = "", None
                    async for event in await sdk.chat.completions.create(model="m", messages=USER, stream=True):
                        for choice in event.choices:
                            text += (choice.delta.content or "") if choice.index == 0 else ""
                        usage = event.usage or usage
                    calls = None
                else:
                    whole = await sdk.chat.completions.create(model="m", messages=USER)
                    message, usage = whole.choices[0].message, whole.usage
                    text = message.content or ""
                    calls = [
                        (c.function.name, c.function.arguments)
                        for c in message.tool_calls or []
                        if c.type == "function"
                    ]
                    if message.function_call is not None:
                        calls.append((message.function_call.name, message.function_call.arguments))
                    assert result.raw_finish_reason == whole.choices[0].finish_reason
            assert result.content == text, record["id"]
            if usage is not None:
                assert (result.usage.input_tokens, result.usage.output_tokens) == (
                    usage.prompt_tokens,
                    usage.completion_tokens,
                )
            if calls is not None:
                assert [(c.name, c.raw_arguments) for c in result.tool_calls if c.kind == "function"] == calls
