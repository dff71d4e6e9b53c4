"""Google's Gemini API: ``generateContent``, ``streamGenerateContent``, ``countTokens``, ``embedContent``, the models.

A stream is server-sent events with ``alt=sse`` and one JSON array without it. Sources: Google's discovery document of
the Generative Language API, its pages on thought signatures, function calling and rate limits, and replies of the API.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lexigram.testing.simulator._tokens import count, count_input
from lexigram.testing.simulator._values import Call, Choice, Failure, Generation, Question
from lexigram.testing.simulator._vectors import vector
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid, sse
from lexigram.testing.simulator.wires import gemini_errors as errors
from lexigram.testing.simulator.wires.gemini_read import (
    SIGNED,
    field_of,
    object_of,
    objects_of,
    read_conversation,
    read_question,
)

__all__ = ["GEMINI", "GEMINI_ARRAY", "GeminiWire"]

_VERSIONS: Final = ("/v1beta", "/v1")
_VERTEX: Final = "/v1/projects/{project}/locations/{location}/publishers/google"
_PIECE: Final = 12
_MODELS: Final = ("gemini-2.5-flash", "gemini-embedding-001")
_DIMENSIONS: Final = 3072
_FINISH: Final = {"length": "MAX_TOKENS", "refusal": "SAFETY", "content_filter": "SAFETY"}


@dataclass(frozen=True, slots=True)
class GeminiWire:
    """The Gemini API, with one of its two forms of a stream."""

    name: str = "gemini.generate"
    vendor: str = "gemini"
    base: str = ""
    stream_type: str = "text/event-stream"
    array: bool = False

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        streams = [
            Route("POST", f"{root}/models/{{model}}:streamGenerateContent", self._streamed, self._query)
            for root in (*_VERSIONS, _VERTEX)
        ]
        if self.array:
            return tuple(streams)
        roots = (*_VERSIONS, _VERTEX)
        calls: list[tuple[str, Callable[[Request], Question | Direct]]] = [
            ("generateContent", self._whole),
            ("countTokens", _count),
            ("embedContent", _embed),
            ("batchEmbedContents", _embed_batch),
        ]
        asked = [Route("POST", f"{root}/models/{{model}}:{verb}", read) for root in roots for verb, read in calls]
        listed = [Route("GET", f"{root}/models", _list) for root in _VERSIONS]
        shown = [Route("GET", f"{root}/models/{{model}}", _show) for root in _VERSIONS]
        return (*streams, *asked, *listed, *shown)

    @property
    def _query(self) -> tuple[str, str] | None:
        return None if self.array else ("alt", "sse")

    def call_id(self, letters: str) -> str:
        """Write the id of a call: eight letters and digits, sent by Gemini 3 and later."""
        return letters[:8].lower()

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write a ``GenerateContentResponse``, indented as Google does."""
        candidates = [
            _candidate(c.index, _whole_parts(c, question.model), _FINISH.get(c.finish_reason, "STOP"))
            for c in generation.choices
        ]
        usage = generation.usage
        response = _response(candidates, question, generation, usage.output - usage.reasoning, usage.reasoning)
        return _indented(response) + b"\n"

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write responses with a few tokens each, the usage so far in every one."""
        first = True
        seen = thought = 0
        for choice in generation.choices:
            for parts, tokens, thinks, finish in _pieces(choice, question.model):
                thought += tokens if thinks else 0
                seen += 0 if thinks else tokens
                candidate = _candidate(choice.index, parts, finish)
                usage = generation.usage
                last = finish is not None and choice is generation.choices[-1]
                counted = (usage.output - usage.reasoning, usage.reasoning) if last else (seen, thought)
                response = _response([candidate], question, generation, *counted)
                if not self.array:
                    yield Frame(_event(response), tokens)
                else:
                    yield Frame((b"[" if first else b",\n") + _indented(response) + b"\n", tokens)
                first = False
        if self.array:
            yield Frame(b"]")

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure; a stream that was to be an array has it as its only item."""
        status, error = errors.error(failure, report)
        body = _indented({"error": error})
        return status, b"[%b\n]\n" % body if self.array else body + b"\n"

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream: one more item, with ``error`` only."""
        _, error = errors.error(failure, report)
        return b",\n%b\n]" % _indented({"error": error}) if self.array else _event({"error": error})

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return Google's headers; none tells of limits."""
        return [
            ("vary", "Origin, X-Origin, Referer"),
            ("server", "scaffolding on HTTPServer2"),
            ("server-timing", f"gfet4t7; dur={int(report.seconds * 1000)}"),
        ]

    def _whole(self, request: Request) -> Question:
        return read_question(self.name, request, stream=False)

    def _streamed(self, request: Request) -> Question:
        return read_question(self.name, request, stream=True)


GEMINI: Final = GeminiWire()
"""The Gemini API, streams as server-sent events."""

GEMINI_ARRAY: Final = GeminiWire(
    name="gemini.generate.array", stream_type="application/json; charset=UTF-8", array=True
)
"""Its streams without ``alt=sse``: one JSON array, item by item."""


# -- what needs no model


