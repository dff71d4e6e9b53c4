"""The misbehaving server, one world per test, and the invariants checked after each of them."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from lexigram.testing.faults import FaultServer
from lexigram.testing.invariants import open_sockets, until

# Under importlib mode nothing else lets these modules share their helpers.
sys.path.insert(0, str(Path(__file__).parent))

from http_world import OK, World, threads


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def faultd(authority: trustme.CA) -> Iterator[FaultServer]:
    contexts: dict[str, ssl.SSLContext] = {}
    for name, cert in (
        ("tls", authority.issue_cert("127.0.0.1", "localhost")),
        ("tls_wrong_host", authority.issue_cert("elsewhere.example")),
        ("tls_self_signed", trustme.CA().issue_cert("127.0.0.1")),
    ):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert.configure_cert(contexts[name])
    server = FaultServer(contexts)
    yield server
    server.stop()


@pytest.fixture
async def world(faultd: FaultServer, authority: trustme.CA) -> AsyncIterator[World]:
    """A world whose invariants hold again when the test is over."""
    faultd.reset()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    await until(lambda: faultd.journal.gone >= faultd.journal.connections, 0.2)
    sockets, tasks = open_sockets(), len(asyncio.all_tasks())
    world = World(faultd, context)
    yield world
    # I7: nothing is poisoned.
    if not world.pool._closed:
        assert await world.get("/ok") == (200, OK)
        # I2: slots, tasks, threads and sockets are where they were.
        idle = await until(lambda: world.pool.stats().in_use == world.pool.stats().connecting == 0)
        assert idle, world.pool.stats()
        assert world.pool.stats().waiters == 0
    await world.pool.aclose()
    assert await until(lambda: len(asyncio.all_tasks()) <= tasks), asyncio.all_tasks()
    assert await until(lambda: threads() == 0)
    assert await until(lambda: open_sockets() <= sockets), (open_sockets(), sockets)
