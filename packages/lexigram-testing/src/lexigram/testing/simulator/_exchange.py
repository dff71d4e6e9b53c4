"""One request and its reply: what is sent when, until the client leaves or all is said."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from email.utils import formatdate
from random import Random
from typing import Any, Final, Literal, Protocol

from lexigram.testing.simulator._chance import FaultKind, Latency
from lexigram.testing.simulator._journal import Journal, JournalEntry
from lexigram.testing.simulator._limits import Standing
from lexigram.testing.simulator._values import Failure, Generation, Question
from lexigram.testing.simulator._wire import Direct, Report, Wire, dumps

__all__ = ["Exchange"]

_JSON: Final = "application/json"
_FAILURES: Final[Mapping[FaultKind, Failure]] = {
    "500": Failure("server"),
    "503": Failure("unavailable"),
    "429": Failure("rate_limit", retry_after=1.0),
    "overloaded": Failure("overloaded"),
}
_LONG: Final = 0.5
_PROXY_PAGE: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


class _World(Protocol):
    journal: Journal
    latency: Latency

    def clock(self) -> float: ...
    def sleep(self, seconds: float) -> Awaitable[object]: ...
    def now(self) -> float: ...
    def report(self, exchange: Exchange, failure: Failure | None) -> Report: ...


class Exchange:
    """One request and its reply.

    Args:
        world: the simulator.
        number: the request's number.
        id: 24 letters and digits, unique to the request.
        random: its chance.
        receive, send: ASGI's.
    """

    def __init__(
        self,
        world: _World,
        number: int,
        id: str,
        random: Random,
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        self.id = id
        self.random = random
        self.started = world.clock()
        self.wire: Wire
        self.wire_name = self.path = self.model = ""
        self.key_id = "none"
        self.question: Question | None = None
        self.streamed = False
        self.input_tokens = self.output_tokens = 0
        self.limits: Sequence[Standing] = ()
        self.fault: FaultKind | None = None
        self._world = world
        self._number = number
        self._receive = receive
        self._send = send
        self._status = 0
        self._frames = 0
        self._whole = False

    @property
    def begun(self) -> bool:
        """Whether the reply has a status yet."""
        return self._status != 0

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work until the client leaves, and write the journal."""
        cancelled = False
        try:
            await work
        except (OSError, asyncio.CancelledError):
            cancelled = not self._whole
            raise
        except _ClientGone:
            cancelled = True
        finally:
            self._world.journal.add(self._entry(cancelled))

    async def body(self) -> bytes:
        """Return the request's body."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    async def fail(self, failure: Failure) -> None:
        """Send a failure."""
        report = self._world.report(self, failure)
        status, body = self.wire.fail(failure, report)
        await self._head(status, _JSON, report, len(body))
        await self._body(body, last=True)

    async def direct(self, reply: Direct) -> None:
        """Send a reply that needed no model."""
        await self._send_whole(dumps(reply.body))

    async def answer(self, question: Question, generation: Generation, delay: float) -> None:
        """Send the model's answer, as long as it takes."""
        latency = self._world.latency
        if not question.stream:
            if delay or not latency.none:
                pauses = [latency.between.draw(self.random) for _ in range(generation.usage.output - 1)]
                await self._wait(delay + latency.first.draw(self.random) + sum(pauses))
            await self._send_whole(self.wire.whole(question, generation))
            return
        await self._stream(question, generation, delay)

    async def strike(self, fault: FaultKind) -> bool:
        """Let a fault happen that comes before any answer; return whether it did."""
        if fault in _FAILURES:
            await self.fail(_FAILURES[fault])
        elif fault == "502":
            await self._head(502, "text/html", None, len(_PROXY_PAGE))
            await self._body(_PROXY_PAGE, last=True)
        elif fault == "silent":
            await self._until_gone()
        else:
            return False
        return True

    async def _stream(self, question: Question, generation: Generation, delay: float) -> None:
        latency = self._world.latency
        patient = not latency.none
        frames = list(self.wire.stream(question, generation))
        until = self.random.randint(1, max(len(frames) - 2, 1)) if self.fault is not None else -1
        watcher = asyncio.ensure_future(self._left())
        try:
            await self._wait(delay + latency.first.draw(self.random), watcher)
            await self._head(200, self.wire.stream_type, self._world.report(self, None), None)
            written = 0
            for i, (data, tokens) in enumerate(frames):
                if tokens and patient:
                    pauses = tokens if written else tokens - 1
                    await self._wait(sum(latency.between.draw(self.random) for _ in range(pauses)), watcher)
                written += tokens
                if watcher.done():
                    raise _ClientGone
                if i == until and not await self._break(data):
                    return
                await self._body(data, last=False)
            await self._body(b"", last=True)
        finally:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _break(self, data: bytes) -> bool:
        """Let a fault happen in the middle of a stream; return whether the stream goes on."""
        if self.fault == "stall":
            await self._until_gone()
        elif self.fault == "cut":
            raise ConnectionAbortedError("the simulator cut the connection, as its faults say")
        elif self.fault == "garbled":
            await self._body(data.replace(b"{", b"{{", 1), last=False)
            return True
        elif self.fault == "error":
            failure = Failure("overloaded")
            await self._body(self.wire.broken(failure, self._world.report(self, failure)), last=True)
        else:
            await self._body(b"", last=True)
        return False

    async def _send_whole(self, body: bytes) -> None:
        await self._head(200, _JSON, self._world.report(self, None), len(body))
        if self.fault is not None:
            await self._body(body[: len(body) // 2], last=False)
            if self.fault == "stall":
                await self._until_gone()
            raise ConnectionAbortedError("the simulator cut the connection, as its faults say")
        await self._body(body, last=True)

    async def _head(self, status: int, media_type: str, report: Report | None, length: int | None) -> None:
        headers = [("content-type", media_type), ("date", formatdate(self._world.now(), usegmt=True))]
        if length is not None:
            headers.append(("content-length", str(length)))
        if report is not None:
            headers += self.wire.headers(report)
            headers += report.failure.headers if report.failure is not None else ()
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._status = status
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _body(self, data: bytes, *, last: bool) -> None:
        if data:
            self._frames += 1
        self._whole = last
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _wait(self, seconds: float, watcher: asyncio.Future[None] | None = None) -> None:
        """Wait, or end when the client leaves: at once, where the wait is long enough to be worth a task."""
        if seconds < _LONG:
            if seconds > 0:
                await self._world.sleep(seconds)
            return
        own = watcher is None
        gone = asyncio.ensure_future(self._left()) if watcher is None else watcher
        pause = asyncio.ensure_future(self._world.sleep(seconds))
        try:
            await asyncio.wait((gone, pause), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise _ClientGone
        finally:
            for future in (pause, gone) if own else (pause,):
                future.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await future

    async def _left(self) -> None:
        """Return when the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _until_gone(self) -> None:
        await self._left()
        raise _ClientGone

    def _entry(self, cancelled: bool) -> JournalEntry:
        outcome: Literal["done", "refused", "cancelled", "fault"] = "done"
        if self.fault is not None:
            outcome = "fault"
        elif cancelled:
            outcome = "cancelled"
        elif self._status >= 400:
            outcome = "refused"
        return JournalEntry(
            number=self._number,
            wire=self.wire_name,
            path=self.path,
            model=self.model,
            key_id=self.key_id,
            status=self._status,
            outcome=outcome,
            fault=self.fault or "",
            streamed=self.streamed,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            started=self.started,
            seconds=self._world.clock() - self.started,
            frames=self._frames,
            question=self.question,
        )


class _ClientGone(Exception):
    """The client has left."""