def _count(request: Request) -> Direct:
    model = request.params["model"]
    inner = object_of(request.json, "generateContentRequest") or request.json
    turns, tools = read_conversation(inner, model)
    tokens = count_input(turns, tools)
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return Direct({"totalTokens": tokens, "promptTokensDetails": details}, model=model, counts=False)


def _embed(request: Request) -> Direct:
    values, tokens = _values(request.json, request)
    return Direct({"embedding": {"values": values}}, model=request.params["model"], input_tokens=tokens)


def _embed_batch(request: Request) -> Direct:
    asked = objects_of(request.json.get("requests"), "requests")
    if not asked:
        raise invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n")
    found = [_values(one, request) for one in asked]
    embeddings = [{"values": values} for values, _ in found]
    return Direct(
        {"embeddings": embeddings}, model=request.params["model"], input_tokens=sum(tokens for _, tokens in found)
    )


def _values(asked: Mapping[str, Any], request: Request) -> tuple[list[float], int]:
    parts = objects_of(object_of(asked, "content").get("parts"), "content.parts")
    if not parts:
        raise invalid("* EmbedContentRequest.content: contents is not specified\n")
    text = "".join(str(part.get("text", "")) for part in parts)
    dimensions = field_of(asked, "outputDimensionality") or _DIMENSIONS
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _DIMENSIONS:
        raise invalid(f"* EmbedContentRequest.output_dimensionality: must be between 1 and {_DIMENSIONS}.\n")
    return vector(request.seed, request.params["model"], text, dimensions), count(text)


def _list(request: Request) -> Direct:
    models = request.models if request.models is not None else _MODELS
    return Direct({"models": [_model(name) for name in models]}, counts=False)


def _show(request: Request) -> Direct:
    return Direct(_model(request.params["model"]), model=request.params["model"], counts=False)


def _model(name: str) -> dict[str, Any]:
    embeds = "embed" in name
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name,
        "description": "A simulated model.",
        "inputTokenLimit": 2048 if embeds else 1048576,
        "outputTokenLimit": 1 if embeds else 65536,
        "supportedGenerationMethods": ["embedContent"] if embeds else ["generateContent", "countTokens"],
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": not embeds,
    }


# -- writing


def _indented(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "surrogatepass")


def _event(value: object) -> bytes:
    return sse(dumps(value)).replace(b"\n\n", b"\r\n\r\n")


def _response(
    candidates: list[dict[str, Any]], question: Question, generation: Generation, written: int, thought: int
) -> dict[str, Any]:
    usage = generation.usage
    counted: dict[str, Any] = {"promptTokenCount": usage.input}
    if usage.cached:
        counted["cachedContentTokenCount"] = usage.cached
    if written:
        counted["candidatesTokenCount"] = written
    counted["totalTokenCount"] = usage.input + written + thought
    counted["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": usage.input}]
    if thought:
        counted["thoughtsTokenCount"] = thought
    return {
        "candidates": candidates,
        "usageMetadata": counted,
        "modelVersion": question.model,
        "responseId": generation.id,
    }


def _candidate(index: int, parts: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return {"content": content, **({"finishReason": finish} if finish else {}), "index": index}


def _whole_parts(choice: Choice, model: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    if choice.thinking:
        parts.append({"text": "".join(choice.thinking), "thought": True})
    text = "".join([*choice.text, *choice.refusal])
    if text:
        signed = {"thoughtSignature": _signature(text)} if choice.thinking and not choice.calls else {}
        parts.append({"text": text, **signed})
    return parts + _call_parts(choice, model)


def _call_parts(choice: Choice, model: str) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for i, call in enumerate(choice.calls):
        written: dict[str, Any] = {"name": call.name, "args": _args(call, "".join(choice.arguments[i]))}
        if model.startswith("gemini-3"):
            written["id"] = call.id
        parts.append({"functionCall": written, **({} if i else {"thoughtSignature": _signature(call.name)})})
    return parts


def _args(call: Call, text: str) -> Any:
    """Gemini writes objects: broken arguments cannot come over this wire."""
    try:
        value = json.loads(text)
    except ValueError:
        raise invalid(f"the script gives {call.name!r} arguments that are no JSON; Gemini's wire has objects") from None
    return value


def _signature(of: str) -> str:
    return base64.b64encode(SIGNED + of.encode("utf-8", "surrogatepass")[:64]).decode()


def _pieces(choice: Choice, model: str) -> Iterator[tuple[list[dict[str, Any]], int, bool, str | None]]:
    """Give parts, their tokens, whether they are thoughts, and the reason in the last."""
    for tokens in _groups(choice.thinking):
        yield [{"text": "".join(tokens), "thought": True}], len(tokens), True, None
    for tokens in _groups((*choice.text, *choice.refusal)):
        yield [{"text": "".join(tokens)}], len(tokens), False, None
    calls = _call_parts(choice, model)
    for i, part in enumerate(calls):
        yield [part], len(choice.arguments[i]), False, None
    # With thinking, the last piece of a streamed text is empty and carries the signature.
    signed = choice.thinking and not calls and (choice.text or choice.refusal)
    text = {"text": "", "thoughtSignature": _signature("".join(choice.text))} if signed else {"text": ""}
    yield [text], 0, False, _FINISH.get(choice.finish_reason, "STOP")


def _groups(tokens: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(tokens), _PIECE):
        yield tokens[start : start + _PIECE]
