"""Requests of the generateContent wire: from :class:`CompletionRequest` to the body to send.

Source of the wire's facts: "GenerateContentRequest" and "GenerationConfig" in the references of the Gemini API and of
Vertex AI, which agree but for what the two dialects built on this say themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from lexigram.ai.google._contents import encode_contents
from lexigram.ai.google._schema import compile_schema
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.request import CompletionRequest, ProviderTool, ThinkingConfig, ToolChoice, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, Loss
from lexigram.contracts.wire.shapes import merged

__all__ = ["encode_health", "encode_request", "model_name", "model_url"]

_CONFIG: Final = (
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("max_tokens", "maxOutputTokens"),
    ("seed", "seed"),
    ("presence_penalty", "presencePenalty"),
    ("frequency_penalty", "frequencyPenalty"),
)
_REFUSED: Final = ("logit_bias", "user", "verbosity", "prediction")
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "tool": "ANY"}


def model_name(model: str, endpoint: Endpoint) -> str:
    """Return the model's resource name below the API's version, checked and escaped.

    A bare name is a model of the base URL's own; ``tunedModels/…``, ``endpoints/…`` and whole names
    (``projects/…``, ``publishers/…``) are kept.

    Raises:
        InvalidRequestError: for a name that would lead to another place of the API.
    """
    name = model.removeprefix("/")
    if any(step in ("", ".", "..") for step in name.split("/")):
        raise InvalidRequestError(f"{model!r} is no model name", provider=endpoint.provider)
    return quote(name if "/" in name else f"models/{name}", safe="/@")


def model_url(model: str, method: str, endpoint: Endpoint) -> str:
    """Return where the model's method is called."""
    name, base = model_name(model, endpoint), endpoint.base_url.rstrip("/")
    if name.startswith("projects/"):
        base = base.partition("/projects/")[0].removesuffix("/publishers/google")
    elif name.startswith(("publishers/", "endpoints/")):
        base = base.removesuffix("/publishers/google")
    return f"{base}/{name}:{method}"


def encode_health(endpoint: Endpoint) -> HttpRequest:
    """Return a listing of one model: it needs the key and costs nothing."""
    return HttpRequest("GET", f"{endpoint.base_url.rstrip('/')}/models?pageSize=1")


