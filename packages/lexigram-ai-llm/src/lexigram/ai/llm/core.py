"""The steps of a call on either side of the network: checking, encoding, the key, decoding, errors. No I/O."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lexigram.ai.llm.codec import dumps, loads
from lexigram.ai.llm.steps import check_headers, limits_of, merged, unreadable
from lexigram.ai.llm.transport import Limits, Reply, Sender, WireRequest
from lexigram.contracts.ai.client import ClientBase, ClientIdentity
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Attempt, Completion
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidMessageError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    ProviderConnectionError,
    StreamError,
)
from lexigram.contracts.ai.protocols import Messages, Tools
from lexigram.contracts.ai.request import CompletionOptions, CompletionRequest, ThinkingConfig, Timeouts
from lexigram.contracts.values import Sealed, Secret
from lexigram.contracts.wire import Dialect, Endpoint, HttpRequest, HttpResponse, Vendor
from lexigram.contracts.wire.errors import request_id
from lexigram.contracts.wire.limits import rate_limits

__all__ = ["ClientCore", "ClientDefaults"]

USER_AGENT: Final = "lexigram/0.1"
_KEPT_HEADERS: Final = 16
_PER_CALL: Final = frozenset({"idempotency-key"})
"""Headers that are new with every call, and that no dialect and no key looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientDefaults:
    """What a call uses where it says nothing itself."""

    model: str
    api: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    thinking: ThinkingConfig | None = None
    timeouts: Timeouts = Timeouts(total=60.0, connect=10.0)


class ClientCore(ClientBase):
    """What a client is made of, and the steps of a call that do no I/O. :class:`LLMClient` is the whole.

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
            request = replace(request, timeouts=merged(request.timeouts, defaults.timeouts))
        if request.thinking is None and defaults.thinking is not None:
            request = replace(request, thinking=defaults.thinking)
        if request.extra_headers:
            check_headers(request.extra_headers)
        if request.prefer_model is not None or request.prefer_provider is not None:
            name = "prefer_model" if request.prefer_model is not None else "prefer_provider"
            hint = "LLMModule.configure(routing=…), or leave it out"
            raise InvalidMessageError("there is nothing to prefer: this client has one provider", path=name, hint=hint)
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
        body = request.content if request.content is not None else b""
        if request.json is not None:
            body = dumps(request.json)
        own = {name.lower(): value for name, value in (extra_headers or {}).items()}
        # The dialect repeats what the caller gave. What is new with every call stays apart from what never changes.
        more = own if own and own.keys() <= _PER_CALL else {}
        written = {n: value for name, value in request.headers.items() if (n := name.lower()) not in more}
        same = tuple(written.items()) if own == more and request.json is not None else None
        if same is not None and (fixed := self._fixed.get(same)) is not None:
            return WireRequest(request.method, request.url, fixed.reveal(), body, more)
        url = request.url
        request = self._with_key(request)
        headers: dict[str, str] = {"user-agent": USER_AGENT, "accept": "*/*"}
        if request.json is not None:
            headers["content-type"] = "application/json"
        # The caller's headers win over the key's, but not where the dialect has added to what the caller gave.
        given = {n: v for n, v in own.items() if written.get(n, v) == v}
        for source in (self.vendor.headers, request.headers, given):
            for name, value in source.items():
                headers[name.lower()] = value
        for name in more:
            del headers[name]
        if same is not None and request.url == url and len(self._fixed) < _KEPT_HEADERS:
            # The same object for every call like this one: the transport prepares it once.
            self._fixed[same] = Sealed(headers)
        return WireRequest(request.method, request.url, headers, body, more)

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
        body = loads(content) if content.strip() else None
        if not body:  # also null, [] and {}
            raise DecodeError("the reply is empty", reason="bad_shape", status=reply.status, retryable=True)
        try:
            return dialect.decode_response(body, self.endpoint)
        except LLMError as error:
            error.status = error.status or reply.status
            error.request_id = error.request_id or request_id(reply.headers)
            raise
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise unreadable(error) from error

    def _completed(self, completion: Completion, model: str, headers: Mapping[str, str], started: float) -> Completion:
        """Fill in who answered, and the try that led here."""
        elapsed = time.monotonic() - started
        # The dialect made the value for this call and nobody else has seen it: filled in place, not copied.
        put = object.__setattr__
        put(completion, "attempts", (Attempt(self.vendor.name, model, "ok", 0.0, None, elapsed, completion.usage),))
        put(completion, "request_id", request_id(headers))
        if self._read_limits and (limits := limits_of(headers)):
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
