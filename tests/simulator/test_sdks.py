"""The official SDKs, and our own client, find in the simulator what they know of the real thing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import report
from certified import CHECKS
from sdk_kit import Check, Ground, ground

from lexigram.testing.simulator.wires import WIRES

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


def test_the_table_in_the_documentation_is_that_of_the_checks() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert f"{report.BEGIN}\n{report.table()}\n{report.END}" in page


def test_every_wire_of_the_simulator_is_certified_by_its_vendors_sdk_and_by_our_client() -> None:
    spoken = {wire.name for wire in WIRES} - {"gemini.generate.array"}  # it is listed as "array stream"
    assert {check.wire for check in CHECKS if check.sdk != report.OURS} == spoken
    assert {check.wire for check in CHECKS if check.sdk == report.OURS} == spoken
