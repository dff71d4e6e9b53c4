"""The end of a connection whose event loop cannot help: it is closed, or belongs to the parent process."""

from __future__ import annotations

import asyncio
import contextlib
import socket


def bury(transport: asyncio.Transport | None, sock: socket.socket) -> None:
    """Closes a connection's socket without touching its event loop, and keeps its transport quiet about it."""
    # Such a transport cannot be closed through its interface, yet warns when it is collected unclosed.
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    for layer in (transport, below):
        for name, value in (("_sock", None), ("_closed", True)):
            if getattr(layer, name, None) is not None:
                with contextlib.suppress(AttributeError):
                    setattr(layer, name, value)
    with contextlib.suppress(OSError):
        sock.close()
