"""A worker process of the Redis tests: asks for permits until told otherwise, and prints when it got them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from lexigram.resilience import Allowance, LimitKey, RedisConfig
from lexigram.resilience.limiter import Cost, Report
from lexigram.resilience.limiter.redis import RedisLimiter

KEY = LimitKey("acme", "m", "k")


async def main(job: dict[str, Any]) -> None:
    limiter = RedisLimiter(
        RedisConfig.model_validate({"url": job["url"], "lease_seconds": job["lease_seconds"]}),
        Allowance(**job["limits"]),
    )
    times: list[float] = []
    ends = time.time() + job["seconds"]

    async def one() -> None:
        while time.time() < ends:
            try:
                lease = await limiter.acquire(KEY, Cost(job["tokens"]), timeout=ends - time.time())
            except TimeoutError:
                return
            times.append(time.time())
            if job["hold"]:
                print("holding", flush=True)
                await asyncio.sleep(3600)
            await asyncio.sleep(0.01)
            task = lease.close(Report(Cost(job["tokens"])))
            if task is not None:
                await task

    await asyncio.gather(*[one() for _ in range(job["tasks"])])
    await limiter.aclose()
    print(json.dumps(times), flush=True)


asyncio.run(main(json.loads(sys.argv[1])))
