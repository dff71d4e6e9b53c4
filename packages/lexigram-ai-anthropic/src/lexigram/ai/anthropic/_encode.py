"""Requests of the Messages wire: from :class:`CompletionRequest` to the body to send.

Source of the wire's facts: Anthropic's API reference, "Messages" and "Count tokens"; its docs on extended thinking,
adaptive thinking, effort, prompt caching, structured outputs and API versions.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

from lexigram.ai.anthropic._blocks import Outgoing, assistant_blocks, container_id, user_blocks
from lexigram.ai.anthropic._options import cache_points, output_format, thinking_fields, tool_choice, tools
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage, ToolResultPart
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss
from lexigram.contracts.wire.shapes import merged

__all__ = [
    "KEY_HEADER_VERSION",
    "VERSION_HEADER",
    "count_body",
    "encode_count",
    "encode_health",
    "encode_request",
    "request_body",
]

VERSION_HEADER: Final = "anthropic-version"
KEY_HEADER_VERSION: Final = "2023-06-01"
"""The API version that takes the key in ``x-api-key`` and has sampling parameters; the default."""
_BETA_HEADER: Final = "anthropic-beta"
_INTERLEAVED: Final = "interleaved-thinking-"

DEFAULT_MAX_TOKENS: Final = 4096
"""``max_tokens`` where the caller names none: the wire demands one."""

_NO_PARAMETER: Final = (
    "frequency_penalty", "presence_penalty", "seed", "logprobs", "top_logprobs", "logit_bias", "verbosity", "store",
    "modalities", "audio", "prediction",
)  # fmt: skip
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_ANSWER_ONLY: Final = frozenset(
    {*_NO_PARAMETER, *_SAMPLING, "max_tokens", "stream", "stop_sequences", "metadata", "service_tier", "container"}
)


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of models: it needs the key and costs nothing."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/models", {VERSION_HEADER: _version(endpoint)})


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send.

    ``max_tokens``, which the wire demands, is 4096 where the caller names none, on top of a thinking budget.
    ``prompt_cache`` (``"5m"`` or ``"1h"``) is how long the prompt is kept: cache points are set at the end of the
    last user message, of the system prompt and of the tools, as long as there are no more than four. ``extra_body``
    is merged last: objects key by key at every depth, everything else (lists too) replaces what is there.

    Raises:
        InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
    """
    version = _version(endpoint)
    if version > KEY_HEADER_VERSION:
        for name in _SAMPLING:
            if getattr(request, name) is not None:
                raise _refused(name, endpoint, f"API version {version} has no sampling parameters")
    body, headers, losses = request_body(request, endpoint, stream=stream)
    url = f"{endpoint.base_url.rstrip('/')}/messages"
    return HttpRequest("POST", url, {VERSION_HEADER: version, **headers}, body, losses=losses)


def encode_count(request: CompletionRequest, endpoint: Endpoint) -> HttpRequest:
    """Return the request that asks how many input tokens the request has. What only the answer needs is left out.

    Raises:
        InvalidRequestError: as for :func:`encode_request`.
    """
    body, headers, losses = count_body(request, endpoint)
    url = f"{endpoint.base_url.rstrip('/')}/messages/count_tokens"
    return HttpRequest("POST", url, {VERSION_HEADER: _version(endpoint), **headers}, body, losses=losses)


def _version(endpoint: Endpoint) -> str:
    version = endpoint.params.get("api_version", KEY_HEADER_VERSION)
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", version):
        raise InvalidRequestError(
            f"api_version: {version!r} is not a date", provider=endpoint.provider, hint="e.g. 2023-06-01"
        )
    return version


def count_body(
    request: CompletionRequest, endpoint: Endpoint
) -> tuple[dict[str, Any], dict[str, str], tuple[Loss, ...]]:
    """Return body, headers and losses of a request for a count."""
    body, headers, losses = request_body(request, endpoint, stream=False)
    return {k: v for k, v in body.items() if k not in _ANSWER_ONLY}, headers, losses


def request_body(
    request: CompletionRequest, endpoint: Endpoint, *, stream: bool
) -> tuple[dict[str, Any], dict[str, str], tuple[Loss, ...]]:
    """Return body, further headers and losses of a request, wherever its model and version are written."""
    for name in (*_NO_PARAMETER, *sorted(endpoint.quirks.refuses)):
        value: object = getattr(request, name, None)
        if value is not None and value != () and name not in endpoint.quirks.accepts:
            raise _refused(name, endpoint)
    out = Outgoing(endpoint)
    system, messages = _messages(request, out)
    thinking, effort = thinking_fields(request, endpoint, interleaved=_interleaves(request))
    budget = thinking.get("budget_tokens", 0) if thinking else 0
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": request.max_tokens if request.max_tokens is not None else DEFAULT_MAX_TOKENS + budget,
        "messages": messages,
    }
    told, form = output_format(request, out)
    if told is not None:
        system.append({"type": "text", "text": told})
    if system:
        body["system"] = system
    for name in (*_NO_PARAMETER, *_SAMPLING, "service_tier"):
        value = getattr(request, name)
        if value is not None and value != ():
            body[name] = value
    if (request.temperature or 0) > 1:
        raise _refused("temperature", endpoint, "it is 0 … 1 on this wire")
    if request.stop_sequences:
        body["stop_sequences"] = list(request.stop_sequences)
    if (metadata := _metadata(request, endpoint)) is not None:
        body["metadata"] = metadata
    if request.tools:
        body["tools"] = tools(request, out)
    if (choice := tool_choice(request)) is not None:
        body["tool_choice"] = choice
    if thinking is not None:
        body["thinking"] = thinking
    if (container := _open_container(request, out)) is not None:
        body["container"] = container
    if config := {**effort, **form}:
        body["output_config"] = config
    if request.prompt_cache is not None:
        cache_points(body, request.prompt_cache, endpoint)
    if stream:
        body["stream"] = True
    _plain_system(body)
    if request.extra_body:
        body = merged(body, request.extra_body)
    return body, _headers(request, out), tuple(out.losses)


