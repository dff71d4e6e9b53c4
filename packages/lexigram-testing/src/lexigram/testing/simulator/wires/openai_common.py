"""What OpenAI's endpoints have in common: how failures and limits are written.

Sources: OpenAI's API reference (error codes, rate limits in headers) and replies of the API.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from lexigram.testing.simulator._values import Failure, FailureKind, Tool
from lexigram.testing.simulator._wire import Report, dumps, invalid

__all__ = ["duration", "fail", "failure_object", "headers", "json_schema", "objects", "positive", "required", "tools"]

_KINDS: Final[Mapping[FailureKind, tuple[int, str, str | None]]] = {
    "invalid_request": (400, "invalid_request_error", None),
    "context_length": (400, "invalid_request_error", "context_length_exceeded"),
    "authentication": (401, "invalid_request_error", "invalid_api_key"),
    "permission": (403, "invalid_request_error", None),
    "not_found": (404, "invalid_request_error", None),
    "method_not_allowed": (405, "invalid_request_error", "method_not_supported"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "rate_limit": (429, "requests", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "server": (500, "server_error", None),
    "unavailable": (503, "server_error", None),
    "overloaded": (503, "service_unavailable_error", "server_is_overloaded"),
}
_WORDS: Final[Mapping[FailureKind, str]] = {
    "context_length": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "permission": "You have insufficient permissions for this operation.",
    "quota": "You exceeded your current quota, please check your plan and billing details.",
    "server": "The server had an error while processing your request. Sorry about that!",
    "unavailable": "The server is temporarily unavailable. Please try again later.",
    "overloaded": "Our servers are currently overloaded. Please try again later.",
}


def fail(failure: Failure, report: Report) -> tuple[int, bytes]:
    """Return status and body of a failure."""
    return failure.status or _KINDS[failure.kind][0], dumps({"error": failure_object(failure, report)})


def failure_object(failure: Failure, report: Report) -> dict[str, Any]:
    """Return the error object."""
    _, type_, code = _KINDS[failure.kind]
    if failure.kind == "rate_limit" and failure.param and "tokens" in failure.param:
        type_ = "tokens"
    param = failure.param if failure.kind in ("invalid_request", "context_length") else None
    return {"message": failure.message or _message(failure, report), "type": type_, "param": param, "code": code}


def _message(failure: Failure, report: Report) -> str:
    kind = failure.kind
    if kind == "authentication":
        if failure.param == "missing":
            return "You didn't provide an API key. You need to provide your API key in an Authorization header."
        return "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
    if kind == "model_not_found":
        return f"The model `{failure.param}` does not exist or you do not have access to it."
    if kind == "not_found":
        return f"Invalid URL ({failure.param})"
    if kind == "method_not_allowed":
        return f"Not allowed to {(failure.param or '').partition(' ')[0]} on this endpoint."
    if kind == "rate_limit":
        unit = "requests" if failure.param in (None, "requests") else "tokens"
        short = "RPM" if unit == "requests" else "TPM"
        of = next((s for s in report.limits if s.unit == failure.param), None)
        if of is not None and failure.retry_after is None and of.asked > of.limit:
            return (
                f"Request too large for {report.model} on {unit} per min ({short}): Limit {of.limit}, Requested "
                f"{of.asked}. The input or output tokens must be reduced in order to run successfully."
            )
        figures = f": Limit {of.limit}, Used {of.limit - of.remaining}, Requested {of.asked}" if of else ""
        after = duration(failure.retry_after or 0.0)
        return (
            f"Rate limit reached for {report.model} on {unit} per min ({short}){figures}. Please try again in {after}."
        )
    return _WORDS.get(kind, "Invalid request.")


def headers(report: Report) -> list[tuple[str, str]]:
    """Return the headers of a reply: limits and resets as OpenAI writes them (``6ms``, ``1m2.5s``)."""
    out = [
        ("x-request-id", f"req_{report.request_id}"),
        ("openai-processing-ms", str(int(report.seconds * 1000))),
        ("openai-version", "2020-10-01"),
    ]
    for standing in report.limits:
        if standing.unit in ("requests", "tokens"):
            out.append((f"x-ratelimit-limit-{standing.unit}", str(standing.limit)))
            out.append((f"x-ratelimit-remaining-{standing.unit}", str(standing.remaining)))
            out.append((f"x-ratelimit-reset-{standing.unit}", duration(standing.reset)))
    if report.failure is not None and report.failure.retry_after is not None:
        out.append(("retry-after", str(math.ceil(report.failure.retry_after))))
        out.append(("retry-after-ms", str(math.ceil(report.failure.retry_after * 1000))))
    return out


def duration(seconds: float) -> str:
    """Write seconds as OpenAI does: ``6ms``, ``1.5s``, ``8m24s``."""
    if seconds <= 0:
        return "0s"
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds * 1000) / 1000, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    if minutes < 60:
        return f"{minutes:.0f}m{text}" if minutes else text
    return f"{minutes // 60:.0f}h{minutes % 60:.0f}m{text}"


# -- reading


def required(body: Mapping[str, Any], name: str) -> Any:
    """Return a field that has to be there.

    Raises:
        Refused: naming it.
    """
    if body.get(name) is None:
        raise invalid(f"Missing required parameter: '{name}'.", name)
    return body[name]


def objects(value: object, name: str) -> Sequence[Mapping[str, Any]]:
    """Return a list of objects.

    Raises:
        Refused: naming it.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[object]", value)):
        raise invalid(f"Invalid type for '{name}': expected an array of objects.", name)
    return cast("list[dict[str, Any]]", value)


