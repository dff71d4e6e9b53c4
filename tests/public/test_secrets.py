"""No secret in any text: a canary goes in as the key, and is looked for everywhere it must not be."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import ClientConfig, LLMModule, ProviderRegistry
from lexigram.ai.llm.factory import build_client
from lexigram.ai.llm.module import read_config
from lexigram.ai.llm.transport import WireRequest
from lexigram.app import Application
from lexigram.config import ConfigError
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Err
from lexigram.testing import Canary

USER = [{"role": "user", "content": "Hi"}]
OK = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}


def echoing(request: httpx.Request) -> httpx.Response:
    """A provider that writes the key it was given into its error, as some do."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    return httpx.Response(
        401, json={"error": {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}}
    )


def breaking(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError(f"cannot connect with {request.headers['authorization']}", request=request)


@pytest.fixture
def key(canary: Canary) -> str:
    return f"sk-{canary.value}"


async def test_the_key_is_in_no_client_config_request_or_completion(
    canary: Canary, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[httpx.Request] = []
    transport = httpx.MockTransport(lambda r: seen.append(r) or httpx.Response(200, json=OK))  # type: ignore[func-returns-value]
    config = ClientConfig(api_key=key, model="m")
    module = LLMModule.configure(config, transport=transport)
    async with Application(modules=[module]) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        result = await llm.complete(USER)
        stream = llm.stream_chat(USER)
        canary.assert_absent(
            config, module, app, app.container, llm, result, stream, result.unwrap(), *await app.health()
        )
        canary.assert_absent(await app.container.resolve(ClientConfig), await app.container.resolve(ProviderRegistry))
    assert seen[0].headers["authorization"].endswith(canary.value)  # it did go out
    assert canary.value not in str(seen[0].url)
    canary.assert_absent(*caplog.records, caplog.text)
    canary.assert_absent(repr(WireRequest("POST", "https://x", {"authorization": key}, b"{}")))
    canary.assert_absent(config.model_dump(), config.model_dump_json(), config.model_dump(mode="json"))


@pytest.mark.parametrize("handler", [echoing, breaking])
async def test_the_key_is_in_no_error_though_the_provider_says_it(
    canary: Canary, key: str, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = build_client(
        ClientConfig(api_key=key, model="m"), ProviderRegistry().get("openai"), transport=httpx.MockTransport(handler)
    )
    result = await client.complete(USER)
    assert isinstance(result, Err)
    streamed = await client.stream_chat(USER).completion()
    assert isinstance(streamed, Err)
    canary.assert_absent(result.err_value, streamed.err_value, result.err_value.to_dict(), *caplog.records)
    try:
        async for _ in client.stream_chat(USER):
            pass
    except LLMError as raised:
        canary.assert_absent(raised)
    else:
        pytest.fail("the stream did not fail")


@pytest.mark.parametrize("bad", ["\r\nX-Evil: 1", "\n", "\0", "é"])
def test_a_key_that_cannot_go_into_a_header_is_refused_without_being_shown(canary: Canary, key: str, bad: str) -> None:
    for explicit, env in (
        ({"api_key": f"{key}{bad}x"}, {}),
        ({}, {"OPENAI_API_KEY": f"{key}{bad}x"}),
        ({}, {"LEX_AI_LLM__API_KEY": f"{key}{bad}x"}),
    ):
        with pytest.raises(ConfigError) as caught:
            read_config(explicit, ProviderRegistry(), env=env)
        canary.assert_absent(caught.value)


def test_a_line_end_after_the_key_is_cut_off(canary: Canary, key: str) -> None:
    loaded = read_config(None, ProviderRegistry(), env={"OPENAI_API_KEY": f"{key}\n"})
    assert loaded.value.api_key is not None
    assert loaded.value.api_key.get_secret_value() == key
    canary.assert_absent(loaded, loaded.explain(), loaded.sources)


def test_a_bad_setting_beside_the_key_does_not_show_it(canary: Canary, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config({"api_key": key, "temperature": 99}, ProviderRegistry(), env={"LEX_AI_LLM__MODLE": "x"})
    canary.assert_absent(caught.value)


def test_boot_failures_do_not_show_it(canary: Canary, key: str) -> None:
    for fields in (
        {"provider": "nobody"},
        {"api_base": "http://plain.example/v1"},
        {"api": "x"},
        {"enable_cache": True},
    ):

        async def boot(fields: dict[str, Any] = fields) -> None:
            async with Application(modules=[LLMModule.configure({"api_key": key, **fields})]):
                pass

        with pytest.raises(LLMError) as caught:
            asyncio.run(boot())
        canary.assert_absent(caught.value)
