"""The row of the vendor that speaks the predictions wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lexigram.ai.replicate import predictions
from lexigram.contracts.wire import Vendor

__all__ = ["vendors"]


def vendors() -> Iterable[Vendor]:
    """Return the rows."""
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="replicate",
        dialects={"predictions": predictions},
        base_url="https://api.replicate.com/v1",
        key_env=("REPLICATE_API_TOKEN",),
        extra="replicate",
        docs_url="https://replicate.com/docs/reference/http#predictions.create",
    ),
)
