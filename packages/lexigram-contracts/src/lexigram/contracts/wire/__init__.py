"""What a provider package implements: a dialect (code) and vendors (rows)."""

from lexigram.contracts.wire.dialect import (
    CountingDialect,
    Dialect,
    EmbeddingDialect,
    Endpoint,
    FlowDialect,
    Framing,
    Quirks,
    StreamState,
)
from lexigram.contracts.wire.http import (
    AuthScheme,
    Flow,
    HeaderAuth,
    HttpRequest,
    HttpResponse,
    Loss,
    NoAuth,
    Signer,
    Sleep,
)
from lexigram.contracts.wire.vendor import ENTRY_POINT_GROUP, Vendor, VendorTable

__all__ = [
    "ENTRY_POINT_GROUP",
    "AuthScheme",
    "CountingDialect",
    "Dialect",
    "EmbeddingDialect",
    "Endpoint",
    "Flow",
    "FlowDialect",
    "Framing",
    "HeaderAuth",
    "HttpRequest",
    "HttpResponse",
    "Loss",
    "NoAuth",
    "Quirks",
    "Signer",
    "Sleep",
    "StreamState",
    "Vendor",
    "VendorTable",
]
