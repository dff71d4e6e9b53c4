"""Requests of the Chat Completions wire: from :class:`CompletionRequest` to the body to send.

Source of the wire's facts: OpenAI's API reference, "Create chat completion". What vendors do otherwise is in
:class:`Quirks`; nothing here knows a vendor by name.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from lexigram.ai.openai._common import (
    ITEM,
    compiled,
    data_url,
    left_out,
    merged_body,
    refused,
    schema_in_words,
    schema_losses,
    url,
)
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
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
    ToolChoice,
    ToolDefinition,
)
from lexigram.contracts.wire import Endpoint, HttpRequest

__all__ = ["chat_url", "encode_health", "encode_request"]

_SAME_NAME: Final = (
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "parallel_tool_calls", "logit_bias",
    "service_tier", "verbosity", "store", "user", "audio", "metadata", "top_logprobs",
)  # fmt: skip
_SEE_NEXT: Final = "The attachments of this result follow in the next user message."


def chat_url(endpoint: Endpoint) -> str:
    """Return where completions are asked for."""
    return url(endpoint, "/chat/completions")


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of models: it needs the key and costs nothing."""
    return HttpRequest("GET", url(endpoint, "/models"))


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send.

    ``extra_body`` is merged last: objects are merged key by key at every depth, everything else (lists too)
    replaces what is there.

    Raises:
        InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
    """
    quirks = endpoint.quirks
    given = vars(request)
    if request.top_k is not None and "top_k" not in quirks.accepts:
        raise refused("top_k", endpoint)
    for name in sorted(quirks.refuses - {"top_k"}) if quirks.refuses else ():
        value: object = given.get(name)
        if value is not None and value != ():
            raise refused(name, endpoint)
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request, endpoint)}
    if request.max_tokens is not None:
        body[quirks.max_tokens_field] = request.max_tokens
    for name in _SAME_NAME:
        value = given.get(name)
        if value is not None:
            body[name] = dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value
    if request.top_k is not None:
        body["top_k"] = request.top_k
    if request.stop_sequences:
        body["stop"] = list(request.stop_sequences)
    if request.logprobs is not None or request.top_logprobs is not None:
        body["logprobs"] = True if request.logprobs is None else request.logprobs
    if request.modalities is not None:
        body["modalities"] = list(request.modalities)
    if request.prediction is not None:
        body["prediction"] = {"type": "content", "content": request.prediction}
    if request.prompt_cache is not None:
        body["prompt_cache_key"] = request.prompt_cache
    if request.tools:
        body["tools"] = [_tool(tool, endpoint) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = _tool_choice(request.tool_choice, request)
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, endpoint)
    if request.thinking is not None:
        body.update(_thinking(request.thinking, endpoint))
    if stream:
        body["stream"] = True
        if quirks.stream_usage:
            body["stream_options"] = {"include_usage": True}
    if request.extra_body:
        body = merged_body(body, request.extra_body)
    losses = [*left_out(request.messages, endpoint, items=False), *schema_losses(request, endpoint)]
    return HttpRequest("POST", chat_url(endpoint), dict(request.extra_headers or {}), body, losses=tuple(losses))


def _cannot(what: str, where: str, endpoint: Endpoint, hint: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(f"{where}: the chat wire cannot carry {what}", provider=endpoint.provider, hint=hint)


# -- messages


def _messages(request: CompletionRequest, endpoint: Endpoint) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []  # parts of tool results, for the user message after the run of tool messages
    for i, message in enumerate(request.messages):
        where = f"messages[{i}]"
        role = message.role
        content = message.content
        results = [] if isinstance(content, str) else [p for p in content if isinstance(p, ToolResultPart)]
        if role == "tool" or results:
            for result in results:
                encoded, attached = _tool_result(result, where, endpoint)
                out.append(encoded)
                waiting += attached
            if role == "tool":
                if len(results) != len(message.parts) or not results:
                    raise _cannot("anything but tool results in a tool message", where, endpoint)
                continue
        if waiting:
            out.append({"role": "user", "content": waiting})
            waiting = []
        rest = tuple([p for p in message.parts if not isinstance(p, ToolResultPart)]) if results else content
        if results and not rest:
            continue
        out.append(_message(message, rest, where, endpoint))
    if waiting:
        out.append({"role": "user", "content": waiting})
    fmt = request.response_format
    if fmt is not None and fmt.kind == "json_schema" and not endpoint.quirks.json_schema:
        told = {"role": endpoint.quirks.system_role, "content": schema_in_words(fmt)}
        at = next((i for i, m in enumerate(out) if m["role"] != told["role"]), len(out))
        out.insert(at, told)
    return out


def _message(message: ChatMessage, content: str | tuple[Part, ...], where: str, endpoint: Endpoint) -> dict[str, Any]:
    role: str = message.role
    if role in ("system", "developer"):
        role = endpoint.quirks.system_role
    if role == "assistant":
        out = _assistant(content, where, endpoint)
    else:
        out = {"role": role, "content": content if isinstance(content, str) else _parts(content, where, endpoint)}
    if message.name is not None:
        out["name"] = message.name
    return out


def _own(opaque: Opaque | None, endpoint: Endpoint) -> Mapping[str, Any]:
    """What the same provider attached on this API; what another one attached is left out."""
    ours = opaque is not None and opaque.provider == endpoint.provider and ITEM not in opaque.data
    return opaque.data if opaque is not None and ours else {}


def _parts(parts: tuple[Part, ...], where: str, endpoint: Endpoint) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for i, part in enumerate(parts):
        if isinstance(part, OpaquePart):
            if _own(part.opaque, endpoint):
                out.append(dict(part.opaque.data))
        else:
            out.append(_part(part, f"{where}.content[{i}]", endpoint))
    return out


def _part(part: Part, where: str, endpoint: Endpoint) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text, **_own(part.opaque, endpoint)}
        case ImagePart():
            image: dict[str, Any] = {"url": part.url or data_url(part.data or b"", part.media_type)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image, **_own(part.opaque, endpoint)}
        case AudioPart():
            if part.data is None:
                raise _cannot("audio by id in this role", where, endpoint, "give the audio's data")
            audio = {"data": base64.b64encode(part.data).decode("ascii"), "format": part.format}
            return {"type": "input_audio", "input_audio": audio, **_own(part.opaque, endpoint)}
        case FilePart():
            return {"type": "file", "file": _file(part, where, endpoint), **_own(part.opaque, endpoint)}
        case _:
            raise _cannot(f"a {type(part).__name__} in this role", where, endpoint)


def _file(part: FilePart, where: str, endpoint: Endpoint) -> dict[str, Any]:
    if part.url is not None:
        raise _cannot("a file by url", where, endpoint, "give the file's data, or a file_id of the vendor's")
    if part.file_id is not None:
        return {"file_id": part.file_id}
    file: dict[str, Any] = {"file_data": data_url(part.data or b"", part.media_type)}
    file["filename"] = part.filename or "file"
    return file


def _assistant(content: str | tuple[Part, ...], where: str, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    texts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thinking: list[ThinkingPart] = []
    refusal: list[str] = []
    images: list[dict[str, Any]] = []
    audio: str | None = None
    for i, part in enumerate(content):
        match part:
            case TextPart():
                texts.append(_part(part, where, endpoint))
            case ToolCall():
                calls.append(_tool_call(part, endpoint))
            case ThinkingPart():
                thinking.append(part)
            case RefusalPart():
                refusal.append(part.text)
            case AudioPart() if part.id is not None:
                audio = part.id
            case OpaquePart():
                if _own(part.opaque, endpoint):
                    texts.append(dict(part.opaque.data))
            case ImagePart() if part.opaque is not None:
                images += [dict(part.opaque.data)] if _own(part.opaque, endpoint) else []
            case _:
                raise _cannot(f"a {type(part).__name__} in an assistant message", f"{where}.content[{i}]", endpoint)
    out: dict[str, Any] = {"role": "assistant"}
    plain = all(t.keys() == {"type", "text"} for t in texts)
    joined: Any = "".join([t["text"] for t in texts]) if plain else texts
    in_content = endpoint.quirks.thinking_field == "content"
    if thinking and in_content:
        thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": t.text}], **_own(t.opaque, endpoint)}
                    for t in thinking]  # fmt: skip
        out["content"] = [*thoughts, *texts]
    elif texts:
        out["content"] = joined
    else:
        out["content"] = None if calls or refusal or audio is not None else ""
    if thinking and not in_content:
        out.update(_thinking_fields(thinking, endpoint))
    if refusal:
        out["refusal"] = "".join(refusal)
    if audio is not None:
        out["audio"] = {"id": audio}
    if images:
        out["images"] = images
    if calls:
        out["tool_calls"] = calls
    return out


def _thinking_fields(parts: list[ThinkingPart], endpoint: Endpoint) -> dict[str, Any]:
    name = endpoint.quirks.thinking_field
    if name is None:
        return {}
    details = [d for p in parts for d in cast("list[Any]", _own(p.opaque, endpoint).get("reasoning_details") or ())]
    if details:
        return {"reasoning_details": details}
    text = "".join([p.text for p in parts])
    return {name: text} if text else {}


def _tool_call(call: ToolCall, endpoint: Endpoint) -> dict[str, Any]:
    own = _own(call.opaque, endpoint)
    if call.kind == "custom":
        custom = {"name": call.name, "input": call.raw_arguments}
        return {"id": call.id, "type": "custom", "custom": custom, **own}
    raw = call.raw_arguments
    if raw.strip() in ("", "null"):
        raw = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": raw}, **own}


def _tool_result(result: ToolResultPart, where: str, endpoint: Endpoint) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the tool message, and parts for the user message after it.

    A tool message holds text only, so images, audio and files move into a user message that follows the run of
    tool messages, with a note on both sides. ``is_error`` has no field on this wire: the text then says so.
    """
    attached: list[dict[str, Any]] = []
    content = result.content
    if not isinstance(content, str):
        encoded = _parts(content, where, endpoint)
        texts = [p["text"] for p in encoded if p.get("type") == "text"]
        attached = [p for p in encoded if p.get("type") != "text"]
        if attached:
            texts.append(_SEE_NEXT)
            note = f"Attachments of the result of tool call {result.tool_call_id}:"
            attached.insert(0, {"type": "text", "text": note})
        content = "\n".join(texts) if attached else "".join(texts)
    if result.is_error and not content.lower().startswith("error"):
        content = f"Error: {content}"
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}, attached


