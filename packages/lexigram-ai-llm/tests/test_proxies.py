"""Proxies: taken from the environment, used where they apply, their password never shown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lexigram.ai.llm.transport.over_http import HttpSender
from lexigram.ai.llm.transport.over_httpx import HttpxSender
from lexigram.ai.llm.transport.proxies import proxy_for
from lexigram.contracts.ai.errors import ProviderConnectionError
from lexigram.contracts.result import Err
from lexigram.testing import Canary

USER = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        ("https://api.example/v1", {}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.example/v1", {"https_proxy": "p:1"}, "http://p:1"),
        ("https://api.example/v1", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://api.example/v1", {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ("http://127.0.0.1:8080/v1", {"ALL_PROXY": "http://p:1"}, None),
        ("http://localhost/v1", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, example"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*.example"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "pi.example"}, "http://p:1"),
        ("https://api.example:8443/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:8443"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.example:8443"}, "http://p:1"),
        ("https://10.1.2.3/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://11.1.2.3/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8,x"}, "http://p:1"),
    ],
)
def test_the_environment_says_which_proxy_applies(url: str, env: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, env) == proxy


def test_a_proxy_chooses_the_road(make_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    assert isinstance(make_client()._sender, HttpSender)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert isinstance(make_client()._sender, HttpxSender)
    assert isinstance(make_client(api_base="http://127.0.0.1:9/v1")._sender, HttpSender)


async def test_a_proxy_that_refuses_is_a_typed_error_without_its_password(
    make_client: Any, monkeypatch: pytest.MonkeyPatch, canary: Canary
) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("https_proxy", f"http://user:{canary.value}@127.0.0.1:{port}")
    client = make_client()
    result = await client.complete(USER)
    assert isinstance(result, Err)
    assert isinstance(result.err_value, ProviderConnectionError)
    assert result.err_value.reason == "proxy"
    canary.assert_absent(result.err_value, client)
    await client.close()
    server.close()
