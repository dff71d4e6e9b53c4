"""Counts in a process of their own: ``probe.py <measure>`` prints one JSON object. No clock is read.

A null road answers at once from memory; the loopback road is a blocking server on a thread, in lockstep with the
client, so that every event is one read. Only the client's thread is counted, and never the server or the counting.
"""

import sys
from collections.abc import Sequence
from typing import Any

# Optional packages change what is imported and offered, and are no part of what is counted.
for optional in ("brotli", "zstandard", "truststore"):
    sys.modules[optional] = None

CALLS = 40
CHUNKS = 60


def modules() -> dict[str, int]:
    """Modules that come with the package, with what a program names first, and with the first call."""
    import asyncio
    import threading

    del asyncio, threading
    bare = set(sys.modules)
    import lexigram.ai.llm

    package = set(sys.modules)
    assert lexigram.ai.llm.LLMModule and lexigram.ai.llm.ClientConfig
    names = set(sys.modules)
    import json
    import socket

    road, known = Loopback(), set(sys.modules) - names
    del json, socket
    run(road, first_call)
    return {
        "modules: import lexigram.ai.llm": len(package - bare),
        "modules: and LLMModule, ClientConfig": len(names - bare),
        "modules: and the first call": len(set(sys.modules) - bare - known),
    }


