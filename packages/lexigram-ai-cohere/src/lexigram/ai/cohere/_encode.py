"""Requests of the Cohere v2 chat wire: from :class:`CompletionRequest` to the body to send."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from lexigram.contracts.ai.messages import (
    ChatMessage,
    FilePart,
    ImagePart,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import CompletionRequest, ProviderTool, ResponseFormat, ThinkingConfig, ToolChoice
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss
from lexigram.contracts.wire.shapes import (
    base64_text,
    foreign,
    merged,
    own_data,
    refuse_options,
    refused,
    split_results,
    text_of_file,
    unsupported,
)

__all__ = ["chat_url", "encode_health", "encode_request"]

_SAME_NAME: Final = ("temperature", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "logprobs")
_CARRIED: Final = (
    *_SAME_NAME, "top_p", "top_k", "stop_sequences", "tools", "tool_choice", "response_format", "thinking",
)  # fmt: skip


def chat_url(endpoint: Endpoint) -> str:
    """Return where completions are asked for."""
    return f"{endpoint.base_url.rstrip('/')}/v2/chat"


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of one model: it needs the key and costs nothing."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/v1/models?page_size=1")


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send.

    Text files of user messages become ``documents``, which the model cites; further documents, ``safety_mode``,
    ``citation_options`` and ``priority`` go through ``extra_body``, which is merged last.

    Raises:
        InvalidRequestError: for an option or part that the wire cannot carry, by its name.
    """
    refuse_options(request, _CARRIED, endpoint)
    writer = _Messages(endpoint)
    body: dict[str, Any] = {"model": request.model, "messages": writer.write(request.messages)}
    if writer.documents:
        body["documents"] = writer.documents
    for name in _SAME_NAME:
        value = getattr(request, name)
        if value is not None:
            body[name] = value
    if request.top_p is not None:
        body["p"] = request.top_p
    if request.top_k is not None:
        body["k"] = request.top_k
    if request.stop_sequences:
        body["stop_sequences"] = list(request.stop_sequences)
    if request.tools:
        body.update(_tools(request, endpoint))
    if request.tool_choice is not None:
        body.update(_tool_choice(request.tool_choice, endpoint))
    if request.response_format is not None:
        body["response_format"] = _response_format(request.response_format, writer.losses)
    if request.thinking is not None:
        body.update(_thinking(request.thinking, endpoint))
    if stream:
        body["stream"] = True
    if request.extra_body:
        body = merged(body, request.extra_body)
    headers = dict(request.extra_headers or {})
    return HttpRequest("POST", chat_url(endpoint), headers, body, losses=tuple(writer.losses))


