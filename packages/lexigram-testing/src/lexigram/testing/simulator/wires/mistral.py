"""Mistral: ``POST /v1/chat/completions``, ``/v1/embeddings``, ``/v1/models``.

It looks like OpenAI's and differs: content is a list of parts where there is reasoning, tool calls come whole in one
chunk, their ids have nine letters and digits, usage comes with the last chunk, failures are of two shapes. Sources:
Mistral's API description and replies of the API.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lexigram.testing.simulator._tokens import count
from lexigram.testing.simulator._values import (
    Call,
    Choice,
    Failure,
    FailureKind,
    Generation,
    Question,
    Tool,
    ToolResult,
    Turn,
)
from lexigram.testing.simulator._vectors import vector
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid, sse, text_of

__all__ = ["MISTRAL", "MistralWire"]

_MODELS: Final = ("mistral-small-latest", "mistral-embed")
_DIMENSIONS: Final = 1024
_CALL_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_FINISH: Final = {"stop_sequence": "stop", "refusal": "stop", "content_filter": "error"}
_ERRORS: Final[Mapping[FailureKind, tuple[int, str, str | None, str]]] = {
    "invalid_request": (400, "invalid_request_error", "3000", "Invalid request."),
    "context_length": (
        400,
        "context_length_exceeded",
        "3051",
        "Prompt contains too many tokens and is too large for the model's maximum context length.",
    ),
    "authentication": (401, "", None, "Invalid API Key"),
    "permission": (403, "forbidden", "1400", "You do not have access to this resource."),
    "not_found": (404, "", None, "Not Found"),
    "method_not_allowed": (405, "", None, "Method Not Allowed"),
    "model_not_found": (400, "invalid_model", "1500", "Invalid model: {param}"),
    "rate_limit": (429, "rate_limited", "1300", "Rate limit exceeded"),
    "quota": (402, "insufficient_credits", "1402", "You have reached your monthly spending limit."),
    "server": (500, "internal_server_error", "3000", "Service unavailable."),
    "unavailable": (503, "service_unavailable", "3010", "Service unavailable."),
    "overloaded": (429, "service_tier_capacity_exceeded", "3505", "Service tier capacity exceeded for this model."),
}
_LIMITS: Final = {"requests": "req", "tokens": "tokens"}


@dataclass(frozen=True, slots=True)
class MistralWire:
    """Mistral's API."""

    name: str = "mistral.chat"
    vendor: str = "mistral"
    base: str = ""
    stream_type: str = "text/event-stream; charset=utf-8"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/v1/chat/completions", self._read),
            Route("POST", "/v1/embeddings", _embed),
            Route("GET", "/v1/models", _list),
            Route("GET", "/v1/models/{model}", _show),
        )

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return letters[:9]

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a chat completion."""
        return dumps(
            {
                **_head(question, generation, "chat.completion"),
                "usage": _usage(generation),
                "choices": [
                    {
                        "index": choice.index,
                        "finish_reason": _FINISH.get(choice.finish_reason, choice.finish_reason),
                        "message": {
                            "role": "assistant",
                            "tool_calls": _calls(choice) or None,
                            "content": _content(choice),
                        },
                    }
                    for choice in generation.choices
                ],
            }
        )

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write chunks; the usage is in the last one of all."""
        head = _head(question, generation, "chat.completion.chunk")

        def chunk(choice: Choice, delta: Mapping[str, Any], tokens: int, finish: str | None = None) -> Frame:
            choices = [{"index": choice.index, "delta": delta, "finish_reason": finish}]
            last = finish is not None and choice is generation.choices[-1]
            return Frame(
                sse(dumps({**head, "choices": choices, **({"usage": _usage(generation)} if last else {})})), tokens
            )

        for choice in generation.choices:
            finish = _FINISH.get(choice.finish_reason, choice.finish_reason)
            yield chunk(choice, {"role": "assistant", "content": ""}, 0)
            for token in choice.thinking:
                part = {"type": "thinking", "thinking": [{"type": "text", "text": token}], "closed": True}
                yield chunk(choice, {"content": [part]}, 1)
            for token in (*choice.text, *choice.refusal):
                yield chunk(choice, {"content": token}, 1)
            if calls := _calls(choice):
                yield chunk(choice, {"tool_calls": calls}, sum(map(len, choice.arguments)), finish)
            else:
                yield chunk(choice, {"content": ""}, 0, finish)
        yield Frame(b"data: [DONE]\n\n")

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure: of Mistral's own shape, or as the gateway before it writes."""
        status, kind, code, said = _ERRORS[failure.kind]
        status, message = failure.status or status, failure.message or said.format(param=failure.param)
        if failure.kind == "invalid_request" and failure.param is not None:
            where = {"type": "missing", "loc": ["body", failure.param], "msg": message, "input": {}}
            return 422, dumps(
                {
                    "object": "error",
                    "message": {"detail": [where]},
                    "type": "invalid_request_error",
                    "param": None,
                    "code": None,
                    "raw_status_code": 422,
                }
            )
        if not kind:
            return status, dumps({"detail": message})
        return status, dumps(_error(status, kind, code, message))

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: an event with the error object."""
        status, kind, code, said = _ERRORS[failure.kind]
        return sse(dumps(_error(status, kind or "error", code, failure.message or said)))

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return the request's id and the limits: of requests and tokens, for a minute."""
        out = [("mistral-correlation-id", report.request_id), ("x-kong-request-id", report.request_id)]
        for standing in report.limits:
            if (unit := _LIMITS.get(standing.unit)) is not None:
                out.append((f"x-ratelimit-limit-{unit}-minute", str(standing.limit)))
                out.append((f"x-ratelimit-remaining-{unit}-minute", str(standing.remaining)))
                if unit == "tokens":
                    out.append(("x-ratelimit-tokens-query-cost", str(standing.asked)))
        if report.failure is not None and report.failure.retry_after is not None:
            out.append(("retry-after", str(math.ceil(report.failure.retry_after))))
        return out

    def _read(self, request: Request) -> Question:
        body = request.json
        model = body.get("model")
        if not isinstance(model, str):
            raise invalid("Field required", "model")
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise invalid("Field required", "messages")
        turns = tuple([_turn(message) for message in messages])
        last = cast("Mapping[str, Any]", messages[-1])
        if last.get("role") not in ("user", "tool") and not last.get("prefix"):
            got = last.get("role")
            raise invalid(f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {got}")
        stop = body.get("stop")
        most = body.get("max_tokens")
        return Question(
            wire=self.name,
            model=model,
            turns=turns,
            tools=tuple([_tool(tool) for tool in body.get("tools") or ()]),
            tool_choice=_tool_choice(body.get("tool_choice")),
            schema=_schema(body.get("response_format")),
            stream=body.get("stream") is True,
            max_tokens=most if isinstance(most, int) and most > 0 else None,
            stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
            choices=body.get("n") or 1,
            thinking=body.get("reasoning_effort") not in (None, "none") or body.get("prompt_mode") == "reasoning",
            key_id=request.key_id,
            body=body,
        )


MISTRAL: Final = MistralWire()
"""Mistral's own."""


# -- reading


def _turn(message: Mapping[str, Any]) -> Turn:
    role = message.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise invalid(
            "Input tag does not match any of the expected tags: 'assistant', 'system', 'tool', 'user'", "messages"
        )
    text = text_of(message.get("content"), "text")
    if role == "tool":
        return Turn("tool", results=(ToolResult(_checked(message.get("tool_call_id")), text),))
    calls = [
        Call(call["function"].get("name", ""), call["function"].get("arguments") or "{}", _checked(call.get("id")))
        for call in message.get("tool_calls") or ()
    ]
    content = message.get("content")
    thinking = "".join(
        text_of(part.get("thinking"), "text")
        for part in (content if isinstance(content, list) else [])
        if isinstance(part, dict) and part.get("type") == "thinking"
    )
    return Turn(role, text, tuple(calls), thinking=thinking)


def _checked(id: object) -> str:
    if not isinstance(id, str) or not _CALL_ID.fullmatch(id):
        raise invalid(f"Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.")
    return id


def _tool(tool: Mapping[str, Any]) -> Tool:
    function = tool.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        raise invalid("Field required", "tools")
    return Tool(str(function["name"]), function.get("parameters") or {}, str(function.get("description") or ""))


def _tool_choice(choice: object) -> str:
    if isinstance(choice, dict):
        return str(cast("Mapping[str, Any]", choice).get("function", {}).get("name", "auto"))
    return "required" if choice == "any" else str(choice or "auto")


def _schema(format: object) -> Mapping[str, Any] | None:
    if not isinstance(format, dict) or format.get("type") in (None, "text"):
        return None
    if format["type"] == "json_object":
        return {"type": "object"}
    described = format.get("json_schema")
    schema = described.get("schema") if isinstance(described, dict) else None
    return cast("Mapping[str, Any]", schema) if isinstance(schema, dict) else {"type": "object"}


# -- what needs no model


def _embed(request: Request) -> Direct:
    model = str(request.json.get("model"))
    given = request.json.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in cast("Sequence[Any]", texts)):
        raise invalid("Field required", "input")
    size = request.json.get("output_dimension") or _DIMENSIONS
    tokens = sum(count(text) for text in cast("list[str]", texts))
    return Direct(
        {
            "id": hashlib.md5(
                f"{request.seed}{model}{texts}".encode("utf-8", "surrogatepass"), usedforsecurity=False
            ).hexdigest(),
            "object": "list",
            "data": [
                {"object": "embedding", "embedding": vector(request.seed, model, text, size), "index": i}
                for i, text in enumerate(cast("list[str]", texts))
            ],
            "model": model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0},
        },
        model=model,
        input_tokens=tokens,
    )


