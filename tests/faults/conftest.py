"""The ground that all rows share. Under importlib mode the modules here share their helpers over the path."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_world import Ground


@pytest.fixture(scope="session")
def shared_ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground()
    # Every row collects garbage; what pytest and its plugins hold need not be looked through each time.
    gc.collect()
    gc.freeze()
    yield ground
    gc.unfreeze()
    ground.server.stop()


@pytest.fixture
def ground(shared_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    for name in list(os.environ):
        if name.startswith("LEX_") or name.endswith(("_API_KEY", "_proxy", "_PROXY")):
            monkeypatch.delenv(name)
    bundle = tmp_path / "ca.pem"
    shared_ground.authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("HOME", str(tmp_path))
    return shared_ground
