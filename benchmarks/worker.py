"""Runs inside one client's environment: measures what it is told, a JSON command a line in, a JSON answer a line out.

``worker.py <client>`` reads commands; ``worker.py <client> <base>`` is the life of a cold process and imports nothing
before it has looked at the clock.
"""

import os
import sys
import time

# What a client prints goes to the side, or it would stand between the answers.
OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

started = time.perf_counter(), time.process_time()

Answer = dict[str, float]


def memory() -> float:
    """Return the resident MB."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123
        return int(statm.read().split()[1]) * 4096 / 1e6


def cold(name: str, base: str) -> Answer:
    """Import, make a client, ask once."""
    bare = memory()
    import asyncio

    import adapters

    client = adapters.CLIENTS[name]
    bare_python = time.perf_counter() - started[0]
    bare_cpu = time.process_time() - started[1]
    for module in client.imports.split(", "):
        __import__(module)
    imported = time.perf_counter() - started[0]
    imported_cpu = time.process_time() - started[1]

    async def life() -> None:
        asked = await client.make(base)
        await asked.complete("Hello")

    asyncio.run(life())
    return {
        "import_ms": (imported - bare_python) * 1e3,
        "import_cpu_ms": (imported_cpu - bare_cpu) * 1e3,
        "first_ms": (time.perf_counter() - started[0]) * 1e3,
        "first_cpu_ms": (time.process_time() - started[1]) * 1e3,
        "bare_mb": bare,
        "rss_mb": memory(),
    }


if len(sys.argv) == 3:
    import json

    print(json.dumps(cold(sys.argv[1], sys.argv[2])), file=OUT)
    sys.exit()

import asyncio  # noqa: E402
import gc  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
from collections.abc import Awaitable, Callable  # noqa: E402
from typing import Any  # noqa: E402

from adapters import CLIENTS, Asked  # noqa: E402

PROMPT = "Summarise the following paragraph in one sentence for a busy reader. " * 5
LEAST, MOST = 0.5, 3.0  # seconds that a measurement takes, and after which a slow client stops
cpu, now = time.process_time, time.perf_counter


async def calls(asked: Asked) -> Answer:
    """One call after the other."""
    for _ in range(20):
        await asked.complete(PROMPT)
    done, times = 0, []
    began_cpu, began = cpu(), now()
    while done < 100 or now() - began < LEAST:
        before = now()
        await asked.complete(PROMPT)
        times.append(now() - before)
        done += 1
    return {"cpu_us": (cpu() - began_cpu) / done * 1e6, "wall_us": statistics.median(times) * 1e6}


async def concurrent(asked: Asked, count: int, total: int) -> Answer:
    """``total`` calls, ``count`` of them at once, over connections that are open already."""
    times: list[float] = []
    failed = 0

    async def work(left: list[int], until: float) -> None:
        nonlocal failed
        while left and now() < until:
            left.pop()
            before = now()
            try:
                if not await asked.complete(PROMPT):
                    failed += 1
            except Exception:  # noqa: BLE001
                failed += 1
            times.append(now() - before)

    await asyncio.gather(*[work([0], now() + MOST) for _ in range(count)])
    times.clear()
    failed = 0
    left = [0] * total
    began_cpu, began = cpu(), now()
    await asyncio.gather(*[work(left, began + MOST) for _ in range(count)])
    took, done = now() - began, len(times)
    times.sort()
    return {
        "cpu_us": (cpu() - began_cpu) / done * 1e6,
        "per_second": done / took,
        "p99_ms": times[int(done * 0.99)] * 1e3,
        "failed": failed,
    }


async def streams(asked: Asked, count: int, chunks: int) -> Answer:
    """``count`` streams at once, again and again."""
    assert asked.stream is not None
    read = asked.stream

    async def one() -> int:
        pieces = 0
        async for _ in read(PROMPT):
            pieces += 1
        return pieces

    await asyncio.gather(*[one() for _ in range(count)])
    rounds = got = 0
    began_cpu, began = cpu(), now()
    while not rounds or now() - began < LEAST:
        got += sum(await asyncio.gather(*[one() for _ in range(count)]))
        rounds += 1
    expected = rounds * count * chunks
    assert got == expected, f"{got} pieces instead of {expected}"
    return {"cpu_us": (cpu() - began_cpu) / expected * 1e6, "per_second": expected / (now() - began)}


async def first(asked: Asked) -> Answer:
    """Time to the first piece of a short stream."""
    assert asked.stream is not None
    times: list[float] = []
    began = now()
    while len(times) < 120 or now() - began < LEAST:
        before, seen = now(), False
        async for _ in asked.stream(PROMPT):
            if not seen:
                times.append(now() - before)
                seen = True
    return {"wall_us": statistics.median(times[20:]) * 1e6}


def sockets() -> int:
    """Return how many sockets the process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")  # noqa: PTH115
        except OSError:
            continue
    return found


async def soak(asked: Asked, before: tuple[int, int], total: int) -> Answer:
    """``total`` calls, 32 at once, through one client: what they leave behind."""

    async def some(count: int) -> None:
        left = [0] * count

        async def work() -> None:
            while left:
                left.pop()
                await asked.complete(PROMPT)

        await asyncio.gather(*[work() for _ in range(32)])

    await some(total // 10)
    gc.collect()
    at_first, began_cpu = memory(), cpu()
    await some(total)
    took = cpu() - began_cpu
    gc.collect()
    grown = memory() - at_first
    if asked.close is not None:
        await asked.close()
    await asyncio.sleep(0.05)
    return {
        "cpu_us": took / total * 1e6,
        "grown_mb": grown,
        "sockets": sockets() - before[0],
        "tasks": len(asyncio.all_tasks()) - before[1],
    }


SCENARIOS: dict[str, Callable[..., Awaitable[Answer]]] = {
    "calls": calls,
    "concurrent": concurrent,
    "streams": streams,
    "first": first,
}


async def measure(name: str, scenario: str, base: str, options: dict[str, Any]) -> Answer | None:
    """Make a client, measure, close it; None where the client cannot."""
    before = sockets(), len(asyncio.all_tasks())
    asked = await CLIENTS[name].make(base)
    if scenario == "soak":
        return await soak(asked, before, **options)
    try:
        if scenario in ("streams", "first") and asked.stream is None:
            return None
        gc.collect()
        return await SCENARIOS[scenario](asked, **options)
    finally:
        if asked.close is not None:
            await asked.close()


def main() -> None:
    """Obey until the input ends."""
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer: Any = runner.run(measure(sys.argv[1], **command))
            except Exception as error:  # noqa: BLE001
                answer = {"error": f"{type(error).__name__}: {error}"[:300]}
            print(json.dumps(answer), file=OUT)


main()
