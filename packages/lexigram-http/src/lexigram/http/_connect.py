"""Making a connection: name, socket, TLS, under one cumulative deadline. The pool counts slots; nothing here does."""

from __future__ import annotations

import asyncio
import ssl
from math import inf

from . import _dns
from ._clock import DEAD
from ._connection import Connection, Home
from ._errors import HttpConnectError, HttpTimeout, Phase
from ._tls import shared_context


async def connect(home: Home, context: ssl.SSLContext | None, connect_by: float, total_by: float) -> Connection:
    """Opens a connection to the home's origin.

    Args:
        home: The bucket the connection will belong to.
        context: For https; None takes the shared one.
        connect_by: Loop time at which name lookup, TCP and TLS must be done.
        total_by: Loop time at which the whole call must be done.

    Raises:
        HttpConnectError: When there is no connection to be had.
        HttpTimeout: phase "connect", "tls" or "total".
    """
    loop = asyncio.get_running_loop()
    origin = home.origin
    due = min(connect_by, total_by)
    phase: Phase = "connect"
    clock = asyncio.timeout_at(None if due == inf else due)
    try:
        async with clock:
            secure: ssl.SSLContext | None = None
            if origin.scheme == "https":
                secure = context if context is not None else await _context(home)
            sock = await _dns.dial(origin)
            conn = Connection(loop, home, sock)
            if secure is not None:
                phase = "tls"
            # From here on asyncio closes the socket, whatever happens.
            await loop.create_connection(
                lambda: conn,
                sock=sock,
                ssl=secure,
                server_hostname=origin.host.partition("%")[0] if secure is not None else None,
                ssl_handshake_timeout=None if secure is None or due == inf else max(due - loop.time(), 0) + 60,
            )
    except TimeoutError as error:
        if not clock.expired():
            raise HttpConnectError(f"{origin} cannot be reached", kind="unreachable") from error
        phase = "total" if total_by < connect_by else phase
        raise HttpTimeout(f"{origin}: the {phase} deadline passed while connecting", phase=phase) from None
    except ssl.SSLError as error:
        raise HttpConnectError(f"no TLS connection to {origin}: {_why(error)}", kind="tls") from error
    except ConnectionResetError as error:
        raise HttpConnectError(f"{origin} reset the connection", kind="reset") from error
    except HttpConnectError:
        raise
    except OSError as error:
        raise HttpConnectError(f"{origin} closed the connection", kind="closed") from error
    except ValueError as error:
        # The TLS layer refuses some host names only now.
        raise HttpConnectError(f"no TLS connection to {origin}", kind="tls") from error
    if conn.state == DEAD:
        reset = isinstance(conn.lost, ConnectionError)
        message = f"{origin} {'reset' if reset else 'closed'} the connection"
        raise HttpConnectError(message, kind="reset" if reset else "closed") from conn.lost
    return conn


async def _context(home: Home) -> ssl.SSLContext:
    try:
        return await shared_context()
    except OSError as error:
        message = f"cannot load the certificates to trust for {home.origin}; see SSL_CERT_FILE and SSL_CERT_DIR"
        raise HttpConnectError(message, kind="tls") from error


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(getattr(error, "verify_message", "") or "the certificate is not valid")
    reason = (error.reason or "handshake failed").replace("_", " ").lower()
    return reason + ("; does the server speak TLS?" if "version number" in reason or "http" in reason else "")
