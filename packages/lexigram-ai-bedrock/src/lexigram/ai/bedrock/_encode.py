"""Requests of the Converse wire: from :class:`CompletionRequest` to the body to send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from lexigram.ai.bedrock._parts import PartWriter
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.ai.request import CompletionRequest, ProviderTool, ResponseFormat, ThinkingConfig, ToolChoice
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss
from lexigram.contracts.wire.shapes import merged, refuse_options, refused, split_results

__all__ = ["converse_url", "encode_health", "encode_request"]

_INFERENCE: Final = {"max_tokens": "maxTokens", "temperature": "temperature", "top_p": "topP"}
_CARRIED: Final = (
    *_INFERENCE, "stop_sequences", "tools", "tool_choice", "response_format", "thinking", "service_tier", "metadata",
)  # fmt: skip


def converse_url(model: str, endpoint: Endpoint, *, stream: bool) -> str:
    """Return where completions are asked for. Ids and ARNs hold ``:`` and ``/``, which are percent-encoded."""
    verb = "converse-stream" if stream else "converse"
    return f"{endpoint.base_url.rstrip('/')}/model/{quote(model, safe='')}/{verb}"


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of models. It is the control plane's, whose host lacks the word ``-runtime``."""
    base = endpoint.base_url.rstrip("/").replace("://bedrock-runtime.", "://bedrock.")
    return HttpRequest("GET", f"{base}/foundation-models")


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send.

    What a model family knows beyond the wire (``top_k``, thinking of models other than Claude) goes through
    ``extra_body={"additionalModelRequestFields": …}``, likewise ``guardrailConfig`` and ``performanceConfig``;
    ``extra_body`` is merged last. Cache points are opaque parts, or provider tools: ``{"cachePoint": …}``.

    Raises:
        InvalidRequestError: for an option or part that the wire cannot carry, by its name.
    """
    refuse_options(request, _CARRIED, endpoint)
    writer = PartWriter(endpoint)
    system, messages = _conversation(request.messages, writer)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    inference = {
        theirs: getattr(request, ours) for ours, theirs in _INFERENCE.items() if getattr(request, ours) is not None
    }
    if request.stop_sequences:
        inference["stopSequences"] = list(request.stop_sequences)
    if inference:
        body["inferenceConfig"] = inference
    config = _tool_config(request, endpoint)
    if config:
        body["toolConfig"] = config
    if request.response_format is not None:
        body.update(_output_config(request.response_format, endpoint))
    if request.service_tier is not None:
        body["serviceTier"] = {"type": request.service_tier}
    if request.metadata is not None:
        body["requestMetadata"] = dict(request.metadata)
    if request.thinking is not None:
        body = merged(body, _thinking(request.thinking, request.model, endpoint))
    if request.extra_body:
        body = merged(body, request.extra_body)
    url = converse_url(request.model, endpoint, stream=stream)
    return HttpRequest("POST", url, dict(request.extra_headers or {}), body, losses=tuple(writer.losses))


def _conversation(
    messages: tuple[ChatMessage, ...], writer: PartWriter
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system blocks and the turns. Roles alternate on this wire: messages of one role in a row are one."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if message.name is not None and message.role != "tool":
            writer.losses.append(Loss(f"{where}.name", "the wire has no names of speakers; it is left out"))
        if message.role in ("system", "developer"):
            if turns:
                why = "instructions have one place on this wire, before the conversation; these move there"
                writer.losses.append(Loss(where, why))
            system += writer.system(message, where)
            continue
        results, rest = split_results(message, where, writer.endpoint)
        blocks = [writer.result(result, where) for result in results]
        role = "assistant" if message.role == "assistant" else "user"
        blocks += writer.assistant(rest, where) if role == "assistant" else writer.user(rest, where)
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return system, turns


# -- tools, formats, thinking


def _tool_config(request: CompletionRequest, endpoint: Endpoint) -> dict[str, Any]:
    tools: list[dict[str, Any]] = []
    for tool in request.tools:
        if isinstance(tool, ProviderTool):
            tools.append({k: v for k, v in tool.data.items() if k != "type"})
            continue
        schema = dict(tool.parameters) or {"type": "object", "properties": {}}
        spec: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": schema}}
        if tool.description:
            spec["description"] = tool.description
        if tool.strict is not None:
            spec["strict"] = tool.strict
        tools.append({"toolSpec": spec})
    config: dict[str, Any] = {"tools": tools} if tools else {}
    if request.tool_choice is not None:
        config["toolChoice"] = _tool_choice(request.tool_choice, endpoint)
    return config


def _tool_choice(choice: ToolChoice | Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(choice, Mapping):
        return dict(choice)
    match choice.mode:
        case "auto":
            return {"auto": {}}
        case "required":
            return {"any": {}}
        case "tool":
            return {"tool": {"name": choice.name}}
        case "none":
            raise refused("tool_choice: none", endpoint, "the wire cannot forbid tools; pass none of them")


def _output_config(fmt: ResponseFormat, endpoint: Endpoint) -> dict[str, Any]:
    """A schema is a JSON text on this wire."""
    if fmt.kind == "text":
        return {}
    if fmt.kind == "json_object":
        raise refused("response_format: json_object", endpoint, "give a JSON schema: the wire has no mode without one")
    schema = {"schema": json.dumps(dict(fmt.schema or {}), ensure_ascii=False), "name": fmt.name}
    if fmt.description is not None:
        schema["description"] = fmt.description
    return {"outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}}


def _thinking(config: ThinkingConfig, model: str, endpoint: Endpoint) -> dict[str, Any]:
    """An effort is the wire's own; a budget and a switch are fields of Claude's, so that its models alone take them."""
    if config == ThinkingConfig():
        return {}
    effort: str | None = config.effort if config.effort is not None else config.level
    off = config.suppress or effort == "none"
    out: dict[str, Any] = {}
    if off or config.budget_tokens is not None:
        if "anthropic.claude" not in model:
            raise _models_own("thinking.suppress" if off else "thinking.budget_tokens", model, endpoint)
        wish = {"type": "disabled"} if off else {"type": "enabled", "budget_tokens": config.budget_tokens}
        out["additionalModelRequestFields"] = {"thinking": wish}
    if effort is not None and not off:
        out["outputConfig"] = {"effort": effort}
    return out


def _models_own(name: str, model: str, endpoint: Endpoint) -> InvalidRequestError:
    hint = 'write it as the model knows it: extra_body={"additionalModelRequestFields": …}'
    return refused(f"{name} ({model})", endpoint, hint)
