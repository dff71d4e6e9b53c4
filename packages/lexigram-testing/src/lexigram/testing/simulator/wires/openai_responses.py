"""OpenAI's Responses: ``POST /v1/responses``.

Source: OpenAI's API description, "Create a model response" and "Streaming events". Nothing is stored, so a
``previous_response_id`` is always unknown; ``encrypted_content`` is what carries reasoning over.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lexigram.testing.simulator._values import Call, Choice, Failure, Generation, Question, Refused, ToolResult, Turn
from lexigram.testing.simulator._wire import Frame, Report, Request, Route, dumps, invalid, sse, text_of
from lexigram.testing.simulator.wires import openai_common as common

__all__ = ["OPENAI_RESPONSES", "ResponsesWire"]

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ECHOED: Final[Mapping[str, Any]] = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""Fields of the request that the reply repeats, with what they are when the request leaves them out."""


@dataclass(frozen=True, slots=True)
class ResponsesWire:
    """Responses."""

    name: str = "openai.responses"
    vendor: str = "openai"
    base: str = "/v1"
    stream_type: str = "text/event-stream; charset=utf-8"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (Route("POST", "/v1/responses", self._read),)

    def call_id(self, letters: str) -> str:
        """Write the id of a call."""
        return f"call_{letters}"

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a response."""
        return dumps(_response(question, generation, _items(question, generation), whole=True))

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write the events of a response, numbered."""
        for number, (event, tokens) in enumerate(_events(question, generation)):
            event["sequence_number"] = number
            yield Frame(sse(dumps(event), event["type"]), tokens)

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure; here an unknown model is a 400."""
        if failure.kind == "model_not_found" and not failure.message:
            message = f"The requested model '{failure.param}' does not exist."
            error = {"message": message, "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
            return failure.status or 400, dumps({"error": error})
        return common.fail(failure, report)

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: an ``error`` event."""
        error = common.failure_object(failure, report)
        code = error["code"] or error["type"]
        event = {"type": "error", "code": code, "message": error["message"], "param": None, "sequence_number": 0}
        return sse(dumps(event), "error")

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return request id, limits and processing time."""
        return common.headers(report)

    def _read(self, request: Request) -> Question:
        body = request.json
        model = common.required(body, "model")
        asked = common.required(body, "input")
        if body.get("previous_response_id") is not None:
            message = f"Previous response with id '{body['previous_response_id']}' not found."
            raise Refused(Failure("invalid_request", message, param="previous_response_id"))
        turns: list[Turn] = []
        if isinstance(body.get("instructions"), str):
            turns.append(Turn("system", body["instructions"]))
        if isinstance(asked, str):
            turns.append(Turn("user", asked))
        else:
            turns += [_turn(item, f"input[{i}]") for i, item in enumerate(common.objects(asked, "input"))]
        return Question(
            wire=self.name,
            model=str(model),
            turns=tuple(turns),
            tools=common.tools(common.objects(body.get("tools") or [], "tools"), None),
            tool_choice=_tool_choice(body.get("tool_choice")),
            schema=common.json_schema(_object(body, "text").get("format"), None),
            stream=body.get("stream") is True,
            max_tokens=common.positive(body, "max_output_tokens"),
            thinking=_thinking_wanted(_object(body, "reasoning")),
            key_id=request.key_id,
            body=body,
        )


OPENAI_RESPONSES: Final = ResponsesWire()
"""OpenAI's own."""


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _thinking_wanted(reasoning: Mapping[str, Any]) -> bool:
    return reasoning.get("effort") not in (None, "none") or reasoning.get("summary") is not None


def _turn(item: Mapping[str, Any], at: str) -> Turn:
    type_ = item.get("type", "message")
    if type_ == "message":
        role = item.get("role")
        if role not in ("system", "developer", "user", "assistant"):
            supported = "'assistant', 'system', 'developer', and 'user'"
            raise invalid(f"Invalid value: '{role}'. Supported values are: {supported}.", f"{at}.role")
        text = text_of(item.get("content"), "input_text", "output_text", "refusal")
        return Turn("system" if role == "developer" else role, text)
    if type_ in ("function_call", "custom_tool_call"):
        arguments = str(item.get("arguments", item.get("input", "")))
        return Turn("assistant", calls=(Call(str(item.get("name", "")), arguments, str(item.get("call_id", ""))),))
    if type_ in ("function_call_output", "custom_tool_call_output"):
        output = text_of(item.get("output"), "input_text", "output_text")
        return Turn("tool", results=(ToolResult(str(common.required(item, "call_id")), output),))
    if type_ == "reasoning":
        sealed, id_ = item.get("encrypted_content"), str(item.get("id", ""))
        if sealed is not None and id_ and sealed != _sealed(id_):
            raise invalid(f"The encrypted content for item {id_} could not be verified.", f"{at}.encrypted_content")
        return Turn("assistant", thinking=text_of(item.get("summary"), "summary_text"))
    return Turn("assistant")


def _tool_choice(choice: object) -> str:
    if isinstance(choice, dict):
        return str(choice.get("name", "required"))
    return choice if isinstance(choice, str) else "auto"


def _sealed(item_id: str) -> str:
    digest = hashlib.sha256(item_id.encode("utf-8", "surrogatepass")).digest()
    return base64.b64encode(b"simulated" + digest * 4).decode()


