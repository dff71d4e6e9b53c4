"""Learning limits from replies' headers: what is believed at once, what has to be proven, what is done until then."""

from __future__ import annotations

import asyncio
import math

import pytest
from virtual import clock, virtually

from lexigram.contracts.ai import RateLimit
from lexigram.resilience import Allowance, LimitKey, MemoryLimiter
from lexigram.resilience.limiter import Cost, Report
from lexigram.resilience.limiter.core import LimiterCore
from lexigram.resilience.limiter.learning import Learner, window_of

KEY = LimitKey("acme", "m", "k")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (RateLimit("requests", 100, 90, None, 60.0), 60.0),
        (RateLimit("requests", 10000, 9999, 0.006), 60.0),  # OpenAI
        (RateLimit("requests", 14400, 14370, 179.56), 86400.0),  # Groq
        (RateLimit("tokens", 30000, 29421, 1.157), 60.0),
        (RateLimit("requests", 100, 50, 0.5), 1.0),
        (RateLimit("requests", 100, 100, 0.0), None),
        (RateLimit("tokens", 150000000, 149999565, 0.001), None),  # rounded too much to say
        (RateLimit("requests", 10, 19, 2.0), None),  # Together: more left than the limit
        (RateLimit("requests", 20, 0, 300.0), None),
        (RateLimit("requests", 20, None, 1.0), None),
        (RateLimit("requests", None, 0, 1.0), None),
    ],
)  # fmt: skip
def test_the_span_of_a_limit_is_believed_only_where_it_is_plain(said: RateLimit, seconds: float | None) -> None:
    assert window_of(said) == seconds


def test_a_core_learns_limits_what_is_left_and_for_how_long_nothing_is() -> None:
    core = LimiterCore(Allowance())
    grant = core.take(Cost(), 0.0)
    core.learn([RateLimit("requests", 3, 2, None, 60.0)], grant, 0.0)
    core.settle(grant, Cost(), 0.0)
    second = core.take(Cost(), 1.0)
    core.learn([RateLimit("requests", 3, 0, 30.0, 60.0)], second, 1.0)
    assert core.wait(Cost(), 1.0) == pytest.approx(30.0)
    assert core.windows[0].others(1.0) == 2  # the provider counts two that are not ours
    assert core.wait(Cost(), 62.0) == 0
    silent = LimiterCore(Allowance(), learn=False)
    silent.learn([RateLimit("requests", 1, 0, 30.0, 60.0)], silent.take(Cost(), 0.0), 0.0)
    assert silent.wait(Cost(), 0.0) == 0


def test_a_burst_is_proven_by_replies_that_differ_and_agree() -> None:
    learner = Learner()
    first = learner.hear(RateLimit("requests", 6000, 99, 0.01))
    assert (first.seconds, first.burst, first.pending) == (None, None, True)
    assert learner.hear(RateLimit("requests", 6000, 80, 0.2)).burst is None
    assert learner.hear(RateLimit("requests", 6000, 70, 0.3)) == (60.0, pytest.approx(100.0), None, False)
    assert learner.hear(RateLimit("requests", 6000, 0, 1.0)).freeze is None
    assert learner.hear(RateLimit("tokens", 6000, 70, 0.3)).burst is None
    # A window that starts anew on the minute: remaining and reset have nothing to do with each other.
    fixed = Learner()
    for second in range(60):
        lesson = fixed.hear(RateLimit("requests", 6000, 6000 - 90 * second, 60.0 - second))
        assert lesson.burst is None
    plain = Learner()
    for left in (9999, 5000, 0):
        assert plain.hear(RateLimit("requests", 10000, left, (10000 - left) * 0.006)).burst is None