# -- tools, formats, thinking


def _tool(tool: ToolDefinition | ProviderTool, endpoint: Endpoint) -> dict[str, Any]:
    if isinstance(tool, ProviderTool):
        return _provider_tool(tool)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    parameters = compiled(tool.parameters, tool.strict, "", endpoint, [])
    function["parameters"] = parameters or {"type": "object", "properties": {}}
    if tool.strict is not None and endpoint.quirks.tool_strict:
        function["strict"] = tool.strict
    elif tool.strict:
        raise refused("strict", endpoint)
    return {"type": "function", "function": function}


def _provider_tool(tool: ProviderTool) -> dict[str, Any]:
    """A tool of the vendor's as it is; a custom tool in the Responses API's form, in this one's."""
    data = dict(tool.data)
    if data.get("type") != "custom" or "custom" in data:
        return data
    custom: dict[str, Any] = {k: v for k, v in data.items() if k != "type"}
    form = custom.get("format")
    if isinstance(form, Mapping) and "syntax" in form:
        grammar = {k: v for k, v in cast("Mapping[str, Any]", form).items() if k != "type"}
        custom["format"] = {"type": "grammar", "grammar": grammar}
    return {"type": "custom", "custom": custom}


def _tool_choice(choice: ToolChoice | Mapping[str, Any], request: CompletionRequest) -> Any:
    if isinstance(choice, Mapping):
        return dict(choice)
    if choice.mode != "tool":
        return choice.mode
    for tool in request.tools:
        if isinstance(tool, ProviderTool) and tool.data.get("type") == "custom":
            custom = _provider_tool(tool).get("custom")
            if isinstance(custom, Mapping) and cast("Mapping[str, Any]", custom).get("name") == choice.name:
                return {"type": "custom", "custom": {"name": choice.name}}
    return {"type": "function", "function": {"name": choice.name}}


