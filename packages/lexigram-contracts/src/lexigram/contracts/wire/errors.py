"""From a failed reply to the typed error, the same for every dialect.

What vendors write differs in shape and not in meaning, so the shapes are read here once (:func:`read_error`) and
the meaning is decided here once (:func:`error_for_status`). Pure: no clock, no I/O. Header names are in lower
case, as :class:`~lexigram.contracts.wire.http.HttpResponse` has them.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast

from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ProviderServerError,
    TokenLimitError,
)
from lexigram.contracts.wire._error_kinds import LIMITS, NOT_RETRYABLE_5XX, REQUESTED, classify, first_number

__all__ = [
    "ErrorBody",
    "error_for_status",
    "error_from_body",
    "mask_secrets",
    "plain_text",
    "read_error",
    "request_id",
    "retry_after_seconds",
]

_NO_HEADERS: Final[Mapping[str, str]] = {}
_LONGEST_MESSAGE: Final = 2000
_REQUEST_ID_HEADERS: Final = (
    "x-request-id",
    "request-id",
    "x-amzn-requestid",
    "apim-request-id",
    "x-ms-request-id",
    "mistral-correlation-id",
    "x-kong-request-id",
    "x-generation-id",
    "cf-ray",
)

# -- headers


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the provider's id of the request, whichever header it chose for it, or None."""
    for name in _REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value:
            return value
    return None


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the provider asks to wait, or None.

    Read are ``retry-after-ms`` and ``retry-after`` (seconds, or an HTTP date, which counts from the reply's own
    ``date`` header, for the local clock may be wrong). Of two hints that contradict each other the larger holds
    (Azure OpenAI sends ``retry-after: 1`` with ``retry-after-ms: 0``). What is not a number, or is negative or
    NaN, is no hint; an infinite or huge one is returned as it is: capping it is the caller's policy.
    """
    hints: list[float] = []
    millis = _non_negative(headers.get("retry-after-ms"))
    if millis is not None:
        hints.append(millis / 1000)
    after = headers.get("retry-after")
    seconds = _non_negative(after)
    if seconds is None and after is not None:
        seconds = _until(after, headers.get("date"))
    if seconds is not None:
        hints.append(seconds)
    return max(hints) if hints else None


def _non_negative(text: str | None) -> float | None:
    if text is None or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) or value < 0 else value


def _http_date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def _until(after: str, date: str | None) -> float | None:
    then, now = _http_date(after), _http_date(date)
    return max((then - now).total_seconds(), 0.0) if then is not None and now is not None else None


# -- text

_INVISIBLE = re.compile(r"<(script|style|head|svg)\b.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title\b[^>]*>(.*?)</title\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_SECRET = re.compile(
    r"\b(?:sk|rk|pk)-[\w.*\-]{6,}"
    r"|\b(?:gsk_|xai-|csk-|nvapi-|pplx-|hf_|r8_|fw_|tgp_|ghp_|gho_)[\w*\-]{12,}"
    r"|\bAIza[\w\-]{20,}|\bAKIA[A-Z0-9]{12,}|\bya29\.[\w\-]{10,}"
    r"|\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"
    r"|(?i:\bbearer\s+)[\w.\-+/=]{8,}"
)


def plain_text(body: str | bytes, limit: int = 200) -> str:
    """Return at most ``limit`` characters of a body as one line of text.

    Of HTML the tags, comments, scripts and styles are taken out; a page without text gives its title.
    """
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    text = text[:200_000]
    if "<" in text:
        title = _TITLE.search(text)
        shown = _TAG.sub(" ", _INVISIBLE.sub(" ", text))
        if not shown.strip() and title is not None:
            shown = title.group(1)
        text = html.unescape(shown)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def mask_secrets(text: str) -> str:
    """Return the text with everything that looks like a key replaced by ``***``."""
    return _SECRET.sub(lambda found: found.group()[:3] + "***", text)


# -- bodies


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What an error body says, whichever shape it has.

    Attributes:
        message: the provider's sentence; may be empty.
        code: the provider's own word for the error (its code, else its type), unchanged, or None.
        words: every code, type, status and reason of the body in lower case, to decide by.
        status: an HTTP status that the body itself names, or None.
        context_limit: the context window in tokens, where a field says it.
        context_requested: the tokens asked for, where a field says it.
        retry_after: seconds to wait, where the body says it.
    """

    message: str = ""
    code: str | None = None
    words: frozenset[str] = frozenset()
    status: int | None = None
    context_limit: int | None = None
    context_requested: int | None = None
    retry_after: float | None = None


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        return _text_of(fields.get("message") or fields.get("msg") or fields.get("detail") or "")
    if isinstance(value, Sequence):
        return "; ".join(_located(item) for item in cast("Sequence[object]", value)[:5])
    return ""


