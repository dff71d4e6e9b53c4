"""Limits that processes share over Redis.

Every step is one atomic script. Leases are renewed while their calls run; those of a worker that died run out. When
Redis is gone each worker keeps to its static share of the limits, says so once in the log, and comes back with Redis.

Within a process calls wait in one queue for each key; only its head asks Redis, where the workers' heads queue in turn.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
import uuid
import weakref
from collections.abc import Callable
from typing import Any, Final

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lexigram.resilience.bulkhead import Slots
from lexigram.resilience.config import RedisConfig
from lexigram.resilience.limiter._lua import ACQUIRE, LEAVE, RENEW, SETTLE
from lexigram.resilience.limiter.backend import FrozenError, Lease, LimitKey, Report
from lexigram.resilience.limiter.core import Allowance, Cost, ImpossibleError
from lexigram.resilience.limiter.learning import window_of
from lexigram.resilience.limiter.gate import Gate
from lexigram.resilience.limiter.memory import Allowances, MemoryLimiter
from lexigram.resilience.limiter.window import SLACK

__all__ = ["RedisLimiter"]

_GONE: Final = (RedisError, OSError, TimeoutError)
_log = logging.getLogger(__name__)


class _Link:
    """One event loop's connections, its leases that are out, and its tasks."""

    def __init__(self, config: RedisConfig) -> None:
        # Retries have one owner, and it is not the Redis client.
        self.client: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            config.url.get_secret_value(),
            socket_timeout=config.timeout,
            socket_connect_timeout=config.timeout,
            retry=Retry(NoBackoff(), 0),
        )
        self.scripts: dict[str, Any] = {}
        self.leases: dict[str, str] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.beat: asyncio.Task[None] | None = None

    async def run(self, script: str, base: str, args: list[Any], timeout: float) -> Any:
        run = self.scripts.get(script)
        if run is None:
            run = self.scripts[script] = self.client.register_script(script)
        async with asyncio.timeout(timeout):
            return await run(keys=[base], args=args)

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class _RedisLease:
    """What one call holds, in Redis."""

    __slots__ = ("_limiter", "_open", "base", "cost", "granted", "id", "key")

    def __init__(self, limiter: RedisLimiter, key: LimitKey, base: str, lease: str, granted: int, cost: Cost) -> None:
        self._limiter = limiter
        self._open = True
        self.key = key
        self.base = base
        self.id = lease
        self.granted = granted
        self.cost = cost

    def close(self, report: Report) -> asyncio.Future[None] | None:
        """Give it back in a task of its own, so that a cancelled call gives back too."""
        if not self._open:
            return None
        self._open = False
        return self._limiter.give_back(self, report)


