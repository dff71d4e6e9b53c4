"""Anthropic's failures and limits, and the reading of its messages.

Sources: Anthropic's API reference ("Errors", "Rate limits", "Create a Message") and replies of the API.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from lexigram.testing.simulator._values import Call, Failure, FailureKind, Refused, Tool, ToolResult, Turn
from lexigram.testing.simulator._wire import Report, Request, dumps, invalid, text_of

__all__ = ["conversation", "fail", "failure_object", "headers", "signature", "system", "tools"]

_KINDS: Final[Mapping[FailureKind, tuple[int, str, str]]] = {
    "invalid_request": (400, "invalid_request_error", "Invalid request"),
    "context_length": (400, "invalid_request_error", "prompt is too long"),
    "authentication": (401, "authentication_error", "invalid x-api-key"),
    "permission": (403, "permission_error", "Your API key does not have permission to use the specified resource."),
    "not_found": (404, "not_found_error", "Not Found"),
    "method_not_allowed": (405, "invalid_request_error", "Method Not Allowed"),
    "model_not_found": (404, "not_found_error", ""),
    "rate_limit": (429, "rate_limit_error", ""),
    "quota": (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
    "server": (500, "api_error", "Internal server error"),
    "unavailable": (503, "api_error", "Service unavailable"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}
_RETRIED: Final = frozenset({"rate_limit", "server", "unavailable", "overloaded"})
_VERSION: Final = "anthropic-version"


def fail(failure: Failure, report: Report) -> tuple[int, bytes]:
    """Return status and body of a failure."""
    return failure.status or _KINDS[failure.kind][0], dumps(failure_object(failure, report))


def failure_object(failure: Failure, report: Report) -> dict[str, Any]:
    """Return the error, as a body and as the ``error`` event have it."""
    _, type_, words = _KINDS[failure.kind]
    message = failure.message or words
    if failure.message and failure.kind == "invalid_request" and failure.param not in (None, "body"):
        message = f"{failure.param}: {failure.message}"
    if failure.kind == "authentication" and failure.param == "missing":
        message = failure.message or "x-api-key header is required"
    if failure.kind == "model_not_found":
        message = failure.message or f"model: {failure.param}"
    if failure.kind == "rate_limit":
        message = failure.message or _limit_words(failure, report)
    error = {"type": type_, "message": message}
    return {"type": "error", "error": error, "request_id": f"req_011C{report.request_id[:20]}"}


def _limit_words(failure: Failure, report: Report) -> str:
    unit = (failure.param or "requests").replace("_", " ")
    of = next((s for s in report.limits if s.unit == failure.param), None)
    limit = f" of {of.limit:,} {unit} per minute" if of else ""
    return f"This request would exceed your organization's rate limit{limit} (model: {report.model})."


def headers(report: Report) -> list[tuple[str, str]]:
    """Return the headers of a reply: limits with their resets as times (RFC 3339), and whether to come again."""
    out = [("request-id", f"req_011C{report.request_id[:20]}")]
    now = datetime.fromtimestamp(report.now, UTC)
    for standing in report.limits:
        name = f"anthropic-ratelimit-{standing.unit.replace('_', '-')}"
        reset = (now + timedelta(seconds=math.ceil(standing.reset))).strftime("%Y-%m-%dT%H:%M:%SZ")
        out += [
            (f"{name}-limit", str(standing.limit)),
            (f"{name}-remaining", str(standing.remaining)),
            (f"{name}-reset", reset),
        ]
    failure = report.failure
    if failure is not None:
        out.append(("x-should-retry", "true" if failure.kind in _RETRIED else "false"))
        if failure.retry_after is not None:
            out.append(("retry-after", str(math.ceil(failure.retry_after))))
    return out


# -- reading


def conversation(request: Request) -> tuple[Turn, ...]:
    """Return a request's turns, system prompt first.

    Raises:
        Refused: for a missing version or a body that Anthropic refuses.
    """
    if _VERSION not in request.headers:
        raise invalid("header is required", _VERSION)
    body = request.json
    for name in ("model", "messages"):
        if body.get(name) is None:
            raise invalid("Field required", name)
    messages = body["messages"]
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in cast("list[object]", messages)):
        raise invalid("Input should be a valid list", "messages")
    if not messages:
        raise invalid("at least one message is required", "messages")
    turns = [turn for i, m in enumerate(cast("list[dict[str, Any]]", messages)) for turn in _turns(m, f"messages.{i}")]
    return (*system(body.get("system")), *turns)


def system(value: object) -> tuple[Turn, ...]:
    """Return the system prompt's turn, if there is one."""
    text = text_of(value, "text")
    return (Turn("system", text),) if text else ()


def tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Return the functions among a request's tools; those that the vendor runs are left to it.

    Raises:
        Refused: for a function without a name or a schema.
    """
    found: list[Tool] = []
    for i, tool in enumerate(body.get("tools") or ()):
        if tool.get("type", "custom") != "custom":
            continue
        for name in ("name", "input_schema"):
            if tool.get(name) is None:
                raise invalid("Field required", f"tools.{i}.custom.{name}")
        found.append(Tool(str(tool["name"]), tool["input_schema"], str(tool.get("description") or "")))
    return tuple(found)


def signature(thinking: str) -> str:
    """Return what signs a thinking block; it has to come back with the very same text."""
    digest = hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).digest()
    return base64.b64encode(b"simulated" + digest * 3).decode()


def _turns(message: Mapping[str, Any], at: str) -> Sequence[Turn]:
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise invalid("Input should be 'user' or 'assistant'", f"{at}.role")
    if isinstance(content, str):
        return [Turn(role, content)]
    if not isinstance(content, list):
        raise invalid("Input should be a valid string or list", f"{at}.content")
    calls: list[Call] = []
    results: list[ToolResult] = []
    thinking = ""
    for i, block in enumerate(cast("list[Mapping[str, Any]]", content)):
        where = f"{at}.content.{i}"
        if block.get("type") == "tool_use":
            calls.append(Call(str(block.get("name")), block.get("input") or {}, str(block.get("id"))))
        elif block.get("type") == "tool_result":
            if not isinstance(block.get("tool_use_id"), str):
                raise invalid("Field required", f"{where}.tool_result.tool_use_id")
            results.append(ToolResult(block["tool_use_id"], text_of(block.get("content"), "text")))
        elif block.get("type") == "thinking":
            thinking += str(block.get("thinking", ""))
            if block.get("signature") != signature(str(block.get("thinking", ""))):
                raise Refused(Failure("invalid_request", f"{where}: Invalid `signature` in `thinking` block"))
        elif "type" not in block:
            raise invalid("Field required", f"{where}.type")
    return [Turn(role, text_of(content, "text"), tuple(calls), tuple(results), thinking)]
