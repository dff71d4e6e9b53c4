"""Amazon Bedrock: ``Converse``, ``ConverseStream`` and ``CountTokens`` of the runtime.

Sources: Amazon's service description of the Bedrock Runtime, its pages on errors, and replies of the API. Bedrock sends
no limits; a failure's ``retry_after`` is sent as ``Retry-After``, which Amazon's SDKs read on every service.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, cast

from lexigram.testing.simulator._tokens import count_input
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
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid
from lexigram.testing.simulator.wires.aws_frames import frame

__all__ = ["BEDROCK", "BedrockWire"]

_PIECE: Final = 4
_LATENCY: Final = 300
_PADDING: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_FINISH: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "content_filtered",
    "content_filter": "content_filtered",
}
_BEDROCK: Final = "http://internal.amazon.com/coral/com.amazon.bedrock/"
_CORAL: Final = "http://internal.amazon.com/coral/com.amazon.coral.service/"
_ERRORS: Final[Mapping[FailureKind, tuple[int, str, str]]] = {
    "invalid_request": (400, "ValidationException", "The provided request is not valid"),
    "context_length": (
        400,
        "ValidationException",
        "The model returned the following errors: Input is too long for requested model.",
    ),
    "authentication": (403, "UnrecognizedClientException", "The security token included in the request is invalid."),
    "permission": (403, "AccessDeniedException", "You don't have access to the model with the specified model ID."),
    "not_found": (404, "UnknownOperationException", "The requested operation is not recognized by the service."),
    "method_not_allowed": (
        405,
        "UnknownOperationException",
        "The requested operation is not recognized by the service.",
    ),
    "model_not_found": (400, "ValidationException", "The provided model identifier is invalid."),
    "rate_limit": (429, "ThrottlingException", "Too many {unit}, please wait before trying again."),
    "quota": (400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account."),
    "server": (
        500,
        "InternalServerException",
        "The system encountered an unexpected error during processing. Try your request again.",
    ),
    "unavailable": (
        503,
        "ServiceUnavailableException",
        "The service is temporarily unavailable. Please try again later.",
    ),
    "overloaded": (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
}
_STREAM_ERRORS: Final[Mapping[FailureKind, str]] = {
    "rate_limit": "throttlingException",
    "server": "internalServerException",
    "unavailable": "serviceUnavailableException",
    "overloaded": "serviceUnavailableException",
    "invalid_request": "validationException",
}


@dataclass(frozen=True, slots=True)
class BedrockWire:
    """Bedrock's Converse API."""

    name: str = "bedrock.converse"
    vendor: str = "bedrock"
    base: str = ""
    stream_type: str = "application/vnd.amazon.eventstream"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/model/{model}/converse", self._whole),
            Route("POST", "/model/{model}/converse-stream", self._streamed),
            Route("POST", "/model/{model}/count-tokens", _count),
        )

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"tooluse_{letters[:22]}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a Converse response."""
        choice = generation.choices[0]
        return dumps(
            {
                "metrics": {"latencyMs": _LATENCY},
                "output": {"message": {"content": _content(choice), "role": "assistant"}},
                "stopReason": _FINISH[choice.finish_reason],
                "usage": _usage(generation) | _cached(generation, question.model),
            }
        )

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write the events: only tool calls have a ``contentBlockStart``; usage comes last, as ``metadata``."""
        choice = generation.choices[0]
        yield _event("messageStart", {"role": "assistant"})
        for index, (deltas, start) in enumerate(_blocks(choice)):
            if start is not None:
                yield _event("contentBlockStart", {"contentBlockIndex": index, "start": start})
            for delta, tokens in deltas:
                yield _event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}, tokens)
            yield _event("contentBlockStop", {"contentBlockIndex": index})
        yield _event("messageStop", {"stopReason": _FINISH[choice.finish_reason]})
        yield _event("metadata", {"metrics": {"latencyMs": _LATENCY}, "usage": _usage(generation)})

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure: the words; its type is in a header."""
        return failure.status or _ERRORS[failure.kind][0], dumps({"message": _words(failure)})

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: an exception frame."""
        headers = {
            ":exception-type": _STREAM_ERRORS.get(failure.kind, "modelStreamErrorException"),
            ":content-type": "application/json",
            ":message-type": "exception",
        }
        return frame(headers, dumps({"message": _words(failure)}))

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return the request's id, and the type of a failure."""
        digest = hashlib.sha256(report.request_id.encode()).hexdigest()
        out = [("x-amzn-requestid", str(uuid.UUID(digest[:32], version=4)))]
        if (failure := report.failure) is not None:
            kind = _ERRORS[failure.kind][1]
            out.append(("x-amzn-errortype", kind + ":" + (_CORAL if failure.kind == "authentication" else _BEDROCK)))
            if failure.retry_after is not None:
                out.append(("retry-after", str(math.ceil(failure.retry_after))))
        return out

    def _whole(self, request: Request) -> Question:
        return _question(self.name, request, stream=False)

    def _streamed(self, request: Request) -> Question:
        return _question(self.name, request, stream=True)


