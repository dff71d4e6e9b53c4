"""Requests of Ollama's native chat wire: from :class:`CompletionRequest` to the body to send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    ChatMessage,
    ImagePart,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import (
    CompletionRequest,
    ProviderTool,
    ResponseFormat,
    ThinkingConfig,
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss
from lexigram.contracts.wire.shapes import (
    arguments_object,
    foreign,
    inline_data,
    merged,
    refuse_options,
    refused,
    split_results,
    unsupported,
)

__all__ = ["chat_url", "encode_health", "encode_request", "runner_settings"]

_IN_OPTIONS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "max_tokens": "num_predict",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}
_CARRIED: Final = (
    *_IN_OPTIONS, "stop_sequences", "tools", "tool_choice", "response_format", "thinking", "logprobs", "top_logprobs",
)  # fmt: skip
_EFFORTS: Final = ("low", "medium", "high", "max")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


def chat_url(endpoint: Endpoint) -> str:
    """Return where completions are asked for."""
    return f"{endpoint.base_url.rstrip('/')}/api/chat"


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of the models that are there."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/api/tags")


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send. ``stream`` is always said, for the wire streams when it is not.

    The settings ``keep_alive`` and ``num_ctx`` of the endpoint go with every request; what else the runner knows
    (``min_p``, ``mirostat`` …) goes through ``extra_body={"options": …}``, which is merged last.

    Raises:
        InvalidRequestError: for an option or part that the wire cannot carry, by its name.
    """
    refuse_options(request, _CARRIED, endpoint)
    losses: list[Loss] = []
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request, endpoint, losses), "stream": stream}
    settings = runner_settings(endpoint)
    options: dict[str, Any] = settings.pop("options", {})
    body.update(settings)
    for name, theirs in _IN_OPTIONS.items():
        value = getattr(request, name)
        if value is not None:
            options[theirs] = value
    if request.stop_sequences:
        options["stop"] = list(request.stop_sequences)
    if options:
        body["options"] = options
    if request.tools:
        body["tools"] = [_tool(tool, endpoint) for tool in request.tools]
    choice = request.tool_choice
    if choice is not None and (isinstance(choice, Mapping) or choice.mode != "auto"):
        raise refused("tool_choice", endpoint, "the wire leaves the choice to the model; to forbid tools, pass none")
    if request.response_format is not None:
        body.update(_format(request.response_format, losses))
    if request.thinking is not None:
        body.update(_think(request.thinking, endpoint))
    if request.logprobs is not None or request.top_logprobs is not None:
        body["logprobs"] = True if request.logprobs is None else request.logprobs
    if request.top_logprobs is not None:
        body["top_logprobs"] = request.top_logprobs
    if request.extra_body:
        body = merged(body, request.extra_body)
    return HttpRequest("POST", chat_url(endpoint), dict(request.extra_headers or {}), body, losses=tuple(losses))


def runner_settings(endpoint: Endpoint) -> dict[str, Any]:
    """Return what the endpoint's settings say to the server about the model: how long it stays, how much it sees.

    Raises:
        InvalidRequestError: when ``num_ctx`` is no number.
    """
    out: dict[str, Any] = {}
    keep_alive, context = endpoint.params.get("keep_alive"), endpoint.params.get("num_ctx")
    if keep_alive is not None:
        # A bare number is seconds and has to be a JSON number; "5m" is text.
        out["keep_alive"] = float(keep_alive) if _NUMBER.fullmatch(keep_alive) else keep_alive
    if context is not None:
        if not (context.isascii() and context.isdigit()):
            raise InvalidRequestError(f"num_ctx: {context!r} is no number of tokens", provider=endpoint.provider)
        out["options"] = {"num_ctx": int(context)}
    return out


# -- messages


