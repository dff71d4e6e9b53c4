"""Every row of the table, over real sockets, through the client that the container gives."""

from __future__ import annotations

import pytest
from fault_rows import CONNECTING
from fault_rows_bodies import BODIES
from fault_rows_lives import PROCESSES
from fault_rows_streams import LIVES, STREAMS
from fault_world import Ground, Mode, Row, run_row

ROWS = [*CONNECTING, *PROCESSES, *BODIES, *STREAMS, *LIVES]
CASES = [pytest.param(row, mode, id=f"{row.number}-{mode}") for row in ROWS for mode in row.modes]
TLS = [pytest.param(row, mode, id=f"{row.number}-{mode}") for row in ROWS if row.tls for mode in row.modes]


@pytest.mark.parametrize(("row", "mode"), CASES)
async def test_a_fault_has_its_outcome_and_leaves_nothing_behind(ground: Ground, row: Row, mode: Mode) -> None:
    shown = await run_row(ground, row, mode, "ours")
    assert not shown.broken, (shown.outcome, shown.broken)


@pytest.mark.parametrize(("row", "mode"), TLS)
async def test_and_over_tls(ground: Ground, row: Row, mode: Mode) -> None:
    shown = await run_row(ground, row, mode, "ours", port="tls")
    assert not shown.broken, (shown.outcome, shown.broken)
