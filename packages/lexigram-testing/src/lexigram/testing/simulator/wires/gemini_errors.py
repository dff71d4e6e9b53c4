"""How Google says that something went wrong: a status of ``google.rpc.Code`` and details.

Sources: Google's API error model (AIP-193), the Gemini API's page on troubleshooting, and replies of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lexigram.testing.simulator._values import Failure, FailureKind
from lexigram.testing.simulator._wire import Report

__all__ = ["error"]

_RPC: Final = "type.googleapis.com/google.rpc."
_LIMITS_PAGE: Final = "https://ai.google.dev/gemini-api/docs/rate-limits"
_QUOTA: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    f"head to: {_LIMITS_PAGE}. To monitor your current usage, head to: https://ai.dev/rate-limit. "
)
_KINDS: Final[Mapping[FailureKind, tuple[int, str, str]]] = {
    "invalid_request": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "context_length": (
        400,
        "INVALID_ARGUMENT",
        "The input token count exceeds the maximum number of tokens allowed (1048576).",
    ),
    "authentication": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "permission": (403, "PERMISSION_DENIED", "The caller does not have permission"),
    "not_found": (404, "NOT_FOUND", "Requested entity was not found."),
    "method_not_allowed": (405, "UNIMPLEMENTED", "Method not allowed."),
    "model_not_found": (404, "NOT_FOUND", ""),
    "rate_limit": (429, "RESOURCE_EXHAUSTED", _QUOTA),
    "quota": (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "server": (
        500,
        "INTERNAL",
        (
            "An internal error has occurred. Please retry or report in "
            "https://developers.generativeai.google/guide/troubleshooting"
        ),
    ),
    "unavailable": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_METRICS: Final = {
    "requests": ("generate_content_paid_tier_requests", "GenerateRequestsPerMinutePerProjectPerModel-PaidTier"),
    "tokens": (
        "generate_content_paid_tier_input_token_count",
        "GenerateContentPaidTierInputTokensPerModelPerMinute",
    ),
}


def error(failure: Failure, report: Report) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the error object."""
    status, code, said = _KINDS[failure.kind]
    details: list[dict[str, Any]] = []
    if failure.kind == "authentication":
        if failure.param == "missing":
            status, code = 403, "PERMISSION_DENIED"
            said = (
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key "
                "or other form of API consumer identity to call this API."
            )
        else:
            details = [
                {
                    "@type": f"{_RPC}ErrorInfo",
                    "reason": "API_KEY_INVALID",
                    "domain": "googleapis.com",
                    "metadata": {"service": "generativelanguage.googleapis.com"},
                },
                {"@type": f"{_RPC}LocalizedMessage", "locale": "en-US", "message": said},
            ]
    elif failure.kind == "model_not_found":
        said = (
            f"models/{failure.param} is not found for API version v1beta, or is not supported for generateContent. "
            "Call ModelService.ListModels to see the list of available models and their supported methods."
        )
    elif failure.kind == "rate_limit":
        said, details = _limited(failure, report)
    status = failure.status or status
    found: dict[str, Any] = {"code": status, "message": failure.message or said, "status": code}
    return status, {**found, "details": details} if details else found


def _limited(failure: Failure, report: Report) -> tuple[str, list[dict[str, Any]]]:
    metric, quota = _METRICS["requests" if failure.param in (None, "requests") else "tokens"]
    standing = next((s for s in report.limits if s.unit == failure.param), None)
    limit = str(standing.limit) if standing is not None else "1000"
    said = (
        f"{_QUOTA}\n* Quota exceeded for metric: generativelanguage.googleapis.com/{metric}, limit: {limit}, model: "
        f"{report.model}"
    )
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
        "quotaId": quota,
        "quotaDimensions": {"model": report.model, "location": "global"},
        "quotaValue": limit,
    }
    details: list[dict[str, Any]] = [
        {
            "@type": f"{_RPC}Help",
            "links": [{"description": "Learn more about Gemini API quotas", "url": _LIMITS_PAGE}],
        },
        {"@type": f"{_RPC}QuotaFailure", "violations": [violation]},
    ]
    if (after := failure.retry_after) is not None:
        said += f"\nPlease retry in {after:.9f}s."
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{after:.9f}".rstrip("0").rstrip(".") + "s"})
    return said, details
