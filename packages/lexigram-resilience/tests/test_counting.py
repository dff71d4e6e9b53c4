"""What a reply says is left, against what was counted here: what others took is seen, nothing is counted twice.

A provider counts a request when it comes, and its reply is read later. What was taken here in between, and what came
back in between, are no sign of others.
"""

from __future__ import annotations

import math

import pytest

from lexigram.contracts.ai import RateLimit
from lexigram.contracts.ai.completion import RateUnit
from lexigram.resilience import Allowance
from lexigram.resilience.limiter import Cost, ImpossibleError
from lexigram.resilience.limiter.bucket import Bucket
from lexigram.resilience.limiter.core import LimiterCore
from lexigram.resilience.limiter.window import SlidingWindow


def others(core: LimiterCore, now: float) -> list[tuple[RateUnit, float, float]]:
    """What others seem to have taken of each window: unit, seconds, how much."""
    return [(w.unit, w.seconds, w.others(now)) for w in core.windows]


def at_once(core: LimiterCore, now: float) -> int:
    """How many calls that take no time may go now, one after the other."""
    count = 0
    while core.wait(Cost(), now) == 0 and count < 1000:
        core.settle(core.take(Cost(), now), Cost(), now)
        count += 1
    return count


# -- the first reply


def test_of_a_limit_that_is_learnt_so_much_may_go_as_its_first_reply_says_is_left() -> None:
    core = LimiterCore(Allowance())
    core.learn([RateLimit("requests", 100, 40, None, 60.0)], core.take(Cost(), 5.0), 5.0)
    assert at_once(core, 5.0) == 40


def test_what_went_and_what_came_back_since_the_first_request_are_reckoned_with() -> None:
    core = LimiterCore(Allowance())
    first = core.take(Cost(), 5.0)
    for _ in range(7):
        core.take(Cost(), 6.0)
    core.learn([RateLimit("requests", 100, 40, None, 60.0)], first, 11.0)
    assert at_once(core, 11.0) == 40 - 7 + 10


@pytest.mark.parametrize(("unit", "each"), [("tokens", 40), ("input_tokens", 30), ("output_tokens", 10)])
@pytest.mark.parametrize("calls", [(Cost(30, 10), Cost(30, 10)), (Cost(60), Cost(0, 20))])
def test_tokens_that_went_since_the_first_request_are_reckoned_with(
    calls: tuple[Cost, ...], unit: RateUnit, each: int
) -> None:
    core = LimiterCore(Allowance())
    core.take(Cost(500, 500), 4.0)  # before it, so that the provider has counted it
    first = core.take(Cost(30, 10), 5.0)
    for cost in calls:
        core.take(cost, 5.0)
    core.learn([RateLimit(unit, 6000, 3000, None, 60.0)], first, 5.0)
    assert others(core, 5.0) == [(unit, 60.0, 6000 - 3000 + 2 * each)]


def test_a_limit_without_a_word_on_what_is_left_is_wholly_there() -> None:
    core = LimiterCore(Allowance())
    core.learn([RateLimit("requests", 100, None, None, 60.0)], core.take(Cost(), 0.0), 0.0)
    assert at_once(core, 0.0) == 100


def test_after_its_first_reply_a_provider_that_tells_no_limits_is_held_back_no_more() -> None:
    core = LimiterCore(Allowance())
    grants = [core.take(Cost(), 0.0) for _ in range(64)]
    assert core.wait(Cost(), 0.0) == math.inf
    core.learn([], grants[0], 0.1)
    core.settle(grants[0], Cost(), 0.1)
    for _ in range(100):
        assert core.wait(Cost(), 0.1) == 0
        core.take(Cost(), 0.1)


def test_limits_that_stay_unclear_are_waited_for_so_long_and_no_longer() -> None:
    core = LimiterCore(Allowance())
    unclear = RateLimit("requests", 6000, 99, 0.01)
    for _ in range(64):
        core.take(Cost(), 0.0)
    for _ in range(3 * 64 + 1):
        assert core.wait(Cost(), 0.0) == math.inf
        grant = core.take(Cost(), 0.0)
        core.learn([unclear], grant, 0.0)
        core.settle(grant, Cost(), 0.0)
    assert core.wait(Cost(), 0.0) == 0