class _Messages:
    """Writes the conversation, and gathers what stands beside it: documents, and what had to be left out."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.documents: list[dict[str, Any]] = []
        self.losses: list[Loss] = []

    def write(self, messages: tuple[ChatMessage, ...]) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for i, message in enumerate(messages):
            where = f"messages[{i}]"
            if message.name is not None and message.role != "tool":
                self.losses.append(Loss(f"{where}.name", "the wire has no names of speakers; it is left out"))
            results, rest = split_results(message, where, self.endpoint)
            out += [self._result(result, where) for result in results]
            if message.role == "tool" or (results and not rest.parts):
                continue
            if message.role == "assistant":
                said = self._assistant(rest, where)
                if said is not None:
                    out.append(said)
            elif message.role == "user":
                out.append({"role": "user", "content": self._user(rest, where)})
            else:
                out.append({"role": "system", "content": self._plain(rest, where)})
        return out

    def _plain(self, message: ChatMessage, where: str) -> Any:
        if isinstance(message.content, str):
            return message.content
        return [self._text(part, f"{where}.content[{i}]") for i, part in enumerate(message.content)]

    def _text(self, part: Part, where: str) -> dict[str, Any]:
        if not isinstance(part, TextPart):
            raise unsupported(f"a {type(part).__name__} in this role", where, self.endpoint)
        self.losses += foreign(part.opaque, where, self.endpoint)
        return {"type": "text", "text": part.text}

    def _user(self, message: ChatMessage, where: str) -> Any:
        if isinstance(message.content, str):
            return message.content
        out: list[dict[str, Any]] = []
        for i, part in enumerate(message.content):
            place = f"{where}.content[{i}]"
            match part:
                case ImagePart():
                    url = part.url or f"data:{part.media_type};base64,{base64_text(part.data or b'')}"
                    image = {"url": url} if part.detail is None else {"url": url, "detail": part.detail}
                    out.append({"type": "image_url", "image_url": image})
                case FilePart():
                    self.documents.append({"data": self._document(part, place)})
                case OpaquePart():
                    out += self._own(part, place)
                case _:
                    out.append(self._text(part, place))
        return out or ""

    def _document(self, part: FilePart, where: str) -> dict[str, Any]:
        text = text_of_file(part)
        if text is None:
            raise unsupported("a file that is not text", where, self.endpoint, "give the file's text, as text/plain")
        return {"text": text} if part.filename is None else {"text": text, "title": part.filename}

    def _own(self, part: OpaquePart, where: str) -> list[dict[str, Any]]:
        self.losses += foreign(part.opaque, where, self.endpoint)
        own = own_data(part.opaque, self.endpoint)
        return [dict(own)] if own else []

    def _assistant(self, message: ChatMessage, where: str) -> dict[str, Any] | None:
        if isinstance(message.content, str):
            return {"role": "assistant", "content": message.content}
        content: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        plan: list[str] = []
        for i, part in enumerate(message.content):
            place = f"{where}.content[{i}]"
            match part:
                case ThinkingPart():
                    self.losses += foreign(part.opaque, place, self.endpoint)
                    if own_data(part.opaque, self.endpoint).get("tool_plan"):
                        plan.append(part.text)
                    elif part.text:
                        content.append({"type": "thinking", "thinking": part.text})
                case ToolCall():
                    self.losses += foreign(part.opaque, place, self.endpoint)
                    calls.append(_tool_call(part, place, self.endpoint))
                case OpaquePart():
                    content += self._own(part, place)
                case RefusalPart():
                    content.append({"type": "text", "text": part.text})
                case _:
                    content.append(self._text(part, place))
        out: dict[str, Any] = {"role": "assistant"}
        if content:
            out["content"] = content
        if calls:
            out["tool_calls"] = calls
        if plan:
            out["tool_plan"] = "".join(plan)
        return out if len(out) > 1 else None

    def _result(self, result: ToolResultPart, where: str) -> dict[str, Any]:
        """One tool message a result. ``is_error`` has no field on this wire: the text then says so."""
        self.losses += foreign(result.opaque, where, self.endpoint)
        content: Any = result.content
        if not isinstance(content, str):
            content = [
                {"type": "document", "document": {"data": self._document(part, where)}}
                if isinstance(part, FilePart)
                else self._text(part, f"{where}: the result of {result.tool_call_id}")
                for part in result.content
                if not isinstance(part, str)
            ]
        if result.is_error:
            note = "Error: "
            content = f"{note}{content}" if isinstance(content, str) else [{"type": "text", "text": note}, *content]
        return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _tool_call(call: ToolCall, where: str, endpoint: Endpoint) -> dict[str, Any]:
    if call.kind == "custom":
        raise unsupported("a custom tool call (free text)", where, endpoint)
    raw = call.raw_arguments
    if raw.strip() in ("", "null"):
        raw = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": raw}}


def _tools(request: CompletionRequest, endpoint: Endpoint) -> dict[str, Any]:
    """Return the tools; ``strict_tools`` holds for all of them or for none."""
    tools: list[dict[str, Any]] = []
    strict: set[bool | None] = set()
    for tool in request.tools:
        if isinstance(tool, ProviderTool):
            tools.append(dict(tool.data))
            continue
        strict.add(tool.strict)
        function: dict[str, Any] = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        function["parameters"] = dict(tool.parameters) or {"type": "object", "properties": {}}
        tools.append({"type": "function", "function": function})
    if len(strict) > 1:
        raise refused("strict", endpoint, "give every tool the same `strict`: the wire has one switch for all of them")
    said = next(iter(strict), None)
    return {"tools": tools} if said is None else {"tools": tools, "strict_tools": said}


def _tool_choice(choice: ToolChoice | Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """``auto`` is what the wire does when nothing is said."""
    if isinstance(choice, Mapping) or choice.mode == "tool":
        hint = "pass only that tool in tools, with tool_choice='required'"
        raise refused("tool_choice: a named tool", endpoint, hint)
    return {} if choice.mode == "auto" else {"tool_choice": choice.mode.upper()}


def _response_format(fmt: ResponseFormat, losses: list[Loss]) -> dict[str, Any]:
    if fmt.kind != "json_schema":
        return {"type": fmt.kind}
    if fmt.description is not None:
        losses.append(Loss("response_format.description", "the wire has no description of a schema; it is left out"))
    return {"type": "json_object", "json_schema": dict(fmt.schema or {})}


def _thinking(config: ThinkingConfig, endpoint: Endpoint) -> dict[str, Any]:
    """The wire's ``type`` is its named level: ``level="enabled"`` asks for reasoning without a budget."""
    if config == ThinkingConfig():
        return {}
    if config.suppress or config.effort == "none" or config.level == "disabled":
        return {"thinking": {"type": "disabled"}}
    if config.effort is not None or config.level not in (None, "enabled"):
        name = "thinking.effort" if config.effort is not None else "thinking.level"
        raise refused(name, endpoint, "use budget_tokens, or level='enabled': the wire knows no effort")
    budget = {} if config.budget_tokens is None else {"token_budget": config.budget_tokens}
    return {"thinking": {"type": "enabled", **budget}}
