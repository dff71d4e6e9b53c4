"""The breaker's states are exact, whatever ends when."""

from __future__ import annotations

from typing import Any

import pytest
from test_retry import Clock

from lexigram.contracts.ai.errors import (
    CircuitOpenError,
    DecodeError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMContentFilterError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderOverloadedError,
    ProviderServerError,
    StreamClosedError,
    StreamError,
)
from lexigram.resilience import BreakerConfig
from lexigram.resilience.breaker import Breaker, Outcome, outcome_of


def breaker(**config: Any) -> tuple[Breaker, Clock]:
    clock = Clock()
    settings = {"failures": 0.5, "min_calls": 4, "window": 30.0, "open_seconds": 10.0, "probes": 2, **config}
    return Breaker(BreakerConfig(**settings), clock, name="acme/m"), clock


def call(b: Breaker, outcome: Outcome, seconds: float = 0.0) -> None:
    era = b.enter()
    assert isinstance(era, int)
    b.leave(era, outcome, seconds)


def opened(**config: Any) -> tuple[Breaker, Clock]:
    b, clock = breaker(**config)
    for _ in range(4):
        call(b, "failed")
    assert b.state == "open"
    return b, clock


def test_it_opens_at_the_share_of_failures_and_not_before_enough_was_seen() -> None:
    b, _ = breaker()
    for _ in range(3):
        call(b, "failed")
    assert b.state == "closed"
    call(b, "failed")
    assert b.state == "open"
    b, _ = breaker()
    for outcome in ("ok", "ok", "ok", "failed", "failed"):
        call(b, outcome)  # type: ignore[arg-type]
    assert b.state == "closed"
    call(b, "failed")
    assert b.state == "open"


def test_what_is_older_than_the_window_does_not_count() -> None:
    b, clock = breaker()
    for _ in range(3):
        call(b, "failed")
    clock.now = 29.9
    call(b, "ok")
    clock.now = 30.0
    call(b, "failed")
    assert b.state == "closed"
    call(b, "failed")
    call(b, "failed")
    assert b.state == "open"


def test_an_open_one_says_until_when_and_lets_nobody_go() -> None:
    b, clock = opened()
    clock.now = 4.0
    for denied in (b.check(), b.enter()):
        assert isinstance(denied, CircuitOpenError)
        assert denied.retry_after == pytest.approx(6.0)
        assert "acme/m" in denied.message
    clock.now = 9.999
    assert b.check() is not None
    clock.now = 10.0
    assert b.check() is None


def test_half_open_it_lets_so_many_probes_go_and_no_more() -> None:
    b, clock = opened()
    clock.now = 10.0
    first, second, third = b.enter(), b.enter(), b.enter()
    assert isinstance(first, int) and isinstance(second, int)
    assert isinstance(third, CircuitOpenError) and third.retry_after == 0
    assert b.state == "half_open"
    b.leave(first, "ok")
    assert isinstance(b.enter(), CircuitOpenError)
    b.leave(second, "ok")
    assert b.state == "closed"
    for _ in range(3):
        call(b, "failed")
    assert b.state == "closed"  # it begins anew


def test_a_failed_probe_opens_it_again_for_as_long() -> None:
    b, clock = opened()
    clock.now = 12.0
    call(b, "failed")
    assert b.state == "open"
    clock.now = 21.9
    assert b.check() is not None
    clock.now = 22.0
    assert b.state == "half_open"


def test_a_probe_without_a_verdict_gives_its_place_back() -> None:
    b, clock = opened(probes=1)
    clock.now = 10.0
    for _ in range(5):
        call(b, "ignored")
        assert b.state == "half_open"
    call(b, "ok")
    assert b.state == "closed"


def test_what_began_before_the_last_change_says_nothing_about_now() -> None:
    b, clock = breaker()
    old = [b.enter() for _ in range(8)]
    for era in old[:4]:
        b.leave(era, "failed")  # type: ignore[arg-type]
    clock.now = 10.0
    probe = b.enter()
    for era in old[4:6]:
        b.leave(era, "ok")  # type: ignore[arg-type]
    assert b.state == "half_open"
    b.leave(old[6], "failed")  # type: ignore[arg-type]
    assert b.state == "half_open"
    b.leave(probe, "ok")  # type: ignore[arg-type]
    call(b, "ok")
    assert b.state == "closed"
    b.leave(old[7], "failed")  # type: ignore[arg-type]
    assert b.state == "closed"


