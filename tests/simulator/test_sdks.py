"""The official SDKs, and our own client, find in the simulator what they know of the real thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from certified import CHECKS
from sdk_kit import Check, Ground, ground

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def simulated() -> Iterator[Ground]:
    with ground() as made:
        yield made


def unique() -> list[Check]:
    """Each function once, though it may certify several features."""
    return list({check.run: check for check in CHECKS}.values())


@pytest.mark.parametrize("check", unique(), ids=lambda c: f"{c.sdk}-{c.wire}-{c.run.__name__}")
def test_the_client_is_satisfied(check: Check, simulated: Ground) -> None:
    check.run(simulated)
