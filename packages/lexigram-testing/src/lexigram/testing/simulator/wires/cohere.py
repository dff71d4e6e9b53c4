"""Cohere: ``POST /v2/chat``, ``/v2/embed``, ``/v1/tokenize``, ``/v1/models``.

Sources: Cohere's API description and replies of the API. The API documents no headers with limits; a failure's
``retry_after`` is sent as ``Retry-After``, which gateways before it may do.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lexigram.testing.simulator._tokens import count, split
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

__all__ = ["COHERE", "CohereWire"]

_MODELS: Final = ("command-a-03-2025", "embed-v4.0")
_DIMENSIONS: Final = 1536
_FINISH: Final = {
    "stop": "COMPLETE",
    "stop_sequence": "STOP_SEQUENCE",
    "length": "MAX_TOKENS",
    "tool_calls": "TOOL_CALL",
    "refusal": "COMPLETE",
    "content_filter": "ERROR",
}
_ERRORS: Final[Mapping[FailureKind, tuple[int, str]]] = {
    "invalid_request": (400, "invalid request"),
    "context_length": (
        400,
        (
            "too many tokens: size limit exceeded. Try using shorter or fewer inputs. The limit for this model is "
            "288000 tokens."
        ),
    ),
    "authentication": (401, "invalid api token"),
    "permission": (403, "your api key does not have access to this resource"),
    "not_found": (404, "404 page not found"),
    "method_not_allowed": (405, "method not allowed"),
    "model_not_found": (
        404,
        "model '{param}' not found, make sure the correct model ID was used and that you have access to the model.",
    ),
    "rate_limit": (
        429,
        (
            "You are using a Trial key, which is limited to {limit} API calls / minute. You can continue to use the "
            "Trial key for free or upgrade to a Production key with higher rate limits at "
            "'https://dashboard.cohere.com/api-keys'. Contact us on 'https://discord.gg/XW44jPfYJu' or email us at "
            "support@cohere.com with any questions"
        ),
    ),
    "quota": (402, "Please add or update your payment method at https://dashboard.cohere.com/billing"),
    "server": (500, "internal server error, this has been reported to our developers. id {id}"),
    "unavailable": (503, "service unavailable"),
    "overloaded": (503, "upstream connect error or disconnect/reset before headers. reset reason: overflow"),
}


@dataclass(frozen=True, slots=True)
class CohereWire:
    """Cohere's API, version 2."""

    name: str = "cohere.chat"
    vendor: str = "cohere"
    base: str = ""
    stream_type: str = "text/event-stream"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/v2/chat", self._read),
            Route("POST", "/v2/embed", _embed),
            Route("POST", "/v1/tokenize", _tokenize),
            Route("GET", "/v1/models", _list),
            Route("GET", "/v1/models/{model}", _show),
        )

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"call_{letters[:12].lower()}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a chat response."""
        choice = generation.choices[0]
        return dumps(
            {
                "id": _id(generation.id),
                "message": _message(choice),
                "finish_reason": _FINISH[choice.finish_reason],
                "usage": _usage(generation),
            }
        )

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write the events of a chat: text before tool calls is their plan; a nameless ``[DONE]`` at the end."""
        choice = generation.choices[0]
        empty = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        yield _event("message-start", empty, id=_id(generation.id))
        plan, text = _text_of(choice)
        for token in plan:
            yield _event("tool-plan-delta", {"tool_plan": token}, tokens=1)
        blocks = [(kind, tokens) for kind, tokens in (("thinking", choice.thinking), ("text", text)) if tokens]
        for index, (kind, tokens) in enumerate(blocks):
            yield _event("content-start", {"content": {"type": kind, kind: ""}}, index=index)
            for token in tokens:
                yield _event("content-delta", {"content": {kind: token}}, index=index, tokens=1)
            yield _event("content-end", index=index)
        for index, (call, arguments) in enumerate(zip(choice.calls, choice.arguments, strict=True)):
            yield _event("tool-call-start", {"tool_calls": _call(call, "")}, index=index)
            for token in arguments:
                part = {"tool_calls": {"function": {"arguments": token}}}
                yield _event("tool-call-delta", part, index=index, tokens=1)
            yield _event("tool-call-end", index=index)
        delta = {"finish_reason": _FINISH[choice.finish_reason], "usage": _usage(generation)}
        yield Frame(sse(dumps({"type": "message-end", "delta": delta}), "message-end"))
        yield Frame(b"data: [DONE]\n\n")

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure: an id and the words."""
        status, said = _ERRORS[failure.kind]
        body: dict[str, Any] = {
            "id": _id(report.request_id),
            "message": failure.message or _words(said, failure, report),
        }
        if failure.kind == "context_length":
            body["error_type"] = "TOO_MANY_TOKENS"
        return failure.status or status, dumps(body)

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: it ends with the reason ``ERROR`` and the words."""
        said = failure.message or _words(_ERRORS[failure.kind][1], failure, report)
        delta = {"finish_reason": "ERROR", "usage": {}, "error": said}
        return sse(dumps({"type": "message-end", "delta": delta}), "message-end") + b"data: [DONE]\n\n"

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return the headers of a reply; a trial key's calls are counted in one of their own."""
        out = [("x-debug-trace-id", _hex(report.request_id)[:32]), ("x-envoy-upstream-service-time", "1")]
        for standing in report.limits:
            if standing.unit == "requests":
                out.append(("x-trial-endpoint-call-limit", str(standing.limit)))
                out.append(("x-trial-endpoint-call-remaining", str(standing.remaining)))
        if report.failure is not None and report.failure.retry_after is not None:
            out.append(("retry-after", str(math.ceil(report.failure.retry_after))))
        return out

    def _read(self, request: Request) -> Question:
        body = request.json
        messages = _list_of(body, "messages")
        if not messages:
            raise invalid("invalid request: messages must be at least 1 message long.", "messages")
        stop = body.get("stop_sequences") or ()
        if len(stop) > 5:
            raise invalid("invalid request: stop_sequences can have at most 5 items.", "stop_sequences")
        thinking = body.get("thinking")
        return Question(
            wire=self.name,
            model=_model_of(body),
            turns=tuple([_turn(message, i) for i, message in enumerate(messages)]),
            tools=tuple([_tool(tool, i) for i, tool in enumerate(_list_of(body, "tools"))]),
            tool_choice=str(body.get("tool_choice") or "AUTO").lower(),
            schema=_schema(body.get("response_format")),
            stream=body.get("stream") is True,
            max_tokens=_max_tokens(body.get("max_tokens")),
            stop=tuple(stop),
            thinking=isinstance(thinking, dict) and thinking.get("type") == "enabled",
            key_id=request.key_id,
            body=body,
        )


