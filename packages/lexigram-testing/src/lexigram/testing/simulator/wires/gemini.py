"""Google's Gemini API: ``generateContent``, ``streamGenerateContent``, ``countTokens``, ``embedContent``, the models.

A stream is server-sent events with ``alt=sse`` and one JSON array without it. Sources: Google's discovery document of
the Generative Language API, its pages on thought signatures, function calling and rate limits, and replies of the API.
Field names may be written in camel case or with underscores, as in every JSON that Google's servers read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from lexigram.testing.simulator._tokens import count, count_input
from lexigram.testing.simulator._values import Call, Choice, Failure, Generation, Question, Tool, ToolResult, Turn
from lexigram.testing.simulator._vectors import vector
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, dumps, invalid, sse
from lexigram.testing.simulator.wires import gemini_errors as errors

__all__ = ["GEMINI", "GEMINI_ARRAY", "GeminiWire"]

_VERSIONS: Final = ("/v1beta", "/v1")
_VERTEX: Final = "/v1/projects/{project}/locations/{location}/publishers/google"
_PIECE: Final = 12
_MODELS: Final = ("gemini-2.5-flash", "gemini-embedding-001")
_DIMENSIONS: Final = 3072
_FINISH: Final = {"length": "MAX_TOKENS", "refusal": "SAFETY", "content_filter": "SAFETY"}
_SIGNED: Final = b"\x12simulated thought\x00"
_ACCEPTED_DUMMIES: Final = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
_NO_SIGNATURE: Final = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:{name}` , position {position}. Please refer to "
    "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
)


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
        return _question(self.name, request, stream=False)

    def _streamed(self, request: Request) -> Question:
        return _question(self.name, request, stream=True)


GEMINI: Final = GeminiWire()
"""The Gemini API, streams as server-sent events."""

GEMINI_ARRAY: Final = GeminiWire(
    name="gemini.generate.array", stream_type="application/json; charset=UTF-8", array=True
)
"""Its streams without ``alt=sse``: one JSON array, item by item."""


# -- reading


def _get(value: Mapping[str, Any], name: str) -> Any:
    """Return a field, in camel case or with underscores."""
    if name in value:
        return value[name]
    return value.get("".join(f"_{c.lower()}" if c.isupper() else c for c in name))


def _object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = _get(value, name)
    return cast("Mapping[str, Any]", found) if isinstance(found, dict) else {}


def _objects(value: object, field: str) -> Sequence[Mapping[str, Any]]:
    """Return a repeated field; a single object stands for a list of one."""
    listed: list[Any] = value if isinstance(value, list) else [] if value is None else [value]
    for item in listed:
        if not isinstance(item, dict):
            raise invalid(f"Invalid value at '{field}' (type.googleapis.com/google.ai.generativelanguage), {item!r}")
    return listed


def _question(wire: str, request: Request, *, stream: bool) -> Question:
    body = request.json
    turns, tools = _conversation(body, request.params["model"])
    config = _object(body, "generationConfig")
    thinking = _object(config, "thinkingConfig")
    calling = _object(_object(body, "toolConfig"), "functionCallingConfig")
    choice, tools = _tool_choice(calling, tools)
    return Question(
        wire=wire,
        model=request.params["model"],
        turns=turns,
        tools=tools,
        tool_choice=choice,
        schema=_schema(config),
        stream=stream,
        max_tokens=_positive(config, "maxOutputTokens"),
        stop=tuple(_get(config, "stopSequences") or ()),
        choices=_positive(config, "candidateCount") or 1,
        thinking=bool(_get(thinking, "includeThoughts")),
        key_id=request.key_id,
        body=body,
    )


def _conversation(body: Mapping[str, Any], model: str) -> tuple[tuple[Turn, ...], tuple[Tool, ...]]:
    contents = _objects(_get(body, "contents"), "contents")
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    turns = [_turn(content, i, model) for i, content in enumerate(contents)]
    system = _object(body, "systemInstruction")
    if system:
        text = "".join(part.get("text", "") for part in _objects(system.get("parts"), "system_instruction.parts"))
        turns.insert(0, Turn("system", text))
    tools = [
        Tool(str(declared.get("name", "")), _parameters(declared), str(declared.get("description", "")))
        for tool in _objects(_get(body, "tools"), "tools")
        for declared in _objects(_get(tool, "functionDeclarations"), "tools.function_declarations")
    ]
    return tuple(turns), tuple(tools)


def _turn(content: Mapping[str, Any], number: int, model: str) -> Turn:
    role = content.get("role", "user")
    if role not in ("user", "model", "function"):
        raise invalid("Please use a valid role: user, model.")
    parts = _objects(content.get("parts"), f"contents[{number}].parts")
    if not parts:
        raise invalid(f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty.\n")
    text, thinking, calls, results = "", "", list[Call](), list[ToolResult]()
    for position, part in enumerate(parts, 1):
        call, result = _object(part, "functionCall"), _object(part, "functionResponse")
        if call:
            _check_signature(_get(part, "thoughtSignature"), str(call.get("name")), model, first=not calls, at=position)
            calls.append(Call(str(call.get("name")), call.get("args") or {}, str(call.get("id", ""))))
        elif result:
            said = json.dumps(result.get("response"), ensure_ascii=False)
            results.append(ToolResult(str(result.get("id") or result.get("name")), said))
        elif part.get("thought"):
            thinking += str(part.get("text", ""))
        else:
            text += str(part.get("text", ""))
    named = "tool" if results and not text else {"model": "assistant", "function": "tool"}.get(role, role)
    return Turn(named, text, tuple(calls), tuple(results), thinking)


def _check_signature(signature: object, name: str, model: str, *, first: bool, at: int) -> None:
    """Gemini 3 demands the signature of each turn's first call; every model refuses one that is not its own."""
    if signature is None:
        if first and model.startswith("gemini-3"):
            raise invalid(_NO_SIGNATURE.format(name=name, position=at))
        return
    if signature in _ACCEPTED_DUMMIES:
        return
    try:
        if base64.b64decode(str(signature), validate=True).startswith(_SIGNED):
            return
    except binascii.Error:
        raise invalid(
            "Invalid value at 'contents.parts.thought_signature' (TYPE_BYTES), Base64 decoding failed for "
            f'"{signature}"'
        ) from None
    raise invalid("Thought signature is not valid")


