"""Requests of the Responses wire: from :class:`CompletionRequest` to the body to send.

Source of the wire's facts: OpenAI's API reference, "Create a model response", and the guides "Reasoning models"
(items that have to go back), "Function calling" (custom tools, grammars) and "Background mode".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.ai.openai._common import compiled, left_out, merged_body, refused, schema_in_words, url
from lexigram.ai.openai._responses_input import input_items
from lexigram.contracts.ai.request import (
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    ToolChoice,
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss

__all__ = ["encode_health", "encode_request", "is_background", "responses_url"]

_SAME_NAME: Final = (
    "temperature", "top_p", "top_k", "parallel_tool_calls", "service_tier", "top_logprobs", "user",
)  # fmt: skip
# Parameters of the chat API that this one does not have; ``Quirks.accepts`` lets a vendor's own through.
_ABSENT: Final = (
    "top_k", "frequency_penalty", "presence_penalty", "seed", "stop_sequences", "logit_bias", "modalities", "audio",
    "prediction",
)  # fmt: skip
_ENCRYPTED: Final = "reasoning.encrypted_content"
# OpenAI's models from before reasoning answer 400 to a wish for encrypted reasoning.
_NO_REASONING: Final = re.compile(r"(?:.*/|ft:)?(?:gpt-3\.5|gpt-4|chatgpt-)")


def responses_url(endpoint: Endpoint) -> str:
    """Return where responses are asked for."""
    return url(endpoint, "/responses")


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of models: it needs the key and costs nothing."""
    return HttpRequest("GET", url(endpoint, "/models"))


def is_background(request: CompletionRequest) -> bool:
    """Whether the vendor shall answer in the background, to be asked for the answer later."""
    return (request.extra_body or {}).get("background") is True


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send.

    Nothing is stored at the vendor unless ``store=True`` (or background mode, which needs it): the reasoning comes
    back encrypted and goes out again with the history. ``extra_body`` is merged last, as in the chat dialect; its
    ``include`` adds to what is asked for, and an empty one asks for nothing.

    Raises:
        InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
    """
    quirks = endpoint.quirks
    for name in (*_ABSENT, *sorted(quirks.refuses - {"store"})):
        if name not in quirks.accepts and "." not in name and getattr(request, name, None) not in (None, ()):
            raise refused(name, endpoint)
    losses = left_out(request.messages, endpoint, items=True)
    store = request.store if request.store is not None else is_background(request)
    items = input_items(request, endpoint, stored=store, losses=losses)
    fmt = request.response_format
    if fmt is not None and fmt.kind == "json_schema" and not quirks.json_schema:
        at = next((i for i, item in enumerate(items) if item.get("role") not in ("system", "developer")), len(items))
        items.insert(at, {"role": quirks.system_role, "content": schema_in_words(fmt)})
    body: dict[str, Any] = {"model": request.model, "input": items, "store": store}
    for name in _SAME_NAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    if request.metadata is not None:
        body["metadata"] = dict(request.metadata)
    if request.prompt_cache is not None:
        body["prompt_cache_key"] = request.prompt_cache
    if request.tools:
        body["tools"] = [_tool(t, f"tools[{i}]", endpoint, losses) for i, t in enumerate(request.tools)]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, request)
    if fmt is not None and quirks.format_field == "response_format":
        made = _format(fmt, endpoint, losses)
        inner = {k: v for k, v in made.items() if k != "type"}
        body["response_format"] = {"type": fmt.kind, "json_schema": inner} if inner else made
    text = _text(request, endpoint, losses)
    if text:
        body["text"] = text
    if request.thinking is not None:
        body.update(_thinking(request.thinking, endpoint))
    include = [] if store or _NO_REASONING.match(request.model) else [_ENCRYPTED]
    if request.logprobs or request.top_logprobs:
        include.append("message.output_text.logprobs")
    if stream:
        body["stream"] = True
    extra = dict(request.extra_body or {})
    if isinstance(extra.get("include"), list) and extra["include"]:
        include = list(dict.fromkeys([*include, *extra.pop("include")]))
    if include:
        body["include"] = include
    if extra:
        body = merged_body(body, extra)
    return HttpRequest("POST", responses_url(endpoint), dict(request.extra_headers or {}), body, losses=tuple(losses))


# -- tools, formats, thinking


def _tool(tool: ToolDefinition | ProviderTool, where: str, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return _provider_tool(tool)
    if tool.strict and not endpoint.quirks.tool_strict:
        raise refused("strict", endpoint)
    parameters = tool.parameters or {"type": "object", "properties": {}}
    out: dict[str, Any] = {"type": "function", "name": tool.name}
    if tool.description:
        out["description"] = tool.description
    out["parameters"] = compiled(parameters, tool.strict, f"{where}.parameters", endpoint, losses)
    if endpoint.quirks.tool_strict:
        # Left out, it means true on this wire, and a schema with optional properties would be changed or refused.
        out["strict"] = bool(tool.strict)
    return out


def _provider_tool(tool: ProviderTool) -> dict[str, Any]:
    """A tool of the vendor's as it is; a custom tool in the chat API's form, in this one's."""
    data = dict(tool.data)
    custom = data.get("custom")
    if data.get("type") != "custom" or not isinstance(custom, Mapping):
        return data
    out: dict[str, Any] = {"type": "custom", **cast("Mapping[str, Any]", custom)}
    form = out.get("format")
    if isinstance(form, Mapping) and isinstance(cast("Mapping[str, Any]", form).get("grammar"), Mapping):
        out["format"] = {"type": "grammar", **cast("Mapping[str, Any]", form)["grammar"]}
    return out


