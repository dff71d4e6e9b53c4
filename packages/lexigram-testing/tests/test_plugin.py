from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TESTS = """
import socket, pytest
from lexigram.testing import Canary, FakeLLM, NetworkForbiddenError

def test_model(fake_llm):
    assert isinstance(fake_llm, FakeLLM) and fake_llm.requests == []

def test_network(forbid_network):
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection(("192.0.2.1", 9), timeout=0.01)

def test_open_again():
    assert "guarded" not in socket.socket.connect.__qualname__

def test_faults(fault_server):
    fault_server.play("rst_request")
    with socket.create_connection(("127.0.0.1", fault_server.ports["plain"]), timeout=5) as client:
        client.sendall(b"GET /v1 HTTP/1.1\\r\\n\\r\\n")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert len(fault_server.journal.requests) == 1

def test_secret(canary):
    assert isinstance(canary, Canary)
"""


def test_the_fixtures_work_wherever_the_package_is_installed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ["-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert "5 passed" in run.stdout, run.stdout + run.stderr


def test_importing_the_package_does_not_import_pytest() -> None:
    script = "import sys, lexigram.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