class Loopback:
    """A provider on a thread. ``more`` lets the next event of a stream go."""

    def __init__(self) -> None:
        import socket
        import threading

        from server import CHAT

        self.reply = CHAT
        self.events: list[bytes] = []
        self.gate = threading.Semaphore(0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        connection = self.listener.accept()[0]
        while data := connection.recv(65536):
            if b'"stream":true' not in data:
                connection.sendall(self.reply)
                continue
            for event in self.events:
                connection.sendall(event)
                self.gate.acquire()

    def more(self) -> None:
        """Let the next event go."""
        self.gate.release()


class Null:
    """A sender whose replies lie in memory, one event for each read."""

    address = "http://127.0.0.1:9/v1"
    failures = ()
    status = 200

    def __init__(self) -> None:
        from server import CHAT

        from lexigram.http import Headers

        head, _, self.body = CHAT.partition(b"\r\n\r\n")
        self.headers = Headers(head + b"\r\n")
        self.events: list[bytes] = []
        self.left = iter(self.events)

    async def open(self, *_: object, **__: object) -> "Null":
        """Answer."""
        self.left = iter(self.events)
        return self

    async def read(self) -> bytes:
        """Return the body."""
        return self.body

    async def next_chunk(self) -> bytes:
        """Return an event."""
        return next(self.left, b"")

    def progress(self) -> None:
        """Hear of content."""

    def more(self) -> None:
        """Have the next event already."""

    async def aclose(self) -> None:
        """Keep nothing."""


def run(road: Any, work: Any) -> Any:
    """Run ``work(llm, road)`` with a client out of the container."""
    import asyncio

    from lexigram.ai.llm import ClientConfig, LLMModule
    from lexigram.app import Application
    from lexigram.contracts.ai import LLMClientProtocol

    async def life() -> Any:
        settings = {"provider": "openai", "model": "gpt-4.1-mini", "api_key": "sk-test", "api_base": road.address}
        async with Application(modules=[LLMModule.configure(ClientConfig(**settings))]) as app:
            llm: Any = await app.container.resolve(LLMClientProtocol)
            own = llm._sender
            if isinstance(road, Null):
                llm._sender = road
            result = await work(llm, road)
            llm._sender = own
            return result

    return asyncio.run(life())


MESSAGES: Any = [{"role": "user", "content": "Hello"}]


async def first_call(llm: Any, road: Any) -> None:
    """Ask once."""
    assert (await llm.complete(MESSAGES)).is_ok()


class Counter:
    """Counts function calls, resumed coroutines among them, and turns of the event loop."""

    def __init__(self) -> None:
        import asyncio

        self.turn = asyncio.BaseEventLoop._run_once.__code__
        self.python = self.c = self.turns = 0

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        """Counts."""
        if event == "call":
            self.python += 1
            self.turns += frame.f_code is self.turn
        elif event == "c_call":
            self.c += 1

    def take(self) -> tuple[int, int, int]:
        """Return the counts and start anew."""
        counts = self.python, self.c, self.turns
        self.python = self.c = self.turns = 0
        return counts


def middle(counts: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the median of each count."""
    return [sorted(column)[len(column) // 2] for column in zip(*counts, strict=True)]


async def count_calls(llm: Any, road: Any) -> list[int]:
    """Return the counts of one call."""
    counter, found = Counter(), []
    for _ in range(CALLS):
        sys.setprofile(counter)
        result = await llm.complete(MESSAGES)
        sys.setprofile(None)
        found.append(counter.take())
        assert result.is_ok()
    return middle(found)


async def count_chunks(llm: Any, road: Any) -> list[int]:
    """Return the counts of one chunk of a stream that is under way."""
    from server import STREAM_END, STREAM_HEAD, chat_events

    events = chat_events(CHUNKS)
    if isinstance(road, Null):
        road.events = [e.partition(b"\r\n")[2][:-2] for e in events]
    else:
        road.events = [STREAM_HEAD + events[0], *events[1:], STREAM_END]
    counter, found = Counter(), []
    for _ in range(3):
        async for chunk in llm.stream_chat(MESSAGES):
            sys.setprofile(None)
            if chunk.delta:
                found.append(counter.take())
            road.more()
            if chunk.finish_reason:
                # What comes behind the answer's end gives no chunk to wait for.
                for _ in range(4):
                    road.more()
            sys.setprofile(counter)
        sys.setprofile(None)
        counter.take()
        if isinstance(road, Loopback):
            while road.gate.acquire(blocking=False):
                pass
    return middle(found)


def functions() -> dict[str, int]:
    """Functions called, in Python and in C, and turns of the loop."""
    import gc

    gc.disable()
    out: dict[str, int] = {}
    for where, road in (("no I/O", Null), ("loopback", Loopback)):
        for what, work in (("call", count_calls), ("chunk", count_chunks)):
            python, c, turns = run(road(), work)
            out[f"Python functions: a {what}, {where}"] = python
            out[f"C functions: a {what}, {where}"] = c
            if road is Loopback:
                out[f"turns of the loop: a {what}"] = turns
    return out


async def weigh_calls(llm: Any, road: Any) -> tuple[int, int]:
    """Return the blocks that 100 answers hold, and those that 100 dropped answers leave behind."""
    kept: list[Any] = [None] * 400
    for i in range(200):
        kept[i] = await llm.complete(MESSAGES)
    before = sys.getallocatedblocks()
    for i in range(200, 400):
        kept[i] = await llm.complete(MESSAGES)
    held = sys.getallocatedblocks() - before
    kept.clear()
    await llm.complete(MESSAGES)
    before = sys.getallocatedblocks()
    for _ in range(200):
        await llm.complete(MESSAGES)
    return round(held / 200), round((sys.getallocatedblocks() - before) / 200)


async def weigh_chunks(llm: Any, road: Any) -> tuple[int, int]:
    """Return the blocks and bytes that one chunk holds, the text folded along with it."""
    import tracemalloc

    from server import chat_events

    found = []
    for count in (500, 500, 1500):
        road.events = [e.partition(b"\r\n")[2][:-2] for e in chat_events(count)]
        tracemalloc.start()
        stream = llm.stream_chat(MESSAGES)
        before = sys.getallocatedblocks(), tracemalloc.get_traced_memory()[0]
        kept = [chunk async for chunk in stream]
        found.append((sys.getallocatedblocks() - before[0], tracemalloc.get_traced_memory()[0] - before[1]))
        tracemalloc.stop()
        del kept
    return round((found[2][0] - found[1][0]) / 1000), round((found[2][1] - found[1][1]) / 1000)


async def peak(llm: Any, road: Any) -> int:
    """Return the most bytes that a call has allocated at once."""
    import tracemalloc

    found = []
    for _ in range(20):
        tracemalloc.start()
        await llm.complete(MESSAGES)
        found.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return sorted(found)[10]


def memory() -> dict[str, int]:
    """Blocks and bytes that a call and a chunk take, without I/O."""
    import gc

    gc.disable()
    held, left = run(Null(), weigh_calls)
    blocks, size = run(Null(), weigh_chunks)
    return {
        "blocks: held by an answer": held,
        "blocks: left by a call": left,
        "bytes: peak of a call": run(Null(), peak),
        "blocks: held by a chunk": blocks,
        "bytes: held by a chunk": size,
    }


if __name__ == "__main__":
    import json

    print(json.dumps({"modules": modules, "functions": functions, "memory": memory}[sys.argv[1]]()))