def _response(
    question: Question, generation: Generation, items: list[dict[str, Any]], *, whole: bool
) -> dict[str, Any]:
    body = question.body
    choice = generation.choices[0]
    incomplete = _INCOMPLETE.get(choice.finish_reason) if whole else None
    usage = generation.usage
    status = ("incomplete" if incomplete else "completed") if whole else "in_progress"
    return {
        "id": f"resp_{generation.id}",
        "object": "response",
        "created_at": generation.created,
        "status": status,
        "completed_at": generation.created if status == "completed" else None,
        "error": None,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "model": question.model,
        "output": items if whole else [],
        "reasoning": {"effort": None, "summary": None, **_object(body, "reasoning")},
        "text": {"format": {"type": "text"}, "verbosity": "medium", **_object(body, "text")},
        "tools": [{"strict": True, **t} if t.get("type") == "function" else t for t in body.get("tools") or ()],
        "usage": {
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input + usage.output,
        }
        if whole
        else None,
        **{name: default if body.get(name) is None else body[name] for name, default in _ECHOED.items()},
    }


def _items(question: Question, generation: Generation) -> list[dict[str, Any]]:
    """Return the finished output items: reasoning, message, function calls."""
    choice = generation.choices[0]
    include = question.body.get("include") or ()
    items: list[dict[str, Any]] = []
    if choice.thinking:
        id_ = f"rs_{generation.id}"
        summary = [{"type": "summary_text", "text": "".join(choice.thinking)}]
        item: dict[str, Any] = {"id": id_, "type": "reasoning", "summary": summary}
        if "reasoning.encrypted_content" in include:
            item["encrypted_content"] = _sealed(id_)
        items.append(item)
    parts = _parts(choice)
    if parts:
        cut = "incomplete" if choice.finish_reason in _INCOMPLETE else "completed"
        items.append(
            {
                "id": f"msg_{generation.id}",
                "type": "message",
                "status": cut,
                "content": [part for part, _ in parts],
                "role": "assistant",
            }
        )
    for i, (call, arguments) in enumerate(zip(choice.calls, choice.arguments, strict=True)):
        items.append(
            {
                "id": f"fc_{generation.id}{i:02}",
                "type": "function_call",
                "status": "completed",
                "arguments": "".join(arguments),
                "call_id": call.id,
                "name": call.name,
            }
        )
    return items


def _parts(choice: Choice) -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Return the parts of the message with their tokens; an answer of nothing else has an empty text."""
    parts: list[tuple[dict[str, Any], tuple[str, ...]]] = []
    if choice.text or not (choice.calls or choice.refusal or choice.finish_reason == "length"):
        text = "".join(choice.text)
        parts.append(({"type": "output_text", "annotations": [], "logprobs": [], "text": text}, choice.text))
    if choice.refusal:
        parts.append(({"type": "refusal", "refusal": "".join(choice.refusal)}, choice.refusal))
    return parts


def _events(question: Question, generation: Generation) -> Iterator[tuple[dict[str, Any], int]]:
    choice = generation.choices[0]
    items = _items(question, generation)
    begun = _response(question, generation, items, whole=False)
    yield {"type": "response.created", "response": begun}, 0
    yield {"type": "response.in_progress", "response": begun}, 0
    tokens = iter(choice.arguments)
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "item": _begun(item), "output_index": index}, 0
        if item["type"] == "reasoning":
            yield from _thinking_events(item, index, choice.thinking)
        elif item["type"] == "message":
            for number, (part, pieces) in enumerate(_parts(choice)):
                yield from _part_events(item["id"], index, number, part, pieces)
        else:
            at = {"item_id": item["id"], "output_index": index}
            for token in next(tokens):
                yield {"type": "response.function_call_arguments.delta", "delta": token, **at}, 1
            yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"], **at}, 0
        yield {"type": "response.output_item.done", "item": item, "output_index": index}, 0
    ended = _response(question, generation, items, whole=True)
    yield {"type": f"response.{ended['status']}", "response": ended}, 0


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as it is before anything is in it."""
    empty: dict[str, Any] = {"reasoning": {"summary": []}, "message": {"content": []}}.get(
        item["type"], {"arguments": ""}
    )
    return {**item, **empty, **({"status": "in_progress"} if "status" in item else {})}


def _thinking_events(item: dict[str, Any], index: int, tokens: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], int]]:
    at = {"item_id": item["id"], "output_index": index, "summary_index": 0}
    part = item["summary"][0]
    yield {"type": "response.reasoning_summary_part.added", "part": {**part, "text": ""}, **at}, 0
    for token in tokens:
        yield {"type": "response.reasoning_summary_text.delta", "delta": token, **at}, 1
    yield {"type": "response.reasoning_summary_text.done", "text": part["text"], **at}, 0
    yield {"type": "response.reasoning_summary_part.done", "part": part, **at}, 0


def _part_events(
    item_id: str, index: int, number: int, part: dict[str, Any], tokens: tuple[str, ...]
) -> Iterator[tuple[dict[str, Any], int]]:
    at = {"item_id": item_id, "output_index": index, "content_index": number}
    word = "refusal" if part["type"] == "refusal" else "text"
    more: dict[str, Any] = {} if word == "refusal" else {"logprobs": []}
    kind = f"response.{part['type']}"
    yield {"type": "response.content_part.added", "part": {**part, word: ""}, **at}, 0
    for token in tokens:
        yield {"type": f"{kind}.delta", "delta": token, **more, **at}, 1
    yield {"type": f"{kind}.done", word: part[word], **more, **at}, 0
    yield {"type": "response.content_part.done", "part": part, **at}, 0
