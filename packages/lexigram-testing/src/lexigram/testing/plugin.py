"""Pytest fixtures: a scripted model, a closed network, a misbehaving server, a secret that is easy to find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lexigram.testing.canary import Canary
from lexigram.testing.fake import FakeLLM
from lexigram.testing.faults import FaultServer
from lexigram.testing.network import forbid_network as _forbid_network

__all__ = ["canary", "fake_llm", "fault_server", "forbid_network"]


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