def _response_format(fmt: ResponseFormat, endpoint: Endpoint) -> dict[str, Any]:
    if fmt.kind != "json_schema":
        return {"type": fmt.kind}
    if not endpoint.quirks.json_schema:
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": fmt.name}
    if fmt.description is not None:
        schema["description"] = fmt.description
    if fmt.schema is not None:
        schema["schema"] = compiled(fmt.schema, fmt.strict, "", endpoint, [])
    if fmt.strict is not None:
        schema["strict"] = fmt.strict
    return {"type": "json_schema", "json_schema": schema}


def _thinking(config: ThinkingConfig, endpoint: Endpoint) -> dict[str, Any]:
    """Say it in the vendor's own parameter; a part of the wish that it has no word for is refused by name."""
    kind = endpoint.quirks.thinking
    effort: str | None = config.effort if config.effort is not None else config.level
    off = config.suppress or effort == "none"
    budget = config.budget_tokens
    asks_effort = effort is not None and not off
    if config == ThinkingConfig():
        return {}
    if kind == "none":
        raise refused("thinking", endpoint)
    if budget is not None and not off and kind not in ("reasoning", "enable_thinking"):
        raise refused("thinking.budget_tokens", endpoint)
    if asks_effort and (kind == "enable_thinking" or "thinking.effort" in endpoint.quirks.refuses):
        raise refused("thinking.effort", endpoint)
    if off and "thinking.suppress" in endpoint.quirks.refuses:
        raise refused("thinking.suppress", endpoint)
    words = {"reasoning_effort": effort} if asks_effort else {}
    match kind:
        case "reasoning_effort":
            return {"reasoning_effort": "none" if off else effort}
        case "reasoning":
            if off:
                return {"reasoning": {"effort": "none"}}
            wish: dict[str, Any] = {"effort": effort} if effort is not None else {}
            return {"reasoning": wish if budget is None else {**wish, "max_tokens": budget}}
        case "thinking":
            return {"thinking": {"type": "disabled" if off else "enabled"}, **words}
        case "enable_thinking":
            limit = {"thinking_budget": budget} if budget is not None and not off else {}
            return {"enable_thinking": not off, **limit}
        case "chat_template":
            return {"chat_template_kwargs": {"enable_thinking": not off}, **words}
