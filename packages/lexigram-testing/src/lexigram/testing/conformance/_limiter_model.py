"""A limiter against the simplest thing that could be right: a list of everything that was let in, and when."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lexigram.contracts.limits import Cost, Lease, LimitKey, Report
from lexigram.testing.virtual import VirtualLoop

if TYPE_CHECKING:
    from lexigram.testing.conformance.limiter import LimiterConformance

__all__ = ["compare"]

KEY: Final = LimitKey("acme", "model-based", "k")
REQUESTS, CONCURRENCY = 5, 3
FAR: Final = 300.0


def compare(suite: LimiterConformance) -> None:
    """Run the comparison for the limiters that a suite makes.

    Raises:
        AssertionError: with the shortest sequence of steps that shows what is wrong.
    """

    class Machine(_Machine):
        pass

    Machine.suite = suite
    quiet = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=suite.examples,
            stateful_step_count=suite.steps,
            deadline=None,
            database=None,
            suppress_health_check=quiet,
        ),
    )


class _Machine(RuleBasedStateMachine):
    suite: LimiterConformance

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.suite.new_loop()
        self.span = self.suite.span
        self.limiter: Any = None
        self.queue: deque[tuple[int, asyncio.Task[None]]] = deque()
        self.running: dict[int, Lease] = {}
        self.let_in: list[tuple[float, int]] = []
        self.asked = 0
        self.do(self._start())

    async def _start(self) -> None:
        self.limiter = self.suite.limiter(requests=REQUESTS, concurrency=CONCURRENCY)

    def do(self, work: Any) -> None:
        self.loop.run_until_complete(work)

    def tick(self, seconds: float = 0.0) -> None:
        # Real backends need a moment to answer; virtual ones a pass or two of the loop.
        self.do(asyncio.sleep(seconds if isinstance(self.loop, VirtualLoop) else seconds + 0.02))
        over = [task for _, task in self.queue if task.done()]
        self.queue = deque((n, t) for n, t in self.queue if not t.done())
        for task in over:
            if not task.cancelled():
                error = task.exception()
                assert error is None, f"a call that may wait for {FAR:g} s was refused: {error!r}"

    def close(self, number: int, report: Report) -> None:
        lease = self.running.pop(number)

        async def settle() -> None:
            for _ in range(2):  # the second time nothing happens
                settling = lease.close(report)
                if settling is not None:
                    await settling

        self.do(settle())

    @rule(tokens=st.integers(1, 60))
    def ask(self, tokens: int) -> None:
        number = self.asked
        self.asked += 1

        async def one() -> None:
            lease = await self.limiter.acquire(KEY, Cost(tokens), timeout=FAR)
            self.running[number] = lease
            self.let_in.append((self.loop.time(), number))

        self.queue.append((number, self.loop.create_task(one())))
        self.tick()

    @rule(data=st.data(), unsent=st.booleans())
    def end(self, data: st.DataObject, unsent: bool) -> None:
        if not self.running:
            return
        number = data.draw(st.sampled_from(sorted(self.running)))
        self.close(number, Report(Cost(), request=not unsent))
        if unsent:
            self.let_in = [entry for entry in self.let_in if entry[1] != number]
        self.tick()

    @rule(data=st.data(), also_end=st.booleans())
    def cancel(self, data: st.DataObject, also_end: bool) -> None:
        if not self.queue:
            return
        at = data.draw(st.integers(0, len(self.queue) - 1))
        task = self.queue[at][1]

        async def both() -> None:
            settling = None
            if also_end and self.running:
                # A permit becomes free in the very turn of the cancellation.
                settling = self.running.pop(min(self.running)).close(Report())
            task.cancel()
            if settling is not None:
                await settling

        self.do(both())
        self.tick()

    @rule(part=st.sampled_from([0.05, 0.5, 1.2]))
    def wait(self, part: float) -> None:
        self.tick(self.span * part)

    @invariant()
    def no_window_is_above_the_limit(self) -> None:
        for end, _ in self.let_in:
            inside = sum(end - self.span * 0.97 < when <= end for when, _ in self.let_in)
            assert inside <= REQUESTS, f"{inside} requests within {self.span} s; allowed: {REQUESTS}"

    @invariant()
    def no_more_are_at_work_than_may_be(self) -> None:
        assert len(self.running) <= CONCURRENCY, f"{len(self.running)} leases are out; allowed: {CONCURRENCY}"

    @invariant()
    def nobody_overtakes(self) -> None:
        order = [number for _, number in self.let_in]
        assert order == sorted(order), f"they asked in turn and were served as {order}"

    def teardown(self) -> None:
        try:
            for _ in range(self.asked + 3):
                for number in list(self.running):
                    self.close(number, Report(Cost()))
                if not self.queue:
                    break
                self.tick(self.span * 1.2)
            assert not self.queue, f"{len(self.queue)} wait for ever"
        finally:
            for _, task in self.queue:
                task.cancel()
            self.tick()
            self.do(self.limiter.aclose())
            self.loop.close()