COHERE: Final = CohereWire()
"""Cohere's own."""


# -- reading


def _model_of(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("invalid request: model is required.", "model")
    return model


def _list_of(body: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[object]", value)):
        raise invalid(f"invalid type: parameter {name} is of type {type(value).__name__} but should be of type array.")
    return cast("list[Mapping[str, Any]]", value)


def _turn(message: Mapping[str, Any], number: int) -> Turn:
    role = message.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise invalid(f"invalid request: messages[{number}]: role must be one of system, user, assistant, tool.")
    content = message.get("content")
    text = text_of(content, "text")
    if role == "tool":
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str):
            raise invalid(f"invalid request: message at index {number} must have a tool_call_id.")
        documents = [
            part["document"]["data"]
            for part in (content if isinstance(content, list) else [])
            if isinstance(part, dict) and isinstance(part.get("document"), dict)
        ]
        data = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in documents]
        return Turn("tool", results=(ToolResult(call_id, text + "".join(data)),))
    thinking = "".join(
        str(part.get("thinking", ""))
        for part in (content if isinstance(content, list) else [])
        if isinstance(part, dict) and part.get("type") == "thinking"
    )
    calls = [
        Call(str(call["function"].get("name")), str(call["function"].get("arguments") or "{}"), str(call.get("id", "")))
        for call in _list_of(message, "tool_calls")
        if isinstance(call.get("function"), dict)
    ]
    if not text and not calls:
        raise invalid(f"invalid request: message at index {number} must have non-empty content or tool calls.")
    return Turn(role, text or str(message.get("tool_plan") or ""), tuple(calls), thinking=thinking)


def _tool(tool: Mapping[str, Any], number: int) -> Tool:
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict) or not function.get("name"):
        raise invalid(f"invalid request: tools[{number}] must be a function with a name.", "tools")
    parameters = function.get("parameters")
    return Tool(
        str(function["name"]),
        parameters if isinstance(parameters, dict) else {},
        str(function.get("description") or ""),
    )


def _schema(format: object) -> Mapping[str, Any] | None:
    if not isinstance(format, dict) or format.get("type") in (None, "text"):
        return None
    if format["type"] != "json_object":
        raise invalid("invalid request: response_format.type must be one of text, json_object.", "response_format")
    schema = format.get("json_schema") or format.get("schema")
    return cast("Mapping[str, Any]", schema) if isinstance(schema, dict) else {"type": "object"}


def _max_tokens(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 0):
        raise invalid("invalid request: max_tokens must be a non-negative integer.", "max_tokens")
    return value or None


# -- what needs no model


