"""The engine client: one class for every dialect and vendor, and the only place where a call becomes I/O.

The way of a call: check and freeze the request, let the dialect encode it, put the key on it, send it, cut the reply
into events, let the dialect decode them, fold. It retries nothing and sleeps nowhere.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typing_extensions import Unpack

from lexigram.ai.llm.codec import loads
from lexigram.ai.llm.core import ClientCore, ClientDefaults
from lexigram.ai.llm.flows import count_of, drive, first_request, flow_of
from lexigram.ai.llm.framing import decoder_for
from lexigram.ai.llm.steps import cut, drain, limits_of, merged, truncated, unreadable, within
from lexigram.ai.llm.transport import Reply
from lexigram.contracts.ai.completion import Attempt, Completion, StreamChunk
from lexigram.contracts.ai.errors import (
    DecodeError,
    LLMError,
)
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.protocols import Messages, TokenCount, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result
from lexigram.contracts.wire import Flow, Framing, HttpRequest, HttpResponse
from lexigram.contracts.wire.errors import request_id

if TYPE_CHECKING:
    from lexigram.ai.llm.plan import RequestPlan

__all__ = ["ClientDefaults", "LLMClient"]

GRACE_AFTER_FINISH: Final = 2.0
GRACE_AFTER_END: Final = 0.5
_WHOLE_BODY: Final = (b"{", b"[", b"<")

T = TypeVar("T")


class LLMClient(ClientCore):
    """Asks one vendor. Satisfies :class:`~lexigram.contracts.ai.LLMClientProtocol`.

    One object works from several event loops and threads, and after fork.

    Args:
        vendor: the row.
        endpoint: the row filled in with the user's settings.
        sender: the road; see :mod:`lexigram.ai.llm.transport`.
        key: the API key, or None where the vendor needs none.
        defaults: what calls use where they say nothing.
        limits: the most bytes that are read.
        check_server: raises the typed error that says why, if a server that the application runs has died.
        read_limits: whether answers and errors carry the rate limits of their reply's head, for whoever keeps to them.
    """

    async def complete_request(self, request: CompletionRequest) -> Result[Completion, LLMError]:
        """Return the whole answer, or an ``Err`` that says what failed."""
        started = time.monotonic()
        sender = self._sender
        try:
            dialect = self._dialect(request.api)
            timeouts = request.timeouts or self.defaults.timeouts
            if (flow := flow_of(dialect, request, self.endpoint)) is not None:
                completion, headers = await self._drive(flow, timeouts, request.extra_headers)
                return Ok(self._completed(completion, request.model, headers, started))
            wire = self._wire(dialect.encode_request(request, self.endpoint, stream=False), request.extra_headers)
            reply = await sender.open(wire, timeouts, stream=False)
            try:
                content = await reply.read()
            finally:
                await reply.aclose()
            return Ok(self._completed(self._decode(dialect, reply, content), request.model, reply.headers, started))
        except LLMError as error:
            failure = error
        except sender.failures as error:
            failure = sender.explain(error)
        return Err(self._located(failure, request.model, started))

    def stream_request(self, request: CompletionRequest) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written; nothing is sent before it is read."""
        fold = CompletionFold(provider=self.vendor.name, model=request.model)
        return AsyncStream(self._chunks(request, fold), fold=fold)

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask the vendor for something cheap within ``timeout`` seconds; a failure is a result."""
        started = time.monotonic()
        component = f"{self.vendor.name}:{self.defaults.model}"
        sender = self._sender
        try:
            dialect = self._dialect(None)
            wire = self._wire(dialect.encode_health(self.endpoint), None)
            reply = await sender.open(wire, Timeouts(total=timeout, connect=timeout), stream=False)
            try:
                content = await reply.read()
            finally:
                await reply.aclose()
            if reply.status in (401, 403) or reply.status >= 500:
                raise self._error(dialect, reply, content)
        except LLMError as error:
            failure = error
        except sender.failures as error:
            failure = sender.explain(error)
        else:
            elapsed = (time.monotonic() - started) * 1000
            return HealthCheckResult(component, HealthStatus.HEALTHY, None, elapsed, {"status": reply.status})
        elapsed = (time.monotonic() - started) * 1000
        return HealthCheckResult(component, HealthStatus.UNHEALTHY, failure.message, elapsed)

    async def run(
        self, flow: Flow[T], *, model: str | None = None, timeouts: Timeouts | float | None = None
    ) -> Result[T, LLMError]:
        """Run an operation of several exchanges that a dialect offers (fetch or cancel a response …).

        Args:
            flow: fresh, e.g. ``responses.retrieve("resp_…", client.endpoint)``.
            model: named in errors.
            timeouts: of the whole operation; a number is the total. Without, the client's own.
        """
        started = time.monotonic()
        own = timeouts if isinstance(timeouts, Timeouts | None) else Timeouts(total=float(timeouts))
        try:
            value, _ = await self._drive(flow, merged(own or Timeouts(), self.defaults.timeouts), None)
        except LLMError as error:
            return Err(self._located(error, model or self.defaults.model, started))
        return Ok(value)

    async def count_tokens(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        tools: Tools | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Result[TokenCount, LLMError]:
        """Return the tokens of a request: as the vendor counts them where it has an API for that, else from here.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """
        request = self.make_request(messages, model, None, None, tools, None, options)
        try:
            flow = count_of(self._dialect(request.api), request, self.endpoint)
        except LLMError as error:
            return Err(self._located(error, request.model, time.monotonic()))
        if flow is None:
            from lexigram.ai.llm.plan import counters

            return Ok(counters().for_model(request.model).count_messages(request.messages, request.tools))
        counted = await self.run(flow, model=request.model, timeouts=request.timeouts)
        return counted.map(lambda tokens: TokenCount(tokens, "counted"))

    def events(
        self,
        request: HttpRequest,
        decode: Callable[[Any], T],
        *,
        framing: Framing = "ndjson",
        timeouts: Timeouts | float | None = None,
    ) -> AsyncStream[T, LLMError]:
        """Stream an operation of the vendor's own, an item an event (the progress of a download …).

        Args:
            request: what to send, e.g. ``models.encode_pull("qwen3", client.endpoint)``.
            decode: makes an item of an event's JSON; it may raise the typed error that the event stands for.
            framing: how the reply is cut into events.
            timeouts: of the whole operation; a number is the total. Without, the client's own.
        """
        own = timeouts if isinstance(timeouts, Timeouts | None) else Timeouts(total=float(timeouts))
        return AsyncStream(self._items(request, decode, framing, merged(own or Timeouts(), self.defaults.timeouts)))

    def plan(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Tools | None = None,
        stop_sequences: Sequence[str] | None = None,
        **options: Unpack[CompletionOptions],
    ) -> RequestPlan:
        """Return what :meth:`complete` would send for the same arguments. Nothing is sent.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            LLMError: for what the vendor cannot carry, by its name.
            TypeError: for an option that does not exist.
        """
        from lexigram.ai.llm.plan import plan_of

        request = self.make_request(messages, model, temperature, max_tokens, tools, stop_sequences, options)
        dialect = self._dialect(request.api)
        flow = flow_of(dialect, request, self.endpoint)
        encoded = first_request(flow) if flow else dialect.encode_request(request, self.endpoint, stream=False)
        return plan_of(request, encoded, self._wire(encoded, request.extra_headers), self._key)

    async def close(self) -> None:
        """Close the connections that this client opened. Safe to call again."""
        await self._sender.aclose()

    # -- one stream

    async def _chunks(self, request: CompletionRequest, fold: CompletionFold) -> AsyncGenerator[StreamChunk, None]:
        started = time.monotonic()
        sender = self._sender
        reply: Reply | None = None
        try:
            dialect = self._dialect(request.api)
            wire = self._wire(dialect.encode_request(request, self.endpoint, stream=True), request.extra_headers)
            reply = await sender.open(wire, request.timeouts or self.defaults.timeouts, stream=True)
            try:
                fold.request_id = request_id(reply.headers)
                if self._read_limits:
                    fold.rate_limits = limits_of(reply.headers)
                if not 200 <= reply.status < 300:
                    raise self._error(dialect, reply, await reply.read())
                data = await reply.next_chunk()
                if dialect.FRAMING == "sse":
                    while data.isspace() and len(data) < 65536 and (more := await reply.next_chunk()):
                        data += more
                    if data.lstrip()[:1] in _WHOLE_BODY:
                        while more := await reply.next_chunk():
                            data += more
                        for chunk in chunks_of(self._decode(dialect, reply, data)):
                            yield chunk
                        return
                state = dialect.new_stream_state(self.endpoint)
                decoder = decoder_for(dialect.FRAMING, self._limits.event_bytes)
                feed, decode, progress = decoder.feed, dialect.decode_event, reply.progress
                read = bytes.decode if dialect.FRAMING == "sse-text" else loads
                while True:
                    for name, payload in feed(data) if data else decoder.flush():
                        if payload[:6] == b"[DONE]":
                            state.finished = state.closed = True
                            break
                        try:
                            decoded = decode(name, read(payload), state)
                        except DecodeError:
                            if data:
                                raise
                            continue  # the input ended in the middle of an event: the stream is cut, said below
                        for chunk in decoded:
                            progress()
                            yield chunk
                    if not data or state.closed:
                        break
                    if not state.finished:
                        data = await reply.next_chunk()
                    elif (rest := await within(reply.next_chunk(), GRACE_AFTER_FINISH)) is not None:
                        data = rest
                    else:
                        data = b""
                        break
                if not state.finished:
                    raise truncated()
                elapsed = time.monotonic() - started
                fold.attempts = (Attempt(self.vendor.name, request.model, "ok", duration=elapsed, usage=fold.usage),)
                if data:
                    await within(drain(reply), GRACE_AFTER_END)
                return
            finally:
                await reply.aclose()
        except LLMError as error:
            failure = error
        except sender.failures as error:
            failure = sender.explain(error) if reply is None else cut(sender.explain(error))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            failure = unreadable(error)
        raise self._located(failure, request.model, started)

    async def _items(
        self, request: HttpRequest, decode: Callable[[Any], T], framing: Framing, timeouts: Timeouts
    ) -> AsyncGenerator[T, None]:
        started = time.monotonic()
        sender = self._sender
        try:
            reply = await sender.open(self._wire(request, None), timeouts, stream=True)
            try:
                if not 200 <= reply.status < 300:
                    raise self._error(self._dialect(None), reply, await reply.read())
                decoder = decoder_for(framing, self._limits.event_bytes)
                while True:
                    data = await reply.next_chunk()
                    for _, payload in decoder.feed(data) if data else decoder.flush():
                        reply.progress()
                        yield decode(loads(payload))
                    if not data:
                        return
            finally:
                await reply.aclose()
        except LLMError as error:
            failure = error
        except sender.failures as error:
            failure = sender.explain(error)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            failure = unreadable(error)
        raise self._located(failure, self.defaults.model, started)

    async def _drive(
        self, flow: Flow[T], timeouts: Timeouts, extra_headers: Mapping[str, str] | None
    ) -> tuple[T, Mapping[str, str]]:
        """Return the flow's value and the headers of the last reply."""
        headers: dict[str, str] = {}
        sender = self._sender

        async def exchange(request: HttpRequest) -> HttpResponse:
            try:
                reply = await sender.open(self._wire(request, extra_headers), timeouts, stream=False)
                try:
                    content = await reply.read()
                finally:
                    await reply.aclose()
                headers.clear()
                headers.update({name.lower(): value for name, value in reply.headers.items()})
                return HttpResponse(reply.status, headers, content)
            except sender.failures as error:
                failure = sender.explain(error)
            raise failure

        try:
            return await drive(flow, exchange, timeouts.total), headers
        except LLMError as error:
            error.request_id = error.request_id or request_id(headers)
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise unreadable(error) from error
