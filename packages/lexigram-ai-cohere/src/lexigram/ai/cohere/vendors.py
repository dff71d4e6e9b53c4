"""The row of the vendor that speaks the Cohere wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lexigram.ai.cohere import chat, embed
from lexigram.contracts.wire import Vendor

__all__ = ["vendors"]


def vendors() -> Iterable[Vendor]:
    """Return the rows."""
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="cohere",
        dialects={"chat": chat},
        base_url="https://api.cohere.com",
        key_env=("CO_API_KEY", "COHERE_API_KEY"),
        embeddings=embed,
        settings=("input_type",),
        extra="cohere",
        docs_url="https://docs.cohere.com/reference/chat",
    ),
)
