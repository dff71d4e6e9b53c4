"""One row of the table, run: an application is booted, its client asked over a real socket, the invariants checked."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import trustme

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.transport import Limits
from lexigram.ai.llm.transport.over_http import HttpSender
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import InvalidMessageError, LLMError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing import Canary
from lexigram.testing.faults import FaultServer
from lexigram.testing.invariants import Footprint, Observed, Rules, observe, until

Road = Literal["ours", "httpx"]
Mode = Literal["complete", "stream"]
QUESTION: Any = [{"role": "user", "content": "Hi"}]
BOTH: tuple[Mode, ...] = ("complete", "stream")


class Ground:
    """What all rows share: the server and its certificates."""

    def __init__(self) -> None:
        self.authority = trustme.CA()
        self.good = self.authority.issue_cert("127.0.0.1", "localhost", "*.localhost")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.good.configure_cert(self.context)
        self.trusting = ssl.create_default_context()
        self.authority.configure_trust(self.trusting)
        self.server = FaultServer({"tls": self.context})

    @contextlib.contextmanager
    def cert(self, cert: trustme.LeafCert) -> Iterator[None]:
        """Another certificate for a while; the handshake after it sees the good one again."""
        cert.configure_cert(self.context)
        try:
            yield
        finally:
            self.good.configure_cert(self.context)


@dataclass
class World:
    """A client out of the container, and the server that it talks to."""

    ground: Ground
    road: Road
    client: LLMClientProtocol
    canary: Canary
    transport: httpx.AsyncHTTPTransport | None
    requests: int = 0
    connections: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> FaultServer:
        return self.ground.server

    @property
    def pool(self) -> Any:
        sender: Any = self.client._sender  # type: ignore[attr-defined]
        return sender.pool if isinstance(sender, HttpSender) else None

    def slots(self) -> int:
        if self.pool is not None:
            stats = self.pool.stats()
            return int(stats.in_use + stats.connecting + stats.waiters)
        if self.transport is None:
            return 0
        inner: Any = self.transport._pool
        return len(inner._requests) + sum(not c.is_idle() and not c.is_closed() for c in inner._connections)

    async def ask(self, mode: Mode, **options: Any) -> Result[Completion, LLMError]:
        if mode == "complete":
            return await self.client.complete(QUESTION, **options)
        return await self.client.stream_chat(QUESTION, **options).completion()


Act = Callable[[World, Mode], Awaitable[Any]]


async def ask(world: World, mode: Mode) -> Any:
    return await world.ask(mode)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        number: the row's number, with a letter where it has several faults.
        fault: what is done to the client.
        want: the outcomes that are right, as `told` writes them.
        play: the plan of the server.
        always: what happens to every request.
        modes: how the client is asked.
        timeouts: the client's deadlines.
        limits: the client's limits.
        fields: further settings of the client.
        port: the server's port.
        scheme: instead of the port's own.
        host: a name instead of the address.
        tls: whether the row is run over TLS as well.
        around: what surrounds the call, and is over before the next one.
        act: the call, where it is more than a question.
        requests: most requests that the server may see.
        check: further conditions; each text is a complaint.
        again: whether the next call is checked.
        roads: the transports that it is about; proxied calls go over httpx's whatever else is set.
        note: what there is to say about it.
    """

    number: str
    fault: str
    want: tuple[str, ...]
    play: tuple[str, ...] = ()
    always: str = ""
    modes: tuple[Mode, ...] = BOTH
    timeouts: Timeouts = Timeouts(total=3.0, connect=1.0)
    limits: Limits | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    port: str = "plain"
    scheme: str | None = None
    host: str = ""
    tls: bool = False
    around: Callable[[Ground], AbstractContextManager[Any]] = lambda _: contextlib.nullcontext()
    act: Act = ask
    requests: int = 1
    check: Callable[[World, Observed[Any]], list[str]] = lambda _, __: []
    again: bool = True
    roads: tuple[Road, ...] = ("ours", "httpx")
    note: str = ""

    @property
    def sort(self) -> tuple[int, str]:
        digits = self.number.rstrip("abcdefgh")
        return int(digits), self.number[len(digits) :]


