"""Ollama's own API: ``/api/chat``, ``/api/generate``, ``/api/embed``, ``/api/tags``, ``/api/show``, ``/api/version``.

Streams are JSON lines and the default. Sources: Ollama's API description and replies of Ollama. It sends no limits; a
failure's ``retry_after`` is sent as ``Retry-After``, as proxies before it do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid

__all__ = ["OLLAMA", "OllamaWire"]

_MODELS: Final = ("qwen3:4b", "nomic-embed-text:latest")
_VERSION: Final = "0.12.6"
_DIMENSIONS: Final = 768
_LOAD: Final = 20_000_000
_PER_TOKEN: Final = 10_000_000
"""Nanoseconds, in the durations that a reply tells."""
_ERRORS: Final[Mapping[FailureKind, tuple[int, str]]] = {
    "invalid_request": (400, "invalid request"),
    "context_length": (400, "the input length exceeds the context length"),
    "authentication": (401, "unauthorized"),
    "permission": (403, "forbidden"),
    "not_found": (404, "404 page not found"),
    "method_not_allowed": (405, "405 method not allowed"),
    "model_not_found": (404, "model '{param}' not found"),
    "rate_limit": (429, "too many requests"),
    "quota": (429, "you have reached your hourly usage limit, please upgrade to continue"),
    "server": (500, "llama runner process has terminated: exit status 2"),
    "unavailable": (503, "llm server loading model"),
    "overloaded": (503, "server busy, please try again.  maximum pending requests exceeded"),
}


@dataclass(frozen=True, slots=True)
class OllamaWire:
    """Ollama's native API."""

    name: str = "ollama.chat"
    vendor: str = "ollama"
    base: str = ""
    stream_type: str = "application/x-ndjson"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/api/chat", self._chat),
            Route("POST", "/api/generate", self._generate),
            Route("POST", "/api/embed", _embed),
            Route("GET", "/api/tags", _tags),
            Route("GET", "/api/ps", _running),
            Route("POST", "/api/show", _show),
            Route("GET", "/api/version", _version),
        )

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"call_{letters[:8].lower()}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write the reply in one object."""
        choice = generation.choices[0]
        text = "".join((*choice.text, *choice.refusal))
        said = _said(question, text, "".join(choice.thinking), _calls(choice))
        return dumps({**_head(question, generation), **said, **_end(choice, generation)})

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write a line a token; tool calls come whole, each in a line; figures in the last."""
        choice = generation.choices[0]
        head = _head(question, generation)
        for token in choice.thinking:
            yield _line({**head, **_said(question, "", token), "done": False}, 1)
        for token in (*choice.text, *choice.refusal):
            yield _line({**head, **_said(question, token), "done": False}, 1)
        for call, arguments in zip(_calls(choice), choice.arguments, strict=True):
            yield _line({**head, **_said(question, "", "", [call]), "done": False}, len(arguments))
        yield _line({**head, **_said(question, ""), **_end(choice, generation)}, 0)

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure."""
        status, said = _ERRORS[failure.kind]
        return failure.status or status, dumps({"error": failure.message or said.format(param=failure.param)})

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: a line with ``error`` only."""
        return self.fail(failure, report)[1] + b"\n"

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return the headers of a reply: none, or when to come again."""
        if report.failure is not None and report.failure.retry_after is not None:
            return [("retry-after", str(math.ceil(report.failure.retry_after)))]
        return []

    def _chat(self, request: Request) -> Question:
        body = request.json
        turns = [_turn(message) for message in _objects(body.get("messages"), "messages")]
        tools = tuple([_tool(tool) for tool in _objects(body.get("tools"), "tools")])
        return self._question(request, turns, tools)

    def _generate(self, request: Request) -> Question:
        body = request.json
        turns = [Turn("user", str(body.get("prompt") or ""))]
        if body.get("system"):
            turns.insert(0, Turn("system", str(body["system"])))
        return self._question(request, turns, ())

    def _question(self, request: Request, turns: Sequence[Turn], tools: tuple[Tool, ...]) -> Question:
        body = request.json
        options = body.get("options")
        chosen = cast("Mapping[str, Any]", options) if isinstance(options, dict) else {}
        most = chosen.get("num_predict")
        stop = chosen.get("stop")
        think = body.get("think")
        if isinstance(think, str) and think not in ("high", "medium", "low", "max"):
            raise invalid(f'invalid think value: {think!r} (must be "high", "medium", "low", true, or false)')
        return Question(
            wire=self.name,
            model=_model_of(body),
            turns=tuple(turns),
            tools=tools,
            schema=_format(body.get("format")),
            stream=body.get("stream") is not False,
            max_tokens=most if isinstance(most, int) and most > 0 else None,
            stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
            thinking=bool(think),
            key_id=request.key_id,
            body=body,
        )


OLLAMA: Final = OllamaWire()
"""Ollama's own."""


# -- reading


def _model_of(body: Mapping[str, Any]) -> str:
    model = body.get("model") or body.get("name")
    if not isinstance(model, str):
        raise invalid("model is required", "model")
    return model


def _objects(value: object, field: str) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in cast("list[object]", value)):
        raise invalid(f"json: cannot unmarshal {type(value).__name__} into Go struct field ChatRequest.{field}")
    return cast("list[Mapping[str, Any]]", value)


