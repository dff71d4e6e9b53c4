"""The engine client: one class for every dialect and vendor, and the only place where a call becomes I/O.

The way of a call: check and freeze the request, let the dialect encode it, put the key on it, send it, cut the reply
into events, let the dialect decode them, fold. It retries nothing and sleeps nowhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from typing_extensions import Unpack

from lexigram.ai.llm.codec import dumps, loads
from lexigram.ai.llm.framing import decoder_for
from lexigram.ai.llm.transport import Limits, Reply, Sender, WireRequest
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Attempt, Completion, StreamChunk
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidMessageError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    LLMTimeoutError,
    ProviderConnectionError,
    StreamError,
    TimeoutPhase,
)
from lexigram.contracts.ai.fold import CompletionFold, chunks_of
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, ThinkingConfig, Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.contracts.result import Err, Ok, Result
from lexigram.contracts.values import Secret
from lexigram.contracts.wire import Dialect, Endpoint, HttpRequest, HttpResponse, Signer, Vendor
from lexigram.contracts.wire.errors import request_id

__all__ = ["ClientDefaults", "LLMClient"]

USER_AGENT: Final = "lexigram/0.1"
ERROR_BODY_BYTES: Final = 1024 * 1024
GRACE_AFTER_FINISH: Final = 2.0
GRACE_AFTER_END: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDefaults:
    """What a call uses where it says nothing itself."""

    model: str
    api: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    thinking: ThinkingConfig | None = None
    timeouts: Timeouts = Timeouts(total=60.0, connect=10.0)


class LLMClient:
    """Asks one vendor. Satisfies :class:`~lexigram.contracts.ai.LLMClientProtocol`.

    One object works from several event loops and threads, and after fork.

    Args:
        vendor: the row.
        endpoint: the row filled in with the user's settings.
        sender: the road; see :mod:`lexigram.ai.llm.transport`.
        key: the API key, or None where the vendor needs none.
        signer: authenticates requests where there is no key.
        defaults: what calls use where they say nothing.
        limits: the most bytes that are read.
        check_server: raises the typed error that says why, if a server that the application runs has died.
    """

    def __init__(
        self,
        vendor: Vendor,
        endpoint: Endpoint,
        sender: Sender,
        *,
        key: Secret | None = None,
        signer: Signer | None = None,
        defaults: ClientDefaults,
        limits: Limits | None = None,
        check_server: Callable[[], None] | None = None,
    ) -> None:
        self.vendor = vendor
        self.endpoint = endpoint
        self.defaults = defaults
        self._sender = sender
        self._key = key
        self._signer = signer if key is None else None
        self._limits = limits or Limits()
        self._check_server = check_server

    def __repr__(self) -> str:
        return f"<LLMClient {self.vendor.name} {self.defaults.model} at {self.endpoint.base_url}>"

    # -- the protocol

    async def complete(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Tools | None = None,
        stop_sequences: Sequence[str] | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Result[Completion, LLMError]:
        """Return the whole answer, or an ``Err`` that says what failed.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """
        request = self._request(messages, model, temperature, max_tokens, tools, stop_sequences, options)
        started = time.monotonic()
        timeouts = request.timeouts or self.defaults.timeouts
        try:
            dialect = self._dialect(request.api)
            wire = self._wire(dialect.encode_request(request, self.endpoint, stream=False), request.extra_headers)
            try:
                async with asyncio.timeout(timeouts.total):
                    if self._signer is not None:
                        wire = await _signed(wire, self._signer)
                    reply = await self._sender.open(wire, timeouts)
                    try:
                        content = await reply.read(self._limits.body_bytes)
                    finally:
                        await reply.aclose()
            except TimeoutError:
                raise _timed_out("total", timeouts.total) from None
            completion = self._decode(dialect, reply, content)
        except LLMError as error:
            return Err(self._located(error, request.model, started))
        attempt = Attempt(
            self.vendor.name, request.model, "ok", duration=time.monotonic() - started, usage=completion.usage
        )
        return Ok(
            replace(
                completion,
                model=completion.model or request.model,
                provider=self.vendor.name,
                request_id=request_id(reply.headers),
                attempts=(attempt,),
            )
        )

    def stream_chat(
        self,
        messages: Messages,
        *,
        model: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        tools: Tools | None = None,
        stop_sequences: Sequence[str] | None = None,
        **options: Unpack[CompletionOptions],
    ) -> AsyncStream[StreamChunk, LLMError]:
        """Return the answer as it is written; nothing is sent before it is read.

        Raises:
            InvalidMessageError: for a wrong message, tool or value, naming its place.
            TypeError: for an option that does not exist.
        """
        request = self._request(messages, model, temperature, max_tokens, tools, stop_sequences, options)
        fold = CompletionFold(provider=self.vendor.name, model=request.model)
        return AsyncStream(self._chunks(request, fold), fold=fold)

    async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
        """Ask the vendor for something cheap within ``timeout`` seconds; a failure is a result."""
        started = time.monotonic()
        component = f"{self.vendor.name}:{self.defaults.model}"
        try:
            dialect = self._dialect(None)
            wire = self._wire(dialect.encode_health(self.endpoint), None)
            async with asyncio.timeout(timeout):
                if self._signer is not None:
                    wire = await _signed(wire, self._signer)
                reply = await self._sender.open(wire, Timeouts(total=timeout, connect=timeout))
                try:
                    content = await reply.read(self._limits.body_bytes)
                finally:
                    await reply.aclose()
            if reply.status in (401, 403) or reply.status >= 500:
                raise self._error(dialect, reply, content)
        except (LLMError, TimeoutError) as error:
            said = error.message if isinstance(error, LLMError) else f"no reply within {timeout} s"
            return HealthCheckResult(component, HealthStatus.UNHEALTHY, said, (time.monotonic() - started) * 1000)
        elapsed = (time.monotonic() - started) * 1000
        return HealthCheckResult(component, HealthStatus.HEALTHY, None, elapsed, {"status": reply.status})

    async def close(self) -> None:
        """Close the connections that this client opened. Safe to call again."""
        await self._sender.aclose()

    # -- one stream

    async def _chunks(self, request: CompletionRequest, fold: CompletionFold) -> AsyncGenerator[StreamChunk, None]:
        started = time.monotonic()
        clock = _StreamClock(request.timeouts or self.defaults.timeouts)
        try:
            dialect = self._dialect(request.api)
            wire = self._wire(dialect.encode_request(request, self.endpoint, stream=True), request.extra_headers)
            async with clock.waiting():
                if self._signer is not None:
                    wire = await _signed(wire, self._signer)
                reply = await self._sender.open(wire, clock.timeouts)
            try:
                fold.request_id = request_id(reply.headers)
                if not 200 <= reply.status < 300:
                    async with clock.waiting():
                        content = await reply.read(ERROR_BODY_BYTES)
                    raise self._error(dialect, reply, content)
                state = dialect.new_stream_state(self.endpoint)
                decoder = decoder_for(dialect.FRAMING, self._limits.event_bytes)
                is_text = dialect.FRAMING == "sse-text"
                first = True
                while not state.closed:
                    try:
                        async with clock.waiting(GRACE_AFTER_FINISH if state.finished else None):
                            data = await reply.chunk()
                    except LLMTimeoutError:
                        if state.finished and not clock.expired:
                            break
                        raise
                    if first and data and dialect.FRAMING == "sse":
                        stripped = data.lstrip()
                        if not stripped:
                            continue
                        first = False
                        if stripped[:1] in b"{[<":
                            async with clock.waiting():
                                content = data + await reply.read(self._limits.body_bytes)
                            for chunk in chunks_of(self._decode(dialect, reply, content)):
                                yield chunk
                            return
                    events = decoder.feed(data) if data else decoder.flush()
                    for name, payload in events:
                        if payload[:6] == b"[DONE]":
                            state.finished = state.closed = True
                            break
                        try:
                            decoded = dialect.decode_event(name, payload.decode() if is_text else loads(payload), state)
                        except DecodeError:
                            if data:
                                raise
                            continue  # the input ended in the middle of an event: the stream is cut, said below
                        for chunk in decoded:
                            clock.progress()
                            yield chunk
                    if not data:
                        break
                if not state.finished:
                    raise StreamError(
                        "the stream ended before the answer did",
                        reason="truncated",
                        retryable=True,
                        hint="the connection was cut; the text so far is in `partial`",
                    )
                elapsed = time.monotonic() - started
                fold.attempts = (Attempt(self.vendor.name, request.model, "ok", duration=elapsed, usage=fold.usage),)
                if state.closed:
                    await _drain(reply)
            finally:
                await reply.aclose()
        except LLMError as error:
            raise self._located(error, request.model, started) from None
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise self._located(_unreadable(error), request.model, started) from error

    # -- steps

    def _request(
        self,
        messages: Messages,
        model: str | None,
        temperature: float | None,
        max_tokens: int | None,
        tools: Tools | None,
        stop_sequences: Sequence[str] | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
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
        if self._key is not None:
            request = self.vendor.auth.apply(request, self._key.reveal())
        elif self._signer is None and self.vendor.key_required:
            raise LLMAuthenticationError(
                f"no API key for {self.vendor.name}", hint=f"set {' or '.join(self.vendor.key_env) or 'api_key'}"
            )
        headers: dict[str, str] = {"user-agent": USER_AGENT, "accept": "*/*"}
        body = request.content
        if body is None and request.json is not None:
            body = dumps(request.json)
            headers["content-type"] = "application/json"
        for source in (self.vendor.headers, request.headers, extra_headers or {}):
            for name, value in source.items():
                headers[name.lower()] = value
        return WireRequest(request.method, request.url, headers, body)

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

    def _error(self, dialect: Dialect, reply: Reply, content: bytes) -> LLMError:
        if 300 <= reply.status < 400:
            return DecodeError(
                "the provider answered with a redirect, which is not followed: the key stays with its host",
                reason="redirect",
                status=reply.status,
                hint="set api_base to the address that the provider really has",
            )
        try:
            body: Any = loads(content)
        except DecodeError:
            body = content.decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return dialect.decode_error(HttpResponse(reply.status, headers, content), body, self.endpoint)

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


class _StreamClock:
    """The deadlines of one stream. Only content counts as progress, so that comments cannot keep it waiting."""

    __slots__ = ("_content", "_loop", "_mark", "_total", "timeouts")

    def __init__(self, timeouts: Timeouts) -> None:
        self.timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._total = now + timeouts.total if timeouts.total is not None else None
        self._mark = now
        self._content = False

    @property
    def expired(self) -> bool:
        """Whether the total deadline has passed."""
        return self._total is not None and self._loop.time() >= self._total

    def progress(self) -> None:
        self._content = True
        self._mark = self._loop.time()

    def waiting(self, grace: float | None = None) -> _Wait:
        limit = self.timeouts.idle if self._content else self.timeouts.first_token
        phase: TimeoutPhase = "idle" if self._content else "first_token"
        when = self._mark + limit if limit is not None else None
        if grace is not None and (when is None or self._loop.time() + grace < when):
            when, limit, phase = self._loop.time() + grace, grace, "idle"
        if self._total is not None and (when is None or self._total <= when):
            when, limit, phase = self._total, self.timeouts.total, "total"
        return _Wait(when, phase, limit)


class _Wait:
    """``asyncio.timeout_at`` whose expiry is the typed error."""

    __slots__ = ("_limit", "_phase", "_timeout")

    def __init__(self, when: float | None, phase: TimeoutPhase, limit: float | None) -> None:
        self._timeout = asyncio.timeout_at(when)
        self._phase: TimeoutPhase = phase
        self._limit = limit

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exc: Any) -> None:
        try:
            await self._timeout.__aexit__(*exc)
        except TimeoutError:
            raise _timed_out(self._phase, self._limit) from None


async def _signed(wire: WireRequest, signer: Signer) -> WireRequest:
    added = await signer.sign(wire.method, wire.url, wire.headers, wire.body or b"")
    headers = {**wire.headers, **{name.lower(): value for name, value in added.items()}}
    return replace(wire, headers=headers)


async def _drain(reply: Reply) -> None:
    """Read what follows the end, so that the connection can serve again; but do not wait long for it."""
    with suppress(TimeoutError, LLMError):
        async with asyncio.timeout(GRACE_AFTER_END):
            while await reply.chunk():
                pass


def _timed_out(phase: TimeoutPhase, seconds: float | None) -> LLMTimeoutError:
    said = {
        "first_token": "no content came",
        "idle": "the stream stalled",
    }.get(phase, "the call was not finished")
    return LLMTimeoutError(
        f"{said} within {seconds:g} s" if seconds is not None else said, phase=phase, seconds=seconds
    )


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
