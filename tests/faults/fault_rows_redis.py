"""The rows about Redis, 110 and 111: here it holds no cache but the shared limits, and a call never fails with it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from fault_acts import OK
from fault_redis import with_redis, without_redis
from fault_row import FULL, Row
from fault_rows_streams import FRESH, swept
from fault_world import Mode, World

from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.result import Ok
from lexigram.resilience.limiter.redis import RedisLimiter
from lexigram.testing.invariants import Observed, until


def limiter_of(world: World) -> RedisLimiter:
    assert world.policy is not None and isinstance(world.policy.limiter, RedisLimiter)
    return world.policy.limiter


def noted(act: Any) -> Any:
    """Play the act, and note how the limiter is then: Redis is there until the act is over."""

    async def play(world: World, mode: Mode) -> Any:
        result = await act(world, mode)
        limiter = limiter_of(world)
        world.notes["state"] = (limiter.degraded, limiter.degradations)
        return result

    return play


def degraded(world: World, _: Observed[Any]) -> list[str]:
    """It has gone over to the share of this process, and has said so once."""
    state = world.notes["state"]
    return [] if state == (True, 1) else [f"degraded, degradations: {state}"]


def shared(world: World, _: Observed[Any]) -> list[str]:
    return ["Redis was given up"] if world.notes["state"] != (False, 0) else []


async def twice(world: World, mode: Mode) -> Any:
    """The second call does not wait for what the first has learnt."""
    await world.ask(mode)
    return await world.ask(mode)


async def corrupted(world: World, mode: Mode) -> Any:
    """Every key of the limiter becomes a text."""
    await world.ask(mode)
    client = limiter_of(world)._link().client
    keys = await client.keys("lex:limit*")
    assert keys
    for key in keys:
        await client.set(key, "garbage")
    return await world.ask(mode)


async def mid_command(world: World, mode: Mode) -> Any:
    """Calls are cancelled while Redis answers; afterwards everybody gets the answer to his own question."""
    dice = random.Random(5)
    limiter = limiter_of(world)
    tasks = [asyncio.create_task(world.ask(mode, model=f"m-{n % 3}")) for n in range(24)]
    for task in dice.sample(tasks, 14):
        await asyncio.sleep(dice.random() * 0.02)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    strange = [r for r in results if not isinstance(r, Ok | asyncio.CancelledError)]
    link = limiter._link()
    assert await until(lambda: not link.leases and not link.tasks, 3), (link.leases, link.tasks)
    after = await asyncio.gather(*[world.ask(mode, model=f"m-{n % 3}") for n in range(9)])
    await until(lambda: not link.leases, 2)
    fine = not strange and all(result.is_ok() for result in after)
    return "everybody has his own reply" if fine else f"{strange}, {after}"


def redis(number: str, fault: str, want: str, around: Any, *, act: Any = twice, **more: Any) -> Row:
    limits = {"limiter": {"requests_per_minute": 1000, "concurrency": 2, "redis": {"timeout": 0.3}}}
    options: dict[str, Any] = {"requests": 100, "timeouts": Timeouts(total=10.0), "kept": 30, **more}
    return Row(
        number=number, fault=fault, want=(want,), around=around, act=noted(act), policy=limits, roads=FULL, **options
    )


LIMITS = "Redis holds the shared limits; times are Redis's own, so that no worker's clock matters"

REDIS = [
    redis("110", "what Redis holds is garbage", *OK, with_redis("relay"), act=corrupted, check=degraded, note=LIMITS),
    redis("111a", "Redis refuses connections", *OK, without_redis, check=degraded),
    redis("111b", "Redis hangs", *OK, with_redis("pause"), check=degraded),
    redis("111c", "Redis drops in mid-reply", *OK, with_redis("cut"), check=degraded),
    redis(
        "111d",
        "cancelled in mid-command",
        "everybody has his own reply",
        with_redis("slow"),
        act=mid_command,
        check=shared,
        tries=None,
    ),
    redis(
        "111e",
        "cancelled at every turn of the loop",
        "alive at every step",
        with_redis("relay"),
        act=swept(None),
        check=shared,
        tries=None,
        requests=10_000,
        limits=FRESH,
        timeouts=Timeouts(total=30),
    ),
    redis("111f", "Redis is slow", *OK, with_redis("slow"), check=shared),
]
