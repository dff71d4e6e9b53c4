"""Texts to vectors: one client for every embeddings dialect, over the same engine as the calls to models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from lexigram.ai.llm.client import LLMClient
from lexigram.ai.llm.codec import loads
from lexigram.contracts.ai.completion import UNKNOWN_USAGE, Usage
from lexigram.contracts.ai.errors import DecodeError, InvalidMessageError, LLMConfigurationError, LLMError
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.result import Ok, Result
from lexigram.contracts.wire import EmbeddingDialect, Endpoint, Flow, HttpResponse

__all__ = ["EmbeddingClient"]


class EmbeddingClient:
    """Asks one vendor's embeddings API. Satisfies :class:`~lexigram.contracts.ai.EmbeddingClientProtocol`.

    Args:
        client: whose vendor, endpoint, key and connections are used; it is not closed from here.
        model: for calls that name none; without, the client's own model.

    Raises:
        LLMConfigurationError: when the vendor has no embeddings.
    """

    def __init__(self, client: LLMClient, *, model: str | None = None) -> None:
        dialect = client.vendor.embeddings
        if dialect is None:
            name = client.vendor.name
            raise LLMConfigurationError(f"{name} has no embeddings that this version can ask for", provider=name)
        self._client = client
        self._dialect = dialect
        self._model = model or client.defaults.model

    def __repr__(self) -> str:
        return f"<EmbeddingClient {self._client.vendor.name} {self._model}>"

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        timeouts: Timeouts | float | None = None,
    ) -> Result[Embeddings, LLMError]:
        """Return one vector a text, in order. Many texts are sent in batches, one after the other.

        Args:
            texts: as many as you like; none at all asks nobody.
            model: instead of the client's.
            dimensions: the length of the vectors, for models that can shorten them.
            timeouts: for all batches together; without, the client's deadlines.

        Raises:
            InvalidMessageError: for anything but a sequence of texts, naming the place.
        """
        given = _checked(texts, dimensions)
        wanted = model or self._model
        if not given:
            return Ok(Embeddings((), wanted, UNKNOWN_USAGE))
        flow = _batches(given, wanted, dimensions, self._dialect, self._client.endpoint)
        return await self._client.run(flow, model=wanted, timeouts=timeouts)


def _checked(texts: object, dimensions: object) -> list[str]:
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise InvalidMessageError(f"expected a sequence of texts, got {type(texts).__name__}", path="texts")
    given: list[str] = []
    for i, text in enumerate(cast("Iterable[object]", texts)):
        if not isinstance(text, str):
            raise InvalidMessageError(f"expected text, got {type(text).__name__}", path=f"texts[{i}]")
        given.append(text)
    if dimensions is not None and (not isinstance(dimensions, int) or isinstance(dimensions, bool) or dimensions < 1):
        raise InvalidMessageError(f"{dimensions!r} is out of range; allowed: ≥ 1", path="dimensions")
    return given


def _batches(
    texts: list[str], model: str, dimensions: int | None, dialect: EmbeddingDialect, endpoint: Endpoint
) -> Flow[Embeddings]:
    vectors: list[tuple[float, ...]] = []
    usages: list[Usage] = []
    answered = ""
    for start in range(0, len(texts), dialect.MAX_BATCH):
        batch = texts[start : start + dialect.MAX_BATCH]
        reply = yield dialect.encode_embeddings(batch, model, dimensions, endpoint)
        made = _read(reply, dialect, endpoint)
        if len(made.vectors) != len(batch):
            raise DecodeError(f"{len(batch)} texts were sent and {len(made.vectors)} vectors came", reason="bad_shape")
        vectors += made.vectors
        usages.append(made.usage)
        answered = made.model or answered
    return Embeddings(tuple(vectors), answered or model, _sum(usages))


def _read(reply: HttpResponse | None, dialect: EmbeddingDialect, endpoint: Endpoint) -> Embeddings:
    assert reply is not None, "only a sleep is answered with nothing"
    if not 200 <= reply.status < 300:
        try:
            body: Any = loads(reply.content)
        except DecodeError:
            body = reply.content.decode("utf-8", "replace")
        raise dialect.decode_error(reply, body, endpoint)
    return dialect.decode_embeddings(loads(reply.content), endpoint)


def _sum(usages: list[Usage]) -> Usage:
    """The sum of the batches; a count that one of them leaves out is unknown."""
    if len(usages) == 1:
        return usages[0]

    def total(name: str) -> int | None:
        counts: list[int | None] = [getattr(u, name) for u in usages]
        return sum(c for c in counts if c is not None) if None not in counts else None

    reported = all(u.source == "reported" for u in usages)
    return Usage(
        total("input_tokens"),
        total("output_tokens"),
        total("total_tokens"),
        source="reported" if reported else "unknown",
    )