BEDROCK: Final = BedrockWire()
"""The Bedrock Runtime."""


# -- reading


def _question(wire: str, request: Request, *, stream: bool) -> Question:
    body = request.json
    turns, tools = _conversation(body)
    inference = _object(body, "inferenceConfig")
    thinking = _object(body, "additionalModelRequestFields")
    thinking = _object(thinking, "thinking") or _object(thinking, "reasoning_config")
    most = inference.get("maxTokens")
    if most is not None and (not isinstance(most, int) or most < 1):
        raise _bad("inferenceConfig.maxTokens", most, "Member must have value greater than or equal to 1")
    return Question(
        wire=wire,
        model=request.params["model"],
        turns=turns,
        tools=tools,
        tool_choice=_tool_choice(_object(_object(body, "toolConfig"), "toolChoice")),
        schema=_schema(body),
        stream=stream,
        max_tokens=most,
        stop=tuple(inference.get("stopSequences") or ()),
        thinking=thinking.get("type") in ("enabled", "adaptive"),
        key_id=request.key_id,
        body=body,
    )


def _conversation(body: Mapping[str, Any]) -> tuple[tuple[Turn, ...], tuple[Tool, ...]]:
    messages = _objects(body, "messages")
    if not messages:
        raise invalid("The model returned the following errors: messages: at least one message is required")
    turns = [_turn(message, i) for i, message in enumerate(messages)]
    if turns[0].role != "user":
        raise invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user "
            "message."
        )
    _check_results(turns)
    tools = tuple([_tool(spec) for spec in _objects(_object(body, "toolConfig"), "tools") if "toolSpec" in spec])
    if not tools and any(turn.calls or turn.results for turn in turns):
        raise invalid("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
    system = "".join(str(block.get("text", "")) for block in _objects(body, "system"))
    if system:
        turns.insert(0, Turn("system", system))
    return tuple(turns), tools


def _check_results(turns: Sequence[Turn]) -> None:
    for i, (before, turn) in enumerate(pairwise(turns), 1):
        if (before.role == "assistant") == (turn.role == "assistant"):
            raise invalid(
                "A conversation must alternate between user and assistant roles. Make sure the conversation "
                "alternates between user and assistant roles and try again."
            )
        wanted = [call.id for call in before.calls]
        given = [result.call_id for result in turn.results]
        if missing := [call_id for call_id in wanted if call_id not in given]:
            raise invalid(
                f"Expected toolResult blocks at messages.{i}.content for the following Ids: {', '.join(missing)}"
            )
        if len(given) > len(wanted):
            raise invalid(
                f"The number of toolResult blocks at messages.{i}.content exceeds the number of toolUse blocks of "
                "previous turn."
            )


def _turn(message: Mapping[str, Any], number: int) -> Turn:
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise _bad(f"messages.{number + 1}.member.role", role, "Member must satisfy enum value set: [user, assistant]")
    text, thinking, calls, results = "", "", list[Call](), list[ToolResult]()
    for block in _objects(message, "content"):
        use, result = _object(block, "toolUse"), _object(block, "toolResult")
        if use:
            calls.append(Call(str(use.get("name")), use.get("input") or {}, str(use.get("toolUseId"))))
        elif result:
            said = [
                str(part["text"]) if "text" in part else json.dumps(part.get("json"), ensure_ascii=False)
                for part in _objects(result, "content")
            ]
            results.append(ToolResult(str(result.get("toolUseId")), "".join(said)))
        elif "reasoningContent" in block:
            shown = _object(_object(block, "reasoningContent"), "reasoningText")
            if shown and shown.get("signature") not in (None, _signature(str(shown.get("text")))):
                raise invalid(
                    f"The model returned the following errors: messages.{number}.content.0: Invalid `signature` in "
                    "`thinking` block"
                )
            thinking += str(shown.get("text", ""))
        elif "text" in block:
            if not block["text"]:
                raise invalid(
                    f"The text field in the ContentBlock object at messages.{number}.content.0 is blank. Add text to "
                    "the text field, and try again."
                )
            text += str(block["text"])
    return Turn("tool" if results and not text else role, text, tuple(calls), tuple(results), thinking)


def _tool(spec: Mapping[str, Any]) -> Tool:
    described = _object(spec, "toolSpec")
    schema = _object(_object(described, "inputSchema"), "json")
    return Tool(str(described.get("name")), schema, str(described.get("description") or ""))


def _tool_choice(choice: Mapping[str, Any]) -> str:
    if "any" in choice:
        return "required"
    return str(_object(choice, "tool").get("name") or "auto")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    form = _object(_object(body, "outputConfig"), "textFormat")
    if form.get("type") != "json_schema":
        return None
    text = _object(_object(form, "structure"), "jsonSchema").get("schema")
    try:
        schema = json.loads(str(text))
    except ValueError:
        raise invalid("The schema in outputConfig.textFormat.structure.jsonSchema is not valid JSON.") from None
    return cast("Mapping[str, Any]", schema)


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _objects(value: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = value.get(name)
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in cast("list[object]", found)):
        raise invalid(f"Malformed input request: {name}: expected a list of structures")
    return cast("list[Mapping[str, Any]]", found)


def _bad(field: str, value: object, constraint: str) -> Exception:
    return invalid(
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: {constraint}"
    )


def _count(request: Request) -> Direct:
    converse = _object(_object(request.json, "input"), "converse")
    if not converse:
        raise invalid("Only the input of Converse is simulated: give input.converse.")
    return Direct({"inputTokens": count_input(*_conversation(converse))}, model=request.params["model"], counts=False)


# -- writing


def _words(failure: Failure) -> str:
    unit = "requests" if failure.param in (None, "requests") else "tokens"
    return failure.message or _ERRORS[failure.kind][2].format(unit=unit)


def _cached(generation: Generation, model: str) -> dict[str, Any]:
    """Return what a whole reply tells of the cache besides: always of Claude, else where it was used."""
    read, written = generation.usage.cached, generation.usage.cache_write
    if not (read or written or "anthropic" in model):
        return {}
    return {
        "cacheReadInputTokenCount": read,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokenCount": written,
        "cacheWriteInputTokens": written,
    }


def _usage(generation: Generation) -> dict[str, Any]:
    usage = generation.usage
    cached = {"cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": usage.cache_write}
    return {
        **(cached if usage.cached or usage.cache_write else {}),
        "inputTokens": usage.input - usage.cached - usage.cache_write,
        "outputTokens": usage.output,
        "serverToolUsage": {},
        "totalTokens": usage.input + usage.output,
    }


def _content(choice: Choice) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    if choice.thinking:
        thought = "".join(choice.thinking)
        shown = {"signature": _signature(thought), "text": thought}
        content.append({"reasoningContent": {"reasoningText": shown}})
    if text := "".join((*choice.text, *choice.refusal)):
        content.append({"text": text})
    for call, arguments in zip(choice.calls, choice.arguments, strict=True):
        try:
            given = json.loads("".join(arguments))
        except ValueError:
            raise invalid(
                f"the script gives {call.name!r} arguments that are no JSON; a whole reply of Bedrock has objects"
            ) from None
        content.append({"toolUse": {"input": given, "name": call.name, "toolUseId": call.id}})
    return content


_Deltas = list[tuple[dict[str, Any], int]]


def _blocks(choice: Choice) -> Iterator[tuple[_Deltas, dict[str, Any] | None]]:
    """Give each block's deltas with their tokens, and how it starts."""
    if choice.thinking:
        deltas: _Deltas = [({"reasoningContent": {"text": text}}, n) for text, n in _pieces(choice.thinking)]
        yield [*deltas, ({"reasoningContent": {"signature": _signature("".join(choice.thinking))}}, 0)], None
    if text := (*choice.text, *choice.refusal):
        yield [({"text": piece}, n) for piece, n in _pieces(text)], None
    for call, arguments in zip(choice.calls, choice.arguments, strict=True):
        start = {"toolUse": {"name": call.name, "toolUseId": call.id}}
        yield [({"toolUse": {"input": piece}}, n) for piece, n in _pieces(arguments)], start


def _pieces(tokens: Sequence[str]) -> Iterator[tuple[str, int]]:
    for i in range(0, len(tokens), _PIECE):
        yield "".join(tokens[i : i + _PIECE]), len(tokens[i : i + _PIECE])


def _signature(thought: str) -> str:
    digest = hashlib.sha512(thought.encode("utf-8", "surrogatepass")).hexdigest()
    return f"Eu{digest}=="


def _event(kind: str, payload: Mapping[str, Any], tokens: int = 0) -> Frame:
    """Write an event, padded as Bedrock does so that its size tells nothing of its content."""
    size = 4 + (len(str(payload)) * 7 + len(kind)) % (len(_PADDING) - 4)
    padded = {**payload, "p": _PADDING[:size]}
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return Frame(frame(headers, dumps(dict(sorted(padded.items())))), tokens)