# -- the replies after it


def test_what_others_took_is_seen_in_the_window_that_the_reply_is_about_and_in_no_other() -> None:
    core = LimiterCore(Allowance(requests_per_minute=100, tokens_per_minute=100))
    for left in (100, 30):
        core.learn([RateLimit("requests", 100, left, None, 3600.0)], core.take(Cost(), 0.0), 0.0)
    assert others(core, 0.0) == [("requests", 60.0, 0), ("tokens", 60.0, 0), ("requests", 3600.0, 69)]


def test_what_others_took_of_a_limit_that_was_configured_is_seen_too() -> None:
    core = LimiterCore(Allowance(requests_per_minute=100, tokens_per_minute=100))
    core.learn([RateLimit("requests", 100, 30)], core.take(Cost(), 0.0), 0.0)
    assert others(core, 0.0) == [("requests", 60.0, 69), ("tokens", 60.0, 0)]


def test_a_configured_limit_that_is_not_the_providers_sees_nothing_of_what_the_provider_has_left() -> None:
    core = LimiterCore(Allowance(requests_per_minute=500))
    for _ in range(2):
        core.learn([RateLimit("requests", 100, 30, None, 60.0)], core.take(Cost(), 0.0), 0.0)
    own, learnt = core.windows
    assert (own.limit, own.others(0.0)) == (500, 0)
    assert (learnt.limit, learnt.others(0.0)) == (100, 70)


def test_what_came_back_before_the_reply_was_read_is_no_sign_of_others() -> None:
    core = LimiterCore(Allowance(requests_per_minute=60))
    grant = core.take(Cost(), 10.0)
    core.learn([RateLimit("requests", 60, 29, None, 60.0)], grant, 40.0)
    assert core.windows[0].others(40.0) == 0
    core.learn([RateLimit("requests", 60, 19, None, 60.0)], grant, 40.0)
    assert core.windows[0].others(40.0) == 10


def test_a_limit_that_comes_with_changed_limits_counts_its_own_unit() -> None:
    core = LimiterCore(Allowance())
    core.set_allowance(Allowance(tokens_per_minute=100))
    core.take(Cost(30, 10), 0.0)
    assert [(w.unit, w.limit, w.own(0.0)) for w in core.windows] == [("tokens", 100, 40)]
    assert core.counts_tokens


def test_what_was_taken_here_before_the_reply_was_read_is_no_sign_of_others() -> None:
    core = LimiterCore(Allowance(requests_per_minute=60, tokens_per_minute=1000))
    core.take(Cost(30, 10), 1.0)
    grant = core.take(Cost(30, 10), 1.0)
    for _ in range(5):
        core.take(Cost(30, 10), 1.0)
    core.learn([RateLimit("requests", 60, 53), RateLimit("tokens", 1000, 720)], grant, 1.0)
    assert others(core, 1.0) == [("requests", 60.0, 0), ("tokens", 60.0, 0)]
    core.learn([RateLimit("requests", 60, 50), RateLimit("tokens", 1000, 700)], grant, 1.0)
    assert others(core, 1.0) == [("requests", 60.0, 3), ("tokens", 60.0, 20)]


# -- a burst that was learnt


def learnt_burst(last: int) -> LimiterCore:
    """A core that has learnt, at 5 s, of 6000 a minute, and that no more than 100 go at once."""
    core = LimiterCore(Allowance())
    for left in (99, 80, last):
        core.learn([RateLimit("requests", 6000, left, (100 - left) / 100)], core.take(Cost(), 5.0), 5.0)
    return core