def _list(request: Request) -> Direct:
    models = request.models if request.models is not None else _MODELS
    return Direct({"object": "list", "data": [_model(name, request.created) for name in models]}, counts=False)


def _show(request: Request) -> Direct:
    name = request.params["model"]
    return Direct(_model(name, request.created), model=name, counts=False)


def _model(name: str, created: int) -> dict[str, Any]:
    embeds = "embed" in name
    return {
        "id": name,
        "object": "model",
        "created": created,
        "owned_by": "mistralai",
        "capabilities": {
            "completion_chat": not embeds,
            "completion_fim": False,
            "function_calling": not embeds,
            "fine_tuning": False,
            "vision": False,
            "classification": False,
        },
        "name": name,
        "description": "A simulated model.",
        "max_context_length": 8192 if embeds else 131072,
        "aliases": [],
        "deprecation": None,
        "default_model_temperature": None if embeds else 0.3,
        "type": "base",
    }


# -- writing


def _head(question: Question, generation: Generation, kind: str) -> dict[str, Any]:
    return {
        "id": generation.id.lower().rjust(32, "0"),
        "object": kind,
        "created": generation.created,
        "model": question.model,
    }


def _content(choice: Choice) -> str | list[dict[str, Any]]:
    text = "".join((*choice.text, *choice.refusal))
    if not choice.thinking:
        return text
    thought = {"type": "text", "text": "".join(choice.thinking)}
    return [{"type": "thinking", "thinking": [thought], "closed": True}, {"type": "text", "text": text}]


def _calls(choice: Choice) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": "".join(choice.arguments[i])},
            "index": i,
        }
        for i, call in enumerate(choice.calls)
    ]


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    return {
        "prompt_tokens": usage.input,
        "total_tokens": usage.input + usage.output,
        "completion_tokens": usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


def _error(status: int, kind: str, code: str | None, message: str) -> dict[str, Any]:
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }
