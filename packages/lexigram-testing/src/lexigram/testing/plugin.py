"""Pytest fixtures: a scripted model, a closed network, a misbehaving server, recordings, an easily found secret."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

import pytest

from lexigram.testing.canary import Canary
from lexigram.testing.fake import FakeLLM
from lexigram.testing.faults import FaultServer
from lexigram.testing.network import forbid_network as _forbid_network
from lexigram.testing.recording import MODES, Cassette, RecordingError

__all__ = ["canary", "fake_llm", "fault_server", "forbid_network", "llm_recording"]

_LONGEST_NAME: Final = 120


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lex-record``."""
    parser.getgroup("lexigram").addoption(
        "--lex-record",
        choices=MODES,
        default="none",
        help="what llm_recording does: play only (none), record what has no file (once), add what is missing (new), "
        "record everything anew (all)",
    )


@pytest.fixture
def fake_llm() -> FakeLLM:
    """A model without answers yet: ``fake_llm.script("Hello", …)`` gives it some."""
    return FakeLLM()


@pytest.fixture
def forbid_network() -> Iterator[None]:
    """Let the test reach this machine only."""
    with _forbid_network():
        yield


@pytest.fixture
def canary() -> Canary:
    """A secret to look for; ``canary.assert_absent(…)`` checks that nothing shows it."""
    return Canary()


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    """A server on this machine that misbehaves as it is told: ``fault_server.play("s_rst")``."""
    with FaultServer() as server:
        yield server


@pytest.fixture
def llm_recording(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """The recording of this test: ``LLMModule.configure(config, transport=llm_recording.transport())``.

    It is ``recordings/MODULE/TEST.json`` beside the test's file.
    """
    beside = request.path.parent.resolve()
    names = request.node.nodeid.partition("::")[2]
    path = beside / "recordings" / _file_name(request.path.stem) / f"{_file_name(names)}.json"
    if not path.resolve().is_relative_to(beside):
        raise RecordingError(f"{path} leads out of {beside}: a link stands in its way")
    with Cassette(path, request.config.getoption("--lex-record")) as cassette:
        yield cassette


def _file_name(name: str) -> str:
    """Return a name that no file system minds; different names stay different."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", name.replace("::", ".")).strip(".-") or "test"
    if plain == name and len(plain) <= _LONGEST_NAME:
        return plain
    return f"{plain[:_LONGEST_NAME]}-{hashlib.blake2b(name.encode(), digest_size=3).hexdigest()}"
