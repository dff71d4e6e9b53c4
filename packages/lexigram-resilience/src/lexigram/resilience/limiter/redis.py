"""Limits that processes share over Redis.

Every step is one atomic script. Leases are renewed while their calls run; those of a worker that died run out. When
Redis is gone each worker keeps to its static share of the limits, says so once in the log, and comes back with Redis.

Within a process calls wait in one queue for each key; only its head asks Redis, where the workers' heads queue in turn.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import time
import uuid
import weakref
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final, NamedTuple

from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from lexigram.contracts.limits import MINUTE, FrozenError, Lease, LimitKey, Report
from lexigram.resilience.bulkhead import Slots
from lexigram.resilience.config import RedisConfig
from lexigram.resilience.limiter._lua import ACQUIRE, LEAVE, PUBLISH, RENEW, SETTLE
from lexigram.resilience.limiter.bucket import MARGIN
from lexigram.resilience.limiter.core import Allowance, Cost, ImpossibleError
from lexigram.resilience.limiter.gate import Gate
from lexigram.resilience.limiter.learning import Learner
from lexigram.resilience.limiter.memory import Allowances, MemoryLimiter
from lexigram.resilience.limiter.window import SLACK

__all__ = ["RedisLimiter"]

_GONE: Final = (RedisError, OSError, TimeoutError)
_LOOK_AGAIN: Final = 0.5
"""Seconds after which who waits asks again in any case: the limits may have changed."""
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
        self.leases: dict[str, LimitKey] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.beat: asyncio.Task[None] | None = None

    async def run(self, script: str, keys: list[str], args: list[Any], timeout: float) -> Any:
        run = self.scripts.get(script)
        if run is None:
            run = self.scripts[script] = self.client.register_script(script)
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(timeout):
                return await run(keys=keys, args=args)
        finally:
            # The Redis client may make another error of a cancellation, or none: it stays a cancellation here.
            if task is not None and task.cancelling() > before:
                raise asyncio.CancelledError

    def spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class _Taken(NamedTuple):
    """What a lease took of one window or bucket, as Redis tells it."""

    unit: bytes
    limit: int
    span: int
    kind: bytes
    left: int
    total: int


class _RedisLease:
    """What one call holds, in Redis."""

    __slots__ = ("_limiter", "_open", "cost", "granted", "id", "key", "taken")

    def __init__(self, limiter: RedisLimiter, key: LimitKey, lease: str, granted: list[Any], cost: Cost) -> None:
        self._limiter = limiter
        self._open = True
        self.key = key
        self.id = lease
        self.granted: int = granted[1]
        self.taken = [_Taken(*granted[i : i + 6]) for i in range(2, len(granted), 6)]
        self.cost = cost

    def close(self, report: Report) -> asyncio.Future[None] | None:
        """Give it back in a task of its own, so that a cancelled call gives back too."""
        if not self._open:
            return None
        self._open = False
        return self._limiter.give_back(self, report)


class RedisLimiter:
    """Satisfies :class:`~lexigram.contracts.limits.LimiterProtocol` across processes.

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
        self._learners: dict[LimitKey, Learner] = {}
        self._learnt_tokens: set[LimitKey] = set()
        self._version = b""
        self._unpublished: dict[tuple[str | None, str | None], Allowance] = {}
        self.degraded = False
        self.degradations = 0

    # -- the protocol

    def counts_tokens(self, key: LimitKey) -> bool:
        """Return whether tokens are counted for the key."""
        return key in self._learnt_tokens or any(u != "requests" for u, _, _ in self._allowances.of(key).windows())

    def listens(self, key: LimitKey) -> bool:
        """Return whether to learn at all: what this process knows, the others may not."""
        return self._learn

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
        """Change the limits of every process that shares this Redis.

        In this process it holds at once, in the others from their next question to Redis on, which those that wait ask
        twice a second. Redis keeps it until nobody has asked for a day; a process that joins takes it over.
        """
        self._set(allowance, provider, model)
        self._unpublished[provider, model] = allowance
        try:
            link = self._link()
        except RuntimeError:
            return  # outside of an event loop: told with the next question
        link.spawn(self._publish_soon(link))

    def _set(self, allowance: Allowance, provider: str | None, model: str | None) -> None:
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
        link, keys, worker = self._link(), self._keys(key), self._name()
        lease = uuid.uuid4().hex
        lease_ms = max(int(self._config.lease_seconds * 1000), 1)
        granted: list[Any] = [0]
        try:
            while True:
                if self._unpublished:
                    await self._publish(link)
                allowance = self._allowances.of(key)
                args = [lease, lease_ms, worker, self._version, allowance.concurrency or 0, *cost, *_kept(allowance)]
                granted = await link.run(ACQUIRE, keys, args, self._config.timeout)
                self._found()
                if granted[0] == 1:
                    link.leases[lease] = key
                    self._keep_beating(link)
                    return _RedisLease(self, key, lease, granted, cost)
                if granted[0] == 2:
                    self._take_over(granted[1], granted[2])
                    continue
                if granted[0] == -1:
                    unit: Any = granted[2].decode()
                    raise ImpossibleError(unit, granted[3], granted[4], granted[5] / 1000)
                left, frozen = ends - self._clock(), granted[2] / 1000
                if frozen > max(left, 0.0):
                    raise FrozenError(frozen)
                if left <= 0:
                    raise _NoPermit
                await asyncio.sleep(min(granted[1] / 1000, left, _LOOK_AGAIN))
        except _NoPermit:
            raise TimeoutError from None
        except asyncio.CancelledError:
            # Redis may have granted what nobody will hear of, or may still do so.
            undo = [lease, -lease_ms, 0, *cost, 0, 0, 0, 0, 0, *_kept(self._allowances.of(key))]
            link.spawn(self._settle(link, keys, undo))
            raise
        finally:
            if granted[0] == 0 and not self._turns[key].waiting:
                link.spawn(self._leave(link, keys, worker))

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
        learnt: list[Any] = []
        sightings: list[Any] = []
        for said in report.rate_limits if self._learn else ():
            lesson = self._learners.setdefault(lease.key, Learner()).hear(said)
            freeze = max(freeze, lesson.freeze or 0.0)
            span = _span(lesson.seconds or MINUTE)
            left = said.remaining if said.remaining is not None else -1
            if said.limit and lesson.seconds is not None:
                learnt += [said.unit, said.limit, span, "w", left]
                if said.unit != "requests":
                    self._learnt_tokens.add(lease.key)
            if said.limit and lesson.burst is not None:
                learnt += [said.unit, *_bucket(lesson.burst, lesson.burst * MINUTE / said.limit), "l", left]
            for taken in lease.taken if said.remaining is not None else ():
                same = taken.kind == b"w" and (taken.span, taken.limit) == (span, said.limit)
                if taken.unit.decode() == said.unit and (same or taken.kind == b"l"):
                    sightings += [taken.unit, taken.span, taken.kind, left, taken.left, taken.total]
        frozen = math.ceil(min(freeze, self._max_freeze) * 1000)
        args = [lease.id, lease.granted, int(report.request), *lease.cost, *used, frozen]
        counts = [len(learnt) // 5, len(sightings) // 6]
        windows = _kept(self._allowances.of(lease.key))
        keys = self._keys(lease.key)
        return asyncio.shield(link.spawn(self._settle(link, keys, [*args, *counts, *learnt, *sightings, *windows])))

    async def _settle(self, link: _Link, keys: list[str], args: list[Any]) -> None:
        try:
            await link.run(SETTLE, keys, args, self._config.timeout)
        except _GONE as error:
            self._lost(error)

    async def _leave(self, link: _Link, keys: list[str], worker: str) -> None:
        try:
            await link.run(LEAVE, keys, [worker], self._config.timeout)
        except _GONE as error:
            self._lost(error)

    # -- limits that change

    async def _publish(self, link: _Link) -> None:
        told = dict(self._unpublished)
        pairs = [text for name, limits in told.items() for text in (json.dumps(name), json.dumps(asdict(limits)))]
        keys = [self._limits_key(), self._limits_key()]
        await link.run(PUBLISH, keys, [uuid.uuid4().hex, *pairs], self._config.timeout)
        for name, limits in told.items():
            if self._unpublished.get(name) is limits:
                del self._unpublished[name]

    async def _publish_soon(self, link: _Link) -> None:
        try:
            await self._publish(link)
        except _GONE as error:
            self._lost(error)

    def _take_over(self, version: bytes, pairs: list[bytes]) -> None:
        for name, limits in zip(pairs[::2], pairs[1::2], strict=True):
            if name != b"version":
                provider, model = json.loads(name)
                self._set(Allowance(**json.loads(limits)), provider, model)
        self._version = version

    # -- staying alive

    def _keep_beating(self, link: _Link) -> None:
        if link.beat is None or link.beat.done():
            link.beat = asyncio.get_running_loop().create_task(self._beat(link))

    async def _beat(self, link: _Link) -> None:
        seconds = self._config.lease_seconds
        while link.leases:
            await asyncio.sleep(seconds / 3)
            by_key: dict[LimitKey, list[str]] = {}
            for lease, key in link.leases.items():
                by_key.setdefault(key, []).append(lease)
            for key, leases in by_key.items():
                try:
                    await link.run(RENEW, self._keys(key), [int(seconds * 1000), *leases], self._config.timeout)
                except _GONE as error:
                    self._lost(error)

    def _link(self) -> _Link:
        loop = asyncio.get_running_loop()
        link = self._links.get(loop)
        if link is None:
            link = self._links[loop] = _Link(self._config)
        return link

    def _keys(self, key: LimitKey) -> list[str]:
        return [f"{self._config.prefix}:{key.provider}|{key.model}|{key.account}", self._limits_key()]

    def _limits_key(self) -> str:
        return f"{self._config.prefix}:limits"

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


def _span(seconds: float) -> int:
    """Return the milliseconds for which something counts."""
    return int(seconds * 1000 * (1 + SLACK))


def _bucket(holds: float, seconds: float) -> tuple[float, int]:
    """Return how much Redis's copy of a bucket holds, and the milliseconds it takes to refill."""
    kept = max(holds * (1 - MARGIN), 1.0)
    return kept, max(int(seconds * 1000 * (1 + SLACK) * kept / holds), 1)


def _kept(allowance: Allowance) -> list[Any]:
    """Return unit, limit, span and kind of every window and bucket."""
    found: list[Any] = []
    for unit, limit, seconds in allowance.windows():
        found += [unit, limit, _span(seconds), "w"]
    for unit, burst, seconds in allowance.buckets():
        found += [unit, *_bucket(burst, seconds), "b"]
    return found
