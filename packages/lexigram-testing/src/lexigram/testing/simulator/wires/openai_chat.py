"""OpenAI's Chat Completions: ``POST /v1/chat/completions``.

Source: OpenAI's API description, "Create chat completion" and "The chat completion chunk object". ``reasoning_content``
is what DeepSeek, vLLM and others add to it for reasoning that is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lexigram.testing.simulator._values import Call, Choice, Failure, Generation, Question, ToolResult, Turn
from lexigram.testing.simulator._wire import Frame, Report, Request, Route, dumps, invalid, sse, text_of
from lexigram.testing.simulator.wires import openai_common as common

__all__ = ["OPENAI_CHAT", "ChatWire"]

_FINISH: Final = {"stop_sequence": "stop", "refusal": "stop"}
_ROLES: Final = {"developer": "system", "function": "tool"}
_FINGERPRINT: Final = "fp_5110a7e000"
_DONE: Final = Frame(b"data: [DONE]\n\n")


@dataclass(frozen=True, slots=True)
class ChatWire:
    """Chat Completions, for OpenAI and for vendors that speak it."""

    name: str = "openai.chat"
    vendor: str = "openai"
    base: str = "/v1"
    stream_type: str = "text/event-stream; charset=utf-8"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (Route("POST", "/v1/chat/completions", self._read),)

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"call_{letters}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a chat completion."""
        return dumps(
            {
                "id": f"chatcmpl-{generation.id}",
                "object": "chat.completion",
                "created": generation.created,
                "model": question.model,
                "choices": [_whole_choice(choice) for choice in generation.choices],
                "usage": _usage(generation),
                "service_tier": "default",
                "system_fingerprint": _FINGERPRINT,
            }
        )

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write chat completion chunks, the usage in one of its own where it was asked for, and ``[DONE]``."""
        options = question.body.get("stream_options")
        with_usage = isinstance(options, dict) and options.get("include_usage") is True
        head = dumps(
            {
                "id": f"chatcmpl-{generation.id}",
                "object": "chat.completion.chunk",
                "created": generation.created,
                "model": question.model,
                "service_tier": "default",
                "system_fingerprint": _FINGERPRINT,
            }
        )[:-1]
        tail = b',"usage":null}\n\n' if with_usage else b"}\n\n"
        for choice in generation.choices:
            start = b'data: %b,"choices":[{"index":%d,"delta":' % (head, choice.index)
            end = b',"logprobs":null,"finish_reason":null}]' + tail
            for delta, tokens in _deltas(choice):
                yield Frame(start + dumps(delta) + end, tokens)
            yield Frame(b'%b{},"logprobs":null,"finish_reason":"%b"}]%b' % (start, _finish(choice).encode(), tail))
        if with_usage:
            yield Frame(b'data: %b,"choices":[],"usage":%b}\n\n' % (head, dumps(_usage(generation))))
        yield _DONE

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure."""
        return common.fail(failure, report)

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: a chunk with ``error`` only."""
        return sse(dumps({"error": common.failure_object(failure, report)}))

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return request id, limits and processing time."""
        return common.headers(report)

    def _read(self, request: Request) -> Question:
        body = request.json
        model = common.required(body, "model")
        messages = common.objects(common.required(body, "messages"), "messages")
        if not messages:
            raise invalid("Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages")
        stop = body.get("stop")
        return Question(
            wire=self.name,
            model=str(model),
            turns=tuple([_turn(m, i) for i, m in enumerate(messages)]),
            tools=common.tools(common.objects(body.get("tools") or [], "tools"), "function"),
            tool_choice=_tool_choice(body.get("tool_choice")),
            schema=common.json_schema(body.get("response_format"), "json_schema"),
            stream=body.get("stream") is True,
            max_tokens=common.positive(body, "max_completion_tokens", "max_tokens"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
            choices=common.positive(body, "n") or 1,
            thinking=body.get("reasoning_effort") not in (None, "none"),
            key_id=request.key_id,
            body=body,
        )


OPENAI_CHAT: Final = ChatWire()
"""OpenAI's own."""


def _turn(message: Mapping[str, Any], number: int) -> Turn:
    role = message.get("role")
    at = f"messages[{number}]"
    if role not in ("system", "developer", "user", "assistant", "tool", "function"):
        raise invalid(
            f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
            "'developer'.",
            f"{at}.role",
        )
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise invalid(f"Invalid type for '{at}.content': expected a string or an array of objects.", f"{at}.content")
    text = text_of(content, "text", "refusal")
    if role == "tool":
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise invalid(f"Missing required parameter: '{at}.tool_call_id'.", f"{at}.tool_call_id")
        return Turn("tool", results=(ToolResult(call_id, text),))
    calls = [
        Call(call["function"].get("name", ""), call["function"].get("arguments", ""), call.get("id", ""))
        for call in message.get("tool_calls") or ()
        if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]
    return Turn(_ROLES.get(role, role), text, tuple(calls), thinking=message.get("reasoning_content") or "")


def _tool_choice(choice: object) -> str:
    if isinstance(choice, dict):
        function = choice.get("function")
        return str(function.get("name", "")) if isinstance(function, dict) else "auto"
    return choice if isinstance(choice, str) else "auto"


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _finish(choice: Choice) -> str:
    return _FINISH.get(choice.finish_reason, choice.finish_reason)


def _whole_choice(choice: Choice) -> dict[str, Any]:
    text = "".join(choice.text)
    silent = bool(choice.calls or choice.refusal) and not text
    message: dict[str, Any] = {"role": "assistant", "content": None if silent else text}
    if choice.thinking:
        message["reasoning_content"] = "".join(choice.thinking)
    if choice.calls:
        message["tool_calls"] = [_call(c, "".join(a)) for c, a in zip(choice.calls, choice.arguments, strict=True)]
    message["refusal"] = "".join(choice.refusal) if choice.refusal else None
    message["annotations"] = []
    return {"index": choice.index, "message": message, "logprobs": None, "finish_reason": _finish(choice)}


def _deltas(choice: Choice) -> Iterator[tuple[dict[str, Any], int]]:
    silent = bool(choice.calls or choice.refusal) and not choice.text
    yield {"role": "assistant", "content": None if silent else "", "refusal": None}, 0
    for token in choice.thinking:
        yield {"reasoning_content": token}, 1
    for token in choice.text:
        yield {"content": token}, 1
    for token in choice.refusal:
        yield {"refusal": token}, 1
    for i, (call, arguments) in enumerate(zip(choice.calls, choice.arguments, strict=True)):
        yield {"tool_calls": [{"index": i, **_call(call, "")}]}, 0
        for token in arguments:
            yield {"tool_calls": [{"index": i, "function": {"arguments": token}}]}, 1


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