def test_a_slow_answer_counts_as_failed_where_that_is_asked_for() -> None:
    b, _ = breaker(slow_seconds=2.0)
    for _ in range(8):
        call(b, "ok", 2.0)
    assert b.state == "closed"
    for _ in range(8):
        call(b, "ok", 2.1)
    assert b.state == "open"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ProviderServerError("x", status=500), "failed"),
        (ProviderOverloadedError("x", status=529), "failed"),
        (ProviderConnectionError("x"), "failed"),
        (LLMTimeoutError("x", phase="first_token"), "failed"),
        (LLMTimeoutError("x", phase="total"), "failed"),
        (DecodeError("x", status=200), "failed"),
        (StreamError("x"), "failed"),
        (LLMTimeoutError("x", phase="limiter"), "ignored"),
        (LLMTimeoutError("x", phase="backoff"), "ignored"),
        (LLMTimeoutError("x", phase="pool"), "ignored"),
        (StreamClosedError("x"), "ignored"),
        (InvalidRequestError("x", status=400), "ignored"),
        (LLMAuthenticationError("x", status=401), "ignored"),
        (LLMRateLimitError("x", status=429), "ignored"),
        (LLMRateLimitError("x"), "ignored"),
        (ProviderServerError("x", status=400), "ignored"),
        (ProviderServerError("x", status=408), "ignored"),
        (LLMContentFilterError("x"), "ignored"),
    ],
)
def test_only_the_providers_own_failures_count(error: Any, outcome: str) -> None:
    assert outcome_of(error) == outcome


def opens_after(b: Breaker, most: int = 20) -> int:
    """Let calls fail until it opens, and return how many it took."""
    for count in range(1, most):
        call(b, "failed")
        if b.state == "open":
            return count
    return most


def test_what_says_nothing_of_the_provider_does_not_dilute_its_failures() -> None:
    b, _ = breaker()
    for _ in range(10):
        call(b, "ignored")
    assert opens_after(b) == 4


def test_what_is_older_than_the_window_counts_no_more_and_the_rest_all_the_same() -> None:
    b, clock = breaker()
    for outcome in ("ok",) * 4 + ("failed",) * 2:
        call(b, outcome)
    clock.now += 2.0
    for outcome in ("ok",) * 6 + ("failed",):
        call(b, outcome)
    clock.now += 28.5
    # Left are six that went well and one that failed: five more make it half.
    assert opens_after(b) == 5


def test_a_call_from_two_states_ago_says_nothing() -> None:
    b, clock = breaker(min_calls=1, probes=1)
    old = b.enter()
    assert isinstance(old, int)
    call(b, "failed")
    clock.now += 10.0
    call(b, "ok")
    assert b.state == "closed"
    b.leave(old, "failed")
    assert b.state == "closed"


def test_a_late_probe_says_nothing_in_a_later_half_open_state() -> None:
    b, clock = opened()
    clock.now = 10.0
    failed, late = b.enter(), b.enter()
    assert isinstance(failed, int) and isinstance(late, int)
    b.leave(failed, "failed")
    clock.now = 20.0
    call(b, "ok")
    b.leave(late, "ok")
    assert b.state == "half_open"  # of this state's two probes only one went well
    call(b, "ok")
    assert b.state == "closed"


def test_a_call_whose_duration_is_not_told_is_not_slow() -> None:
    b, _ = breaker(slow_seconds=0.5)
    for _ in range(8):
        era = b.enter()
        assert isinstance(era, int)
        b.leave(era, "ok")
    assert b.state == "closed"


@pytest.mark.parametrize(("later", "state"), [(0.5, "closed"), (1.0, "open")])
def test_calls_within_a_thirtieth_of_the_window_are_forgotten_together(later: float, state: str) -> None:
    b, clock = breaker()
    clock.now = 10.0
    call(b, "failed")
    clock.now += later
    call(b, "failed")
    clock.now = 40.2
    for _ in range(3):
        call(b, "failed")
    assert b.state == state
