"""The TLS context: built at the first https call, once per process and environment, off the event loop."""

from __future__ import annotations

import os
import ssl

from ._offload import offload, optional_module

_Key = tuple[str | None, str | None]
_built: dict[_Key, ssl.SSLContext] = {}


def _build(key: _Key) -> ssl.SSLContext:
    cafile, capath = key
    context: ssl.SSLContext | None = None
    if not (cafile or capath):
        if (truststore := optional_module("truststore")) is not None:
            context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        elif (certifi := optional_module("certifi")) is not None:
            cafile = certifi.where()
    if context is None:
        context = ssl.create_default_context(cafile=cafile or None, capath=capath or None)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def shared_context() -> ssl.SSLContext:
    """Returns the process's client context.

    Trust comes from SSL_CERT_FILE and SSL_CERT_DIR when set, else truststore, else certifi, else the system.

    Raises:
        OSError: When the named files cannot be read (ssl.SSLError is one).
    """
    key = (os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None)
    context = _built.get(key)
    if context is None:
        context = await offload(("tls", key), lambda: _build(key))
        context = _built.setdefault(key, context)
    return context
