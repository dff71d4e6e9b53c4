"""Rate limits: who is let in, what the headers say, and that the limit is the limit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.contracts.wire.limits import duration_seconds, rate_limits
from lexigram.testing.simulator import Answer, RateLimits
from lexigram.testing.simulator._limits import Limiter
from lexigram.testing.simulator.wires.openai_common import duration

Ask = Callable[..., Any]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_request_beyond_the_limit_is_told_when_to_come_again(ask: Ask, clock: Clock) -> None:
    asker = ask("Hi", limits=RateLimits(requests_per_minute=6), clock=clock)
    assert [(await asker.chat()).status_code for _ in range(7)] == [200] * 6 + [429]
    clock.now += 4
    refused = await asker.chat()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "6"
    assert refused.headers["retry-after-ms"] == "6000"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
    assert "Limit 6, Used 6, Requested 1. Please try again in 6s." in error["message"]
    clock.now += 6
    assert (await asker.chat()).status_code == 200
    journal = asker.simulator.journal
    assert (journal.accepted, journal.limited, journal.statuses) == (7, 2, {200: 7, 429: 2})


async def test_openais_headers_say_how_the_limits_stand(ask: Ask, clock: Clock) -> None:
    asker = ask("Hi", limits=RateLimits(requests_per_minute=600, tokens_per_minute=6000), clock=clock)
    reply = await asker.chat()
    read = {limit.unit: limit for limit in rate_limits(reply.headers)}
    assert (read["requests"].limit, read["requests"].remaining, read["requests"].reset) == (600, 599, 0.1)
    used = reply.json()["usage"]["prompt_tokens"]
    assert (read["tokens"].limit, read["tokens"].remaining) == (6000, 6000 - used)


async def test_anthropics_headers_say_how_the_limits_stand(ask: Ask, clock: Clock) -> None:
    limits = RateLimits(requests_per_minute=2, input_tokens_per_minute=600, output_tokens_per_minute=60)
    asker = ask("Hi", limits=limits, clock=clock)
    reply = await asker.messages()
    assert reply.headers["anthropic-ratelimit-requests-remaining"] == "1"
    assert reply.headers["anthropic-ratelimit-input-tokens-limit"] == "600"
    reset = datetime.fromisoformat(reply.headers["anthropic-ratelimit-requests-reset"])
    assert 29 <= (reset - parsedate_to_datetime(reply.headers["date"])).total_seconds() <= 31
    await asker.messages()
    refused = await asker.messages()
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["x-should-retry"] == "true"
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert "2 requests per minute" in refused.json()["error"]["message"]


async def test_every_key_and_every_model_has_its_own_limit(ask: Ask, clock: Clock) -> None:
    asker = ask("Hi", limits=RateLimits(requests_per_minute=1), clock=clock)
    body = {"model": "a", "messages": [{"role": "user", "content": "Hi"}]}

    async def status(model: str, key: str) -> int:
        reply = await asker.send("/v1/chat/completions", {**body, "model": model}, authorization=f"Bearer {key}")
        code: int = reply.status_code
        return code

    assert [await status("a", "k"), await status("b", "k"), await status("a", "l"), await status("a", "k")] == [
        200,
        200,
        200,
        429,
    ]
    assert [entry.key_id for entry in asker.simulator.journal] == ["key-1", "key-1", "key-2", "key-1"]


async def test_what_an_answer_used_is_owed_by_the_next_requests(ask: Ask, clock: Clock) -> None:
    asker = ask(Answer(tokens=90), limits=RateLimits(tokens_per_minute=60), clock=clock)
    assert (await asker.chat()).status_code == 200
    refused = await asker.chat()
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "tokens"
    clock.now += float(refused.headers["retry-after-ms"]) / 1000
    assert (await asker.chat()).status_code == 200


async def test_max_tokens_count_where_they_are_reserved(ask: Ask, clock: Clock) -> None:
    asker = ask("Hi", limits=RateLimits(tokens_per_minute=100, reserve=True), clock=clock)
    assert (await asker.chat(max_tokens=80)).status_code == 200
    assert (await asker.chat(max_tokens=80)).status_code == 200, "what was not used came back"
    large = await asker.chat(max_tokens=1000)
    assert large.status_code == 429
    assert large.json()["error"]["message"].startswith("Request too large for gpt-4o")
    assert "retry-after" not in large.headers


async def test_counted_tokens_and_lists_cost_nothing(ask: Ask, clock: Clock) -> None:
    asker = ask("Hi", limits=RateLimits(requests_per_minute=1), clock=clock)
    assert [(await asker.send("/v1/models")).status_code for _ in range(3)] == [200] * 3


async def test_an_answer_that_fails_gives_its_tokens_back(ask: Ask, clock: Clock) -> None:
    asker = ask([], limits=RateLimits(tokens_per_minute=9), clock=clock)
    assert [(await asker.chat()).status_code for _ in range(3)] == [400] * 3


REQUESTS = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 30), st.integers(0, 30)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(requests=REQUESTS)
def test_no_sixty_seconds_see_more_than_a_sliding_limit(requests: list[tuple[float, int, int]]) -> None:
    clock = Clock()
    limiter = Limiter(RateLimits(5, tokens_per_minute=100, window="sliding", reserve=True), clock)
    let_in: list[tuple[float, int]] = []
    for pause, asked, used in requests:
        clock.now += pause
        admission = limiter.admit("key-1", "m", asked, 30)
        if admission.let_in:
            used = min(used, 30)
            admission.settle(asked, used)
            let_in.append((clock.now, asked + used))
        else:
            clock.now += max(limit.wait for limit in admission.limits)
            again = limiter.admit("key-1", "m", asked, 30)
            assert again.let_in, "the wait that was told is enough"
            again.settle(asked, 30)
            let_in.append((clock.now, asked + 30))
    for at, _ in let_in:
        window = [tokens for then, tokens in let_in if then <= at and at - then < 60 - 1e-6]
        assert len(window) <= 5
        assert sum(window) <= 100


@settings(max_examples=100, deadline=None)
@given(pauses=st.lists(st.floats(0, 5), max_size=80))
def test_a_bucket_lets_in_its_burst_and_then_its_rate(pauses: list[float]) -> None:
    clock = Clock()
    limiter = Limiter(RateLimits(60, burst=0.1), clock)
    let_in = []
    for pause in pauses:
        clock.now += pause
        if limiter.admit("key-1", "m", 0, 0).let_in:
            let_in.append(clock.now)
    for i, start in enumerate(let_in):
        for j, end in enumerate(let_in[i:], i):
            assert j - i + 1 <= 6 + (end - start) * 1.0 + 1e-6


@given(seconds=st.floats(0, 90000))
def test_durations_are_written_as_openai_writes_them(seconds: float) -> None:
    read = duration_seconds(duration(seconds))
    assert read is not None
    assert seconds <= read + 1e-9
    assert read - seconds <= 0.0011


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.006, "6ms"), (1.5, "1.5s"), (60, "1m0s"), (504.5, "8m24.5s"), (3723.4, "1h2m3.4s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_journal_knows_the_busiest_minute(ask: Ask) -> None:
    from lexigram.testing.simulator import Journal, JournalEntry

    journal = Journal()
    for number, at in enumerate([0.0, 10.0, 59.9, 60.0, 61.0]):
        entry = JournalEntry(number, "openai.chat", "/", "m", "none", 200, "done", "", False, 10, 5, at, 0.1, 1)
        journal.add(entry)
    assert journal.busiest() == (4, 60)
    assert journal.busiest(1.5) == (3, 45)


@pytest.mark.parametrize("wrong", [{"requests_per_minute": 0}, {"burst": 0.0}, {"burst": 2.0}])
def test_a_limit_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"requests_per_minute|burst"):
        RateLimits(**wrong)