@dataclass(frozen=True)
class Shown:
    """How a row went."""

    row: Row
    mode: Mode
    road: Road
    outcome: str
    broken: tuple[str, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.broken


def told(seen: Observed[Any]) -> str:
    """Return an outcome in a few words: class, reason, and the text that came before."""
    error = seen.error
    if error is None:
        value = seen.value.ok() if isinstance(seen.value, Ok) else seen.value
        return f"Ok {_short(value.content)}" if isinstance(value, Completion) else str(value)
    detail = getattr(error, "phase", None) or getattr(error, "reason", None)
    text = f"{type(error).__name__}({detail})" if detail else type(error).__name__
    partial = getattr(error, "partial", None)
    return f"{text} after {_short(partial.content)}" if partial is not None and partial.content else text


def _short(text: str) -> str:
    return ascii(text if len(text) <= 12 else text[:6] + "...")


async def run_row(ground: Ground, row: Row, mode: Mode, road: Road, *, port: str | None = None) -> Shown:
    """Boot, ask, check."""
    server = ground.server
    server.reset()
    await until(lambda: server.journal.gone >= server.journal.connections, 0.1)
    base = Footprint.now()
    server.play(*row.play)
    if row.always:
        server.play_always(row.always)
    async with contextlib.AsyncExitStack() as stack:
        if row.host:
            stack.enter_context(names(addresses("127.0.0.1")))
        around = stack.enter_context(contextlib.ExitStack())
        around.enter_context(row.around(ground))
        try:
            world = await stack.enter_async_context(open_world(ground, row, road, port or row.port))
        except LexigramError as refused:
            return _refused(row, mode, road, refused, ground)

        async def call() -> Any:
            try:
                return await row.act(world, mode)
            finally:
                world.requests = len(server.journal.requests)
                world.connections = server.journal.connections
                around.close()

        rules = Rules(
            deadline=row.timeouts.total or 60,
            canary=world.canary,
            shown=(world.client,),
            errors=(LLMError, InvalidMessageError),
            slots=world.slots,
            again=(lambda: world.ask(mode)) if row.again else None,
            before_again=server.heal,
            sockets=2,  # both ends of a kept connection are in this process
        )
        seen = await observe(call, rules)
        outcome = told(seen)
        if outcome not in row.want:
            seen.broken.append(f"expected {' or '.join(row.want)}")
        if world.requests > row.requests:
            seen.broken.append(f"{world.requests} requests instead of {row.requests}")
        seen.broken += row.check(world, seen)
    await until(lambda: not Footprint.now().above(base))
    seen.broken += [f"left behind at the end: {what}" for what in Footprint.now().above(base)]
    return Shown(row, mode, road, outcome, tuple(seen.broken), seen.seconds)


def _refused(row: Row, mode: Mode, road: Road, refused: LexigramError, ground: Ground) -> Shown:
    """The settings were refused before there was a client."""
    canary: Canary = row.fields["canary"]
    seen: Observed[Any] = Observed(error=refused)
    broken: list[str] = []
    try:
        canary.assert_absent(refused)
    except AssertionError as leak:
        broken.append(str(leak))
    outcome = told(seen)
    if outcome not in row.want:
        broken.append(f"expected {' or '.join(row.want)}")
    if ground.server.journal.requests:
        broken.append("a request was sent")
    return Shown(row, mode, road, outcome, tuple(broken), 0.0)


@contextlib.asynccontextmanager
async def open_world(ground: Ground, row: Row, road: Road, port: str = "plain") -> AsyncIterator[World]:
    """Boot an application and resolve its client."""
    fields = dict(row.fields)
    canary = fields.pop("canary", None) or Canary()
    transport = (
        httpx.AsyncHTTPTransport(verify=ground.trusting, limits=_httpx_limits(row.limits)) if road == "httpx" else None
    )
    config = {
        "provider": "openai_compatible",
        "model": "m-1",
        "api_key": canary.value,
        "api_base": ground.server.url(port=port, scheme=row.scheme, host=row.host),
        "timeouts": row.timeouts,
        **fields,
    }
    module = LLMModule.configure(config, transport=transport, limits=row.limits)
    try:
        async with Application(modules=[module]) as app:
            client = await app.container.resolve(LLMClientProtocol)
            yield World(ground, road, client, canary, transport)
    finally:
        if transport is not None:
            await transport.aclose()


def _httpx_limits(limits: Limits | None) -> httpx.Limits:
    bounds = limits or Limits()
    return httpx.Limits(max_connections=bounds.connections, max_keepalive_connections=bounds.idle_connections)


@contextlib.contextmanager
def names(lookup: Callable[..., Any]) -> Iterator[None]:
    """Another resolver for a while."""
    real = socket.getaddrinfo
    socket.getaddrinfo = lookup  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = real


def addresses(*ips: str) -> Callable[..., Any]:
    """Return a resolver that gives these addresses."""

    def found(host: Any, port: Any, *_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, int(port))) for ip in ips]

    return found


__all__ = [
    "BOTH",
    "Err",
    "Ground",
    "Mode",
    "Road",
    "Row",
    "Shown",
    "World",
    "addresses",
    "names",
    "open_world",
    "run_row",
]
