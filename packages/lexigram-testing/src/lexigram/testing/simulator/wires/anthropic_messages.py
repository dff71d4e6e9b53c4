"""Anthropic's Messages: ``POST /v1/messages``, ``POST /v1/messages/count_tokens``, ``GET /v1/models``.

Source: Anthropic's API description, "Create a Message", "Count tokens in a Message", "List Models", and "Streaming".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lexigram.testing.simulator._tokens import count_input
from lexigram.testing.simulator._values import Call, Choice, Failure, Generation, Question, Refused
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid, sse
from lexigram.testing.simulator.wires import anthropic_common as common
from lexigram.testing.simulator.wires.openai_embeddings import MODELS

__all__ = ["ANTHROPIC_MESSAGES", "MessagesWire"]

_STOP_REASON: Final = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
}
_CHOICES: Final = {"any": "required", "none": "none", "auto": "auto"}
_LEAST_BUDGET: Final = 1024


@dataclass(frozen=True, slots=True)
class MessagesWire:
    """Messages."""

    name: str = "anthropic.messages"
    vendor: str = "anthropic"
    base: str = ""
    stream_type: str = "text/event-stream; charset=utf-8"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/v1/messages", self._read),
            Route("POST", "/v1/messages/count_tokens", _count),
            Route("GET", "/v1/models", _list),
            Route("GET", "/v1/models/{model}", _show),
        )

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"toolu_01{letters[:22]}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a message."""
        choice = generation.choices[0]
        blocks = [block for block, _ in _blocks(choice)]
        return dumps(_message(question, generation, blocks, choice))

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write the events of a message: its start, each block's start, deltas and stop, its end."""
        choice = generation.choices[0]
        start = _message(question, generation, [], None)
        yield _event({"type": "message_start", "message": start})
        for index, (block, deltas) in enumerate(_blocks(choice)):
            yield _event({"type": "content_block_start", "index": index, "content_block": _begun(block)})
            if index == 0:
                yield _event({"type": "ping"})
            head = b'{"type":"content_block_delta","index":%d,"delta":' % index
            for delta, tokens in deltas:
                yield Frame(sse(head + dumps(delta) + b"}", "content_block_delta"), tokens)
            yield _event({"type": "content_block_stop", "index": index})
        usage = _usage(generation)
        ended = {name: usage[name] for name in _DELTA_USAGE}
        yield _event({"type": "message_delta", "delta": {**_ending(choice), "container": None}, "usage": ended})
        yield _event({"type": "message_stop"})

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure."""
        return common.fail(failure, report)

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: an ``error`` event."""
        return sse(dumps(common.failure_object(failure, report)), "error")

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return request id, limits and whether to come again."""
        return common.headers(report)

    def _read(self, request: Request) -> Question:
        turns = common.conversation(request)
        body = request.json
        most = body.get("max_tokens")
        if most is None:
            raise invalid("Field required", "max_tokens")
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise invalid("Input should be greater than or equal to 1", "max_tokens")
        return Question(
            wire=self.name,
            model=str(body["model"]),
            turns=turns,
            tools=common.tools(body),
            tool_choice=_tool_choice(body.get("tool_choice")),
            schema=_schema(body),
            stream=body.get("stream") is True,
            max_tokens=most,
            stop=tuple(body.get("stop_sequences") or ()),
            thinking=_thinking_wanted(body.get("thinking"), most),
            key_id=request.key_id,
            body=body,
        )


ANTHROPIC_MESSAGES: Final = MessagesWire()
"""Anthropic's own."""

_DELTA_USAGE: Final = (
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "server_tool_use",
    "output_tokens_details",
)


def _thinking_wanted(thinking: object, most: int) -> bool:
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "adaptive"):
        return False
    budget = thinking.get("budget_tokens")
    if thinking["type"] == "enabled":
        if not isinstance(budget, int) or budget < _LEAST_BUDGET:
            raise invalid(f"Input should be greater than or equal to {_LEAST_BUDGET}", "thinking.enabled.budget_tokens")
        if budget >= most:
            raise Refused(Failure("invalid_request", "`max_tokens` must be greater than `thinking.budget_tokens`."))
    return True


