"""Forbids the real network for a while; the loopback interface stays open."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

__all__ = ["NetworkForbiddenError", "forbid_network"]

_CONNECTING: Final = ("connect", "connect_ex", "sendto")


class NetworkForbiddenError(AssertionError):
    """Code under test reached for the network. Not an ``OSError``, so that no client takes it for an outage."""


@contextmanager
def forbid_network() -> Generator[None, None, None]:
    """Let connections, datagrams and name look-ups reach this machine only; undone when the block is left.

    Holds for the whole process, and for Python's own sockets: an event loop in C (uvloop) goes past it.

    Raises:
        NetworkForbiddenError: where the code under test tries to leave.
    """
    look_up = socket.getaddrinfo

    def guarded_look_up(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_address(name) and not _is_local(name):
            raise NetworkForbiddenError(f"the test may not use the network; it looked up {name!r}")
        return look_up(host, *args, **kwargs)

    with ExitStack() as patches:
        for method in _CONNECTING:
            guarded = _guarded(getattr(socket.socket, method))
            patches.enter_context(patch.object(socket.socket, method, guarded))
        patches.enter_context(patch.object(socket, "getaddrinfo", guarded_look_up))
        yield


def _guarded(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
            self.close()  # its owner closes it for an OSError only, which this is not
            raise NetworkForbiddenError(f"the test may not use the network; it went for {address[0]}:{address[1]}")
        return original(self, *args)

    return guarded


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    if host in ("", "localhost") or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback
