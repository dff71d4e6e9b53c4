"""The load show: a thousand streams at once, two in a hundred faulty, in ten ways: ``python tests/faults/load.py``.

The server runs in a process of its own, so that memory, sockets and tasks are the client's. After a thousand good streams
and a thousand with faults the baseline is taken, and then it is done again. With ``--write`` the figures go into
docs/faults.md.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from report_transport import between

from lexigram.ai.llm import LLMModule
from lexigram.ai.llm.transport import Limits
from lexigram.app import Application
from lexigram.contracts.ai import LLMClientProtocol
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.request import Timeouts
from lexigram.resilience import MemoryLimiter, ResilienceModule, ResiliencePolicy, ResilientClient
from lexigram.testing.faults import FaultServer, Peer, chunk, response, scenario
from lexigram.testing.invariants import Footprint, until

STREAMS: Final = 1000
CHUNKS: Final = 200
SHARE: Final = 0.02
SEED: Final = 20
ALLOWED: Final = 8 << 20
PAGE: Final = Path(__file__).parents[2] / "docs" / "faults.md"
BEGIN: Final = "<!-- load: written by tests/faults/load.py -->"
END: Final = "<!-- end of the load -->"
KINDS: Final = (
    "rst_request",
    "close_silent",
    "refuse=503",
    "refuse=429",
    "html200",
    "s_rst",
    "s_eof_chunked",
    "s_stall",
    "s_err",
    "s_badjson",
)


@scenario
async def long_stream(peer: Peer, args: list[str]) -> None:
    """Arguments: the number of events, each in a write of its own, a moment apart."""
    first, *_, last = peer.voice.events
    await peer.send(response(b"", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", length=False))
    for _ in range(int(args[0]) - 1):
        await peer.send(chunk(first))
        await asyncio.sleep(0.01)
    await peer.send(chunk(last) + chunk(peer.voice.end) + b"0\r\n\r\n")


def plan() -> list[str]:
    """What happens to each request, in the order in which they come."""
    dice = random.Random(SEED)
    names = [KINDS[n % len(KINDS)] for n in range(int(STREAMS * SHARE))]
    names += [f"long_stream={CHUNKS}"] * (STREAMS - len(names))
    dice.shuffle(names)
    return names


def serve() -> None:
    """Be the server: tell the address, play on each line that comes, end with the input."""
    with FaultServer() as server:
        print(server.url(), flush=True)
        for line in sys.stdin:
            server.heal()
            server.play_always(f"long_stream={CHUNKS}")
            if line.strip() == "faults":
                server.play(*plan())
            print("ready", flush=True)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def crowd(llm: LLMClientProtocol) -> tuple[Counter[str], int]:
    """All streams at once; return how they ended, and how many chunks came."""
    chunks = 0

    async def one() -> str:
        nonlocal chunks
        stream = llm.stream_chat([{"role": "user", "content": "Hi"}])
        try:
            async for _ in stream:
                chunks += 1
        except LLMError as error:
            detail = getattr(error, "phase", None) or getattr(error, "reason", None)
            told = f"{type(error).__name__}({detail})" if detail else type(error).__name__
            return f"`{told}`" + (" with the text so far" if error.partial and error.partial.content else "")
        tries = len(stream.so_far.attempts) if stream.so_far is not None else 0
        return "`Ok`" if tries == 1 else "`Ok` after another try"

    outcomes = await asyncio.gather(*[one() for _ in range(STREAMS)], return_exceptions=True)
    told = Counter(o if isinstance(o, str) else f"foreign: {type(o).__name__}" for o in outcomes)
    return told, chunks


async def show(url: str, tell: subprocess.Popen[str]) -> tuple[list[str], list[str]]:
    """Return the figures, and what is wrong with them."""
    limits = Limits(connections=STREAMS, idle_connections=0)
    timeouts = Timeouts(total=120, idle=3.0)
    config = {"provider": "openai_compatible", "model": "m-1", "api_base": url, "api_key": "k", "timeouts": timeouts}
    policy_config = {"limiter": {"concurrency": STREAMS}, "retry": {"base": 0.1}}
    modules = [LLMModule.configure(config, limits=limits), ResilienceModule.configure(policy_config)]
    async with Application(modules=modules) as app:
        llm = await app.container.resolve(LLMClientProtocol)
        policy = await app.container.resolve(ResiliencePolicy)
        assert isinstance(llm, ResilientClient) and isinstance(policy.limiter, MemoryLimiter)
        limiter = policy.limiter
        for word in ("good", "faults"):
            _say(tell, word)
            await crowd(llm)
        gc.collect()
        base, memory = Footprint.now(), resident()
        _say(tell, "faults")
        began = time.monotonic()
        outcomes, chunks = await crowd(llm)
        seconds = time.monotonic() - began
        await until(lambda: not Footprint.now().above(base), 2)
        gc.collect()
        grown = resident() - memory
        leases = sum(map(limiter.in_flight, limiter._doors))
        wrong = [f"left: {what}" for what in Footprint.now().above(base)]
        wrong += [f"{leases} leases"] if leases else []
        wrong += [f"memory grew by {grown >> 20} MB"] if grown > ALLOWED else []
        wrong += [name for name in outcomes if name.startswith("foreign")]
        wrong += ["streams are missing"] if outcomes.total() != STREAMS else []
    return _lines(outcomes, chunks, seconds, memory, grown), wrong


def _lines(outcomes: Counter[str], chunks: int, seconds: float, memory: int, grown: int) -> list[str]:
    text = ["| outcome | streams |", "|---|---|", *(f"| {name} | {count} |" for name, count in outcomes.most_common())]
    sign = "+" if grown >= 0 else "−"
    after = f"{memory / (1 << 20):.0f} MB before, {sign}{abs(grown) / (1 << 20):.1f} MB after"
    rate = f"{chunks:,} chunks in {seconds:.1f} s, the server in a process of its own."
    left = f"Afterwards no task, socket or lease more than before; resident memory {after}."
    return [*text, "", rate, left]


def _say(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(word + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"


def main(arguments: list[str]) -> int:
    """Run."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536) if hard > 0 else 65_536, hard))
    if "--serve" in arguments:
        serve()
        return 0
    for name in [name for name in os.environ if name.startswith("LEX_")]:
        del os.environ[name]
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        figures, wrong = asyncio.run(show(server.stdout.readline().strip(), server))
        server.stdin.close()
    print("\n".join([*figures, *wrong]))
    if not wrong and "--write" in arguments:
        PAGE.write_text(between(PAGE.read_text(), BEGIN, END, figures))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