def _tool_choice(choice: object) -> str:
    if not isinstance(choice, dict):
        return "auto"
    return str(choice.get("name")) if choice.get("type") == "tool" else _CHOICES.get(str(choice.get("type")), "auto")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else body.get("output_format")
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        return None
    schema = wanted.get("schema")
    if not isinstance(schema, dict):
        raise invalid("Field required", "output_config.format.schema")
    return schema


def _event(event: Mapping[str, Any]) -> Frame:
    return Frame(sse(dumps(event), event["type"]))


def _message(
    question: Question, generation: Generation, blocks: list[dict[str, Any]], choice: Choice | None
) -> dict[str, Any]:
    """Return the message; without a choice as it is when it starts."""
    usage = _usage(generation)
    if choice is None:
        usage = {name: value for name, value in usage.items() if name != "output_tokens_details"} | {"output_tokens": 1}
    ending = {"stop_reason": None, "stop_sequence": None, "stop_details": None} if choice is None else _ending(choice)
    return {
        "id": f"msg_01{generation.id[:22]}",
        "type": "message",
        "role": "assistant",
        "model": question.model,
        "content": blocks,
        **ending,
        "usage": usage,
        "container": None,
    }


def _ending(choice: Choice) -> dict[str, Any]:
    details = None
    if choice.refusal or choice.finish_reason == "refusal":
        details = {"type": "refusal", "category": None, "explanation": "".join(choice.refusal) or None}
    return {
        "stop_reason": _STOP_REASON[choice.finish_reason],
        "stop_sequence": choice.stop if choice.finish_reason == "stop_sequence" else None,
        "stop_details": details,
    }


def _usage(generation: Generation) -> dict[str, Any]:
    """Return the usage; here the input leaves out what was read from the cache or written to it."""
    usage = generation.usage
    return {
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "server_tool_use": None,
        "service_tier": "standard",
        "inference_geo": "global",
    }


def _blocks(choice: Choice) -> Iterator[tuple[dict[str, Any], list[tuple[dict[str, Any], int]]]]:
    """Yield each finished block with the deltas that write it."""
    if choice.thinking:
        thinking = "".join(choice.thinking)
        signed = common.signature(thinking)
        deltas = [({"type": "thinking_delta", "thinking": token}, 1) for token in choice.thinking]
        deltas.append(({"type": "signature_delta", "signature": signed}, 0))
        yield {"type": "thinking", "thinking": thinking, "signature": signed}, deltas
    if choice.text:
        deltas = [({"type": "text_delta", "text": token}, 1) for token in choice.text]
        yield {"type": "text", "text": "".join(choice.text), "citations": None}, deltas
    for call, arguments in zip(choice.calls, choice.arguments, strict=True):
        deltas = [({"type": "input_json_delta", "partial_json": ""}, 0)]
        if arguments != ("{", "}"):  # a tool without arguments streams none
            deltas += [({"type": "input_json_delta", "partial_json": token}, 1) for token in arguments]
        block = {
            "type": "tool_use",
            "id": call.id,
            "name": call.name,
            "input": _input(call),
            "caller": {"type": "direct"},
        }
        yield block, deltas


def _input(call: Call) -> Any:
    """Return a call's arguments; text that is no object cannot be written here but in the deltas of a stream."""
    if not isinstance(call.arguments, str):
        return dict(call.arguments)
    try:
        value = json.loads(call.arguments)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _begun(block: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block as it is before anything is in it."""
    empty: dict[str, dict[str, Any]] = {
        "thinking": {"thinking": "", "signature": ""},
        "text": {"text": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty[block["type"]]}


def _count(request: Request) -> Direct:
    turns = common.conversation(request)
    tokens = count_input(turns, common.tools(request.json))
    return Direct({"input_tokens": tokens}, str(request.json["model"]), counts=False)


def _list(request: Request) -> Direct:
    data = [_model(name, request.created) for name in request.models or MODELS]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return Direct({"data": data, "has_more": False, **ends}, counts=False)


def _show(request: Request) -> Direct:
    name = request.params["model"]
    if name not in (request.models or (name,)):
        raise Refused(Failure("model_not_found", param=name))
    return Direct(_model(name, request.created), counts=False)


def _model(name: str, created: int) -> dict[str, Any]:
    since = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": name, "display_name": name, "created_at": since, "lifecycle": "active"}