def _plain_system(body: dict[str, Any]) -> None:
    """One text without anything attached is written as text."""
    system = body.get("system")
    if system is not None and len(system) == 1 and system[0].keys() == {"type", "text"}:
        body["system"] = system[0]["text"]


def _refused(name: str, endpoint: Endpoint, why: str | None = None) -> InvalidRequestError:
    return InvalidRequestError(
        f"{endpoint.provider} has no parameter for {name!r}" if why is None else f"{name}: {why}",
        provider=endpoint.provider,
        provider_code=f"unsupported_option:{name}",
        hint=f"leave {name!r} out, or write what the vendor knows into extra_body",
    )


def _betas(request: CompletionRequest) -> list[str]:
    given = next((v for k, v in (request.extra_headers or {}).items() if k.lower() == _BETA_HEADER), "")
    return [beta.strip() for beta in given.split(",") if beta.strip()]


def _interleaves(request: CompletionRequest) -> bool:
    return any(beta.startswith(_INTERLEAVED) for beta in _betas(request))


def _headers(request: CompletionRequest, out: Outgoing) -> dict[str, str]:
    """The caller's headers, with the beta features that the request's own parts need among those asked for."""
    headers = {name.lower(): value for name, value in (request.extra_headers or {}).items()}
    asked = _betas(request)
    needed = [beta for beta in out.betas if beta not in asked]
    if needed:
        headers[_BETA_HEADER] = ",".join([*asked, *needed])
    return headers


def _metadata(request: CompletionRequest, endpoint: Endpoint) -> dict[str, Any] | None:
    """The wire's metadata is the end user's id and nothing else."""
    given = dict(request.metadata or {})
    for name in given:
        if name != "user_id":
            raise _refused("metadata", endpoint, f"the wire knows user_id only, not {name!r}")
    if request.user is not None:
        given["user_id"] = request.user
    return cast("dict[str, Any]", given) or None


# -- messages


def _messages(request: CompletionRequest, out: Outgoing) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the system blocks and the messages.

    The wire wants turns: messages of one role in a row are one message, results of tools stand in a user message
    and come first in it. Instructions before the first turn are the system prompt. Later ones move there too and are
    listed, unless the setting ``system_messages`` is ``inline`` (newer models take them where they stand) or the API
    version is later than 2023-06-01.
    """
    system: list[dict[str, Any]] = []
    turns: list[tuple[str, list[dict[str, Any]]]] = []
    inline = _inline(out.endpoint)
    for i, message in enumerate(request.messages):
        where = f"messages[{i}]"
        if message.name is not None:
            out.lose(f"{where}.name", "this wire has no names of speakers: left out")
        role, blocks = _turn(message, where, out)
        if role == "system" and not (turns and inline):
            if turns:
                out.lose(where, "a later system message moves to the end of the system prompt")
            system += [block for block in blocks if block.get("text") != ""]
        elif not blocks and role == "assistant":
            continue  # an answer that said nothing: an empty message is refused
        elif turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    if not turns:
        raise out.refused("messages", "instructions alone", "add a user message")
    return system, [{"role": role, "content": _content(role, blocks)} for role, blocks in turns]


def _inline(endpoint: Endpoint) -> bool:
    newer = endpoint.params.get("api_version", KEY_HEADER_VERSION) > KEY_HEADER_VERSION
    given = endpoint.params.get("system_messages", "inline" if newer else "front")
    if given not in ("inline", "front"):
        raise InvalidRequestError(
            f"system_messages: {given!r} is neither 'inline' nor 'front'", provider=endpoint.provider
        )
    return given == "inline"


def _open_container(request: CompletionRequest, out: Outgoing) -> str | None:
    """The container of an answer that is still going on: a paused one, or one whose calls are answered now.

    Later turns get a fresh one, for containers expire; who wants the old one names it in ``extra_body``.
    """
    for message in reversed(request.messages):
        if message.role == "assistant":
            return container_id(message.parts, out)
        if message.role in ("user", "tool") and not any(isinstance(p, ToolResultPart) for p in message.parts):
            return None
    return None


def _turn(message: ChatMessage, where: str, out: Outgoing) -> tuple[str, list[dict[str, Any]]]:
    if message.role == "assistant":
        return "assistant", assistant_blocks(message.parts, where, out)
    role = "system" if message.role in ("system", "developer") else "user"
    parts = message.parts
    return role, user_blocks(parts, where, out) if parts else [{"type": "text", "text": ""}]


def _content(role: str, blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    if role == "user":
        spoken = [block for block in blocks if block.get("text") != ""]
        return sorted(spoken or blocks, key=lambda block: block.get("type") != "tool_result")
    return blocks
