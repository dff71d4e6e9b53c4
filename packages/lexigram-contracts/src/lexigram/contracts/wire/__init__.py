"""What a provider package implements: a dialect (code) and vendors (rows)."""

from lexigram.contracts.wire.dialect import Dialect, Endpoint, Framing, Quirks, StreamState
from lexigram.contracts.wire.http import AuthScheme, Flow, HeaderAuth, HttpRequest, HttpResponse, NoAuth, Sleep
from lexigram.contracts.wire.vendor import ENTRY_POINT_GROUP, Vendor, VendorTable

__all__ = [
    "ENTRY_POINT_GROUP",
    "AuthScheme",
    "Dialect",
    "Endpoint",
    "Flow",
    "Framing",
    "HeaderAuth",
    "HttpRequest",
    "HttpResponse",
    "NoAuth",
    "Quirks",
    "Sleep",
    "StreamState",
    "Vendor",
    "VendorTable",
]
