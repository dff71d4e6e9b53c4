"""A client that speaks HTTP, against a provider that is made of its dialect's samples.

class TestMyClient(HttpClientConformance):
    claims = HttpClientConformance.ALL
    samples = load_samples("acme_llm")["acme.answers"]
    framing = "ndjson"

    def make_client(self, base_url, key):
        return MyClient(base_url=base_url, api_key=key)
"""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final

from lexigram.contracts.ai import errors
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.wire import Framing
from lexigram.contracts.wire.errors import request_id, retry_after_seconds
from lexigram.testing.conformance.client import TOOLS, USER, ClientConformance, Situation
from lexigram.testing.conformance.samples import Exchange, Refusal, Samples, write_stream
from lexigram.testing.conformance.suite import behaviour, check
from lexigram.testing.faults import Content, FaultServer, Peer, Voice, chunk, response, scenario
from lexigram.testing.invariants import until

__all__ = ["NEED_STREAMS", "HttpClientConformance"]

NEED_STREAMS: Final = frozenset(
    {
        "raises_in_a_stream_what_fails", "reads_any_chunking", "settles_when_cancelled", "settles_when_cut",
        "settles_when_left", "settles_when_read_to_the_end", "streams_lazily", "streams_what_it_completes",
    }
)  # fmt: skip
"""The behaviours that a client without streams cannot show."""

_MEDIA: Final = {
    "sse": "text/event-stream",
    "sse-text": "text/event-stream",
    "ndjson": "application/x-ndjson",
    "aws-eventstream": "application/vnd.amazon.eventstream",
    "json-array": "application/json",
}
_TOO_MANY: Final = Refusal(status=429, body={"error": {"message": "too many requests"}}, error="LLMRateLimitError")


@dataclass(frozen=True)
class _SampleVoice(Voice):
    """An exchange of the samples, and the refusal to answer with."""

    stream_media: str = ""
    refusal: Refusal = _TOO_MANY

    def content(self, stream: bool) -> Content:
        return Content(self.stream, self.stream_media) if stream else Content(self.body, "application/json")


def _voice(peer: Peer) -> _SampleVoice:
    voice = peer.voice
    assert isinstance(voice, _SampleVoice)
    return voice


def _head(voice: _SampleVoice) -> bytes:
    lines = (f"Content-Type: {voice.stream_media}", "Transfer-Encoding: chunked")
    return response(b"", *lines, length=False)


@scenario
async def sample_refusal(peer: Peer, _: list[str]) -> None:
    """The refusal of the samples."""
    refusal = _voice(peer).refusal
    headers = [f"{name}: {value}" for name, value in refusal.headers.items()]
    body = json.dumps(refusal.body).encode()
    await peer.send(response(body, "Content-Type: application/json", *headers, status=f"{refusal.status} X"))


