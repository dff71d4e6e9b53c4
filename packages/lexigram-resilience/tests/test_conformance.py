"""Both limiters keep what the conformance kit asks of any; each deliberately wrong one fails where it is wrong."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from broken import failing
from redis_server import BINARY, Server

from lexigram.contracts.limits import Allowance, Cost, ImpossibleError, Lease, LimiterProtocol, LimitKey, Report
from lexigram.resilience import MemoryLimiter, RedisConfig
from lexigram.testing.conformance.limiter import LimiterConformance


class TestMemoryLimiter(LimiterConformance):
    claims = LimiterConformance.ALL
    limiter_class: ClassVar[type[MemoryLimiter]] = MemoryLimiter

    def make(self, allowance: Allowance, clock: Callable[[], float]) -> LimiterProtocol:
        return self.limiter_class(allowance, clock=clock)


@pytest.mark.skipif(BINARY is None, reason="redis-server is not installed (Debian: apt-get install redis-server)")
class TestRedisLimiter(LimiterConformance):
    claims = LimiterConformance.ALL
    virtual = False
    examples = 2
    steps = 10
    numbers: ClassVar[Iterator[int]] = itertools.count()

    @pytest.fixture(autouse=True)
    def server(self, redis: Server) -> None:
        self.url = redis.url

    def make(self, allowance: Allowance, clock: Callable[[], float]) -> LimiterProtocol:
        from lexigram.resilience.limiter.redis import RedisLimiter

        config = RedisConfig.model_validate({"url": self.url, "timeout": 5.0, "prefix": f"kit{next(self.numbers)}"})
        return RedisLimiter(config, allowance)


class Mutant(MemoryLimiter):
    """A limiter whose requests pass through ``asked``, its reports through ``told``."""

    def asked(self, key: LimitKey, cost: Cost) -> tuple[LimitKey, Cost]:
        return key, cost

    def told(self, report: Report) -> Report:
        return report

    def _held(self, lease: Any) -> Any:
        return None if lease is None else _Lease(lease, self.told)

    def try_acquire(self, key: LimitKey, cost: Cost) -> Any:
        return self._held(super().try_acquire(*self.asked(key, cost)))

    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        return self._held(await super().acquire(*self.asked(key, cost), timeout=timeout, share=share))


class _Lease:
    def __init__(self, inner: Lease, told: Callable[[Report], Report]) -> None:
        self.inner, self.told = inner, told

    def close(self, report: Report) -> Any:
        return self.inner.close(self.told(report))


def reporting(**changed: Any) -> type[Mutant]:
    return type("Deaf", (Mutant,), {"told": lambda self, report: report._replace(**changed)})


class TwiceTheRequests(MemoryLimiter):
    def __init__(self, allowance: Allowance, **more: Any) -> None:
        values = {f: getattr(allowance, f) for f in allowance.__dataclass_fields__}
        wanted = allowance.requests_per_minute and allowance.requests_per_minute * 2
        super().__init__(Allowance(**{**values, "requests_per_minute": wanted}), **more)


class CountsInputOnly(Mutant):
    def asked(self, key: LimitKey, cost: Cost) -> tuple[LimitKey, Cost]:
        return key, cost._replace(output_tokens=0)


class OneMore(MemoryLimiter):
    def __init__(self, allowance: Allowance, **more: Any) -> None:
        values = {f: getattr(allowance, f) for f in allowance.__dataclass_fields__}
        wanted = allowance.concurrency and allowance.concurrency + 1
        super().__init__(Allowance(**{**values, "concurrency": wanted}), **more)


class OneForAll(Mutant):
    def asked(self, key: LimitKey, cost: Cost) -> tuple[LimitKey, Cost]:
        return LimitKey("", ""), cost


class CountsAlways(MemoryLimiter):
    def counts_tokens(self, key: LimitKey) -> bool:
        return True


class GivesToWhoTries(MemoryLimiter):
    def try_acquire(self, key: LimitKey, cost: Cost) -> Any:
        return super().try_acquire(key, cost) or _Lease(self, lambda r: r)  # type: ignore[arg-type]


class ServesTheSmallestFirst(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        ends = self._clock() + timeout
        await asyncio.sleep(cost.input_tokens * 1e-4)
        return await super().acquire(key, cost, timeout=max(ends - self._clock(), 0.0), share=share)


class NeverGivesUp(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        return await super().acquire(key, cost, timeout=max(timeout, 9.0), share=share)


class WaitsForTheImpossible(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        try:
            return await super().acquire(key, cost, timeout=timeout, share=share)
        except ImpossibleError:
            await asyncio.sleep(timeout)
            raise TimeoutError from None


class LosesPermits(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        lease = await super().acquire(key, cost, timeout=timeout, share=share)
        await asyncio.sleep(0)  # cancelled here, nobody gives it back
        return lease


class ClosesAgain(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        lease = await super().acquire(key, cost, timeout=timeout, share=share)
        core = self._door(key)[1]

        def again(report: Report) -> Report:
            core.in_flight = max(core.in_flight - (not lease._grant.open), 0)
            return report

        return _Lease(lease, again)


class ChangesLater(MemoryLimiter):
    def set_allowance(self, allowance: Allowance, provider: str | None = None, model: str | None = None) -> None:
        self._allowances.set(allowance, provider, model)


class ForgetsPerLoop(MemoryLimiter):
    loop: Any = None

    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        if self.loop is not asyncio.get_running_loop():
            self.loop = asyncio.get_running_loop()
            self._doors.clear()
        return await super().acquire(key, cost, timeout=timeout, share=share)


class StaysFullOnceFull(MemoryLimiter):
    async def acquire(self, key: LimitKey, cost: Cost, *, timeout: float, share: str = "") -> Any:
        lease = await super().acquire(key, cost, timeout=timeout, share=share)
        core = self._door(key)[1]
        if core.allowance.requests_per_minute and core.in_flight == core.allowance.concurrency == 3:
            core.frozen_until = math.inf
        return lease


MODEL = "agrees_with_the_model"
MUTANTS: dict[str, tuple[type[MemoryLimiter], set[str]]] = {
    "keeps_requests_within_the_window": (TwiceTheRequests, {MODEL}),
    "keeps_tokens_within_the_window": (CountsInputOnly, set()),
    "keeps_concurrency": (
        OneMore,
        {MODEL, "never_waits_in_try_acquire", "closes_a_lease_once", "times_out_and_leaves_the_queue", "changes_live"},
    ),
    "keeps_keys_apart": (OneForAll, {"counts_tokens_where_they_are_limited"}),
    "counts_tokens_where_they_are_limited": (CountsAlways, set()),
    "never_waits_in_try_acquire": (GivesToWhoTries, set()),
    "serves_first_come_first_served": (ServesTheSmallestFirst, {MODEL}),
    "times_out_and_leaves_the_queue": (NeverGivesUp, {"freezes", "learns_limits_from_replies"}),
    "fails_impossible_requests_at_once": (WaitsForTheImpossible, set()),
    "loses_no_permit_when_cancelled": (LosesPermits, {MODEL}),
    "refunds_what_was_never_sent": (reporting(request=True), {MODEL}),
    "settles_with_what_was_used": (reporting(used=None), {"charges_what_was_used_beyond_the_estimate"}),
    "charges_what_was_used_beyond_the_estimate": (
        reporting(used=Cost()),
        {"settles_with_what_was_used", "serves_several_event_loops"},
    ),
    "closes_a_lease_once": (ClosesAgain, {MODEL}),
    "freezes": (reporting(freeze=None), set()),
    "learns_limits_from_replies": (reporting(rate_limits=()), set()),
    "changes_live": (ChangesLater, set()),
    "serves_several_event_loops": (ForgetsPerLoop, set()),
    MODEL: (StaysFullOnceFull, set()),
}  # fmt: skip
"""The wrong limiter of every behaviour, and what else it may break with it."""


def test_every_behaviour_has_its_mutant() -> None:
    assert set(MUTANTS) == LimiterConformance.ALL


@pytest.mark.parametrize("claim", MUTANTS)
def test_a_wrong_limiter_fails_where_it_is_wrong(claim: str) -> None:
    mutant, also = MUTANTS[claim]
    found = failing(TestMemoryLimiter, limiter_class=mutant, examples=25)
    assert claim in found
    assert found <= {claim} | also
