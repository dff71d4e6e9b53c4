"""Which error of the tree a failed reply means: the words and sentences of vendors, and the order of the decision."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMContentFilterError,
    LLMError,
    LLMPermissionError,
    LLMQuotaExceededError,
    LLMRateLimitError,
    ModelNotFoundError,
    ProviderOverloadedError,
    ProviderServerError,
    TokenLimitError,
)

__all__ = ["LIMITS", "NOT_RETRYABLE_5XX", "REQUESTED", "classify", "first_number"]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_FILTER_WORDS: Final = _set(
    "content_filter content_policy_violation responsibleaipolicyviolation data_inspection_failed "
    "datainspectionfailed moderation_blocked content_filtered sensitive_words_detected content_policy 1301"
)
_AUTH_WORDS: Final = _set(
    "invalid_api_key api_key_invalid authentication_error invalid_authentication_error invalidapikey "
    "unauthenticated unauthorized incorrect_api_key wrong_api_key invalidsignatureexception "
    "expiredtokenexception unrecognizedclientexception missingauthenticationtokenexception "
    "incompletesignatureexception api_key_service_blocked"
)
_QUOTA_WORDS: Final = _set(
    "insufficient_quota billing_hard_limit_reached contract_spend_limit_reached billing_not_active "
    "insufficient_balance payment_required exceeded_current_quota_error arrearage insufficient_credits "
    "billing_error servicequotaexceededexception"
)
_TOKEN_WORDS: Final = _set(
    "context_length_exceeded exceed_context_size_error too_many_tokens too_many_prompt_tokens "
    "request_too_large prompt_too_long model_context_window_exceeded context_window_exceeded "
    "string_above_max_length input_too_long"
)
_MODEL_WORDS: Final = _set(
    "model_not_found model_decommissioned invalid_model deploymentnotfound unknown_model model_not_available "
    "modelnotfound model_not_exist unsupported_model model_not_found_error"
)
_RATE_WORDS: Final = _set(
    "rate_limit_exceeded rate_limit_error rate_limited resource_exhausted throttlingexception "
    "too_many_requests requests tokens 429"
)
_OVERLOAD_WORDS: Final = _set(
    "overloaded_error overloaded engine_overloaded engine_overloaded_error server_overloaded "
    "serviceunavailableexception service_unavailable unavailable modelnotreadyexception"
)
_SERVER_WORDS: Final = _set(
    "server_error internal_error internal_server_error api_error internal internalserverexception timeout_error "
    "modelerrorexception modelstreamerrorexception modeltimeoutexception"
)
_REQUEST_WORDS: Final = _set(
    "invalid_request_error invalid_argument validationexception bad_request tool_use_failed invalid_tool_generation"
)

_FILTER_TEXT = re.compile(
    r"content management policy|violates? (?:our )?usage (?:guidelines|policies)|your input was flagged"
    r"|content[ _]policy",
    re.IGNORECASE,
)
_AUTH_TEXT = re.compile(
    r"api key not valid|unregistered callers|invalid api key|incorrect api key|api key (?:is )?(?:expired|invalid)",
    re.IGNORECASE,
)
_QUOTA_TEXT = re.compile(
    r"exceeded your current quota|insufficient (?:balance|credits?|quota)|credit balance is too low"
    r"|requires more credits|out of credits",
    re.IGNORECASE,
)
_TOKEN_TEXT = re.compile(
    r"maximum context length|context[ _](?:length|window|size)[^.]{0,60}exceed"
    r"|exceeds?[^.]{0,60}context (?:length|window|size)"
    r"|(?:prompt|input|total length of all messages|request) is too (?:long|large)|prompt too long|too many tokens"
    r"|token limit reached|exceeds the maximum number of tokens|input tokens exceed"
    r"|reduce the length of the (?:messages|prompt|input)|range of input length should be",
    re.IGNORECASE,
)
_MODEL_TEXT = re.compile(
    r"\bmodel\b[^\n]{0,160}?(?:not found|does(?: not|n't) exist|not exist\b|no longer|deprecated|decommissioned"
    r"|retired|was removed|has ended|end of its life|identifier is invalid)"
    r"|(?:no such|unknown|invalid) model\b|model not found|not a valid model|no endpoints found for "
    r"|\bmodels/\S+ is not (?:found|supported)"
    r"|deployment for this resource does not exist|^model: ",
    re.IGNORECASE,
)
_OVERLOAD_TEXT = re.compile(
    r"overloaded|throttled|no capacity|over capacity|at capacity|try again later", re.IGNORECASE
)

_N: Final = r"(\d[\d,]{0,14})"


def _numbers(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple([re.compile(p.replace("N", _N), re.IGNORECASE) for p in patterns])


LIMITS: Final = _numbers(
    r"maximum context length (?:is|of) N",
    r"N maximum context length",
    r"tokens > N maximum",
    r"maximum number of tokens allowed \(N\)",
    r"available context size \(N",
    r"cannot exceed N",
    r"context (?:length|window|size)(?: is| of)? \(?N",
    r"\blimit:? N",
)
REQUESTED: Final = _numbers(
    r"you requested (?:about )?N",
    r"resulted in N tokens",
    r"N tokens > ",
    r"token count \(N\)",
    r"request \(N tokens\)",
    r"contains (?:at least )?N (?:input )?tokens",
    r"received N",
    r"\brequested:? N",
)


def first_number(patterns: Sequence[re.Pattern[str]], text: str) -> int | None:
    """Return the number that the first matching pattern finds, or None."""
    for pattern in patterns:
        found = pattern.search(text)
        if found is not None:
            return int(found.group(1).replace(",", ""))
    return None


NOT_RETRYABLE_5XX: Final = frozenset({501, 505, 507, 511})


def classify(status: int | None, words: frozenset[str], text: str, *, wait_hint: bool) -> type[LLMError] | None:
    """Decide the class. A status class that is about load or the server is never talked into a client's fault."""
    client_side = status is None or (400 <= status < 500 and status != 429)
    if client_side and (words & _FILTER_WORDS or _FILTER_TEXT.search(text)):
        return LLMContentFilterError
    if status == 401 or (client_side and (words & _AUTH_WORDS or _AUTH_TEXT.search(text))):
        return LLMAuthenticationError
    if (client_side or status == 429) and (
        status == 402 or words & _QUOTA_WORDS or (_QUOTA_TEXT.search(text) and not wait_hint)
    ):
        return LLMQuotaExceededError
    if status == 413 or words & _TOKEN_WORDS or ((client_side or status == 500) and _TOKEN_TEXT.search(text)):
        return TokenLimitError
    if (
        client_side
        and status != 403
        and (words & _MODEL_WORDS or (status in (400, 404, 410, 422, None) and _MODEL_TEXT.search(text)))
    ):
        return ModelNotFoundError
    if status is not None:
        return _by_status(status, words)
    return _by_word(words, text)


def _by_status(status: int, words: frozenset[str]) -> type[LLMError]:
    if status == 403:
        return LLMPermissionError
    if status == 429:
        return LLMRateLimitError
    if status in (503, 529) or (status >= 500 and words & _OVERLOAD_WORDS):
        return ProviderOverloadedError
    if status >= 500 or status in (408, 409, 425) or (status == 424 and words & _SERVER_WORDS):
        return ProviderServerError
    return InvalidRequestError if status >= 400 else DecodeError


def _by_word(words: frozenset[str], text: str) -> type[LLMError] | None:
    if words & _RATE_WORDS:
        return LLMRateLimitError
    if words & _OVERLOAD_WORDS or _OVERLOAD_TEXT.search(text):
        return ProviderOverloadedError
    if words & _SERVER_WORDS:
        return ProviderServerError
    if words & {"permission_denied", "permission_error", "forbidden", "accessdeniedexception"}:
        return LLMPermissionError
    return InvalidRequestError if words & _REQUEST_WORDS else None