def _messages(request: CompletionRequest, endpoint: Endpoint, losses: list[Loss]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    names: dict[str, str] = {}  # call id to tool: a result names its tool on this wire
    for i, message in enumerate(request.messages):
        where = f"messages[{i}]"
        if message.name is not None and message.role != "tool":
            losses.append(Loss(f"{where}.name", "the wire has no names of speakers; it is left out"))
        results, rest = split_results(message, where, endpoint)
        for result in results:
            out.append(_result(result, names, where, endpoint, losses))
        if message.role == "tool" or (results and not rest.parts):
            continue
        names.update({call.id: call.name for call in rest.tool_calls})
        said = _message(rest, where, endpoint, losses)
        if len(said) > 2 or said["content"] or not message.parts:
            out.append(said)
    return out


def _message(message: ChatMessage, where: str, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    """One message: its texts joined, and beside them images, thinking and calls. Their order has no place here."""
    role = "system" if message.role == "developer" else message.role
    out: dict[str, Any] = {"role": role, "content": ""}
    for i, part in enumerate(message.parts):
        place = f"{where}.content[{i}]"
        if not isinstance(part, OpaquePart):
            losses += foreign(part.opaque, place, endpoint)
        match part:
            case TextPart() | RefusalPart():
                out["content"] += part.text
            case ImagePart() if role == "user":
                out.setdefault("images", []).append(_image(part, place, endpoint))
            case ThinkingPart() if role == "assistant":
                if part.text:
                    out["thinking"] = out.get("thinking", "") + part.text
            case ToolCall() if role == "assistant":
                out.setdefault("tool_calls", []).append(_call(part, place, endpoint, losses))
            case OpaquePart():
                losses.append(Loss(place, "the wire has no blocks of a provider's own; it is left out"))
            case _:
                hint = "put the text of a file into the message" if role == "user" else None
                raise unsupported(f"a {type(part).__name__} in this role", place, endpoint, hint)
    return out


def _image(part: ImagePart, where: str, endpoint: Endpoint) -> str:
    inline = inline_data(part)
    if inline is None:
        raise unsupported("an image by url", where, endpoint, "load the image and give its data")
    return inline[0]


def _call(call: ToolCall, where: str, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    arguments = arguments_object(call, where, endpoint, losses)
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _result(
    result: ToolResultPart, names: Mapping[str, str], where: str, endpoint: Endpoint, losses: list[Loss]
) -> dict[str, Any]:
    """One tool message a result. ``is_error`` has no field on this wire: the text then says so."""
    losses += foreign(result.opaque, where, endpoint)
    parts: tuple[Part, ...] = (TextPart(result.content),) if isinstance(result.content, str) else result.content
    texts: list[str] = []
    for part in parts:
        if not isinstance(part, TextPart):
            raise unsupported(f"a {type(part).__name__} in a tool's result", where, endpoint, "give its text")
        texts.append(part.text)
    text = "".join(texts)
    if result.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    out: dict[str, Any] = {"role": "tool", "content": text, "tool_call_id": result.tool_call_id}
    name = result.name or names.get(result.tool_call_id)
    return out if name is None else {**out, "tool_name": name}


# -- tools, formats, thinking


def _tool(tool: ToolDefinition | ProviderTool, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return dict(tool.data)
    if tool.strict:
        raise refused("strict", endpoint)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = dict(tool.parameters) or {"type": "object", "properties": {}}
    return {"type": "function", "function": function}


def _format(fmt: ResponseFormat, losses: list[Loss]) -> dict[str, Any]:
    if fmt.kind == "text":
        return {}
    if fmt.kind == "json_object":
        return {"format": "json"}
    if fmt.description is not None:
        losses.append(Loss("response_format.description", "the wire has no description of a schema; it is left out"))
    return {"format": dict(fmt.schema or {})}


def _think(config: ThinkingConfig, endpoint: Endpoint) -> dict[str, Any]:
    """A flag, or for models that know them a word: low, medium, high, max."""
    if config == ThinkingConfig():
        return {}
    if config.suppress or config.effort == "none":
        return {"think": False}
    if config.budget_tokens is not None:
        raise refused("thinking.budget_tokens", endpoint, "use effort, or level='on'")
    if config.effort is None and config.level == "on":
        return {"think": True}
    word = config.effort or config.level
    if word not in _EFFORTS:
        name = "thinking.effort" if config.effort is not None else "thinking.level"
        raise refused(f"{name}: {word}", endpoint, f"allowed: {', '.join(_EFFORTS)}; level='on' without a degree")
    return {"think": word}
