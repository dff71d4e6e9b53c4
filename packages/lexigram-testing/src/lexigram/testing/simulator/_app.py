"""The simulator: an ASGI application that answers as the vendors do."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeAlias, cast
from urllib.parse import parse_qsl

from lexigram.testing.simulator._chance import Faults, Latency
from lexigram.testing.simulator._exchange import Exchange
from lexigram.testing.simulator._journal import Journal
from lexigram.testing.simulator._limits import Admission, Limiter, RateLimits
from lexigram.testing.simulator._model import generate
from lexigram.testing.simulator._router import Router
from lexigram.testing.simulator._script import Script, ScriptReader
from lexigram.testing.simulator._tokens import count_input
from lexigram.testing.simulator._values import Failure, Generation, Question, Refused
from lexigram.testing.simulator._wire import Direct, Report, Request, Wire
from lexigram.testing.simulator._words import letters
from lexigram.testing.simulator.wires import WIRES

__all__ = ["Server", "Simulator"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SHAPES: Final = (TypeError, ValueError, KeyError, AttributeError, IndexError)
"""What reading JSON of an unexpected shape raises."""

_VERSIONS: Final[Mapping[str, str]] = {"anthropic": "/v1", "gemini": "/v1beta", "mistral": "/v1"}
"""What Lexigram's base URLs have and the base URLs of the vendors' SDKs have not."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a simulator listens.

    Attributes:
        url: the root, without a slash at its end.
        base_urls: each vendor's base URL, as the vendor's own SDK takes it.
        api_bases: the same as ``api_base`` of a ``ClientConfig``, which has the version in it.
    """

    url: str
    base_urls: Mapping[str, str]
    api_bases: Mapping[str, str]


class Simulator:
    """Language models of several vendors, simulated: an ASGI 3 application.

    Every vendor's paths are under its name (``/openai/v1/chat/completions``, ``/anthropic/v1/messages`` …) and, where
    no other vendor has the same, without it. :meth:`server` lists what clients are given.

    Args:
        script: what is answered (see :class:`When`); without one, plain words that hang on the seed and the question.
        limits: rate limits for each key and model.
        latency: how long answers take.
        faults: which share of the requests goes wrong.
        seed: what chance hangs on.
        keys: the keys that are accepted; None accepts every key, and none.
        models: the models that exist; None lets every name be one.
        wires: the wires that are spoken.
        keep: how many entries the journal keeps; None keeps all.
        clock: seconds that only rise.
        sleep: how to wait.

    Attributes:
        journal: what was asked, and how it ended.
        in_flight: how many requests are not over yet.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        limits: RateLimits | None = None,
        latency: Latency | None = None,
        faults: Faults | None = None,
        seed: int = 0,
        keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        wires: Sequence[Wire] = WIRES,
        keep: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.journal = Journal(keep)
        self.in_flight = 0
        self.seed = seed
        self.latency = latency or Latency()
        self.clock = clock
        self.sleep = sleep
        self.wires = tuple(wires)
        self._script = ScriptReader(script)
        self._limiter = Limiter(limits, clock) if limits is not None else None
        self._faults = faults
        self._keys = None if keys is None else frozenset(keys)
        self._models = None if models is None else tuple(models)
        self._key_ids: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._wall = time.time() - clock()
        self._router = Router(self.wires)

    def __repr__(self) -> str:
        return f"<Simulator {', '.join(dict.fromkeys(wire.vendor for wire in self.wires))}>"

    @property
    def script_left(self) -> int | None:
        """How many answers of the script are left; None where they do not run out."""
        return self._script.left

    @contextlib.asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
        """Listen on a socket while the block runs; needs the extra ``simulator``.

        Args:
            host: the address.
            port: the port; 0 takes a free one.

        Raises:
            LLMConfigurationError: where uvicorn is missing.
        """
        from lexigram.testing.simulator._server import serving

        async with serving(self, host, port) as url:
            yield self.server(url)

    @contextlib.contextmanager
    def run_in_thread(self, host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
        """Listen on a socket, in a thread with an event loop of its own; see :meth:`serve`."""
        from lexigram.testing.simulator._server import in_thread

        with in_thread(self, host, port) as url:
            yield self.server(url)

    def server(self, url: str) -> Server:
        """Return the addresses of a server whose root this is."""
        root = url.rstrip("/")
        roots = {wire.vendor: f"{root}/{wire.vendor}" for wire in self.wires}
        bases = {wire.vendor: roots[wire.vendor] + wire.base for wire in self.wires}
        return Server(root, bases, {v: roots[v] + _VERSIONS[v] if v in _VERSIONS else bases[v] for v in roots})

    def now(self) -> float:
        """Return the Unix time in seconds, by the simulator's clock."""
        return self._wall + self.clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI wants it."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            raise NotImplementedError(f"the simulator speaks HTTP, not {scope['type']}")
        number = next(self._numbers)
        random = Random(f"{self.seed}/{number}")  # noqa: S311 - nothing secret hangs on it
        exchange = Exchange(self, number, letters(random, 24), random, receive, send)
        self.in_flight += 1
        try:
            await exchange.run(self._answer(exchange, scope))
        finally:
            self.in_flight -= 1

    async def _answer(self, exchange: Exchange, scope: Scope) -> None:
        """Find the wire, read the question, and hand its answer to the exchange."""
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        raw_path = scope.get("raw_path") or str(scope["path"]).encode()
        path = raw_path.decode("latin-1").partition("?")[0]
        query = dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))
        exchange.path, exchange.key_id = path, self._key_id(_key(headers, query))
        body = await exchange.body()
        method = str(scope["method"])
        found = self._router.find(method, path, query)
        exchange.wire = found.wire
        try:
            if found.route is None:
                known = self._router.knows(path, query)
                raise Refused(Failure("method_not_allowed" if known else "not_found", param=f"{method} {path}"))
            exchange.wire_name = found.wire.name
            self._check_key(_key(headers, query))
            request = Request(
                method=method,
                path=found.path,
                params=found.params,
                query=query,
                headers=headers,
                json=_object(body),
                key_id=exchange.key_id,
                seed=self.seed,
                models=self._models,
                created=int(self.now()),
            )
            asked = found.route.read(request)
            _check(asked, self._models)
            await self._reply(exchange, asked)
        except Refused as refused:
            await exchange.fail(refused.failure)
        except _SHAPES as error:
            if exchange.begun:
                raise
            await exchange.fail(Failure("invalid_request", f"The request's body has an unexpected shape: {error}"))

    async def _reply(self, exchange: Exchange, asked: Question | Direct) -> None:
        exchange.model = asked.model
        if isinstance(asked, Question):
            exchange.question, exchange.streamed = asked, asked.stream
        exchange.fault = self._faults.draw(exchange.random) if self._faults is not None else None
        if exchange.fault is not None and await exchange.strike(exchange.fault):
            return
        if isinstance(asked, Direct):
            exchange.input_tokens = asked.input_tokens
            if asked.counts:
                self._admit(exchange, asked.input_tokens, 0)
            await exchange.direct(asked)
            return
        exchange.input_tokens = count_input(asked.turns, asked.tools)
        admission = self._admit(exchange, exchange.input_tokens, asked.max_tokens or 0)
        try:
            generation, delay = await self._generate(exchange, asked)
        except Refused:
            admission.settle(0, 0)
            raise
        exchange.output_tokens = generation.usage.output
        exchange.input_tokens = generation.usage.input
        admission.settle(generation.usage.input, generation.usage.output)
        await exchange.answer(asked, generation, delay)

    def _admit(self, exchange: Exchange, input_tokens: int, max_tokens: int) -> Admission:
        if self._limiter is None:
            return Admission(True)
        admission = self._limiter.admit(exchange.key_id, exchange.model, input_tokens, max_tokens)
        exchange.limits = admission.limits
        if not admission.let_in:
            worst = max(admission.limits, key=lambda standing: standing.wait)
            later = worst.wait if math.isfinite(worst.wait) else None
            raise Refused(Failure("rate_limit", param=worst.unit, retry_after=later))
        return admission

    async def _generate(self, exchange: Exchange, question: Question) -> tuple[Generation, float]:
        said = await self._script.answer(question)
        if isinstance(said, Failure):
            raise Refused(said)
        generation = generate(
            question,
            said,
            seed=self.seed,
            id=exchange.id,
            created=int(self.now()),
            input_tokens=exchange.input_tokens,
            call_id=exchange.wire.call_id,
        )
        return generation, said.delay

    def _key_id(self, key: str | None) -> str:
        return "none" if key is None else self._key_ids.setdefault(key, f"key-{len(self._key_ids) + 1}")

    def _check_key(self, key: str | None) -> None:
        if self._keys is not None and key not in self._keys:
            raise Refused(Failure("authentication", param="missing" if key is None else "wrong"))

    def report(self, exchange: Exchange, failure: Failure | None) -> Report:
        """Return what the headers of a reply tell."""
        return Report(
            exchange.id, exchange.limits, failure, self.clock() - exchange.started, self.now(), exchange.model
        )


def _check(asked: Question | Direct, models: Sequence[str] | None) -> None:
    """Check what every wire demands alike.

    Raises:
        Refused: for a model that does not exist, or stop sequences that are no texts.
    """
    if models is not None and asked.model and asked.model not in models:
        raise Refused(Failure("model_not_found", param=asked.model))
    if isinstance(asked, Question) and not all(
        isinstance(stop, str) for stop in cast("tuple[object, ...]", asked.stop)
    ):
        raise Refused(Failure("invalid_request", "A stop sequence has to be a string."))


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _key(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    """Return the key, wherever a vendor's client puts it; of an AWS signature the access key id."""
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest:
        return rest.strip()
    if scheme.upper().startswith("AWS4-HMAC"):
        return rest.partition("Credential=")[2].partition("/")[0] or None
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        if headers.get(name):
            return headers[name]
    return query.get("key")


def _object(body: bytes) -> Mapping[str, Any]:
    """Return the body as an object; empty where there is none.

    Raises:
        Refused: where it is no JSON object.
    """
    if not body:
        return {}
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
    raise Refused(Failure("invalid_request", "We could not parse the JSON body of your request.", param="body"))
