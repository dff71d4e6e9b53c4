"""The row of the vendor that speaks Ollama's native wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lexigram.ai.ollama import chat, embed
from lexigram.contracts.wire import Vendor

__all__ = ["vendors"]


def vendors() -> Iterable[Vendor]:
    """Return the rows."""
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="ollama",
        dialects={"chat": chat},
        base_url="http://127.0.0.1:11434",
        key_env=("OLLAMA_API_KEY",),
        key_required=False,
        embeddings=embed,
        settings=("keep_alive", "num_ctx"),
        extra="ollama",
        docs_url="https://docs.ollama.com/api/chat",
        local=True,
    ),
)
