"""Ollama's models: which are there, what one is, and getting one. Flows and pure functions, no I/O.

The listing and the description are flows of one exchange; getting a model streams its progress as NDJSON, so that it
is a request and a reader of its lines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lexigram.ai.ollama._decode import decode_error
from lexigram.contracts.ai.errors import StreamError
from lexigram.contracts.wire import Endpoint, Flow, HttpRequest
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.flows import exchange
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, as_text, bad_shape

__all__ = ["ModelInfo", "PullProgress", "decode_pull_event", "encode_pull", "list_models", "show_model"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on the server.

    Attributes:
        name: as ``model`` takes it.
        size: bytes on disk, where the server says it.
        family, parameter_size, quantization: what it is.
        context_length: the longest context that the model was made for, in tokens.
        capabilities: e.g. ``completion``, ``tools``, ``thinking``, ``vision``, ``embedding``.
        raw: the server's own words.
    """

    name: str
    size: int | None = None
    family: str | None = None
    parameter_size: str | None = None
    quantization: str | None = None
    context_length: int | None = None
    capabilities: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class PullProgress:
    """One step of getting a model.

    Attributes:
        status: the server's words.
        digest: the layer that is being loaded.
        completed, total: its bytes.
        done: whether the model is there.
    """

    status: str
    digest: str | None = None
    completed: int | None = None
    total: int | None = None
    done: bool = False


def list_models(endpoint: Endpoint) -> Flow[tuple[ModelInfo, ...]]:
    """Return the models that are on the server: ``GET /api/tags``."""
    body = yield from exchange(HttpRequest("GET", _url(endpoint, "tags")), endpoint, decode_error)
    listed = as_dict(body).get("models")
    if not isinstance(listed, list):
        raise bad_shape("the reply is no list of models", endpoint)
    return tuple([_info(as_text(m.get("model")) or as_text(m.get("name")), m) for m in listed if isinstance(m, dict)])


def show_model(model: str, endpoint: Endpoint) -> Flow[ModelInfo]:
    """Return what a model is: ``POST /api/show``."""
    body = yield from exchange(
        HttpRequest("POST", _url(endpoint, "show"), json={"model": model}), endpoint, decode_error
    )
    if not isinstance(body, dict):
        raise bad_shape("the reply is no description of a model", endpoint)
    return _info(model, body)


def encode_pull(model: str, endpoint: Endpoint) -> HttpRequest:
    """Return the request that gets a model; its reply is NDJSON, a line for :func:`decode_pull_event`."""
    return HttpRequest("POST", _url(endpoint, "pull"), json={"model": model, "stream": True})


def decode_pull_event(data: object, endpoint: Endpoint) -> PullProgress:
    """Return the progress that a line reports.

    Raises:
        LLMError: the typed error that the line reports.
        DecodeError: with reason ``bad_shape``.
    """
    line = as_dict(data)
    if line.get("error"):
        raise error_from_body(None, {"error": line["error"]}, provider=endpoint.provider, default=StreamError)
    status = as_text(line.get("status"))
    if not status:
        raise bad_shape("the line reports no status", endpoint)
    digest = as_text(line.get("digest")) or None
    return PullProgress(
        status, digest, as_count(line.get("completed")), as_count(line.get("total")), status == "success"
    )


def _url(endpoint: Endpoint, name: str) -> str:
    return f"{endpoint.base_url.rstrip('/')}/api/{name}"


def _info(name: str, data: Mapping[str, Any]) -> ModelInfo:
    details, about = as_dict(data.get("details")), as_dict(data.get("model_info"))
    lengths = [as_count(v) for k, v in about.items() if k.endswith(".context_length")]
    return ModelInfo(
        name,
        as_count(data.get("size")),
        as_text(details.get("family")) or None,
        as_text(details.get("parameter_size")) or None,
        as_text(details.get("quantization_level")) or None,
        lengths[0] if lengths else None,
        tuple([c for c in as_list(data.get("capabilities")) if isinstance(c, str)]),
        data,
    )
