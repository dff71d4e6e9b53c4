"""OpenAI's embeddings and list of models: ``POST /v1/embeddings``, ``GET /v1/models``, ``GET /v1/models/{model}``.

Source: OpenAI's API description, "Create embeddings", "List models", "Retrieve model".
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from lexigram.testing.simulator._tokens import count
from lexigram.testing.simulator._values import Failure, Generation, Question, Refused
from lexigram.testing.simulator._vectors import vector
from lexigram.testing.simulator._wire import Direct, Frame, Report, Request, Route, invalid
from lexigram.testing.simulator.wires import openai_common as common

__all__ = ["MODELS", "OPENAI_EMBEDDINGS", "EmbeddingsWire"]

MODELS: Final = ("simulated-large", "simulated-small")
"""What is listed where every model exists."""

_DIMENSIONS: Final[Mapping[str, int]] = {"text-embedding-3-large": 3072}
_USUAL: Final = 1536
_MOST_INPUTS: Final = 2048


@dataclass(frozen=True, slots=True)
class EmbeddingsWire:
    """Embeddings and models; it generates nothing."""

    name: str = "openai.embeddings"
    vendor: str = "openai"
    base: str = "/v1"
    stream_type: str = "application/json"

    @property
    def routes(self) -> tuple[Route, ...]:
        """Where it listens."""
        return (
            Route("POST", "/v1/embeddings", _embed),
            Route("GET", "/v1/models", _list),
            Route("GET", "/v1/models/{model}", _show),
        )

    def call_id(self, letters: str) -> str:
        """There are no calls."""
        return letters

    def whole(self, question: Question, generation: Generation) -> NoReturn:
        """There is nothing to generate."""
        raise NotImplementedError(self.name)

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """There is nothing to generate."""
        raise NotImplementedError(self.name)

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Write a failure."""
        return common.fail(failure, report)

    def broken(self, failure: Failure, report: Report) -> bytes:
        """There are no streams."""
        return b""

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return request id, limits and processing time."""
        return common.headers(report)


OPENAI_EMBEDDINGS: Final = EmbeddingsWire()
"""OpenAI's own."""


def _embed(request: Request) -> Direct:
    body = request.json
    model = str(common.required(body, "model"))
    inputs = _inputs(common.required(body, "input"))
    dimensions = common.positive(body, "dimensions") or _DIMENSIONS.get(model, _USUAL)
    packed = body.get("encoding_format") == "base64"
    data: list[dict[str, Any]] = []
    for index, content in enumerate(inputs):
        values = vector(request.seed, model, content, dimensions)
        data.append({"object": "embedding", "index": index, "embedding": _packed(values) if packed else values})
    tokens = sum(count(content) if isinstance(content, str) else len(content) for content in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Direct({"object": "list", "data": data, "model": model, "usage": usage}, model, tokens)


def _inputs(value: object) -> Sequence[str | list[int]]:
    """Return the inputs: a text, texts, token numbers, or lists of them."""
    if isinstance(value, str):
        inputs: list[str | list[int]] = [value]
    elif isinstance(value, list) and value and all(isinstance(item, int) for item in cast("list[object]", value)):
        inputs = [cast("list[int]", value)]
    elif isinstance(value, list) and all(isinstance(item, str | list) for item in cast("list[object]", value)):
        inputs = list(cast("list[str | list[int]]", value))
    else:
        inputs = []
    if not inputs or not all(inputs):
        raise invalid("Invalid 'input': it must be a string or a non-empty array, without empty strings.", "input")
    if len(inputs) > _MOST_INPUTS:
        raise invalid(f"Invalid 'input': array too long. Expected at most {_MOST_INPUTS} elements.", "input")
    return inputs


def _packed(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _list(request: Request) -> Direct:
    data = [_model(name, request.created) for name in request.models or MODELS]
    return Direct({"object": "list", "data": data}, counts=False)


def _show(request: Request) -> Direct:
    name = request.params["model"]
    if name not in (request.models or (name,)):
        raise Refused(Failure("model_not_found", param=name))
    return Direct(_model(name, request.created), counts=False)


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "simulator"}
