"""What one header teaches by itself, and when two agree: limits are written rounded, and some make no sense."""

from __future__ import annotations

import pytest

from lexigram.contracts.ai import RateLimit
from lexigram.resilience.limiter.learning import Learner, window_of


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (RateLimit("requests", 20, 0, 60.0), 60.0),
        (RateLimit("requests", 20, 10), None),
        (RateLimit("tokens", 60000, 59999, 0.001), None),  # a whole millisecond: it may be anything up to one
        (RateLimit("requests", 100, -20, 72.0), None),  # less than nothing left
    ],
)
def test_only_what_makes_sense_tells_a_span(said: RateLimit, seconds: float | None) -> None:
    assert window_of(said) == seconds


def test_a_minute_is_believed_at_once_and_leaves_nothing_to_wait_for() -> None:
    lesson = Learner().hear(RateLimit("requests", 10000, 9999, 0.006))
    assert (lesson.seconds, lesson.burst, lesson.freeze, lesson.pending) == (60.0, None, None, False)


def test_nothing_left_still_tells_for_how_long_the_limit_is() -> None:
    assert Learner().hear(RateLimit("requests", 600, 0, 20.0, 60.0)) == (60.0, None, 20.0, False)


@pytest.mark.parametrize(("apart", "agree"), [(2.0, True), (-2.0, True), (2.5, False), (-2.5, False), (10.0, False)])
def test_two_replies_agree_on_a_burst_where_they_differ_by_rounding_only(apart: float, agree: bool) -> None:
    """Of a burst of 100, 100 a second: one, a hundredth of it, and what comes back in two milliseconds."""
    learner = Learner()
    learner.hear(RateLimit("requests", 6000, 90, 0.1))
    lesson = learner.hear(RateLimit("requests", 6000, 50, 0.5 + apart / 100))
    assert (lesson.burst is not None) == agree


def test_a_burst_of_one_is_learnt_and_none_of_nothing() -> None:
    learner = Learner()
    learner.hear(RateLimit("requests", 60, 1, 0.0))
    assert learner.hear(RateLimit("requests", 60, 0, 1.0)).burst == 1.0
    nothing = Learner()
    for _ in range(2):
        assert nothing.hear(RateLimit("requests", 60, 0, 0.0)).burst is None
