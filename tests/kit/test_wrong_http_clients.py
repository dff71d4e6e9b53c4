"""A client that speaks HTTP wrongly fails where it is wrong: what the wire alone can show."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, ClassVar, cast

import acme_wire
import httpx
import pytest
from broken import failing

from lexigram.ai.llm.client import ClientDefaults, LLMClient
from lexigram.ai.llm.transport import make_sender
from lexigram.contracts.ai import Completion, LLMClientProtocol, LLMError
from lexigram.contracts.ai.errors import DecodeError, LLMAuthenticationError
from lexigram.contracts.result import Err, Ok
from lexigram.contracts.values import Secret
from lexigram.contracts.wire import Endpoint, HeaderAuth, NoAuth
from lexigram.http import HttpTransport
from lexigram.testing.conformance.client import ClientConformance
from lexigram.testing.conformance.http_client import HttpClientConformance

ROW = replace(acme_wire.ROW, dialects={"answers": cast("Any", acme_wire)})
open_sockets: list[socket.socket] = []


class TestAcmeOverTheEngine(HttpClientConformance):
    claims = HttpClientConformance.ALL
    samples = acme_wire.SAMPLES
    framing = "ndjson"
    client_class: ClassVar[type[LLMClient]] = LLMClient
    auth: ClassVar[Any] = ROW.auth
    road: ClassVar[Any] = None
    deadline = 0.1

    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        return self.client_class(
            replace(ROW, auth=self.auth),
            Endpoint("acme", base_url),
            make_sender(self.road and self.road(), base_url),
            key=Secret(key),
            defaults=ClientDefaults(model="anvil-1"),
        )


class Miscounts(LLMClient):
    async def complete_request(self, request: Any) -> Any:
        made = await super().complete_request(request)
        return Ok(Completion("4.")) if made.is_ok() and made.unwrap().thinking else made


class DropsPairs(httpx.AsyncBaseTransport):
    """Loses what comes in pieces of two bytes."""

    def __init__(self) -> None:
        self.inner = HttpTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        reply = await self.inner.handle_async_request(request)
        return httpx.Response(reply.status_code, headers=reply.headers, stream=_Dropping(reply.stream))


class _Dropping(httpx.AsyncByteStream):
    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self.inner:
            if len(piece) != 2:
                yield piece

    async def aclose(self) -> None:
        await self.inner.aclose()


class OneErrorForAll(LLMClient):
    async def complete_request(self, request: Any) -> Any:
        made = await super().complete_request(request)
        error = made.err()
        if not isinstance(error, LLMAuthenticationError):
            return made
        return Err(LLMError(error.message, provider="acme", model="anvil-1", status=401, attempts=error.attempts))


class Knocks(LLMClient):
    """Opens a connection as soon as a stream is made."""

    def stream_request(self, request: Any) -> Any:
        port = int(self.endpoint.base_url.rpartition(":")[2].partition("/")[0])
        socket.create_connection(("127.0.0.1", port)).close()
        return super().stream_request(request)


class AsksTwice(LLMClient):
    async def complete_request(self, request: Any) -> Any:
        made = await super().complete_request(request)
        return made if made.is_ok() else await super().complete_request(request)


class InTheUrl(HeaderAuth):
    def apply(self, request: Any, secret: str) -> Any:
        sent = super().apply(request, secret)
        return replace(sent, url=f"{sent.url}?key={secret}")


class GoesElsewhere(LLMClient):
    async def complete_request(self, request: Any) -> Any:
        made = await super().complete_request(request)
        error = made.err()
        return Ok(Completion("moved")) if isinstance(error, DecodeError) and error.reason == "redirect" else made


class LeavesConnections(LLMClient):
    async def complete_request(self, request: Any) -> Any:
        port = int(self.endpoint.base_url.rpartition(":")[2].partition("/")[0])
        open_sockets.append(socket.create_connection(("127.0.0.1", port)))
        return await super().complete_request(request)


MUTANTS: list[tuple[str, dict[str, Any]]] = [
    ("reads_every_exchange", {"client_class": Miscounts}),
    ("reads_any_chunking", {"road": DropsPairs}),
    ("types_refusals", {"client_class": OneErrorForAll}),
    ("streams_lazily", {"client_class": Knocks}),
    ("asks_once", {"client_class": AsksTwice}),
    ("sends_the_key_in_a_header", {"auth": NoAuth()}),
    ("sends_the_key_in_a_header", {"auth": InTheUrl("x-acme-key", "")}),
    ("follows_no_redirect", {"client_class": GoesElsewhere}),
    ("closes_its_connections", {"client_class": LeavesConnections}),
]
OWN = HttpClientConformance.ALL - ClientConformance.ALL


@pytest.fixture(autouse=True)
def sockets_are_closed() -> Iterator[None]:
    yield
    while open_sockets:
        with contextlib.closing(open_sockets.pop()):
            pass


def test_every_behaviour_of_the_wire_has_its_mutant() -> None:
    assert {claim for claim, _ in MUTANTS} == OWN


@pytest.mark.parametrize("number", range(len(MUTANTS)))
def test_a_wrong_client_fails_where_it_is_wrong_and_nowhere_else(number: int) -> None:
    claim, changes = MUTANTS[number]
    # The connections of an injected transport are its owner's to close.
    left_out = {"closes_its_connections"} if "road" in changes else set()
    assert failing(TestAcmeOverTheEngine, OWN - left_out, **changes) == {claim}
