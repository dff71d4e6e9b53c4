"""What can go wrong with a call to a language model.

Every failure of a provider is one of these, returned in an ``Err`` (``complete``) or raised by ``async for``
over a stream. The tree::

    LLMError                        LEX_ERR_LLM_001
    ├── LLMAuthenticationError      003   the key is missing, wrong or expired            (401)
    ├── LLMPermissionError          021   the key may not do this                         (403)
    ├── InvalidRequestError         004   the provider or the dialect refuses the request (400, 404, 405, 422)
    │   ├── ModelNotFoundError      005   no such model or deployment                     (404)
    │   └── TokenLimitError         010   more tokens than the context window, or body too large (400, 413)
    ├── LLMRateLimitError           007   too many requests or tokens for now             (429)
    ├── LLMQuotaExceededError       008   no credit left; a retry cannot help             (402, 429)
    ├── LLMContentFilterError       009   input or output was filtered
    ├── ProviderServerError         022   the provider failed                             (500…)
    │   └── ProviderOverloadedError 023   the provider has no capacity                    (503, 529)
    ├── ProviderConnectionError     011   no connection, or it broke before a reply
    ├── CircuitOpenError            027   not asked: it failed too often just now
    ├── LLMTimeoutError             018   a deadline passed; ``phase`` says which
    ├── DecodeError                 019   the reply cannot be read
    ├── StreamError                 012   a stream ended without its end
    │   └── StreamClosedError       024   the consumer closed or cancelled it
    ├── ExtractionError             013   no structured value could be had
    │   ├── ExtractionParseError      014   the answer is not JSON
    │   ├── ExtractionValidationError 015   the answer does not fit the schema
    │   └── ExtractionRetriesError    016   still so after all tries
    ├── ToolArgumentsError          025   the model wrote arguments that cannot be read
    └── LLMConfigurationError       002   a setting is wrong: raised at boot

    InvalidMessageError             LEX_ERR_LLM_026   a message the caller built wrongly (also a ``ValueError``)

``partial`` carries what a stream had said before it failed. Errors pickle and copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from lexigram.contracts.errors import LexigramError

if TYPE_CHECKING:
    from lexigram.contracts.ai.completion import Attempt, Completion, RateLimit

__all__ = [
    "CircuitOpenError",
    "DecodeError",
    "ExtractionError",
    "ExtractionParseError",
    "ExtractionRetriesError",
    "ExtractionValidationError",
    "InvalidMessageError",
    "InvalidRequestError",
    "LLMAuthenticationError",
    "LLMConfigurationError",
    "LLMContentFilterError",
    "LLMError",
    "LLMPermissionError",
    "LLMQuotaExceededError",
    "LLMRateLimitError",
    "LLMTimeoutError",
    "ModelNotFoundError",
    "ProviderConnectionError",
    "ProviderOverloadedError",
    "ProviderServerError",
    "StreamClosedError",
    "StreamError",
    "TimeoutPhase",
    "TokenLimitError",
    "ToolArgumentsError",
]

TimeoutPhase: TypeAlias = Literal[
    "limiter", "backoff", "pool", "connect", "write", "headers", "first_token", "idle", "total"
]
"""Which deadline passed; ``limiter`` and ``backoff``: the total, while waiting for a permit or for the next try."""


class LLMError(LexigramError):
    """A call to a language model failed. See the module's docstring for the tree.

    Attributes:
        provider: name of the vendor asked, or None.
        model: the model asked for, or None.
        status: the HTTP status, or None when there was no reply.
        request_id: the provider's id of the request, for its support.
        provider_code: the provider's own word for the error (code or type), unchanged.
        retryable: whether the same call may succeed later.
        retry_after: seconds the provider asks to wait, or None.
        attempts: every try that was made, oldest first.
        partial: what the model had said before the failure (streams), or None.
        rate_limits: what the reply's headers say of the provider's limits.
    """

    code: ClassVar[str] = "LEX_ERR_LLM_001"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        provider_code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        attempts: Sequence[Attempt] = (),
        partial: Completion | None = None,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.provider = provider
        self.model = model
        self.status = status
        self.request_id = request_id
        self.provider_code = provider_code
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.attempts: tuple[Attempt, ...] = tuple(attempts)
        self.partial = partial
        self.rate_limits: tuple[RateLimit, ...] = ()

    def __str__(self) -> str:
        where = "/".join(part for part in (self.provider, self.model) if part)
        status = f" (HTTP {self.status})" if self.status is not None else ""
        prefix = f"{where}{status}: " if where or status else ""
        request = f"\n  request id: {self.request_id}" if self.request_id else ""
        return f"{prefix}{super().__str__()}{request}"

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON values."""
        out = super().to_dict()
        for name in ("provider", "model", "status", "request_id", "provider_code", "retryable", "retry_after"):
            value = getattr(self, name)
            if value is not None:
                out[name] = value
        if self.attempts:
            out["attempts"] = [a.to_dict() for a in self.attempts]
        if self.partial is not None:
            out["partial"] = self.partial.content
        return out


class LLMConfigurationError(LLMError):
    """A setting is missing or wrong. Raised while the application boots, never returned."""

    code = "LEX_ERR_LLM_002"


class LLMAuthenticationError(LLMError):
    """The provider does not accept the key."""

    code = "LEX_ERR_LLM_003"
    default_hint = "check the API key: that it is set, belongs to this provider and has not expired"


class LLMPermissionError(LLMError):
    """The key is valid but may not do this."""

    code = "LEX_ERR_LLM_021"
    default_hint = "the key lacks access to this model, region or feature"


class InvalidRequestError(LLMError):
    """The request cannot be sent, or the provider refuses it; the same request fails again."""

    code = "LEX_ERR_LLM_004"