def _embed(request: Request) -> Direct:
    body = request.json
    model = _model_of(body)
    texts = body.get("texts")
    if texts is None:
        texts = [text_of(one.get("content"), "text") for one in _list_of(body, "inputs")]
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise invalid("invalid request: at least one of texts, images or inputs must be provided.", "texts")
    if body.get("input_type") is None:
        raise invalid("invalid request: valid input_type must be provided with the provided model", "input_type")
    if len(texts) > 96:
        raise invalid(f"invalid request: total number of texts must be at most 96, received {len(texts)}", "texts")
    kinds = body.get("embedding_types") or ["float"]
    if unknown := [kind for kind in kinds if kind not in ("float", "int8", "uint8")]:
        raise invalid(f"invalid request: embedding type {unknown[0]!r} is not simulated.", "embedding_types")
    size = body.get("output_dimension") or _DIMENSIONS
    vectors = [vector(request.seed, model, text, size) for text in cast("list[str]", texts)]
    tokens = sum(count(text) for text in cast("list[str]", texts))
    forms: dict[str, list[Any]] = {
        "float": vectors,
        "int8": [[max(-128, min(127, round(v * 1270))) for v in one] for one in vectors],
        "uint8": [[max(0, min(255, round(v * 1270) + 128)) for v in one] for one in vectors],
    }
    return Direct(
        {
            "id": _id(f"{request.seed}{model}{texts}"),
            "texts": texts,
            "embeddings": {kind: forms[kind] for kind in kinds},
            "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": tokens, "image_tokens": 0}},
            "response_type": "embeddings_by_type",
        },
        model=model,
        input_tokens=tokens,
    )


def _tokenize(request: Request) -> Direct:
    text = request.json.get("text")
    if not isinstance(text, str) or not text:
        raise invalid("invalid request: text must be at least 1 character long.", "text")
    strings = split(text)
    tokens = [int(hashlib.sha256(s.encode("utf-8", "surrogatepass")).hexdigest()[:4], 16) for s in strings]
    meta = {"api_version": {"version": "1"}}
    return Direct(
        {"tokens": tokens, "token_strings": list(strings), "meta": meta}, model=_model_of(request.json), counts=False
    )


def _list(request: Request) -> Direct:
    models = request.models if request.models is not None else _MODELS
    return Direct({"models": [_model(name) for name in models]}, counts=False)


def _show(request: Request) -> Direct:
    return Direct(_model(request.params["model"]), model=request.params["model"], counts=False)


def _model(name: str) -> dict[str, Any]:
    embeds = name.startswith("embed")
    return {
        "name": name,
        "is_deprecated": False,
        "endpoints": ["embed"] if embeds else ["chat"],
        "finetuned": False,
        "context_length": 8192 if embeds else 288000,
        "tokenizer_url": f"https://storage.googleapis.com/cohere-public/tokenizers/{name}.json",
        "default_endpoints": [],
        "features": None if embeds else ["tools", "json_mode"],
    }


# -- writing


def _hex(of: str) -> str:
    return hashlib.sha256(of.encode("utf-8", "surrogatepass")).hexdigest()


def _id(of: str) -> str:
    return str(uuid.UUID(_hex(of)[:32], version=4))


def _words(said: str, failure: Failure, report: Report) -> str:
    limit = next((standing.limit for standing in report.limits if standing.unit == "requests"), 40)
    return said.format(param=failure.param, limit=limit, id=_id(report.request_id))


def _text_of(choice: Choice) -> tuple[Sequence[str], Sequence[str]]:
    """Return the tokens of the plan and those of the text: what stands before tool calls is their plan."""
    text = (*choice.text, *choice.refusal)
    return (text, ()) if choice.calls else ((), text)


def _message(choice: Choice) -> dict[str, Any]:
    plan, text = _text_of(choice)
    message: dict[str, Any] = {"role": "assistant"}
    if choice.calls:
        message["tool_plan"] = "".join(plan)
        pairs = zip(choice.calls, choice.arguments, strict=True)
        message["tool_calls"] = [_call(call, "".join(arguments)) for call, arguments in pairs]
    content: list[dict[str, Any]] = []
    if choice.thinking:
        content.append({"type": "thinking", "thinking": "".join(choice.thinking)})
    if text or not (choice.calls or content):
        content.append({"type": "text", "text": "".join(text)})
    return {**message, "content": content} if content else message


def _call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    tokens: dict[str, Any] = {"input_tokens": usage.input, "output_tokens": usage.output}
    if usage.reasoning:
        tokens["reasoning_tokens"] = usage.reasoning
    billed = {"input_tokens": usage.input, "output_tokens": usage.output}
    return {"billed_units": billed, "tokens": tokens, "cached_tokens": usage.cached}


def _event(
    kind: str,
    message: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    index: int | None = None,
    tokens: int = 0,
) -> Frame:
    body: dict[str, Any] = {"id": id} if id is not None else {}
    body["type"] = kind
    if index is not None:
        body["index"] = index
    if message is not None:
        body["delta"] = {"message": message}
    return Frame(sse(dumps(body), kind), tokens)