def _turn(message: Mapping[str, Any]) -> Turn:
    role = message.get("role")
    if role not in ("system", "user", "assistant", "tool"):
        raise invalid(f"invalid role: {role}")
    content = message.get("content") or ""
    if not isinstance(content, str):
        kind = "array" if isinstance(content, list) else "object"
        raise invalid(f"json: cannot unmarshal {kind} into Go struct field ChatRequest.messages.content of type string")
    if role == "tool":
        named = str(message.get("tool_call_id") or message.get("tool_name") or "")
        return Turn("tool", results=(ToolResult(named, content),))
    calls: list[Call] = []
    for call in _objects(message.get("tool_calls"), "messages.tool_calls"):
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("arguments", {}), dict):
            raise invalid(
                "json: cannot unmarshal string into Go struct field ChatRequest.messages.tool_calls.function.arguments "
                "of type api.ToolCallFunctionArguments"
            )
        calls.append(Call(str(function.get("name")), function.get("arguments") or {}, str(call.get("id", ""))))
    return Turn(role, content, tuple(calls), thinking=str(message.get("thinking") or ""))


def _tool(tool: Mapping[str, Any]) -> Tool:
    function = tool.get("function")
    described = cast("Mapping[str, Any]", function) if isinstance(function, dict) else {}
    return Tool(
        str(described.get("name", "")), described.get("parameters") or {}, str(described.get("description", ""))
    )


def _format(format: object) -> Mapping[str, Any] | None:
    if format in (None, ""):
        return None
    if isinstance(format, dict):
        return cast("Mapping[str, Any]", format)
    if format == "json":
        return {"type": "object"}
    raise invalid(f'invalid format: {json.dumps(format)}; expected "json" or a valid JSON Schema object')


# -- what needs no model


def _embed(request: Request) -> Direct:
    model = _model_of(request.json)
    given = request.json.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid("invalid input type", "input")
    size = request.json.get("dimensions") or _DIMENSIONS
    tokens = sum(count(text) for text in cast("list[str]", texts))
    return Direct(
        {
            "model": model,
            "embeddings": [vector(request.seed, model, text, size) for text in cast("list[str]", texts)],
            "total_duration": _LOAD + _PER_TOKEN,
            "load_duration": _LOAD,
            "prompt_eval_count": tokens,
        },
        model=model,
        input_tokens=tokens,
    )


def _tags(request: Request) -> Direct:
    return Direct({"models": [_summary(name) for name in _models(request)]}, counts=False)


def _running(request: Request) -> Direct:
    expires = {"expires_at": "2038-01-19T03:14:07Z", "size_vram": 2497293931, "context_length": 4096}
    return Direct({"models": [{**_summary(name), **expires} for name in _models(request)]}, counts=False)


def _models(request: Request) -> Sequence[str]:
    return request.models if request.models is not None else _MODELS


def _summary(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-01-01T00:00:00Z",
        "size": 2497293931,
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "details": _details(),
    }


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": "qwen3",
        "families": ["qwen3"],
        "parameter_size": "4.0B",
        "quantization_level": "Q4_K_M",
    }


def _show(request: Request) -> Direct:
    name = _model_of(request.json)
    embeds = "embed" in name
    return Direct(
        {
            "license": "MIT",
            "modelfile": f"FROM {name}\n",
            "parameters": "temperature 0.6",
            "template": "{{ .Prompt }}",
            "details": _details(),
            "model_info": {
                "general.architecture": "qwen3",
                "general.parameter_count": 4022468096,
                "qwen3.context_length": 40960,
                "qwen3.embedding_length": _DIMENSIONS,
            },
            "capabilities": ["embedding"] if embeds else ["completion", "tools", "thinking"],
            "modified_at": "2026-01-01T00:00:00Z",
        },
        model=name,
        counts=False,
    )


def _version(request: Request) -> Direct:
    return Direct({"version": _VERSION}, counts=False)


# -- writing


def _line(value: Mapping[str, Any], tokens: int) -> Frame:
    return Frame(dumps(value) + b"\n", tokens)


def _head(question: Question, generation: Generation) -> dict[str, Any]:
    created = datetime.fromtimestamp(generation.created, UTC)
    return {"model": question.model, "created_at": f"{created:%Y-%m-%dT%H:%M:%S}.000001Z"}


def _said(question: Question, text: str, thinking: str = "", calls: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    if "prompt" in question.body and "messages" not in question.body:
        return {"response": text, **({"thinking": thinking} if thinking else {})}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = list(calls)
    return {"message": message}


def _calls(choice: Choice) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for i, call in enumerate(choice.calls):
        try:
            arguments = json.loads("".join(choice.arguments[i]))
        except ValueError:
            raise invalid(
                f"the script gives {call.name!r} arguments that are no JSON; Ollama's wire has objects"
            ) from None
        out.append({"id": call.id, "function": {"index": i, "name": call.name, "arguments": arguments}})
    return out


def _end(choice: Choice, generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    read, wrote = usage.input * _PER_TOKEN // 10, usage.output * _PER_TOKEN
    return {
        "done": True,
        "done_reason": "length" if choice.finish_reason == "length" else "stop",
        "total_duration": _LOAD + read + wrote,
        "load_duration": _LOAD,
        "prompt_eval_count": usage.input,
        "prompt_eval_duration": read,
        "eval_count": usage.output,
        "eval_duration": wrote,
    }
