"""Options of a request in the words of the Messages wire: tools, thinking, formats, cache points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from lexigram.ai.anthropic._blocks import Outgoing
from lexigram.ai.anthropic._schema import strict_schema
from lexigram.ai.anthropic._values import json_text
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.request import CompletionRequest, ProviderTool, ThinkingConfig, ToolChoice
from lexigram.contracts.wire import Endpoint

__all__ = ["cache_points", "output_format", "thinking_fields", "tool_choice", "tools"]

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_LEAST_BUDGET: Final = 1024
_MOST_POINTS: Final = 4
_MODES: Final = {"auto": "auto", "none": "none", "required": "any"}


def _wrong(name: str, why: str, endpoint: Endpoint, hint: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{name}: {why}", provider=endpoint.provider, provider_code=f"unsupported_option:{name}", hint=hint
    )


# -- tools


def tools(request: CompletionRequest, out: Outgoing) -> list[dict[str, Any]]:
    """Return the tools. One that the vendor defines or runs goes as it is; a strict one gets a schema it can hold."""
    made: list[dict[str, Any]] = []
    for i, tool in enumerate(request.tools):
        if isinstance(tool, ProviderTool):
            made.append(dict(tool.data))
            continue
        schema: Mapping[str, Any] = {"type": "object", **(tool.parameters or {"properties": {}})}
        if tool.strict:
            if not out.endpoint.quirks.tool_strict:
                raise _wrong(f"tools[{i}].strict", "the vendor has no strict tools", out.endpoint)
            schema, losses = strict_schema(schema, f"tools[{i}].parameters")
            for path, reason in losses:
                out.lose(path, reason)
        entry: dict[str, Any] = {"name": tool.name, "input_schema": dict(schema)}
        if tool.description:
            entry["description"] = tool.description
        if tool.strict is not None and out.endpoint.quirks.tool_strict:
            entry["strict"] = tool.strict
        made.append(entry)
    return made


def tool_choice(request: CompletionRequest) -> dict[str, Any] | None:
    """Return ``tool_choice``; whether calls may be parallel is a part of it on this wire."""
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None and parallel is None:
        return None
    if isinstance(choice, ToolChoice):
        made: dict[str, Any] = {"type": _MODES.get(choice.mode, "tool")}
        if choice.mode == "tool":
            made["name"] = choice.name
    else:
        made = dict(choice) if choice is not None else {"type": "auto"}
    if parallel is not None and made.get("type") != "none":
        made.setdefault("disable_parallel_tool_use", not parallel)
    return made


# -- thinking


def thinking_fields(
    request: CompletionRequest, endpoint: Endpoint, *, interleaved: bool
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Return ``thinking`` and what it adds to ``output_config``.

    A budget is thinking with that budget; an effort is adaptive thinking with that effort, and with a budget the
    effort stands beside it. ``level`` ``"adaptive"`` is adaptive thinking without a word about effort.

    Raises:
        InvalidRequestError: for a budget under 1024 or, unless thinking is interleaved with tools, not under
            ``max_tokens``; for sampling options or a forced tool beside a budget; for an effort that the wire has
            no word for.
    """
    config = request.thinking
    if config is None or config == ThinkingConfig():
        return None, {}
    word = config.effort if config.effort is not None else config.level
    off = config.suppress or word == "none"
    for name, asked in (("thinking.suppress", off), ("thinking.effort", word is not None and not off)):
        if asked and name in endpoint.quirks.refuses:
            raise _wrong(name, "the vendor has no parameter for it", endpoint)
    if off:
        return {"type": "disabled"}, {}
    budget = config.budget_tokens
    if word is not None and word not in (*_EFFORTS, "adaptive"):
        name = "thinking.effort" if config.effort is not None else "thinking.level"
        raise _wrong(name, f"{word!r} is none of {', '.join(_EFFORTS)}", endpoint)
    effort = {"effort": word} if word is not None and word != "adaptive" else {}
    if budget is None:
        return {"type": "adaptive"}, effort
    if word == "adaptive":
        raise _wrong("thinking.budget_tokens", "adaptive thinking has no budget", endpoint)
    if budget < _LEAST_BUDGET:
        raise _wrong("thinking.budget_tokens", f"{budget} is less than {_LEAST_BUDGET}", endpoint)
    if request.max_tokens is not None and request.max_tokens <= budget and not interleaved:
        raise _wrong(
            "thinking.budget_tokens", f"{budget} leaves nothing of max_tokens={request.max_tokens}", endpoint,
            "max_tokens includes thinking: raise it, or lower the budget",
        )  # fmt: skip
    fits = {
        "temperature": request.temperature in (None, 1),
        "top_k": request.top_k is None,
        "top_p": request.top_p is None or request.top_p >= 0.95,
    }
    for name, allowed in fits.items():
        if not allowed:
            raise _wrong(
                name, "with a thinking budget the vendor takes temperature 1, top_p ≥ 0.95, no top_k", endpoint
            )
    if isinstance(request.tool_choice, ToolChoice) and request.tool_choice.mode in ("required", "tool"):
        raise _wrong("tool_choice", "a tool cannot be forced together with a thinking budget", endpoint)
    return {"type": "enabled", "budget_tokens": budget}, effort