@pytest.mark.parametrize("last", [0, 40])
def test_of_a_burst_that_is_learnt_so_much_may_go_as_the_reply_says_is_left_and_the_rest_as_it_refills(
    last: int,
) -> None:
    core = learnt_burst(last)
    assert at_once(core, 5.0) == last
    assert core.wait(Cost(), 5.0) == pytest.approx(0.01005)
    assert at_once(core, 5.0 + 0.5) == 49


def test_what_others_took_of_a_burst_is_taken_here_too() -> None:
    core = learnt_burst(40)
    core.learn([RateLimit("requests", 6000, 20, 0.8)], core.take(Cost(), 5.0), 5.0)
    assert [bucket.left(5.0) for bucket in core.buckets] == [20]
    assert at_once(core, 5.0) == 20


def test_a_single_request_of_others_is_seen() -> None:
    bucket = Bucket("requests", 100, 60.0)
    bucket.see(remaining=79, before=80, since=0, now=0.0)
    assert bucket.left(0.0) == 89


def test_a_bucket_lets_one_go_however_little_it_holds() -> None:
    bucket = Bucket("requests", 1, 10.0)
    assert bucket.delay(1, 0.0) == 0
    bucket.take(1, 0.0)
    assert bucket.delay(1, 0.0) == pytest.approx(10.05)


# -- settling


def test_a_right_estimate_counts_from_when_it_was_taken() -> None:
    window = SlidingWindow("tokens", 100, 60.0)
    slot = window.take(10, 0.0)
    window.settle(slot, 10, 10, 0.09)
    assert window.own(60.3) == 0


def test_tokens_beyond_the_estimate_count_from_when_they_are_known() -> None:
    core = LimiterCore(Allowance(tokens_per_minute=100))
    grant = core.take(Cost(10), 0.0)
    core.settle(grant, Cost(30, 20), 30.0)
    (window,) = core.windows
    assert [window.own(now) for now in (30.0, 60.0, 61.0, 90.0, 91.0)] == [50, 50, 40, 40, 0]


def test_a_request_that_never_arrived_goes_back_into_the_burst() -> None:
    core = LimiterCore(Allowance(requests_per_minute=600, burst_seconds=1.0))
    grants = [core.take(Cost(), 0.0) for _ in range(9)]
    assert core.wait(Cost(), 0.0) > 0
    for grant in grants[:4]:
        core.settle(grant, Cost(0, 0), 0.0, request=False)
    assert at_once(core, 0.0) == 4


def test_who_asks_for_more_than_a_limit_is_told_what_it_is() -> None:
    core = LimiterCore(Allowance(tokens_per_minute=600))
    with pytest.raises(ImpossibleError, match="it takes 601 tokens, and the limit is 600 in 60 s"):
        core.wait(Cost(600, 1), 0.0)


def test_unless_told_otherwise_nobody_is_held_back_for_longer_than_a_minute() -> None:
    core = LimiterCore(Allowance())
    core.freeze(3600.0, 0.0)
    assert core.wait(Cost(), 0.0) == 60.0


# -- a window's time


@pytest.mark.parametrize(("later", "held"), [(0.5, 2), (1.0, 1)])
def test_what_was_taken_within_a_grain_comes_back_together_when_the_last_of_it_may(later: float, held: int) -> None:
    window = SlidingWindow("requests", 10, 600.0)  # a grain is a second, a span 603
    window.take(1, 10.0)
    window.take(1, 10.0 + later)
    assert window.own(613.2) == held
    assert window.own(614.1) == 0


@pytest.mark.parametrize("cost", [10, 60, 75, 80, 90, 100, 120])
def test_beside_what_others_took_the_wait_is_until_it_fits_and_no_longer(cost: int) -> None:
    def window() -> SlidingWindow:
        found = SlidingWindow("tokens", 120, 60.0)
        found.take(20, 0.0)
        found.take(10, 5.0)
        found.see(remaining=30, before=90, since=0, now=50.0)
        return found

    wait = window().delay(cost, 50.0)
    assert window().delay(cost, 50.0 + wait + 0.001) == 0
    assert wait == 0 or window().delay(cost, 50.0 + wait - 0.001) > 0
