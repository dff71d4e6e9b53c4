"""One Redis for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis_server import Server


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()