def positive(body: Mapping[str, Any], *names: str) -> int | None:
    """Return the first of the fields that is there, a number of 1 or more, or None.

    Raises:
        Refused: naming the field.
    """
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(f"Invalid '{name}': integer below minimum value. Expected a value >= 1.", name)
        return value
    return None


def tools(listed: Sequence[Mapping[str, Any]], inner: str | None) -> tuple[Tool, ...]:
    """Return the functions among a request's tools; ``inner`` names the object that describes one.

    Raises:
        Refused: for a function without a name.
    """
    found: list[Tool] = []
    for i, tool in enumerate(listed):
        if tool.get("type") != "function":
            continue
        described = tool.get(inner) if inner is not None else tool
        if not isinstance(described, dict) or not isinstance(described.get("name"), str):
            at = f"tools[{i}].{inner}.name" if inner else f"tools[{i}].name"
            raise invalid(f"Missing required parameter: '{at}'.", at)
        parameters = described.get("parameters")
        found.append(
            Tool(
                described["name"],
                parameters if isinstance(parameters, dict) else {},
                str(described.get("description") or ""),
            )
        )
    return tuple(found)


def json_schema(format: object, inner: str | None) -> Mapping[str, Any] | None:
    """Return the schema that an answer has to fit, of a ``response_format`` or ``text.format``; None for text.

    Raises:
        Refused: for a schema without a name or a type that is unknown.
    """
    if not isinstance(format, dict) or format.get("type") in (None, "text"):
        return None
    if format["type"] == "json_object":
        return {"type": "object"}
    where = "response_format" if inner else "text.format"
    if format["type"] != "json_schema":
        raise invalid(
            f"Invalid value: '{format['type']}'. Supported values are: 'text', 'json_object' and 'json_schema'.", where
        )
    described = format.get(inner) if inner is not None else format
    if not isinstance(described, dict) or not isinstance(described.get("name"), str):
        at = f"{where}.{inner}.name" if inner else f"{where}.name"
        raise invalid(f"Missing required parameter: '{at}'.", at)
    schema = described.get("schema")
    return schema if isinstance(schema, dict) else {"type": "object"}
