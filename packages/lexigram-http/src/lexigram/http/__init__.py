"""An asyncio HTTP/1.1 transport with two doors to one pool.

`Pool` is the native door: bytes in; status, headers and bytes out. `HttpTransport` is the same pool behind httpx's
transport interface, imported when first asked for, so that the native door costs no httpx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._decode import accept_encoding
from ._errors import (
    HttpConnectError,
    HttpError,
    HttpProtocolError,
    HttpStateError,
    HttpTimeout,
    InvalidRequest,
    PoolFull,
)
from ._headers import Headers
from ._limits import Deadlines, Limits
from ._pool import Pool, PoolStats
from ._reply import Reply
from ._request import HeaderBlock, Origin, Prepared, split_url

if TYPE_CHECKING:
    from ._transport import HttpTransport

__all__ = [
    "Deadlines",
    "HeaderBlock",
    "Headers",
    "HttpConnectError",
    "HttpError",
    "HttpProtocolError",
    "HttpStateError",
    "HttpTimeout",
    "HttpTransport",
    "InvalidRequest",
    "Limits",
    "Origin",
    "Pool",
    "PoolFull",
    "PoolStats",
    "Prepared",
    "Reply",
    "accept_encoding",
    "split_url",
]


def __getattr__(name: str) -> Any:
    if name == "HttpTransport":
        from ._transport import HttpTransport

        return HttpTransport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
