"""What a :class:`~lexigram.contracts.limits.LimiterProtocol` promises.

    class TestMyLimiter(LimiterConformance):
        claims = LimiterConformance.ALL

        def make(self, allowance, clock):
            return MyLimiter(allowance, clock=clock)

Time is the event loop's. With ``virtual`` it passes only when everybody waits; a backend that has a clock elsewhere (a
server's) needs the real one. The limits are kept in windows of ``span`` seconds, so that real time suffices.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ClassVar, Final

from lexigram.contracts.ai.completion import RateLimit
from lexigram.contracts.limits import (
    MINUTE,
    Allowance,
    Cost,
    FrozenError,
    ImpossibleError,
    Lease,
    LimiterProtocol,
    LimitKey,
    Report,
)
from lexigram.testing.conformance.suite import Conformance, behaviour, check
from lexigram.testing.stepping import Step, sweep
from lexigram.testing.virtual import VirtualLoop

__all__ = ["LimiterConformance"]

LONG: Final = 30.0
UNUSED: Final = Report(Cost(), request=False)


class LimiterConformance(Conformance):
    """The behaviours of a limiter.

    Attributes:
        virtual: whether time is the kit's own. It is fast, and the same every time.
        span: seconds of the windows that the behaviours use.
        examples: runs of the comparison with the model.
        steps: steps of each.
    """

    virtual: ClassVar[bool] = True
    span: ClassVar[float] = 0.6
    examples: ClassVar[int] = 40
    steps: ClassVar[int] = 25

    @abstractmethod
    def make(self, allowance: Allowance, clock: Callable[[], float]) -> LimiterProtocol:
        """Return a fresh limiter that shares nothing with an earlier one.

        Args:
            allowance: its limits.
            clock: the time of the running event loop, in seconds.
        """
        raise NotImplementedError

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Return the event loop of a behaviour."""
        return VirtualLoop() if self.virtual else asyncio.new_event_loop()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run an async behaviour."""
        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            runner.run(work if self.virtual else self._patiently(work))

    def limiter(self, requests: int | None = None, **limits: Any) -> LimiterProtocol:
        """Return a limiter of so many requests in ``span`` seconds, with further limits of the allowance."""
        if requests is not None:
            limits |= {"requests_per_minute": round(requests * MINUTE / self.span), "burst_seconds": self.span}
        return self.make(Allowance(**limits), now)

    async def pass_window(self) -> None:
        """Wait until a window is over, and with it the slack that a backend may add."""
        await asyncio.sleep(self.span * 1.2 + 0.05)

    # -- limits

    @behaviour
    async def test_keeps_requests_within_the_window(self) -> None:
        """In no window go more than its limit, and later all of it comes back."""
        lim = self.limiter(requests=4)
        times: list[float] = []
        for _ in range(12):
            lease = await lim.acquire(KEY, Cost(), timeout=LONG)
            times.append(now())
            await ended(lease, Report(Cost()))
        for first, fifth in zip(times, times[4:], strict=False):
            check(
                fifth - first >= self.span * 0.97, f"5 requests within {fifth - first:.3f} s; allowed: 4 in {self.span}"
            )
        check(times[-1] - times[0] <= self.span * 4, f"12 requests took {times[-1] - times[0]:.2f} s")
        await lim.aclose()

    @behaviour
    async def test_keeps_tokens_within_the_window(self) -> None:
        """Tokens are counted by their cost, input and output together."""
        lim = self.limiter(tokens_per_minute=100)
        await lim.acquire(KEY, Cost(40, 20), timeout=LONG)
        await lim.acquire(KEY, Cost(30, 10), timeout=LONG)
        await waits(lim, Cost(1), "a call beyond the tokens of the window")
        await lim.aclose()

    @behaviour
    async def test_keeps_concurrency(self) -> None:
        """So many leases are out and no more; a closed one makes room at once."""
        lim = self.limiter(concurrency=2)
        first = await lim.acquire(KEY, Cost(), timeout=LONG)
        await lim.acquire(KEY, Cost(), timeout=LONG)
        await waits(lim, Cost(), "a third call of two at once")
        await ended(first, Report(Cost()))
        await goes(lim, Cost(), "a call after another has ended")
        await lim.aclose()

    @behaviour
    async def test_keeps_keys_apart(self) -> None:
        """Provider, model and account each have limits of their own."""
        lim = self.limiter(concurrency=1)
        await lim.acquire(KEY, Cost(), timeout=LONG)
        for other in (KEY._replace(provider="b"), KEY._replace(model="b"), KEY._replace(account="b")):
            await goes(lim, Cost(), f"a call for {other}", key=other)
        await lim.aclose()

    @behaviour
    async def test_counts_tokens_where_they_are_limited(self) -> None:
        """``counts_tokens`` says whether a cost has to be estimated."""
        for limits, wanted in (({"concurrency": 1}, False), ({"tokens_per_minute": 10}, True)):
            lim = self.limiter(**limits)
            check(lim.counts_tokens(KEY) is wanted, f"counts_tokens() with {limits} is not {wanted}")
            await lim.aclose()

    @behaviour
    async def test_never_waits_in_try_acquire(self) -> None:
        """``try_acquire`` gives a lease or None at once, and never one too many."""
        lim = self.limiter(concurrency=2)
        leases = [lim.try_acquire(KEY, Cost()) for _ in range(4)]
        check(sum(lease is not None for lease in leases) <= 2, "try_acquire() gave more leases than there are")
        await lim.aclose()

    # -- the queue

    @behaviour
    async def test_serves_first_come_first_served(self) -> None:
        """Nobody overtakes, not even a small request a large one."""
        lim = self.limiter(concurrency=1)
        order: list[int] = []

        async def one(number: int) -> None:
            lease = await lim.acquire(KEY, Cost(10 - number), timeout=LONG)
            order.append(number)
            await asyncio.sleep(0.001)
            await ended(lease, Report(Cost()))

        await asyncio.gather(*[one(n) for n in range(8)])
        check(order == list(range(8)), f"they asked as 0 … 7 and were served as {order}")
        await lim.aclose()

    @behaviour
    async def test_times_out_and_leaves_the_queue(self) -> None:
        """Who is not served in time gets a TimeoutError and stands in nobody's way afterwards."""
        lim = self.limiter(concurrency=1)
        held = await lim.acquire(KEY, Cost(), timeout=LONG)
        started = now()
        await waits(lim, Cost(), "a call of a full limiter", timeout=0.1)
        check(now() - started < 5, f"a timeout of 0.1 s took {now() - started:.1f} s")
        await ended(held, Report(Cost()))
        await goes(lim, Cost(), "a call after one that gave up")
        await lim.aclose()

    @behaviour
    async def test_fails_impossible_requests_at_once(self) -> None:
        """What costs more than a limit is refused at once, also from behind a queue; the others go on."""
        lim = self.limiter(tokens_per_minute=100, concurrency=1)
        held = await lim.acquire(KEY, Cost(10), timeout=LONG)
        queued = asyncio.ensure_future(lim.acquire(KEY, Cost(10), timeout=LONG))
        await asyncio.sleep(0.01)
        impossible = asyncio.ensure_future(lim.acquire(KEY, Cost(101), timeout=LONG))
        await ended(held, Report(Cost(10)))
        await ended(await queued, Report(Cost(10)))
        started = now()
        try:
            await impossible
        except ImpossibleError:
            check(now() - started < self.span, "an impossible request waited")
        except TimeoutError:
            raise AssertionError("an impossible request waited for its timeout") from None
        else:
            raise AssertionError("a request of 101 tokens got a lease of 100")
        await goes(lim, Cost(10), "a call after an impossible one")
        await lim.aclose()

    @behaviour
    async def test_loses_no_permit_when_cancelled(self) -> None:
        """``acquire`` cancelled at any moment holds nothing afterwards."""
        lim = self.limiter(concurrency=2)

        async def call() -> None:
            lease = await lim.acquire(KEY, Cost(), timeout=LONG)
            await ended(lease, UNUSED)

        async def both_are_free(found: Step) -> None:
            check(found.outcome in ("cancelled", "returned"), f"a cancelled acquire() {found.outcome}: {found.error!r}")
            async with asyncio.timeout(LONG):
                leases = [await lim.acquire(KEY, Cost(), timeout=LONG) for _ in range(2)]
            for lease in leases:
                await ended(lease, UNUSED)

        for again in (None, 1):
            await sweep(call, both_are_free, again=again)
        held = [await lim.acquire(KEY, Cost(), timeout=LONG) for _ in range(2)]
        waiting = [asyncio.ensure_future(lim.acquire(KEY, Cost(), timeout=LONG)) for _ in range(3)]
        await asyncio.sleep(0.02)
        for lease in held:
            settling = lease.close(UNUSED)  # a permit comes in the very turn of the cancellation
            if settling is not None:
                await settling
        for task in waiting[:2]:
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        for served in done:
            if not isinstance(served, BaseException):
                await ended(served, UNUSED)
        await both_are_free(Step(0, None, "returned"))
        await lim.aclose()

    # -- giving back

    @behaviour
    async def test_refunds_what_was_never_sent(self) -> None:
        """A request that never reached the provider does not count."""
        lim = self.limiter(requests=2)
        for _ in range(4):
            await ended(await lim.acquire(KEY, Cost(), timeout=LONG), UNUSED)
        await goes(lim, Cost(), "a call after four that were never sent")
        await lim.aclose()

    @behaviour
    async def test_settles_with_what_was_used(self) -> None:
        """What an estimate had too much is free at once; where the use is unknown the estimate stays."""
        lim = self.limiter(tokens_per_minute=100)
        await ended(await lim.acquire(KEY, Cost(20, 60), timeout=LONG), Report(Cost(5, 5)))
        await ended(await lim.acquire(KEY, Cost(80), timeout=1.0), Report(None))
        await waits(lim, Cost(11), "a call beyond the tokens of which 90 are used")
        await goes(lim, Cost(10), "a call within them")
        await lim.aclose()

    @behaviour
    async def test_charges_what_was_used_beyond_the_estimate(self) -> None:
        """What a call really cost counts, also above its estimate."""
        lim = self.limiter(tokens_per_minute=100)
        await ended(await lim.acquire(KEY, Cost(10), timeout=LONG), Report(Cost(10, 80)))
        await waits(lim, Cost(11), "a call beyond the tokens of which 90 are used")
        await lim.aclose()

    @behaviour
    async def test_closes_a_lease_once(self) -> None:
        """The second ``close`` of a lease gives nothing back."""
        lim = self.limiter(concurrency=2)
        first = await lim.acquire(KEY, Cost(), timeout=LONG)
        await lim.acquire(KEY, Cost(), timeout=LONG)
        for _ in range(3):
            await ended(first, UNUSED)
        await lim.acquire(KEY, Cost(), timeout=LONG)
        await waits(lim, Cost(), "a third call of two at once, after a lease was closed three times")
        await lim.aclose()

    # -- what replies say

    @behaviour
    async def test_freezes(self) -> None:
        """After a 429 nobody goes until it is over; who would not wait so long is told at once."""
        lim = self.limiter(concurrency=5)
        await ended(await lim.acquire(KEY, Cost(), timeout=LONG), Report(Cost(), freeze=self.span))
        started = now()
        try:
            await lim.acquire(KEY, Cost(), timeout=self.span / 4)
        except FrozenError as frozen:
            check(0 < frozen.seconds <= self.span * 1.1, f"frozen for {self.span} s, it says {frozen.seconds}")
        else:
            raise AssertionError("a call went while everything was frozen")
        await ended(await lim.acquire(KEY, Cost(), timeout=LONG), UNUSED)
        check(now() - started >= self.span * 0.6, f"a freeze of {self.span} s was over after {now() - started:.3f}")
        await lim.aclose()

    @behaviour
    async def test_learns_limits_from_replies(self) -> None:
        """A limit that a reply tells of holds, though none was configured."""
        lim = self.limiter()
        said = RateLimit("requests", limit=3, remaining=3, window=self.span * 4)
        await ended(await lim.acquire(KEY, Cost(), timeout=LONG), Report(Cost(), rate_limits=(said,)))
        gone = 0
        for _ in range(5):
            try:
                await ended(await lim.acquire(KEY, Cost(), timeout=0.05), Report(Cost()))
                gone += 1
            except (TimeoutError, FrozenError):
                break
        check(gone <= 3, f"{gone} calls went at once after a reply told of a limit of 3")
        await lim.aclose()

    @behaviour
    async def test_changes_live(self) -> None:
        """Changed limits hold at once, also for who waits already."""
        lim = self.limiter(concurrency=1)
        await lim.acquire(KEY, Cost(), timeout=LONG)
        waiting = asyncio.ensure_future(lim.acquire(KEY, Cost(), timeout=LONG))
        await asyncio.sleep(0.02)
        check(not waiting.done(), "a second call of one at once went")
        lim.set_allowance(Allowance(concurrency=2))
        done, _ = await asyncio.wait([waiting], timeout=5)
        check(done, "who waited before the limit was raised still waits")
        lim.set_allowance(Allowance(concurrency=1))
        await waits(lim, Cost(), "a call after the limit was lowered")
        await lim.aclose()

    # -- as a whole

    @behaviour
    def test_serves_several_event_loops(self) -> None:
        """One limiter keeps its count in an event loop after another one has ended."""
        made: list[LimiterProtocol] = []

        async def first() -> None:
            made.append(self.limiter(tokens_per_minute=100))
            await ended(await made[0].acquire(KEY, Cost(60), timeout=LONG), Report(Cost(60)))
            await made[0].aclose()

        async def second() -> None:
            await waits(made[0], Cost(41), "a call beyond the tokens of which another event loop has used 60")
            await goes(made[0], Cost(40), "a call within them")
            await made[0].aclose()

        self.run(first())
        self.run(second())

    @behaviour
    def test_agrees_with_the_model(self) -> None:
        """Whatever is asked, ended, cancelled and waited for: limits and order hold, and nobody waits for ever."""
        from lexigram.testing.conformance._limiter_model import compare

        compare(self)


KEY: Final = LimitKey("acme", "m-1", "k")


def now() -> float:
    """Return the time of the running event loop."""
    return asyncio.get_running_loop().time()


async def ended(lease: Lease, report: Report) -> None:
    """Close a lease and wait until that has happened."""
    settling = lease.close(report)
    if settling is not None:
        await settling


async def waits(lim: LimiterProtocol, cost: Cost, what: str, timeout: float = 0.15) -> None:
    """Check that there is no lease now."""
    if await _got(lim.acquire(KEY, cost, timeout=timeout)):
        raise AssertionError(f"{what} went at once")


async def goes(lim: LimiterProtocol, cost: Cost, what: str, key: LimitKey = KEY) -> None:
    """Check that there is a lease now, and give it back."""
    if not await _got(lim.acquire(key, cost, timeout=0.5)):
        raise AssertionError(f"{what} has to wait")


async def _got(acquiring: Awaitable[Lease]) -> bool:
    try:
        await ended(await acquiring, UNUSED)
    except TimeoutError:
        return False
    return True
