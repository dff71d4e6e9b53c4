"""What to call the ways in which an exchange can fail: errors made from an origin and what was seen of it."""

from __future__ import annotations

from ._errors import HttpConnectError, HttpProtocolError
from ._request import Origin


def bad_head(origin: Origin) -> HttpProtocolError:
    """The bytes are no reply."""
    return HttpProtocolError(f"{origin} did not answer in HTTP/1", kind="bad_head")


def too_large(origin: Origin, limit: str, value: int) -> HttpProtocolError:
    """The reply passes one of the `Limits`."""
    message = f"the reply of {origin} passes the limit {limit}={value}"
    return HttpProtocolError(message, kind="too_large", limit=limit)


def tls_alert(origin: Origin) -> HttpConnectError:
    """The answer is TLS where HTTP was expected."""
    return HttpConnectError(f"{origin} answered in TLS; is the scheme right?", kind="closed", sent=True)


def no_reply(origin: Origin, cause: Exception | None) -> HttpConnectError:
    """A new connection died before a byte of the reply."""
    if isinstance(cause, ConnectionError):
        error = HttpConnectError(f"{origin} reset the connection before a reply", kind="reset", sent=True)
    else:
        hint = "; is the scheme right?" if origin.scheme == "http" else ""
        error = HttpConnectError(f"{origin} closed the connection before a reply{hint}", kind="closed", sent=True)
    error.__cause__ = cause
    return error
