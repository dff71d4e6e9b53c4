"""A small wire of nobody's: text, sealed reasoning, tool calls and usage, whole and as lines of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lexigram.contracts.ai import Completion, CompletionRequest, LLMError, Opaque, StreamChunk, ToolCallDelta, Usage
from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.llm import DecodeError, InvalidRequestError
from lexigram.contracts.ai.messages import OpaquePart, TextPart, ThinkingPart, ToolCall, ToolResultPart
from lexigram.contracts.values import JSON
from lexigram.contracts.wire import Endpoint, Framing, HeaderAuth, HttpRequest, HttpResponse, Loss, StreamState, Vendor
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, as_text, bad_shape, refuse_options
from lexigram.testing.conformance.samples import samples_of

NAME: Final = "acme.answers"
FRAMING: Final[Framing] = "ndjson"
FINISH: Final[dict[str, Any]] = {"done": "stop", "full": "length", "tool": "tool_calls"}


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    refuse_options(request, ("max_tokens", "tools"), endpoint)
    losses: list[Loss] = []
    turns: list[Any] = []
    for i, message in enumerate(request.messages):
        parts: list[Any] = []
        for j, part in enumerate(message.parts):
            if isinstance(part, ToolResultPart):
                parts.append({"result": str(part.content), "of": part.tool_call_id})
            elif isinstance(part, ToolCall):
                parts.append({"call": part.name, "id": part.id, "with": part.raw_arguments})
            elif isinstance(part, TextPart | ThinkingPart | OpaquePart):
                opaque = part.opaque
                own = dict(opaque.data) if opaque is not None and opaque.provider == endpoint.provider else {}
                if opaque is not None and not own:
                    losses.append(Loss(f"messages[{i}].parts[{j}]", f"only {opaque.provider} understands it"))
                if isinstance(part, TextPart) or own:
                    parts.append({"text": getattr(part, "text", ""), **own})
            else:
                raise InvalidRequestError(f"messages[{i}]: no {type(part).__name__}", provider=endpoint.provider)
        turns.append({"by": message.role, "parts": parts})
    body: dict[str, Any] = {"engine": request.model, "turns": turns, "stream": stream}
    if request.max_tokens is not None:
        body["limit"] = request.max_tokens
    if request.tools:
        body["tools"] = [tool.name for tool in request.tools if hasattr(tool, "name")]
    return HttpRequest("POST", f"{endpoint.base_url}/answers", {}, body, losses=tuple(losses))


def encode_health(endpoint: Endpoint) -> HttpRequest:
    return HttpRequest("GET", f"{endpoint.base_url}/engines")


def decode_response(body: JSON, endpoint: Endpoint) -> Completion:
    data = as_dict(body)
    if "end" not in data:
        raise bad_shape("the reply has no end", endpoint)
    parts: list[Any] = []
    if data.get("thought") or data.get("seal"):
        parts.append(ThinkingPart(as_text(data.get("thought")), _sealed(data, endpoint)))
    if as_text(data.get("text")):
        parts.append(TextPart(as_text(data.get("text"))))
    for call in as_list(data.get("calls")):
        given = as_dict(call)
        parts.append(make_tool_call(as_text(given.get("id")), as_text(given.get("call")), as_text(given.get("with"))))
    end = as_text(data.get("end"))
    return Completion(
        parts=tuple(parts), finish_reason=FINISH.get(end), raw_finish_reason=end, usage=_usage(data),
        model=as_text(data.get("engine")), provider=endpoint.provider,
    )  # fmt: skip


def decode_error(response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
    return error_from_body(response.status, body, provider=endpoint.provider, headers=response.headers)


class State(StreamState):
    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self.endpoint = endpoint


def new_stream_state(endpoint: Endpoint) -> State:
    return State(endpoint)


def decode_event(name: str | None, data: Any, state: State) -> Sequence[StreamChunk]:
    if not isinstance(data, dict):
        raise DecodeError("an event is no object", reason="bad_shape", provider=state.endpoint.provider)
    if "end" in data:
        state.finished = state.closed = True
        end = as_text(data["end"])
        said = {"usage": _usage(data), "model": as_text(data.get("engine")) or None}
        return (StreamChunk(finish_reason=FINISH.get(end), raw_finish_reason=end, **said),)
    if "thought" in data or "seal" in data:
        thought = ThinkingPart(as_text(data.get("thought")), _sealed(data, state.endpoint))
        return (StreamChunk(part=thought),)
    if "call" in data:
        delta = ToolCallDelta(0, as_text(data.get("id")), as_text(data["call"]), as_text(data.get("with")))
        return (StreamChunk(tool_call_delta=delta),)
    return (StreamChunk(as_text(data["piece"])),) if "piece" in data else ()


def _sealed(data: Any, endpoint: Endpoint) -> Opaque | None:
    return Opaque(endpoint.provider, {"seal": data["seal"]}) if data.get("seal") else None


def _usage(data: Any) -> Usage:
    tokens = as_dict(data.get("tokens"))
    read, written = as_count(tokens.get("in")), as_count(tokens.get("out"))
    if read is None or written is None:
        return Usage()
    return Usage(read, written, read + written, source="reported")


END = {"end": "done", "engine": "anvil-1", "tokens": {"in": 2, "out": 3}}
CALL = {"call": "weather", "id": "call-1", "with": '{"city": "Oslo"}'}
SAMPLES = samples_of(
    {
        "dialects": {
            NAME: {
                "model": "anvil-1",
                "exchanges": [
                    {
                        "name": "text", "text": "Hello there.", "input_tokens": 2, "output_tokens": 3,
                        "answer": {"text": "Hello there.", **END},
                        "events": [[None, {"piece": "Hello"}], [None, {"piece": " there."}], [None, END]],
                    },
                    {
                        "name": "tool call", "tools": ["weather"], "finish_reason": "tool_calls",
                        "answer": {"calls": [CALL], **END, "end": "tool"},
                        "events": [[None, CALL], [None, {**END, "end": "tool"}]],
                    },
                    {
                        "name": "sealed reasoning", "text": "Four.", "thinking": "Hm.",
                        "answer": {"thought": "Hm.", "seal": "c2VhbGVkLXJlYXNvbmluZw==", "text": "Four.", **END},
                        "events": [
                            [None, {"thought": "Hm.", "seal": "c2VhbGVkLXJlYXNvbmluZw=="}],
                            [None, {"piece": "Four."}],
                            [None, END],
                        ],
                    },
                ],
                "refusals": [
                    {"status": 401, "body": {"message": "who are you?"}, "error": "LLMAuthenticationError"},
                    {
                        "status": 429, "body": {"message": "slow down"}, "error": "LLMRateLimitError",
                        "headers": {"retry-after": "7", "x-request-id": "req-1"},
                    },
                ],
            }
        }
    }
)[NAME]  # fmt: skip
ROW = Vendor(
    name="acme", dialects={}, base_url="https://api.acme.example/v1", key_env=("ACME_API_KEY",),
    auth=HeaderAuth("x-acme-key", ""), docs_url="https://docs.acme.example",
)  # fmt: skip
