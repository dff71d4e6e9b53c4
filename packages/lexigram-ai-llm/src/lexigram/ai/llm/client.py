"""The engine client: one class for every dialect and vendor, and the only place where a call becomes I/O.

The way of a call: check and freeze the request, let the dialect encode it, put the key on it, send it, cut the reply
into events, let the dialect decode them, fold. It retries nothing and sleeps nowhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from typing_extensions import Unpack

from lexigram.ai.llm.codec import dumps, loads
from lexigram.ai.llm.flows import drive, first_request, flow_of
from lexigram.ai.llm.framing import decoder_for
from lexigram.ai.llm.transport import Limits, Reply, Sender, WireRequest
from lexigram.contracts.ai.client import ClientBase, ClientIdentity
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Attempt, Completion, RateLimit, StreamChunk
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidMessageError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    ProviderConnectionError,
    StreamError,
)
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, ThinkingConfig, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result
from lexigram.contracts.values import Sealed, Secret
from lexigram.contracts.wire import Dialect, Endpoint, Flow, HttpRequest, HttpResponse, Vendor
from lexigram.contracts.wire.errors import request_id
from lexigram.contracts.wire.limits import rate_limits

if TYPE_CHECKING:
    from lexigram.ai.llm.plan import RequestPlan

__all__ = ["ClientDefaults", "LLMClient"]

USER_AGENT: Final = "lexigram/0.1"
GRACE_AFTER_FINISH: Final = 2.0
GRACE_AFTER_END: Final = 0.5
_KEPT_HEADERS: Final = 16
_WHOLE_BODY: Final = (b"{", b"[", b"<")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDefaults:
    """What a call uses where it says nothing itself."""

    model: str
    api: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    thinking: ThinkingConfig | None = None
    timeouts: Timeouts = Timeouts(total=60.0, connect=10.0)


class LLMClient(ClientBase):
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

    def __init__(
        self,
        vendor: Vendor,
        endpoint: Endpoint,
        sender: Sender,
        *,
        key: Secret | None = None,
        defaults: ClientDefaults,
        limits: Limits | None = None,
        check_server: Callable[[], None] | None = None,
        read_limits: bool = False,
    ) -> None:
        self.vendor = vendor
        self.endpoint = endpoint
        self.defaults = defaults
        self._sender = sender
        self._key = key
        self._limits = limits or Limits()
        self._check_server = check_server
        self._read_limits = read_limits
        self._fixed: dict[tuple[tuple[str, str], ...], Sealed[Mapping[str, str]]] = {}
        account = key.digest() if key else ""
        self.identity = ClientIdentity(vendor.name, endpoint.base_url, account)
        self.timeouts = defaults.timeouts

    def __repr__(self) -> str:
        return f"<LLMClient {self.vendor.name} {self.defaults.model} at {self.endpoint.base_url}>"

    # -- the protocol

    def make_request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        """Check what a caller gave, fill in the client's defaults, and freeze it."""
        defaults = self.defaults
        request = build_request(
            messages,
            model=model or defaults.model,
            temperature=temperature if temperature is not None else defaults.temperature,
            max_tokens=max_tokens if max_tokens is not None else defaults.max_tokens,
            tools=tools,
            stop_sequences=stop_sequences,
            options=options,
        )
        if request.timeouts is not None and request.timeouts != defaults.timeouts:
            request = replace(request, timeouts=_merged(request.timeouts, defaults.timeouts))
        if request.thinking is None and defaults.thinking is not None:
            request = replace(request, thinking=defaults.thinking)
        if request.extra_headers:
            _check_headers(request.extra_headers)
        return request

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
            value, _ = await self._drive(flow, _merged(own or Timeouts(), self.defaults.timeouts), None)
        except LLMError as error:
            return Err(self._located(error, model or self.defaults.model, started))
        return Ok(value)

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
                    fold.rate_limits = _rate_limits(reply.headers)
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
                    elif (rest := await _within(reply.next_chunk(), GRACE_AFTER_FINISH)) is not None:
                        data = rest
                    else:
                        data = b""
                        break
                if not state.finished:
                    raise _truncated()
                elapsed = time.monotonic() - started
                fold.attempts = (Attempt(self.vendor.name, request.model, "ok", duration=elapsed, usage=fold.usage),)
                if data:
                    await _within(_drain(reply), GRACE_AFTER_END)
                return
            finally:
                await reply.aclose()
        except LLMError as error:
            failure = error
        except sender.failures as error:
            failure = sender.explain(error) if reply is None else _cut(sender.explain(error))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            failure = _unreadable(error)
        raise self._located(failure, request.model, started)

    # -- steps

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
            raise _unreadable(error) from error

    def _dialect(self, api: str | None) -> Dialect:
        dialects = self.vendor.dialects
        wanted = api or self.defaults.api or next(iter(dialects))
        dialect = dialects.get(wanted)
        if dialect is None:
            raise InvalidRequestError(
                f"{self.vendor.name} has no api {wanted!r}", hint=f"allowed: {', '.join(dialects)}"
            )
        return dialect

    def _wire(self, request: HttpRequest, extra_headers: Mapping[str, str] | None) -> WireRequest:
        body = request.content if request.content is not None else b""
        if request.json is not None:
            body = dumps(request.json)
        written = {name.lower(): value for name, value in request.headers.items()}
        same = tuple(written.items()) if not extra_headers and request.json is not None else None
        if same is not None and (fixed := self._fixed.get(same)) is not None:
            return WireRequest(request.method, request.url, fixed.reveal(), body)
        url = request.url
        request = self._with_key(request)
        headers: dict[str, str] = {"user-agent": USER_AGENT, "accept": "*/*"}
        if request.json is not None:
            headers["content-type"] = "application/json"
        # The caller's headers win over the key's, but not where the dialect has added to what the caller gave.
        given = {n: v for n, v in (extra_headers or {}).items() if written.get(n.lower(), v) == v}
        for source in (self.vendor.headers, request.headers, given):
            for name, value in source.items():
                headers[name.lower()] = value
        if same is not None and request.url == url and len(self._fixed) < _KEPT_HEADERS:
            # The same object for every call like this one: the transport prepares it once.
            self._fixed[same] = Sealed(headers)
        return WireRequest(request.method, request.url, headers, body)

    def _with_key(self, request: HttpRequest) -> HttpRequest:
        if self._key is not None:
            return self.vendor.auth.apply(request, self._key.reveal())
        if self.vendor.key_required:
            hint = f"set {' or '.join(self.vendor.key_env) or 'api_key'}"
            raise LLMAuthenticationError(f"no API key for {self.vendor.name}", hint=hint)
        return request

    def _decode(self, dialect: Dialect, reply: Reply, content: bytes) -> Completion:
        if not 200 <= reply.status < 300:
            raise self._error(dialect, reply, content)
        if content.lstrip()[:1] == b"<":
            raise DecodeError(
                "the reply is a web page, not an answer of the API",
                reason="content_type",
                status=reply.status,
                hint="check api_base: a proxy, a login page or a wrong path answers there",
            )
        if not content.strip():
            raise DecodeError("the reply is empty", reason="bad_shape", status=reply.status, retryable=True)
        body = loads(content)
        try:
            return dialect.decode_response(body, self.endpoint)
        except LLMError as error:
            error.status = error.status or reply.status
            error.request_id = error.request_id or request_id(reply.headers)
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise _unreadable(error) from error

    def _completed(self, completion: Completion, model: str, headers: Mapping[str, str], started: float) -> Completion:
        """Fill in who answered, and the try that led here."""
        elapsed = time.monotonic() - started
        # The dialect made the value for this call and nobody else has seen it: filled in place, not copied.
        put = object.__setattr__
        put(completion, "attempts", (Attempt(self.vendor.name, model, "ok", 0.0, None, elapsed, completion.usage),))
        put(completion, "request_id", request_id(headers))
        if self._read_limits and (limits := _rate_limits(headers)):
            put(completion, "rate_limits", limits)
        put(completion, "provider", self.vendor.name)
        if not completion.model:
            put(completion, "model", model)
        return completion

    def _error(self, dialect: Dialect, reply: Reply, content: bytes) -> LLMError:
        if 300 <= reply.status < 400:
            return DecodeError(
                "the provider answered with a redirect, which is not followed: the key stays with its host",
                reason="redirect",
                status=reply.status,
                hint="set api_base to the address that the provider really has",
            )
        if reply.status == 407:
            return ProviderConnectionError(
                "the proxy on the way asks for a password",
                reason="proxy",
                status=407,
                retryable=False,
                hint="set user and password in HTTPS_PROXY",
            )
        try:
            body: Any = loads(content)
        except DecodeError:
            body = content.decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in reply.headers.items()}
        error = dialect.decode_error(HttpResponse(reply.status, headers, content), body, self.endpoint)
        error.rate_limits = rate_limits(headers)
        return error

    def _located(self, error: LLMError, model: str, started: float) -> LLMError:
        """Fill in where the error happened, and the try that ends with it."""
        if self._check_server is not None and isinstance(error, ProviderConnectionError | StreamError | DecodeError):
            try:
                self._check_server()
            except LLMError as cause:
                error.message, error.hint = f"{error.message}: {cause.message}", cause.hint
        error.provider = error.provider or self.vendor.name
        error.model = error.model or model
        if not error.attempts:
            elapsed = time.monotonic() - started
            error.attempts = (
                Attempt(error.provider, error.model, error.code, retry_after=error.retry_after, duration=elapsed),
            )
        return error


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T | None:
    """Return what the work gives, or None if it takes longer."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return None


async def _drain(reply: Reply) -> None:
    """Read what follows the end, so that the connection can serve again."""
    while await reply.next_chunk():
        pass


def _truncated(why: str = "") -> StreamError:
    return StreamError(
        f"the stream ended before the answer did{why}",
        reason="truncated",
        retryable=True,
        hint="the connection was cut; the text so far is in `partial`",
    )


def _cut(error: LLMError) -> LLMError:
    """Return one error for a stream that is cut off, whichever way the connection went."""
    reason = getattr(error, "reason", None)
    return _truncated(f": {error.message}") if reason in ("truncated", "reset", "closed") and error.retryable else error


def _rate_limits(headers: Mapping[str, str]) -> tuple[RateLimit, ...]:
    """Read the limits where there are any; most heads are asked one question of bytes and no more."""
    mentions = getattr(headers, "mentions", None)
    return rate_limits(headers) if mentions is None or mentions(b"ratelimit") else ()


def _unreadable(error: Exception) -> DecodeError:
    return DecodeError(f"the reply has an unexpected shape ({type(error).__name__}: {error})", reason="bad_shape")


def _merged(own: Timeouts, defaults: Timeouts) -> Timeouts:
    values = [
        getattr(own, f.name) if getattr(own, f.name) is not None else getattr(defaults, f.name)
        for f in fields(Timeouts)
    ]
    return Timeouts(*values)


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if any(c in name or c in value for c in "\r\n\0") or not name.isascii() or not value.isascii():
            raise InvalidMessageError("holds a control or non-ASCII character", path=f"extra_headers[{name!r}]")
        if name.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise InvalidMessageError("is set by the transport and cannot be given", path=f"extra_headers[{name!r}]")