def _parameters(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = _get(declared, "parametersJsonSchema")
    return schema if isinstance(schema, dict) else _json_schema(_object(declared, "parameters"))


def _tool_choice(calling: Mapping[str, Any], tools: tuple[Tool, ...]) -> tuple[str, tuple[Tool, ...]]:
    mode = str(calling.get("mode", "AUTO")).upper()
    allowed = _get(calling, "allowedFunctionNames") or ()
    if mode == "NONE":
        return "none", tools
    if mode != "ANY":
        return "auto", tools
    unknown = [name for name in allowed if name not in [tool.name for tool in tools]]
    if unknown or not tools:
        raise invalid("Function calling config is set without function_declarations that it allows.")
    return "required", tuple([tool for tool in tools if not allowed or tool.name in allowed])


def _schema(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    plain = _get(config, "responseJsonSchema")
    own = _get(config, "responseSchema")
    if isinstance(plain, dict) or isinstance(own, dict):
        if _get(config, "responseMimeType") not in ("application/json", "text/x.enum"):
            raise invalid(
                "For controlled generation of only-JSON output, the response_mime_type should be `application/json`."
            )
        return cast("Mapping[str, Any]", plain) if isinstance(plain, dict) else _json_schema(own)
    return {"type": "object"} if _get(config, "responseMimeType") == "application/json" else None


def _json_schema(own: Mapping[str, Any]) -> dict[str, Any]:
    """Return Google's schema (types in capitals, ``nullable``, counts as texts) as JSON Schema."""
    out: dict[str, Any] = {}
    for key, value in own.items():
        match key:
            case "type":
                out["type"] = str(value).lower()
            case "properties":
                out["properties"] = {name: _json_schema(inner) for name, inner in value.items()}
            case "items":
                out["items"] = _json_schema(value)
            case "anyOf" | "any_of":
                out["anyOf"] = [_json_schema(inner) for inner in value]
            case "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties":
                out[key] = int(value)
            case "nullable" | "propertyOrdering" | "property_ordering" | "example" | "format" | "title":
                continue
            case _:
                out[key] = value
    if own.get("nullable") and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def _positive(config: Mapping[str, Any], name: str) -> int | None:
    value = _get(config, name)
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise invalid(f"* GenerateContentRequest.generation_config.{name}: must be a positive integer.\n")
    return value


# -- what needs no model


def _count(request: Request) -> Direct:
    model = request.params["model"]
    inner = _object(request.json, "generateContentRequest") or request.json
    turns, tools = _conversation(inner, model)
    tokens = count_input(turns, tools)
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return Direct({"totalTokens": tokens, "promptTokensDetails": details}, model=model, counts=False)


def _embed(request: Request) -> Direct:
    values, tokens = _values(request.json, request)
    return Direct({"embedding": {"values": values}}, model=request.params["model"], input_tokens=tokens)


def _embed_batch(request: Request) -> Direct:
    asked = _objects(request.json.get("requests"), "requests")
    if not asked:
        raise invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n")
    found = [_values(one, request) for one in asked]
    embeddings = [{"values": values} for values, _ in found]
    return Direct(
        {"embeddings": embeddings}, model=request.params["model"], input_tokens=sum(tokens for _, tokens in found)
    )


def _values(asked: Mapping[str, Any], request: Request) -> tuple[list[float], int]:
    parts = _objects(_object(asked, "content").get("parts"), "content.parts")
    if not parts:
        raise invalid("* EmbedContentRequest.content: contents is not specified\n")
    text = "".join(str(part.get("text", "")) for part in parts)
    dimensions = _get(asked, "outputDimensionality") or _DIMENSIONS
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
    return base64.b64encode(_SIGNED + of.encode("utf-8", "surrogatepass")[:64]).decode()


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
