"""The virtual loop: time passes only when everybody waits, and a wait for nothing is an error."""

from __future__ import annotations

import asyncio
import time

import pytest

from lexigram.testing.virtual import VirtualLoop, run_virtually


def test_hours_pass_at_once_and_in_order() -> None:
    order: list[str] = []

    async def nap(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(name)

    async def body() -> float:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(nap("late", 7200), nap("early", 3600))
        return asyncio.get_running_loop().time() - began

    started = time.monotonic()
    assert run_virtually(body()) == pytest.approx(7200)
    assert order == ["early", "late"]
    assert time.monotonic() - started < 60


def test_who_waits_for_nothing_is_told() -> None:
    with pytest.raises(RuntimeError, match="deadlock"):
        run_virtually(asyncio.wait_for(_never(), None))


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


def test_deadlines_pass_by_its_time() -> None:
    async def body() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.sleep(11)

    loop = VirtualLoop()
    loop.run_until_complete(body())
    assert loop.now == pytest.approx(1010)
    loop.close()
