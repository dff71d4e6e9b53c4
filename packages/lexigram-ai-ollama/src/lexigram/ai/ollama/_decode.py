"""Answers, streams and errors of Ollama's native chat wire. A stream's lines have the shape of a whole answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import (
    UNKNOWN_USAGE,
    Completion,
    FinishReason,
    StreamChunk,
    ToolCallDelta,
    Usage,
)
from lexigram.contracts.ai.errors import LLMError, ProviderServerError, StreamError
from lexigram.contracts.ai.fold import settle_finish_reason
from lexigram.contracts.ai.messages import Part, TextPart, ThinkingPart
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, HttpResponse, StreamState
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import arguments_text, as_count, as_dict, as_list, as_text, bad_shape, made_up_id

__all__ = [
    "ChatStreamState",
    "Metrics",
    "decode_error",
    "decode_event",
    "decode_metrics",
    "decode_response",
    "new_stream_state",
]

_FINISH: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length"}


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where the server's time went, in seconds; None is unknown.

    Attributes:
        total: the whole call.
        load: loading the model.
        prompt: reading the request.
        output: writing the answer.
        output_rate: tokens of the answer a second.
    """

    total: float | None = None
    load: float | None = None
    prompt: float | None = None
    output: float | None = None
    output_rate: float | None = None


def decode_metrics(body: JSON) -> Metrics:
    """Return the durations of an answer, from ``Completion.raw`` or from a stream's last line."""
    data = as_dict(body)

    def seconds(name: str) -> float | None:
        nanos = as_count(data.get(name))
        return None if nanos is None else nanos / 1e9

    output, count = seconds("eval_duration"), as_count(data.get("eval_count"))
    rate = count / output if output and count is not None else None
    return Metrics(seconds("total_duration"), seconds("load_duration"), seconds("prompt_eval_duration"), output, rate)


def _usage(data: Mapping[str, Any]) -> Usage | None:
    """``prompt_eval_count`` is missing where the server had the whole prompt in its cache: unknown then."""
    given, output = as_count(data.get("prompt_eval_count")), as_count(data.get("eval_count"))
    if given is None and output is None:
        return None
    total = given + output if given is not None and output is not None else None
    return Usage(input_tokens=given, output_tokens=output, total_tokens=total, source="reported")


def _finish(data: Mapping[str, Any]) -> tuple[FinishReason | None, str | None]:
    """Servers before ``done_reason`` say only ``done``; an unknown word means an end."""
    word = as_text(data.get("done_reason"))
    if word:
        return _FINISH.get(word, "stop"), word
    return ("stop" if data.get("done") is True else None), None


def _logprobs(data: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple([e for e in as_list(data.get("logprobs")) if isinstance(e, dict)])


def _calls(data: Mapping[str, Any], message: Mapping[str, Any], start: int) -> list[tuple[str, str, str]]:
    """Return id, name and arguments' text of each call: the wire has objects, and in old versions no ids."""
    out: list[tuple[str, str, str]] = []
    for call in as_list(message.get("tool_calls")):
        function = as_dict(as_dict(call).get("function"))
        if not function:
            continue
        name, arguments = as_text(function.get("name")), arguments_text(function.get("arguments"))
        position = start + len(out)
        ident = as_text(call.get("id")) or made_up_id(data.get("created_at"), position, name, arguments)
        out.append((ident, name, arguments))
    return out


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    """Return the answer of a whole 2xx body.

    Raises:
        LLMError: the typed error that the body reports.
        DecodeError: with reason ``bad_shape``.
    """
    data = as_dict(body)
    if data.get("error"):
        raise _error_inside(data, endpoint, ProviderServerError)
    message = data.get("message")
    if not isinstance(message, dict):
        raise bad_shape("the reply is no chat answer: it has no message", endpoint)
    fields: Mapping[str, Any] = message
    parts: list[Part] = []
    thinking, text = as_text(fields.get("thinking")), as_text(fields.get("content"))
    if thinking:
        parts.append(ThinkingPart(thinking))
    if text:
        parts.append(TextPart(text))
    parts += [make_tool_call(*call) for call in _calls(data, fields, 0)]
    reason, word = _finish(data)
    made = tuple(parts)
    return Completion(
        parts=made,
        finish_reason=settle_finish_reason(reason, made),
        raw_finish_reason=word,
        usage=_usage(data) or UNKNOWN_USAGE,
        model=as_text(data.get("model")),
        provider=endpoint.provider,
        logprobs=_logprobs(data),
        raw=data,
    )


# -- streams


class ChatStreamState(StreamState):
    """The line with ``done`` ends the answer, and nothing follows it."""

    __slots__ = ("calls", "endpoint")

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.calls = 0


def new_stream_state(endpoint: Endpoint) -> ChatStreamState:
    """Return the state of a fresh stream."""
    return ChatStreamState(endpoint)


def decode_event(name: str | None, data: Any, state: ChatStreamState) -> Sequence[StreamChunk]:
    """Return what one line adds. Calls come whole, in lines before the last one.

    Raises:
        LLMError: the typed error that the line reports (``{"error": …}``).
        DecodeError: with reason ``bad_shape``.
    """
    if not isinstance(data, dict):
        raise bad_shape(f"the line is no object but {type(data).__name__}", state.endpoint)
    line: Mapping[str, Any] = data
    if line.get("error"):
        raise _error_inside(line, state.endpoint, StreamError)
    message = as_dict(line.get("message"))
    model = as_text(line.get("model")) or None
    text, thinking = as_text(message.get("content")), as_text(message.get("thinking"))
    logprobs = _logprobs(line)
    out: list[StreamChunk] = []
    if thinking:
        out.append(StreamChunk(thinking_delta=thinking, model=model, block=0))
    if text or logprobs:
        out.append(StreamChunk(text, model=model, logprobs=logprobs, block=0))
    for ident, tool, arguments in _calls(line, message, state.calls):
        piece = ToolCallDelta(state.calls, ident, tool, arguments)
        out.append(StreamChunk(tool_call_delta=piece, model=model))
        state.calls += 1
    if line.get("done") is True:
        reason, word = _finish(line)
        out.append(StreamChunk(finish_reason=reason, raw_finish_reason=word, usage=_usage(line), model=model))
        state.finished = state.closed = True
    return out


# -- errors


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    """Return the typed error of a reply that is not 2xx: ``{"error": "…"}``."""
    return error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)


def _error_inside(data: Mapping[str, Any], endpoint: Endpoint, default: type[LLMError]) -> LLMError:
    said = data["error"]
    body = {"error": said if isinstance(said, str | dict) else json.dumps(said, default=str)}
    error = error_from_body(None, body, provider=endpoint.provider, default=default)
    if isinstance(error, StreamError):
        error.reason = "error"
    return error
