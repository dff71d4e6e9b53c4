"""Every row of the tables, over real sockets, through the client that the container gives: ``-k row_17``."""

from __future__ import annotations

import pytest
from fault_redis import BINARY
from fault_row import Row, run_row
from fault_rows import CONNECTING
from fault_rows_answers import ANSWERS
from fault_rows_bodies import BODIES
from fault_rows_heads import HEADS
from fault_rows_lives import PROCESSES
from fault_rows_load import LOAD
from fault_rows_redis import REDIS
from fault_rows_streams import LIVES, STREAMS
from fault_world import Ground, Mode, Road

ROWS = [*CONNECTING, *PROCESSES, *HEADS, *BODIES, *STREAMS, *ANSWERS, *LOAD, *REDIS, *LIVES]
NO_REDIS = pytest.mark.skipif(BINARY is None, reason="redis-server is not installed (apt-get install redis-server)")
CASES = [
    pytest.param(row, mode, road, id=f"row_{row.number}-{mode}-{road}", marks=[NO_REDIS] if row in REDIS else [])
    for row in ROWS
    for mode in row.modes
    for road in row.roads
    if road != "httpx"
]
TLS = [pytest.param(row, mode, id=f"row_{row.number}-{mode}") for row in ROWS if row.tls for mode in row.modes]


@pytest.mark.parametrize(("row", "mode", "road"), CASES)
async def test_a_fault_has_its_outcome_and_leaves_nothing_behind(
    ground: Ground, row: Row, mode: Mode, road: Road
) -> None:
    shown = await run_row(ground, row, mode, road)
    assert not shown.broken, (shown.outcome, shown.broken)


@pytest.mark.parametrize(("row", "mode"), TLS)
async def test_and_over_tls(ground: Ground, row: Row, mode: Mode) -> None:
    shown = await run_row(ground, row, mode, "ours", port="tls")
    assert not shown.broken, (shown.outcome, shown.broken)
