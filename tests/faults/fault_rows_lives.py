"""The rows about processes, loops and threads: 15 and 16. Each runs in an interpreter of its own that may say nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from typing import Any

from fault_row import Row
from fault_world import Mode, World

from lexigram.contracts.ai.request import Timeouts

PRELUDE = """
import asyncio, gc, os, sys, threading
from lexigram.ai.llm import ClientConfig, ProviderRegistry
from lexigram.ai.llm.factory import build_client

transport = None
if {road!r} == "httpx":
    import httpx
    transport = httpx.AsyncHTTPTransport()
config = ClientConfig(provider="openai_compatible", model="m-1", api_base={url!r}, api_key="k", timeout=5)
client = build_client(config, ProviderRegistry().get("openai_compatible"), transport=transport)
if {road!r} == "full":
    from lexigram.resilience import ResilienceConfig, ResiliencePolicy
    client = ResiliencePolicy(ResilienceConfig.of(limiter={{"concurrency": 64}}, bulkhead={{"max_calls": 64}})).wrap(client)
QUESTION = [{{"role": "user", "content": "Hi"}}]

async def call():
    assert (await client.complete(QUESTION)).unwrap().content == "hello"
    assert (await client.stream_chat(QUESTION).completion()).unwrap().content == "hello"
"""

FORK = """
async def main():
    await call()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.events._set_running_loop(None)
            asyncio.run(call())
            code = 0
        finally:
            os._exit(code)
    _, status = await asyncio.get_running_loop().run_in_executor(None, os.waitpid, pid, 0)
    assert status == 0, status
    await call()
    await client.close()

asyncio.run(main())
print("fine")
"""

LOOPS = """
for _ in range(2):
    asyncio.run(call())
loop = asyncio.new_event_loop()
loop.run_until_complete(call())
loop.close()
asyncio.run(call())
gc.collect()
print("fine")
"""

THREADS = """
failed = []

def work():
    async def main():
        for _ in range(5):
            await asyncio.gather(*[call() for _ in range(3)])
    try:
        asyncio.run(main())
    except BaseException as error:
        failed.append(error)

workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(10)
assert not failed, failed
print("fine")
"""

EXIT = """
kept = []

async def main():
    stream = client.stream_chat(QUESTION)
    kept.append(stream)
    assert (await anext(stream)).delta == "hel"

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
print("fine")
"""

DROPPED = """
async def main():
    stream = client.stream_chat(QUESTION)
    assert (await anext(stream)).delta == "hel"
    async for chunk in client.stream_chat(QUESTION):
        break

asyncio.run(main())
gc.collect()
print("fine")
"""


def alone(program: str) -> Any:
    async def act(world: World, mode: Mode) -> str:
        code = PRELUDE.format(road=world.road, url=world.server.url()) + textwrap.dedent(program)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning", "-c", code),
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(15):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()
            return "hangs"
        said = err.decode().strip().splitlines()
        ending = f"says {said[-1][:90]!r}" if said else "silent"
        return "fine, silent" if out == b"fine\n" and not said else f"exit code {process.returncode}, {ending}"

    return act


def life(number: str, fault: str, program: str, **more: Any) -> Row:
    bounds = Timeouts(total=20)
    options: Any = {"modes": ("complete",), "requests": 1000, "timeouts": bounds, **more}
    return Row(number=number, fault=fault, want=("fine, silent",), act=alone(program), **options)


PROCESSES = [
    life("15", "fork with a kept connection; both go on", FORK),
    life("16a", "one event loop after another; one closed with idle connections", LOOPS),
    life("16b", "four threads, each with its own loop", THREADS),
    life("16c", "the interpreter exits with a stream open", EXIT, always="s_stall"),
    life("16d", "streams dropped without closing, then the loop ends", DROPPED, always="s_stall"),
]
