"""Several loops, several threads, fork, closed loops and the end of the interpreter."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from http_world import OK, SLOW

from lexigram.http import HttpStateError, Origin, Pool
from lexigram.testing.faults import FaultServer
from lexigram.testing.invariants import until

SRC = str(Path(__file__).parents[1] / "src")


async def call(pool: Pool, origin: Origin, target: str = "/ok") -> bytes:
    return await (await pool.request("GET", origin, target)).read()


@pytest.fixture
def origin(faultd: FaultServer) -> Origin:
    faultd.reset()
    return Origin.of("http", "127.0.0.1", faultd.ports["plain"])


def test_one_pool_serves_one_loop_after_another(origin: Origin, faultd: FaultServer) -> None:
    pool = Pool(deadlines=SLOW)
    for _ in range(3):
        assert asyncio.run(call(pool, origin)) == OK
    asyncio.run(until(lambda: faultd.journal.gone == 3))
    assert faultd.journal.gone == 3
    pool.close()


def test_a_loop_closed_with_idle_connections_is_silent(origin: Origin, faultd: FaultServer) -> None:
    pool = Pool(deadlines=SLOW)
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(call(pool, origin)) == OK
    loop.close()
    assert asyncio.run(call(pool, origin)) == OK
    pool.close()
    asyncio.run(until(lambda: faultd.journal.gone == 2))
    assert faultd.journal.gone == 2


def test_a_reply_outliving_its_loop_is_silent_and_closed(origin: Origin, faultd: FaultServer) -> None:
    pool = Pool(deadlines=SLOW)
    loop = asyncio.new_event_loop()
    reply = loop.run_until_complete(pool.request("GET", origin, "/s_stall"))
    other = loop.run_until_complete(pool.request("GET", origin, "/s_stall"))
    loop.close()
    reply.close()
    with pytest.raises(HttpStateError):
        asyncio.run(reply.read())
    del other
    asyncio.run(until(lambda: faultd.journal.gone == 2))
    assert faultd.journal.gone == 2
    pool.close()


def test_one_pool_serves_several_threads(origin: Origin) -> None:
    pool = Pool(deadlines=SLOW)
    results: list[bytes] = []

    def work() -> None:
        async def main() -> None:
            for _ in range(10):
                results.extend(await asyncio.gather(*[call(pool, origin) for _ in range(5)]))

        asyncio.run(main())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(10)
    assert results == [OK] * 200
    pool.close()


async def test_closing_from_another_thread_ends_the_calls_of_this_one(origin: Origin) -> None:
    pool = Pool(deadlines=SLOW)
    reply = await pool.request("GET", origin, "/s_stall")
    assert await reply.next_chunk()
    task = asyncio.create_task(reply.next_chunk())
    await asyncio.sleep(0)
    await asyncio.to_thread(pool.close)
    with pytest.raises(HttpStateError):
        await task
    await asyncio.get_running_loop().shutdown_default_executor()


def run(code: str, port: int, *flags: str) -> subprocess.CompletedProcess[str]:
    program = "import asyncio, os, sys\nfrom lexigram.http import Origin, Pool\n"
    program += f"ORIGIN = Origin('http', '127.0.0.1', {port})\n"
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", *flags, "-c", program + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": SRC},
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_a_forked_child_starts_with_connections_of_its_own(origin: Origin, faultd: FaultServer) -> None:
    done = run(
        """
        pool = Pool()

        async def call(target="/ok"):
            return await (await pool.request("GET", ORIGIN, target)).read()

        async def main():
            await call()
            held = await pool.request("GET", ORIGIN, "/stream=0.1")
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    assert pool.stats().open == 0, pool.stats()
                    asyncio.run(call("/echo/child"))
                    del held
                    code = 0
                finally:
                    os._exit(code)
            loop = asyncio.get_running_loop()
            _, status = await loop.run_in_executor(None, os.waitpid, pid, 0)
            assert status == 0, status
            assert (await held.read()).count(b"data:") == 3
            assert await call("/echo/parent")
            assert pool.stats().opened == 1, pool.stats()
            await pool.aclose()

        asyncio.run(main())
        print("fine")
        """,
        origin.port,
        "-W",
        "ignore::DeprecationWarning",
    )
    assert (done.stdout, done.stderr) == ("fine\n", "")
    child = [request.connection for request in faultd.journal.requests if "child" in request.path]
    others = [request.connection for request in faultd.journal.requests if "child" not in request.path]
    assert len(child) == 1 and child[0] not in others


@pytest.mark.parametrize("target", ["/ok", "/s_stall", "/hang"])
@pytest.mark.parametrize(
    "ending",
    ["asyncio.run(main())", "loop = asyncio.new_event_loop(); loop.run_until_complete(main()); loop.close()"],
)
def test_the_interpreter_exits_silently_with_connections_open(origin: Origin, target: str, ending: str) -> None:
    done = run(
        f"""
        pool = Pool()
        kept = []

        async def main():
            task = asyncio.create_task(pool.request("GET", ORIGIN, {target!r}))
            await asyncio.wait([task], timeout=0.1)
            if task.done():
                kept.append(await task)
                if {target!r} == "/s_stall":
                    assert await kept[0].next_chunk()
            else:
                task.cancel()
                await asyncio.wait([task])

        {ending}
        """,
        origin.port,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("port", ["plain", "tls"])
def test_a_loop_that_is_never_closed_is_all_that_is_warned_of_at_exit(faultd: FaultServer, port: str) -> None:
    done = run(
        f"""
        import ssl
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        pool = Pool(ssl_context=context)
        origin = Origin({"https" if port == "tls" else "http"!r}, "127.0.0.1", {faultd.ports[port]})
        kept = []

        async def main():
            for _ in range(2):
                kept.append(await pool.request("GET", origin, "/s_stall"))
                assert await kept[-1].next_chunk()
            await (await pool.request("GET", origin, "/ok")).read()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        """,
        0,
    )
    assert done.returncode == 0
    # What is left is the loop itself and its own pair of Unix sockets.
    assert [line for line in done.stderr.splitlines() if "ransport" in line or "family=2" in line] == []


def test_importing_costs_no_httpx_and_no_ssl_context(origin: Origin) -> None:
    done = run(
        """
        import ssl
        made = []
        ssl.SSLContext.__new__ = lambda *a, **k: made.append(a)

        async def main():
            async with Pool() as pool:
                await (await pool.request("GET", ORIGIN, "/ok")).read()

        asyncio.run(main())
        heavy = {"httpx", "h11", "anyio", "certifi", "truststore"}
        print([name for name in sys.modules if name.split(".")[0] in heavy], made)
        """,
        origin.port,
    )
    assert (done.stdout, done.stderr) == ("[] []\n", "")