class ModelNotFoundError(InvalidRequestError):
    """The provider has no such model or deployment, or has retired it."""

    code = "LEX_ERR_LLM_005"
    default_hint = "check the model's name and that this key has access to it"


class TokenLimitError(InvalidRequestError):
    """The request has more tokens than the model's context window, or its body is too large.

    Attributes:
        limit: the window in tokens, where the provider says it.
        requested: tokens asked for, where the provider says it.
    """

    code = "LEX_ERR_LLM_010"
    default_hint = "shorten the messages, lower max_tokens, or use a model with a larger context window"

    def __init__(self, message: str, *, limit: int | None = None, requested: int | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.limit = limit
        self.requested = requested


class LLMRateLimitError(LLMError):
    """Too many requests or tokens for now. ``retry_after`` has the provider's hint."""

    code = "LEX_ERR_LLM_007"
    default_retryable = True


class LLMQuotaExceededError(LLMError):
    """The account has no credit or quota left; a retry cannot help."""

    code = "LEX_ERR_LLM_008"
    default_hint = "check the plan and billing of the provider's account"


class LLMContentFilterError(LLMError):
    """The provider's filter stopped the input or the output."""

    code = "LEX_ERR_LLM_009"


class ProviderServerError(LLMError):
    """The provider failed."""

    code = "LEX_ERR_LLM_022"
    default_retryable = True


class ProviderOverloadedError(ProviderServerError):
    """The provider has no capacity for the request now."""

    code = "LEX_ERR_LLM_023"


class CircuitOpenError(LLMError):
    """The provider was not asked, for too many calls to it have failed just now.

    ``retry_after`` is the time until it is asked again.
    """

    code = "LEX_ERR_LLM_027"
    default_retryable = True
    default_hint = "ask another provider, or again after retry_after seconds"


class ProviderConnectionError(LLMError):
    """No connection to the provider, or it broke before the reply was whole.

    Attributes:
        reason: ``refused``, ``dns``, ``tls``, ``reset``, ``closed``, ``proxy`` or ``protocol``.
    """

    code = "LEX_ERR_LLM_011"
    default_retryable = True

    def __init__(self, message: str, *, reason: str = "closed", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.reason = reason


class LLMTimeoutError(LLMError):
    """A deadline passed.

    Attributes:
        phase: which one.
        seconds: its length.
    """

    code = "LEX_ERR_LLM_018"
    default_retryable = True

    def __init__(
        self, message: str, *, phase: TimeoutPhase = "total", seconds: float | None = None, **fields: Any
    ) -> None:
        super().__init__(message, **fields)
        self.phase: TimeoutPhase = phase
        self.seconds = seconds


class DecodeError(LLMError):
    """The reply cannot be read.

    Attributes:
        reason: ``bad_json``, ``bad_utf8``, ``bad_shape``, ``content_type``, ``too_large``, ``encoding``,
            ``truncated`` or ``redirect``.
    """

    code = "LEX_ERR_LLM_019"

    def __init__(self, message: str, *, reason: str = "bad_shape", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.reason = reason


class StreamError(LLMError):
    """A stream ended without its end: cut off, or the provider reported an error in it.

    Attributes:
        reason: ``truncated`` or ``error``.
    """

    code = "LEX_ERR_LLM_012"

    def __init__(self, message: str, *, reason: str = "truncated", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.reason = reason


class StreamClosedError(StreamError):
    """The consumer closed the stream or was cancelled before its end; nothing failed.

    ``reason`` is ``closed`` or ``cancelled``.
    """

    code = "LEX_ERR_LLM_024"


class ExtractionError(LLMError):
    """No structured value could be had from the model.

    Attributes:
        raw: the text that the model wrote, whole.
        reason: ``parse``, ``validation``, ``refusal`` (the model would not), ``truncated`` (cut at its token
            limit) or ``retries``.
    """

    code = "LEX_ERR_LLM_013"
    default_reason: ClassVar[str] = "parse"

    def __init__(self, message: str, *, raw: str = "", reason: str | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.raw = raw
        self.reason = reason or self.default_reason


class ExtractionParseError(ExtractionError):
    """The answer is not the wanted format (no JSON in it, say), even after repair."""

    code = "LEX_ERR_LLM_014"


class ExtractionValidationError(ExtractionError):
    """The answer parses but does not fit the schema. ``problems`` names each place."""

    code = "LEX_ERR_LLM_015"
    default_reason = "validation"

    def __init__(self, message: str, *, problems: Sequence[str] = (), **fields: Any) -> None:
        super().__init__(message, **fields)
        self.problems: tuple[str, ...] = tuple(problems)


class ExtractionRetriesError(ExtractionError):
    """The answer was still wrong after all tries. ``causes`` has the error of each."""

    code = "LEX_ERR_LLM_016"
    default_reason = "retries"

    def __init__(self, message: str, *, causes: Sequence[LLMError] = (), **fields: Any) -> None:
        super().__init__(message, **fields)
        self.causes: tuple[LLMError, ...] = tuple(causes)


class ToolArgumentsError(LLMError):
    """The model wrote tool arguments that cannot be read; the tool must not run.

    Attributes:
        raw_arguments: what it wrote.
    """

    code = "LEX_ERR_LLM_025"

    def __init__(self, message: str, *, raw_arguments: str = "", **fields: Any) -> None:
        super().__init__(message, **fields)
        self.raw_arguments = raw_arguments


class InvalidMessageError(LexigramError, ValueError):
    """The caller built a message, tool or option wrongly; the text gives the place, e.g. ``messages[2].role``.

    Attributes:
        path: the place.
    """

    code = "LEX_ERR_LLM_026"

    def __init__(self, message: str, *, path: str = "messages", **fields: Any) -> None:
        super().__init__(f"{path}: {message}", **fields)
        self.path = path
