"""Name lookup and happy eyeballs: from an origin to a connected socket. TLS and HTTP are none of its business."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from typing import Any

from ._errors import HttpConnectError
from ._offload import offload
from ._request import Origin

STAGGER = 0.25

Address = tuple[socket.AddressFamily, Any]


def _literal(host: str, port: int) -> list[Address] | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except OSError:
            continue
        if "%" in host:
            return None
        return [(family, (host, port) if family is socket.AF_INET else (host, port, 0, 0))]
    return None


def _lookup(host: str, port: int) -> list[Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _interleaved(addresses: list[Address]) -> list[Address]:
    """Alternates families, starting with the one the resolver put first (RFC 8305, section 4)."""
    families: dict[socket.AddressFamily, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*families.values()))
    return [address for address in mixed if address is not None]


async def resolve(origin: Origin) -> list[Address]:
    """Returns the origin's addresses, in the order to try them.

    Raises:
        HttpConnectError: kind "dns".
    """
    host, port = origin.host, origin.port
    if (known := _literal(host, port)) is not None:
        return known
    try:
        found = await offload(("dns", host, port), lambda: _lookup(host, port))
    except (OSError, UnicodeError) as error:
        temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise HttpConnectError(f"cannot resolve the host of {origin}", kind="dns", temporary=temporary) from error
    if not found:
        raise HttpConnectError(f"the host of {origin} has no address", kind="dns")
    return _interleaved(found)


def _socket(family: socket.AddressFamily) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except BaseException:
        sock.close()
        raise
    return sock


async def _dial(address: Address) -> socket.socket:
    family, target = address
    sock = _socket(family)
    try:
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _race(addresses: list[Address]) -> socket.socket:
    loop = asyncio.get_running_loop()
    waiting = list(reversed(addresses))
    running: set[asyncio.Task[socket.socket]] = set()
    failures: list[OSError] = []
    try:
        while waiting or running:
            if waiting:
                running.add(loop.create_task(_dial(waiting.pop())))
            done, _ = await asyncio.wait(
                running, timeout=STAGGER if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    running.discard(task)
                    return task.result()
                running.discard(task)
                if not isinstance(error, OSError):
                    raise error
                failures.append(error)
        raise failures[0]
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_close_late)


async def dial(origin: Origin) -> socket.socket:
    """Returns a connected, non-blocking socket to the origin.

    Raises:
        HttpConnectError: kind "dns", "refused", "reset" or "unreachable".
    """
    addresses = await resolve(origin)
    try:
        return await (_dial(addresses[0]) if len(addresses) == 1 else _race(addresses))
    except ConnectionRefusedError as error:
        raise HttpConnectError(f"{origin} refused the connection", kind="refused") from error
    except ConnectionResetError as error:
        raise HttpConnectError(f"{origin} reset the connection", kind="reset") from error
    except OSError as error:
        raise HttpConnectError(f"{origin} cannot be reached", kind="unreachable") from error


def quietly_close(sock: socket.socket) -> None:
    """Closes a socket whatever state it is in."""
    with contextlib.suppress(OSError):
        sock.close()