@scenario
async def sample_cut(peer: Peer, _: list[str]) -> bool:
    """The first half of the stream, then the connection's end; of a whole answer the first half."""
    voice = _voice(peer)
    if peer.request.stream:
        await peer.send(_head(voice) + chunk(b"".join(voice.events[: max(len(voice.events) // 2, 1)])))
    else:
        body = response(voice.body, "Content-Type: application/json")
        await peer.send(body[: -len(voice.body) // 2])
    return False


@scenario
async def sample_pieces(peer: Peer, args: list[str]) -> None:
    """Arguments: bytes of each piece of the stream."""
    voice, size = _voice(peer), int(args[0])
    data = voice.stream
    await peer.send(_head(voice))
    for at in range(0, len(data), size):
        await peer.send(chunk(data[at : at + size]))
        await asyncio.sleep(0.001 if at < 64 * size else 0)  # sent at once, pieces arrive as one
    await peer.send(b"0\r\n\r\n")


_PLANS: Final[dict[Situation, str]] = {
    "answers": "ok",
    "calls a tool": "ok",
    "refuses": "sample_refusal",
    "breaks off": "sample_cut",
    "hangs": "hang",
}


class HttpClientConformance(ClientConformance):
    """The behaviours of a client that speaks HTTP. Each class has a server of its own, on this machine.

    Attributes:
        samples: what the provider says.
        framing: how its streams are cut.
        server: what stands in the provider's place; its journal tells what was sent.
    """

    samples: ClassVar[Samples]
    framing: ClassVar[Framing] = "sse"
    server: ClassVar[FaultServer]

    @abstractmethod
    def make_client(self, base_url: str, key: str) -> LLMClientProtocol:
        """Return a client of the provider at that address, without retries; :attr:`samples` names the model."""
        raise NotImplementedError

    @classmethod
    def setup_class(cls) -> None:
        """Start the server."""
        cls.server = FaultServer()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop the server."""
        cls.server.stop()

    def make(self, situation: Situation) -> LLMClientProtocol:
        """Put the server into the situation, and return a client of it."""
        tools = situation == "calls a tool"
        fitting = [e for e in self.samples.exchanges if (e.tools == (self.tool,) if tools else e.text == self.text)]
        wanted = f"that calls {self.tool!r}" if tools else f"with the text {self.text!r}"
        check(fitting, f"the samples have no exchange {wanted}: give one, or leave the claim out")
        return self.speaking(fitting[0], _PLANS[situation])

    def speaking(self, exchange: Exchange, plan: str = "ok", refusal: Refusal | None = None) -> LLMClientProtocol:
        """Return a client whose provider says what an exchange says, as the scenario ``plan`` has it."""
        told = refusal or next((r for r in self.samples.refusals if r.status == 429), _TOO_MANY)
        body = json.dumps(exchange.answer).encode()
        events = tuple(write_stream(exchange.events, self.framing))
        self.server.reset()
        self.server.voices = {"": _SampleVoice(body, events, stream_media=_MEDIA[self.framing], refusal=told)}
        self.server.play_always(plan)
        return self.make_client(self.server.url(), self.canary.value)

    @behaviour
    async def test_reads_every_exchange(self) -> None:
        """Every answer of the samples is read as what it means, and its stream as the same."""
        for exchange in self.samples.exchanges:
            client = self.speaking(exchange)
            for result in await self.ask(client, **({"tools": TOOLS} if exchange.tools else {})):
                check(result.is_ok(), f"{exchange.name}: {result!r}")
                made = result.unwrap()
                check(made.content == exchange.text, f"{exchange.name}: the text is {made.content!r}")
                names = tuple(call.name for call in made.tool_calls)
                check(names == exchange.tools, f"{exchange.name}: the calls are {names!r}")
                check(made.thinking == exchange.thinking, f"{exchange.name}: the reasoning is {made.thinking!r}")
            await client.close()

    @behaviour
    async def test_reads_any_chunking(self) -> None:
        """A stream gives the same however the network cuts it."""
        exchange = next(e for e in self.samples.exchanges if e.text == self.text)
        for size in (1, 2, 7, 64, 100_000):
            client = self.speaking(exchange, f"sample_pieces={size}")
            self.check_answer(await client.stream_chat(USER).completion())
            await client.close()

    @behaviour
    async def test_types_refusals(self) -> None:
        """Every refusal of the samples is the very error that it stands for, from calls and from streams."""
        check(self.samples.refusals, "the samples have no refusal: give one, or leave the claim out")
        for refusal in self.samples.refusals:
            client = self.speaking(self.samples.exchanges[0], "sample_refusal", refusal)
            for result in await self.ask(client):
                self._check_typed(result.err(), refusal)
            await client.close()

    def _check_typed(self, error: LLMError | None, refusal: Refusal) -> None:
        wanted: type[LLMError] = getattr(errors, refusal.error)
        check(type(error) is wanted, f"{refusal.body!r} gave {error!r}; expected {refusal.error}")
        assert error is not None
        check(error.status == refusal.status, f"the status is {error.status}; expected {refusal.status}")
        check(error.provider and error.model, f"the error names provider {error.provider!r} and model {error.model!r}")
        ident, after = request_id(refusal.headers), retry_after_seconds(refusal.headers)
        check(ident is None or error.request_id == ident, f"the request id is {error.request_id!r}; expected {ident!r}")
        check(after is None or error.retry_after == after, f"retry_after is {error.retry_after}; expected {after}")

    @behaviour
    async def test_streams_lazily(self) -> None:
        """Nothing is sent before a stream is read."""
        async with self.client("answers") as client:
            stream = client.stream_chat(USER)
            await asyncio.sleep(0.05)
            check(not self.server.journal.connections, "a request went out before the stream was read")
            self.check_answer(await stream.completion())

    @behaviour
    async def test_asks_once(self) -> None:
        """One call is one request: a client that is wrapped by a policy does not retry by itself."""
        situations: tuple[Situation, ...] = ("answers", "refuses")
        for situation in situations:
            async with self.client(situation) as client:
                asked = len(await self.ask(client))
                sent = len(self.server.journal.requests)
                check(sent == asked, f"{asked} calls of a provider that {situation} were {sent} requests")

    @behaviour
    async def test_sends_the_key_in_a_header(self) -> None:
        """The key goes in a header, neither in the URL nor in the body."""
        async with self.client("answers") as client:
            await client.complete(USER)
        (sent,) = self.server.journal.requests
        check(any(self.canary.is_in(value) for value in sent.headers.values()), "the key is in no header")
        check(not self.canary.is_in(sent.path), "the key is in the URL")
        check(not self.canary.is_in(sent.body), "the key is in the body")

    @behaviour
    async def test_follows_no_redirect(self) -> None:
        """A redirect is an error: the key goes to its own host only."""
        exchange = self.samples.exchanges[0]
        with FaultServer() as elsewhere:
            client = self.speaking(exchange, f"redirect={elsewhere.ports['plain']}")
            for result in await self.ask(client):
                check(result.is_err(), f"a redirect gave {result!r}")
            await client.close()
            check(not elsewhere.journal.connections, "a redirect was followed to another address")

    @behaviour
    async def test_closes_its_connections(self) -> None:
        """``close`` leaves no connection behind, neither of calls nor of streams that were left."""
        journal = self.server.journal
        await until(lambda: journal.gone >= journal.connections)  # of an earlier test
        async with self.client("answers") as client:
            await client.complete(USER)
            if self.streams:
                async for _ in client.stream_chat(USER):
                    break
        closed = await until(lambda: journal.gone >= journal.connections, 3.0)
        check(closed, f"{journal.connections - journal.gone} connections are open after close()")