def _tool_choice(choice: ToolChoice | Mapping[str, Any], request: CompletionRequest) -> Any:
    if isinstance(choice, Mapping):
        custom = choice.get("custom")
        if choice.get("type") == "custom" and isinstance(custom, Mapping):
            return {"type": "custom", **cast("Mapping[str, Any]", custom)}
        return dict(choice)
    if choice.mode != "tool":
        return choice.mode
    for tool in request.tools:
        if isinstance(tool, ProviderTool):
            data = _provider_tool(tool)
            if data.get("type") == "custom" and data.get("name") == choice.name:
                return {"type": "custom", "name": choice.name}
    return {"type": "function", "name": choice.name}


def _text(request: CompletionRequest, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if request.response_format is not None and endpoint.quirks.format_field == "text.format":
        text["format"] = _format(request.response_format, endpoint, losses)
    if request.verbosity is not None:
        text["verbosity"] = request.verbosity
    return text


def _format(fmt: ResponseFormat, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    if fmt.kind != "json_schema":
        return {"type": fmt.kind}
    if not endpoint.quirks.json_schema:
        return {"type": "json_object"}
    out: dict[str, Any] = {"type": "json_schema", "name": fmt.name}
    if fmt.description is not None:
        out["description"] = fmt.description
    out["schema"] = compiled(fmt.schema or {}, fmt.strict, "response_format.schema", endpoint, losses)
    if fmt.strict is not None:
        out["strict"] = fmt.strict
    return out


def _thinking(config: ThinkingConfig, endpoint: Endpoint) -> dict[str, Any]:
    """``reasoning``: the effort, and a summary, without which the API shows nothing of the reasoning."""
    effort: str | None = config.effort if config.effort is not None else config.level
    refuses = endpoint.quirks.refuses
    if config == ThinkingConfig():
        return {}
    if config.suppress or effort == "none":
        if "thinking.suppress" in refuses:
            raise refused("thinking.suppress", endpoint)
        return {"reasoning": {"effort": "none"}}
    reasoning: dict[str, Any] = {"summary": "auto"}
    if config.budget_tokens is not None:
        if endpoint.quirks.thinking != "reasoning":
            raise refused("thinking.budget_tokens", endpoint)
        reasoning["max_tokens"] = config.budget_tokens
    if effort is not None:
        if "thinking.effort" in refuses:
            raise refused("thinking.effort", endpoint)
        reasoning["effort"] = effort
    return {"reasoning": reasoning}