# -- formats


def output_format(request: CompletionRequest, out: Outgoing) -> tuple[str | None, dict[str, Any]]:
    """Return an instruction for the system prompt, or None, and what goes into ``output_config``.

    A schema is guaranteed by the vendor (``output_config.format``), as far as it enforces it. Any JSON, which the
    wire has no mode for, and a schema where the vendor has no structured outputs, are asked for in words: forcing a
    tool would change the answer's shape, and forbids thinking.
    """
    fmt = request.response_format
    if fmt is None or fmt.kind == "text":
        return None, {}
    if fmt.kind == "json_object" or fmt.schema is None:
        return "Answer with one JSON object, and nothing else.", {}
    if not out.endpoint.quirks.json_schema:
        return f"Answer with JSON that fits this JSON schema, and nothing else:\n{json_text(dict(fmt.schema))}", {}
    schema, losses = strict_schema(fmt.schema, "response_format.schema")
    for path, reason in losses:
        out.lose(path, reason)
    if fmt.description is not None:
        schema.setdefault("description", fmt.description)
    return None, {"format": {"type": "json_schema", "schema": schema}}


# -- the prompt cache


def cache_points(body: dict[str, Any], lifetime: str, endpoint: Endpoint) -> None:
    """Set ``cache_control`` at the end of the last user message, of the system prompt and of the tools.

    Points that the caller set by hand stay, and count: the wire takes four.

    Raises:
        InvalidRequestError: for a lifetime other than ``5m`` and ``1h``.
    """
    if lifetime not in ("5m", "1h"):
        hint = "the wire has no keys of caches: what is the same at the start of a prompt is found again"
        raise _wrong("prompt_cache", f"{lifetime!r} is neither '5m' nor '1h'", endpoint, hint)
    point = {"type": "ephemeral", "ttl": lifetime}
    left = _MOST_POINTS - sum("cache_control" in block for block in _points(body))
    ends = [_last_user_block(body), *[body[k][-1] if body.get(k) else None for k in ("system", "tools")]]
    for block in ends:
        if block is not None and left > 0 and "cache_control" not in block and block.get("text") != "":
            block["cache_control"] = dict(point)
            left -= 1


def _points(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every object of the request that may carry a cache point."""
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for message in body["messages"]:
        if not isinstance(message["content"], str):
            yield from message["content"]


def _last_user_block(body: Mapping[str, Any]) -> dict[str, Any] | None:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            if isinstance(message["content"], str):
                message["content"] = [{"type": "text", "text": message["content"]}]
            return cast("dict[str, Any]", message["content"][-1]) if message["content"] else None
    return None