def encode_request(request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
    """Return the request to send. A stream is always asked for as server-sent events.

    ``extra_body`` is merged last: objects are merged key by key at every depth, everything else (lists too)
    replaces what is there.

    Raises:
        InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
    """
    for name in (*_REFUSED, *sorted(endpoint.quirks.refuses)):
        value: object = getattr(request, name, None)
        if value is not None and value != ():
            raise _refused(name, endpoint)
    if request.parallel_tool_calls is False:
        raise _refused("parallel_tool_calls", endpoint)
    contents, system, losses = encode_contents(request, endpoint)
    if not contents:
        raise InvalidRequestError("messages: Google needs one besides the instructions", provider=endpoint.provider)
    body: dict[str, Any] = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if request.tools:
        body["tools"] = _tools(request, losses)
    choice = _tool_config(request)
    if choice:
        body["toolConfig"] = choice
    config = _generation_config(request, endpoint, losses)
    if config:
        body["generationConfig"] = config
    if request.prompt_cache is not None:
        body["cachedContent"] = _cached_content(request.prompt_cache, endpoint)
    for name, word in (("service_tier", "serviceTier"), ("store", "store"), ("metadata", "labels")):
        value = getattr(request, name)
        if value is not None:
            body[word] = dict(cast("Mapping[str, str]", value)) if isinstance(value, Mapping) else value
    if request.extra_body:
        body = merged(body, request.extra_body)
    url = model_url(request.model, "streamGenerateContent?alt=sse" if stream else "generateContent", endpoint)
    return HttpRequest("POST", url, dict(request.extra_headers or {}), body, losses=tuple(losses))


def _refused(name: str, endpoint: Endpoint) -> InvalidRequestError:
    return InvalidRequestError(
        f"{endpoint.provider} has no parameter for {name!r}",
        provider=endpoint.provider,
        provider_code=f"unsupported_option:{name}",
        hint=f"leave {name!r} out, or write what the vendor knows into extra_body",
    )


def _cached_content(name: str, endpoint: Endpoint) -> str:
    if "cachedContents/" not in name:
        raise InvalidRequestError(
            f"prompt_cache: {name!r} is not the name of a cached content",
            provider=endpoint.provider,
            hint="create one with the vendor's cachedContents API and give its name, cachedContents/…; prefixes that "
            "repeat are cached without being asked for",
        )
    return name


# -- the configuration


def _generation_config(request: CompletionRequest, endpoint: Endpoint, losses: list[Loss]) -> dict[str, Any]:
    config: dict[str, Any] = {
        word: getattr(request, name) for name, word in _CONFIG if getattr(request, name) is not None
    }
    if request.stop_sequences:
        config["stopSequences"] = list(request.stop_sequences)
    if request.logprobs is not None or request.top_logprobs is not None:
        config["responseLogprobs"] = True if request.logprobs is None else request.logprobs
    if request.top_logprobs is not None:
        config["logprobs"] = request.top_logprobs
    if request.modalities is not None:
        config["responseModalities"] = [word.upper() for word in request.modalities]
    if request.audio is not None:
        config["speechConfig"] = _speech(request.audio, endpoint)
    if request.thinking is not None:
        config["thinkingConfig"] = _thinking(request.thinking, endpoint)
    form = request.response_format
    if form is not None and form.kind != "text":
        config["responseMimeType"] = "application/json"
        if form.schema is not None:
            config["responseJsonSchema"], lost = compile_schema(form.schema, "response_format.schema")
            losses += lost
            if form.description is not None:
                config["responseJsonSchema"].setdefault("description", form.description)
    return config


def _speech(audio: Mapping[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """``{"voice": "Kore"}``; anything else is taken for Google's own ``speechConfig``."""
    if "format" in audio:
        raise _refused("audio.format", endpoint)
    if audio.keys() == {"voice"} and isinstance(audio["voice"], str):
        return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": audio["voice"]}}}
    return dict(audio)


def _thinking(config: ThinkingConfig, endpoint: Endpoint) -> dict[str, Any]:
    """Whoever says how to think sees the thoughts; a level is for Gemini 3 and later, a budget for 2.5."""
    if config.suppress or config.effort == "none":
        return {"includeThoughts": False, "thinkingBudget": 0}
    out: dict[str, Any] = {"includeThoughts": True}
    if config.budget_tokens is not None:
        out["thinkingBudget"] = config.budget_tokens
    level = config.effort or config.level
    if level in ("xhigh", "max"):
        raise InvalidRequestError(
            f"{endpoint.provider} has no thinking.effort {level!r}",
            provider=endpoint.provider,
            provider_code="unsupported_option:thinking.effort",
            hint="minimal, low, medium or high",
        )
    if level is not None:
        out["thinkingLevel"] = level.upper()
    return out


# -- tools


def _tools(request: CompletionRequest, losses: list[Loss]) -> list[dict[str, Any]]:
    """All functions stand in one tool, where the first of them stood; Google's own tools are passed as they are."""
    functions: list[dict[str, Any]] = []
    out: list[dict[str, Any]] = []
    for i, tool in enumerate(request.tools):
        if isinstance(tool, ProviderTool):
            out.append(dict(tool.data))
            continue
        if not functions:
            out.append({"functionDeclarations": functions})
        functions.append(_function(tool, f"tools[{i}].parameters", losses))
    return out


def _function(tool: ToolDefinition, path: str, losses: list[Loss]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": tool.name}
    if tool.description:
        made["description"] = tool.description
    if tool.parameters:
        made["parametersJsonSchema"], lost = compile_schema(tool.parameters, path)
        losses += lost
    return made


def _tool_config(request: CompletionRequest) -> dict[str, Any]:
    """``strict`` of any tool asks for calls that are held to their schemas (mode VALIDATED; ANY always does)."""
    choice = request.tool_choice
    if isinstance(choice, Mapping):
        return dict(choice)
    strict = any(isinstance(tool, ToolDefinition) and tool.strict for tool in request.tools)
    if choice is None and not strict:
        return {}
    mode = _MODES[(choice or ToolChoice("auto")).mode]
    config: dict[str, Any] = {"mode": "VALIDATED" if strict and mode == "AUTO" else mode}
    if choice is not None and choice.name is not None:
        config["allowedFunctionNames"] = [choice.name]
    return {"functionCallingConfig": config}