def test_a_long_span_is_proven_anew_when_replies_disagree_or_the_limit_changes() -> None:
    def day(left: int, limit: int = 14400) -> RateLimit:
        return RateLimit("requests", limit, left, (limit - left) * 86400 / limit)

    learner = Learner()
    assert [learner.hear(day(left)).seconds for left in (14300, 14300, 14251, 14250)] == [None, None, None, 86400.0]
    assert learner.hear(day(14249)).seconds == 86400.0
    assert learner.hear(RateLimit("requests", 14400, 14000, 100.0)).seconds is None  # an hour's? not by these replies
    assert learner.hear(day(14100)).seconds is None
    assert learner.hear(day(13000)).seconds == 86400.0
    assert learner.hear(day(7000, 7200)).seconds is None
    assert learner.hear(day(6000, 7200)).seconds == 86400.0
    assert learner.hear(RateLimit("requests", 7200, 6000, None, 86400.0)).seconds == 86400.0  # it says so
    assert learner.hear(RateLimit("tokens", 7200, 6000, 14400.0)).seconds is None


def test_a_span_beyond_a_minute_is_believed_when_replies_that_differ_agree() -> None:
    learner = Learner()
    for left, reset, seconds in ((14370, 180.0, None), (14369, 186.0, None), (14350, 300.0, 86400.0)):
        assert learner.hear(RateLimit("requests", 14400, left, reset)).seconds == seconds
    # Little of a minute's limit is used, and all of it comes back on the minute, or a minute after the last request.
    fixed, sliding = Learner(), Learner()
    for second in range(1, 60):
        lesson = fixed.hear(RateLimit("requests", 600, 600 - 10 * second, 60.0 - second))
        assert lesson.seconds is None or lesson.seconds <= 60
        lesson = sliding.hear(RateLimit("requests", 600, 600 - 10 * second, 60.0))
        assert lesson.seconds is None or lesson.seconds <= 60


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (RateLimit("requests", 600, 0, 60.0, 60.0), None),  # piece by piece: the count of what was taken says when
        (RateLimit("requests", 600, 0, 20.0, 60.0), 20.0),  # all at once, in 20 seconds
        (RateLimit("requests", None, 0, 5.0), 5.0),
        (RateLimit("requests", 600, 1, 20.0, 60.0), None),
        (RateLimit("requests", 600, 0, None, 60.0), None),
    ],
)
def test_nothing_left_is_a_freeze_where_all_of_it_comes_back_at_once(said: RateLimit, seconds: float | None) -> None:
    assert Learner().hear(said).freeze == seconds


def test_an_unknown_provider_is_met_with_few_calls_until_it_has_said_something() -> None:
    core = LimiterCore(Allowance())
    grants = [core.take(Cost(), 0.0) for _ in range(64)]
    assert core.wait(Cost(), 0.0) == math.inf
    core.settle(grants.pop(), None, 0.0, request=False)  # it never arrived
    core.take(Cost(), 0.0)
    assert core.wait(Cost(), 0.0) == math.inf
    core.settle(grants.pop(), Cost(), 0.1)  # a reply without a word on limits
    assert core.wait(Cost(), 0.1) == 0
    told = LimiterCore(Allowance(requests_per_minute=600))
    for _ in range(100):
        assert told.wait(Cost(), 0.0) == 0
        told.take(Cost(), 0.0)


@pytest.mark.parametrize("latency", [0.0, 0.4, 1.5])
def test_a_burst_that_nobody_told_is_learnt_before_it_is_overrun(latency: float) -> None:
    """Against a bucket of 100 that refills 100 a second, which counts a request when it comes."""

    @virtually
    async def body() -> None:
        lim = MemoryLimiter(clock=clock)
        level, at, refused = 100.0, clock(), 0
        times: list[float] = []

        async def one() -> None:
            nonlocal level, at, refused
            while True:
                lease = await lim.acquire(KEY, Cost(), timeout=math.inf)
                level, at = min(level + (clock() - at) * 100, 100.0), clock()
                accepted = level >= 1
                level -= accepted
                refused += not accepted
                said = RateLimit("requests", 6000, int(level), (100 - level) / 100)
                times.append(clock())
                await asyncio.sleep(latency)
                lease.close(Report(Cost(), rate_limits=(said,)))
                if accepted:
                    return

        await asyncio.gather(*[one() for _ in range(1500)])
        assert refused <= 1500 * 0.05
        allowed = 100 + (times[-1] - times[0]) * 100
        assert 1500 / allowed >= (0.98 if latency < 1 else 0.9)

    body()