def _located(item: object) -> str:
    """FastAPI's ``{"loc": ["body", "tool_choice"], "msg": …}``."""
    text = _text_of(item)
    where = cast("Mapping[str, Any]", item).get("loc") if isinstance(item, Mapping) else None
    if isinstance(where, list | tuple):
        return f"{'.'.join(str(w) for w in cast('Sequence[object]', where))}: {text}"
    return text


def _status_of(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


_WORD_KEYS: Final = ("code", "type", "status", "error_type", "object", "reason")
_STATUS_KEYS: Final = ("code", "status_code", "raw_status_code", "status")


def read_error(body: object) -> ErrorBody:
    """Read an error body of any shape that vendors are known to send: a JSON value, or text or HTML."""
    if isinstance(body, str | bytes):
        return ErrorBody(message=plain_text(body))
    if isinstance(body, Sequence):
        items = cast("Sequence[object]", body)
        return read_error(items[0]) if items else ErrorBody()
    if not isinstance(body, Mapping):
        return ErrorBody()
    outer = cast("Mapping[str, Any]", body)
    error = outer.get("error")
    inner: Mapping[str, Any] = cast("Mapping[str, Any]", error) if isinstance(error, Mapping) else outer
    levels = (inner,) if inner is outer else (inner, outer)
    message = ""
    candidates: list[object] = [error] if isinstance(error, str) else []
    for level in levels:
        candidates += [level.get(k) for k in ("message", "detail", "msg", "title", "detailMessage", "errors")]
    for candidate in candidates:
        message = _text_of(candidate)
        if message:
            break
    details = inner.get("details")
    places = _places(details)
    words, retry_after = _words(levels, details)
    status = next((s for level in levels for s in map(_status_of, [level.get(k) for k in _STATUS_KEYS]) if s), None)
    message = f"{message} ({places})" if places else message
    upstream = _upstream(inner)
    if upstream is not None:
        words |= upstream[1]
        message = f"{message} ({upstream[0]})" if upstream[0] else message
    return ErrorBody(
        message=message,
        code=_own_word(inner),
        words=words,
        status=status,
        context_limit=_count(inner.get("n_ctx")),
        context_requested=_count(inner.get("n_prompt_tokens")),
        retry_after=retry_after,
    )


def _own_word(error: Mapping[str, Any]) -> str | None:
    for name in ("code", "type", "error_type", "status"):
        word = error.get(name)
        if isinstance(word, str | int) and not isinstance(word, bool) and word != "":
            return str(word)
    return None


def _places(details: object) -> str:
    """The places that a validator complains of (Azure AI: ``details`` with ``loc`` and ``msg``), or nothing."""
    items = cast("list[object]", details) if isinstance(details, list) else []
    return _text_of([i for i in items if isinstance(i, Mapping) and "loc" in i])


def _words(levels: Sequence[Mapping[str, Any]], details: object) -> tuple[frozenset[str], float | None]:
    words: set[str] = set()
    retry_after: float | None = None
    for level in levels:
        words.update(
            str(level[k]).lower() for k in _WORD_KEYS if isinstance(level.get(k), str | int) and level[k] != ""
        )
        nested = level.get("innererror")
        if isinstance(nested, Mapping):
            words.add(str(cast("Mapping[str, Any]", nested).get("code", "")).lower())
    for detail in cast("list[object]", details) if isinstance(details, list) else ():
        if isinstance(detail, Mapping):
            fields = cast("Mapping[str, Any]", detail)
            words.update(str(fields[k]).lower() for k in ("reason", "@type") if isinstance(fields.get(k), str))
            delay = fields.get("retryDelay")
            if isinstance(delay, str):
                retry_after = _non_negative(delay.removesuffix("s"))
    return frozenset(words), retry_after


def _upstream(error: Mapping[str, Any]) -> tuple[str, frozenset[str]] | None:
    """A router's error has the upstream vendor's own body, as a JSON string, in ``metadata.raw`` (OpenRouter)."""
    metadata = error.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    fields = cast("Mapping[str, Any]", metadata)
    raw, who = fields.get("raw"), fields.get("provider_name")
    text, words = "", frozenset[str]()
    if isinstance(raw, str) and raw:
        try:
            parsed: object = json.loads(raw)
        except (ValueError, RecursionError):
            parsed = raw
        inner = read_error(parsed)
        text, words = inner.message or plain_text(raw), inner.words
    if not text and not who:
        return None
    return (f"{who}: {text}" if isinstance(who, str) and text else text or str(who)), words


def error_for_status(
    status: int | None,
    message: str,
    *,
    provider: str,
    provider_code: str | None = None,
    kind: str | None = None,
    model: str | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    words: frozenset[str] = frozenset(),
    limit: int | None = None,
    requested: int | None = None,
    retry_after: float | None = None,
    default: type[LLMError] = ProviderServerError,
) -> LLMError:
    """Return the leaf of the error tree that a failed reply stands for.

    Args:
        status: HTTP status, or None for an error inside a reply that was 200.
        message: the provider's sentence; what looks like a key in it is masked.
        provider: the vendor's name.
        provider_code: the provider's own word, kept on the error.
        kind: another word of the provider's (its ``type``, say) to decide by.
        model: the model asked for.
        headers: of the reply, names in lower case: request id, ``retry-after``, ``x-should-retry``.
        words: further words to decide by, in lower case.
        limit: context window in tokens, where a field of the body says it; else it is looked for in the text.
        requested: tokens asked for, likewise.
        retry_after: seconds to wait, where the body says it; the larger of it and the headers' holds.
        default: the class where neither status nor words decide.
    """
    text = mask_secrets(message[:_LONGEST_MESSAGE])
    decide = words | {w.lower() for w in (provider_code, kind) if w}
    hint = retry_after_seconds(headers)
    waits = [w for w in (hint, retry_after) if w is not None]
    cls = classify(status, decide, text, wait_hint=retry_after is not None) or default
    may_retry = _may_retry(cls, status, headers)
    fields: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "status": status,
        "request_id": request_id(headers),
        "provider_code": provider_code,
        "retryable": may_retry,
    }
    if waits and (cls is LLMRateLimitError or status is None or status >= 500 or status in (408, 409, 425)):
        fields["retry_after"] = max(waits)
    if cls is TokenLimitError:
        fields["limit"] = limit if limit is not None else first_number(LIMITS, text)
        fields["requested"] = requested if requested is not None else first_number(REQUESTED, text)
    if cls is DecodeError and status is not None and 300 <= status < 400:
        fields["reason"] = "redirect"
    if cls is InvalidRequestError and status in (404, 405):
        fields["hint"] = "check the base URL and the path that the provider expects"
    return cls(text or _says_nothing(status), **fields)


def _may_retry(cls: type[LLMError], status: int | None, headers: Mapping[str, str]) -> bool | None:
    said = headers.get("x-should-retry")
    if said == "false" or status in NOT_RETRYABLE_5XX:
        return False
    if said == "true" and cls is not LLMQuotaExceededError:
        return True
    return None


def _says_nothing(status: int | None) -> str:
    return "the provider reported an error without a message" if status is None else f"HTTP {status} without a message"


def error_from_body(
    status: int | None,
    body: object,
    *,
    provider: str,
    model: str | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    default: type[LLMError] = ProviderServerError,
) -> LLMError:
    """Return the typed error of a body in any known shape: :func:`read_error`, then :func:`error_for_status`.

    With ``status`` None (an error inside a 200 reply) a status that the body names decides the class; the error's
    own ``status`` stays None, for no such reply was received.
    """
    read = read_error(body)
    error = error_for_status(
        status if status is not None else read.status,
        read.message,
        provider=provider,
        provider_code=read.code,
        model=model,
        headers=headers,
        words=read.words,
        limit=read.context_limit,
        requested=read.context_requested,
        retry_after=read.retry_after,
        default=default,
    )
    if status is None:
        error.status = None
    return error
