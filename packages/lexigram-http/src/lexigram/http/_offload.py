"""Blocking calls (name lookup, reading certificates) on a few daemon threads.

At most `WORKERS` threads whatever hangs, one call per key however many wait for it, no thread while nothing is to do,
and no thread that holds up the exit of the interpreter. Nothing else of the package may start a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

WORKERS = 8

T = TypeVar("T")


class _Job:
    __slots__ = ("error", "fn", "key", "result", "waiting")

    def __init__(self, key: Hashable, fn: Callable[[], Any]) -> None:
        self.key = key
        self.fn = fn
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiting: dict[asyncio.Future[None], asyncio.AbstractEventLoop] = {}


class _Desk:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.jobs: dict[Hashable, _Job] = {}
        self.queue: deque[_Job] = deque()
        self.threads = 0

    def enter(self, key: Hashable, fn: Callable[[], Any], future: asyncio.Future[None]) -> _Job:
        with self.lock:
            job = self.jobs.get(key)
            if job is None:
                job = self.jobs[key] = _Job(key, fn)
                self.queue.append(job)
                if self.threads < WORKERS:
                    self.threads += 1
                    threading.Thread(target=self.work, name="lexigram-http-offload", daemon=True).start()
            job.waiting[future] = future.get_loop()
        return job

    def leave(self, job: _Job, future: asyncio.Future[None]) -> None:
        with self.lock:
            job.waiting.pop(future, None)
            if not job.waiting and job in self.queue:
                self.queue.remove(job)
                del self.jobs[job.key]

    def work(self) -> None:
        while True:
            with self.lock:
                if not self.queue:
                    self.threads -= 1
                    return
                job = self.queue.popleft()
            try:
                job.result = job.fn()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                job.error = error
            with self.lock:
                del self.jobs[job.key]
                waiting = list(job.waiting.items())
            for future, loop in waiting:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_wake, future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_desk = _Desk()


def _renew() -> None:
    global _desk
    _desk = _Desk()


os.register_at_fork(after_in_child=_renew)


def optional_module(name: str) -> Any:
    """Imports a module of an extra; None when it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


async def offload(key: Hashable, fn: Callable[[], T]) -> T:
    """Runs `fn` on a worker thread and returns its result.

    Callers with an equal key share one running call. Cancelling a caller leaves the call to the others.

    Raises:
        Exception: What `fn` raised, the same object for all who shared the call.
    """
    desk = _desk
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    job = desk.enter(key, fn, future)
    try:
        await future
    finally:
        desk.leave(job, future)
    if job.error is not None:
        raise job.error
    result: T = job.result
    return result
