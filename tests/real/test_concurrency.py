"""One client, many callers: tasks, loops, threads and forks, against the real llama.cpp."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.local import LlamaServer
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Result, partition

from .conftest import ask, config_for, connections_to, resolved

FORK = """
import asyncio, os, sys
from lexigram.ai.llm import ClientConfig, LLMModule
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol

async def ask(llm):
    return (await llm.complete([{"role": "user", "content": "Hello"}], max_tokens=5)).unwrap().content

async def start(app):
    await app.__aenter__()
    llm = await app.container.resolve(LLMClientProtocol)
    print("parent:", await ask(llm), flush=True)
    return llm

base, key = sys.stdin.read().split()
config = ClientConfig(provider="llamacpp", api_base=base, api_key=key, model="tiny")
app = Application(modules=[LLMModule.configure(config)])
loop = asyncio.new_event_loop()
llm = loop.run_until_complete(start(app))
pid = os.fork()
if pid == 0:
    print("child:", asyncio.run(ask(llm)), flush=True)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print("parent again:", loop.run_until_complete(ask(llm)))
loop.run_until_complete(app.__aexit__(None, None, None))
loop.close()
"""


async def test_200_concurrent_calls_are_all_answered(server: LlamaServer, llm: LLMClientProtocol) -> None:
    began = time.perf_counter()
    answers, errors = partition(await asyncio.gather(*(ask(llm, i, streamed=i % 2 == 0) for i in range(200))))
    print(f"200 calls in {time.perf_counter() - began:.2f} s")
    assert errors == []
    assert len(answers) == 200
    assert len(set(answers)) > 100


async def test_calls_in_a_row_share_a_connection(server: LlamaServer, llm: LLMClientProtocol) -> None:
    for seed in range(20):
        assert (await ask(llm, seed)).is_ok()
    assert connections_to(server) == 1


def test_one_client_serves_one_event_loop_after_another(server: LlamaServer) -> None:
    app = Application(modules=[LLMModule.configure(config_for(server))])

    async def start() -> LLMClientProtocol:
        await app.__aenter__()
        return await app.container.resolve(LLMClientProtocol)

    async def stop() -> None:
        await app.__aexit__(None, None, None)

    llm = asyncio.run(start())
    answers = [asyncio.run(ask(llm, seed)) for seed in range(3)]
    asyncio.run(stop())
    assert [answer.is_ok() for answer in answers] == [True] * 3


async def test_one_client_serves_two_event_loops_at_once(llm: LLMClientProtocol) -> None:
    async def several() -> list[Result[str, LLMError]]:
        return await asyncio.gather(*(ask(llm, seed) for seed in range(20)))

    here, there = await asyncio.gather(several(), asyncio.to_thread(lambda: asyncio.run(several())))
    assert [answer.is_ok() for answer in here + there] == [True] * 40


async def test_one_client_serves_four_threads_at_once(llm: LLMClientProtocol) -> None:
    together = threading.Barrier(4)

    async def several() -> list[Result[str, LLMError]]:
        return await asyncio.gather(*(ask(llm, seed, streamed=seed % 2 == 0) for seed in range(10)))

    def work() -> list[Result[str, LLMError]]:
        together.wait()
        return asyncio.run(several())

    answers = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(4)))
    assert [[answer.is_ok() for answer in part] for part in answers] == [[True] * 10] * 4


async def test_an_event_loop_that_ends_takes_its_connections_with_it(server: LlamaServer) -> None:
    async with resolved(config_for(server)) as llm:
        assert (await asyncio.to_thread(lambda: asyncio.run(ask(llm, 1)))).is_ok()
        assert connections_to(server) == 0


def test_a_fork_gets_an_answer_and_so_does_its_parent_afterwards(server: LlamaServer) -> None:
    orders = f"{server.base_url} {server.api_key.reveal()}"
    command = [sys.executable, "-X", "dev", "-c", FORK]
    run = subprocess.run(command, input=orders, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    lines = [line.split(": ", 1) for line in run.stdout.splitlines()]
    assert [who for who, _ in lines] == ["parent", "child", "parent again"]
    assert all(said.strip() for _, said in lines)
