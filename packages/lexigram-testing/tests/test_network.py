from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from lexigram.testing import NetworkForbiddenError, forbid_network

OUTSIDE = ("192.0.2.1", 9)  # TEST-NET-1, which leads nowhere


def connect() -> None:
    with socket.socket() as s:
        s.settimeout(0.01)
        s.connect(OUTSIDE)


def connect_ex() -> None:
    with socket.socket() as s:
        s.settimeout(0.01)
        s.connect_ex(OUTSIDE)


def create_connection() -> None:
    socket.create_connection(OUTSIDE, timeout=0.01).close()


def send_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"x", OUTSIDE)


def look_up() -> None:
    socket.getaddrinfo("lexigram.invalid", 80)


def connect_asynchronously() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection(*OUTSIDE), 0.01))


def look_up_asynchronously() -> None:
    asyncio.run(asyncio.wait_for(asyncio.open_connection("lexigram.invalid", 80), 5))


@pytest.mark.parametrize(
    "leave",
    [connect, connect_ex, create_connection, send_datagram, look_up, connect_asynchronously, look_up_asynchronously],
)
def test_leaving_this_machine_is_forbidden(leave: Callable[[], None]) -> None:
    with forbid_network(), pytest.raises(NetworkForbiddenError, match=r"192\.0\.2\.1|lexigram\.invalid"):
        leave()


def test_a_client_does_not_take_it_for_an_outage() -> None:
    assert not issubclass(NetworkForbiddenError, OSError)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_loopback_interface_stays_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, forbid_network():
        address = (host, listener.getsockname()[1])
        socket.create_connection(address, timeout=5).close()

        async def again() -> None:
            _, writer = await asyncio.open_connection(*address)
            writer.close()
            await writer.wait_closed()

        asyncio.run(again())


def test_a_unix_socket_stays_open() -> None:
    with forbid_network():
        first, second = socket.socketpair()
        first.close()
        second.close()
        with socket.socket(socket.AF_UNIX) as s, pytest.raises(FileNotFoundError):
            s.connect("/no/such/socket")


def test_leaving_the_block_restores_everything_even_when_nested_or_broken_off() -> None:
    def state() -> tuple[object, ...]:
        return socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto, socket.getaddrinfo

    before = state()
    with pytest.raises(ZeroDivisionError), forbid_network():
        with forbid_network():
            assert state() != before
        with pytest.raises(NetworkForbiddenError):
            connect()
        raise ZeroDivisionError
    assert state() == before
