"""The dialect of Vertex AI's embeddings: predict, and embedContent for the models that have it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lexigram.ai.google._decode import decode_error
from lexigram.ai.google._embed import decode_embeddings
from lexigram.ai.google._encode import model_url
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.wire import Endpoint, HttpRequest

__all__ = ["MAX_BATCH", "NAME", "decode_embeddings", "decode_error", "encode_embeddings"]

NAME: Final = "google.vertex_embeddings"
MAX_BATCH: Final = 1
"""The Gemini embedding models take one text a request; the older ones would take more."""

_BY_PREDICT: Final = "gemini-embedding-001"


def encode_embeddings(texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint) -> HttpRequest:
    """Return the request for one text.

    Gemini embedding models after the first are asked by ``embedContent``, all others by ``predict`` (as Google's own
    SDK decides it).

    Raises:
        InvalidRequestError: for several texts where the model takes one.
    """
    name = model.rpartition("/")[2]
    if not name.startswith("gemini-embedding") or name == _BY_PREDICT:
        body: dict[str, Any] = {"instances": [{"content": text} for text in texts]}
        if dimensions is not None:
            body["parameters"] = {"outputDimensionality": dimensions}
        return HttpRequest("POST", model_url(model, "predict", endpoint), json=body)
    if len(texts) != 1:
        raise InvalidRequestError(f"{model} takes one text a request", provider=endpoint.provider)
    content: dict[str, Any] = {"content": {"parts": [{"text": texts[0]}]}}
    if dimensions is not None:
        content["outputDimensionality"] = dimensions
    return HttpRequest("POST", model_url(model, "embedContent", endpoint), json=content)