class RedisLimiter:
    """Satisfies :class:`~lexigram.resilience.limiter.backend.LimiterProtocol` across processes.

    Args:
        config: where Redis is.
        allowance: limits of every key that has none of its own, for all processes together.
        workers: in how many parts they are divided while Redis is gone.
        learn: whether to learn from replies' headers.
        max_freeze: the longest freeze, in seconds.
        clock: the time of this process, in seconds.

    Attributes:
        degraded: whether Redis is gone.
        degradations: how often it went.
    """

    def __init__(
        self,
        config: RedisConfig,
        allowance: Allowance | None = None,
        *,
        workers: int = 1,
        learn: bool = True,
        max_freeze: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._allowances = Allowances(allowance or Allowance())
        self._workers = workers
        self._learn = learn
        self._max_freeze = max_freeze
        self._clock = clock
        self._alone = MemoryLimiter(
            (allowance or Allowance()).share(workers), learn=learn, max_freeze=max_freeze, clock=clock
        )
        self._turns: dict[LimitKey, Gate[int]] = {}
        self._links = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Link]()
        self._worker = (os.getpid(), uuid.uuid4().hex)
        self._down_until = -math.inf
        self._learnt_tokens: set[LimitKey] = set()
        self.degraded = False
        self.degradations = 0

    # -- the protocol

    def counts_tokens(self, key: LimitKey) -> bool:
        """Return whether tokens are counted for the key."""
        return key in self._learnt_tokens or any(u != "requests" for u, _, _ in self._allowances.of(key).windows())

    def try_acquire(self, key: LimitKey, cost: Cost) -> Lease | None:
        """Return None: a lease takes a question to Redis."""
        return None

    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Lease:
        """Return a lease, waiting for it in turn.

        Raises:
            ImpossibleError: there never is one for this cost.
            FrozenError: there is none within ``timeout`` seconds, for the provider asked for a longer pause.
            TimeoutError: there was none within ``timeout`` seconds.
        """
        ends = self._clock() + timeout
        gate = self._turns.get(key) or self._turns.setdefault(key, Gate(Slots(1), self._clock))
        turn = await gate.enter(timeout=timeout, share=share)
        try:
            while self._clock() >= self._down_until:
                try:
                    return await self._ask(key, cost, ends)
                except _GONE as error:
                    if self._clock() >= ends and isinstance(error, TimeoutError) and not self.degraded:
                        raise
                    self._lost(error)
        finally:
            gate.use(lambda now: gate.core.settle(turn, None, now))
        return await self._alone.acquire(key, cost, timeout=max(ends - self._clock(), 0.0), share=share)

    def set_allowance(self, allowance: Allowance, provider: str | None = None, model: str | None = None) -> None:
        """Change this process's view of the limits; every process is told by itself."""
        self._allowances.set(allowance, provider, model)
        self._alone.set_allowance(allowance.share(self._workers), provider, model)

    async def aclose(self) -> None:
        """Give back the running event loop's leases and connections."""
        link = self._links.pop(asyncio.get_running_loop(), None)
        if link is None:
            return
        if link.tasks:
            await asyncio.wait(link.tasks, timeout=self._config.timeout)
        if link.beat is not None:
            link.beat.cancel()
        await link.client.aclose()

    # -- asking

    async def _ask(self, key: LimitKey, cost: Cost, ends: float) -> Lease:
        link, base, worker = self._link(), self._base(key), self._name()
        lease = uuid.uuid4().hex
        lease_ms = max(int(self._config.lease_seconds * 1000), 1)
        granted: list[Any] = [0]
        try:
            while True:
                allowance = self._allowances.of(key)
                args = [lease, lease_ms, worker, allowance.concurrency or 0, *cost, *_triplets(allowance.windows())]
                granted = await link.run(ACQUIRE, base, args, self._config.timeout)
                self._found()
                if granted[0] == 1:
                    link.leases[lease] = base
                    self._keep_beating(link)
                    return _RedisLease(self, key, base, lease, granted[1], cost)
                if granted[0] == -1:
                    unit: Any = granted[2].decode()
                    raise ImpossibleError(unit, granted[3], granted[4], granted[5] / 1000)
                left, frozen = ends - self._clock(), granted[2] / 1000
                if frozen > max(left, 0.0):
                    raise FrozenError(frozen)
                if left <= 0:
                    raise _NoPermit
                await asyncio.sleep(min(granted[1] / 1000, left))
        except _NoPermit:
            raise TimeoutError from None
        except asyncio.CancelledError:
            # Redis may have granted what nobody will hear of, or may still do so.
            undo = [lease, -lease_ms, 0, *cost, 0, 0, 0, 0, *_triplets(self._allowances.of(key).windows())]
            link.spawn(self._settle(link, base, undo))
            raise
        finally:
            if granted[0] == 0 and not self._turns[key].waiting:
                link.spawn(self._leave(link, base, worker))

    def give_back(self, lease: _RedisLease, report: Report) -> asyncio.Future[None] | None:
        """Settle a lease in a task; without a running loop it runs out by itself."""
        try:
            link = self._link()
        except RuntimeError:
            return None
        link.leases.pop(lease.id, None)
        if not link.leases and link.beat is not None:
            link.beat.cancel()
            link.beat = None
        used = report.used if report.used is not None else (-1, -1)
        freeze = report.freeze or 0.0
        learnt: list[tuple[str, int, float]] = []
        for said in report.rate_limits if self._learn else ():
            seconds = window_of(said)
            if said.limit and seconds is not None:
                learnt.append((said.unit, said.limit, seconds))
                if said.unit != "requests":
                    self._learnt_tokens.add(lease.key)
            if said.remaining == 0 and said.reset is not None:
                freeze = max(freeze, said.reset)
        frozen = math.ceil(min(freeze, self._max_freeze) * 1000)
        args = [lease.id, lease.granted, int(report.request), *lease.cost, *used, frozen, len(learnt)]
        windows = self._allowances.of(lease.key).windows()
        settling = link.spawn(self._settle(link, lease.base, [*args, *_triplets(learnt), *_triplets(windows)]))
        return asyncio.shield(settling)

    async def _settle(self, link: _Link, base: str, args: list[Any]) -> None:
        try:
            await link.run(SETTLE, base, args, self._config.timeout)
        except _GONE as error:
            self._lost(error)

    async def _leave(self, link: _Link, base: str, worker: str) -> None:
        try:
            await link.run(LEAVE, base, [worker], self._config.timeout)
        except _GONE as error:
            self._lost(error)

    # -- staying alive

    def _keep_beating(self, link: _Link) -> None:
        if link.beat is None or link.beat.done():
            link.beat = asyncio.get_running_loop().create_task(self._beat(link))

    async def _beat(self, link: _Link) -> None:
        seconds = self._config.lease_seconds
        while link.leases:
            await asyncio.sleep(seconds / 3)
            by_key: dict[str, list[str]] = {}
            for lease, base in link.leases.items():
                by_key.setdefault(base, []).append(lease)
            for base, leases in by_key.items():
                try:
                    await link.run(RENEW, base, [int(seconds * 1000), *leases], self._config.timeout)
                except _GONE as error:
                    self._lost(error)

    def _link(self) -> _Link:
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._links[loop] = _Link(self._config)
        return link

    def _base(self, key: LimitKey) -> str:
        # The braces keep a key's parts on one node of a cluster.
        return f"{self._config.prefix}:{{{key.provider}|{key.model}|{key.account}}}"

    def _name(self) -> str:
        if self._worker[0] != os.getpid():
            self._worker = (os.getpid(), uuid.uuid4().hex)
        return self._worker[1]

    def _lost(self, error: BaseException) -> None:
        self._down_until = self._clock() + self._config.retry_seconds
        if not self.degraded:
            self.degraded = True
            self.degradations += 1
            _log.warning(
                "the limiter's Redis is gone (%s): this process keeps to 1/%d of the limits until it is back",
                type(error).__name__,
                self._workers,
            )

    def _found(self) -> None:
        if self.degraded:
            self.degraded = False
            _log.warning("the limiter's Redis is back: the limits are shared again")


class _NoPermit(Exception):
    """The caller's time is up; Redis is well."""


def _triplets(windows: Any) -> list[Any]:
    found: list[Any] = []
    for unit, limit, seconds in windows:
        found += [unit, limit, int(seconds * 1000 * (1 + SLACK))]
    return found
