"""The dialect of the Gemini API's embeddings: batchEmbedContents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lexigram.ai.google._decode import decode_error
from lexigram.ai.google._embed import decode_embeddings
from lexigram.ai.google._encode import model_name, model_url
from lexigram.contracts.wire import Endpoint, HttpRequest

__all__ = ["MAX_BATCH", "NAME", "decode_embeddings", "decode_error", "encode_embeddings"]

NAME: Final = "google.embeddings"
MAX_BATCH: Final = 100
"""Source: the error of batchEmbedContents, "at most 100 requests can be in one batch"."""


def encode_embeddings(texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint) -> HttpRequest:
    """Return the request for one batch."""
    each: dict[str, Any] = {"model": model_name(model, endpoint)}
    if dimensions is not None:
        each["outputDimensionality"] = dimensions
    requests = [{**each, "content": {"parts": [{"text": text}]}} for text in texts]
    return HttpRequest("POST", model_url(model, "batchEmbedContents", endpoint), json={"requests": requests})
