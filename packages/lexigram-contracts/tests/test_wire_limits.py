"""Rate limits in headers: each vendor's own way of writing them gives the same value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.contracts.ai.completion import RateLimit
from lexigram.contracts.wire.limits import duration_seconds, rate_limits

DATE = "Thu, 20 Nov 2025 18:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param(
            {"x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999", "x-ratelimit-reset-requests": "6ms"},
            RateLimit("requests", 10000, 9999, 0.006),
            id="openai",
        ),
        pytest.param(
            {"X-RateLimit-Limit-Tokens": "30000", "X-RateLimit-Remaining-Tokens": "0", "X-RateLimit-Reset-Tokens": "8m24.5s"},
            RateLimit("tokens", 30000, 0, 504.5),
            id="openai long, names in any case",
        ),
        pytest.param(
            {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370", "x-ratelimit-reset-requests": "2m59.56s"},
            RateLimit("requests", 14400, 14370, 179.56),
            id="groq",
        ),
        pytest.param(
            {"date": DATE, "anthropic-ratelimit-input-tokens-limit": "400", "anthropic-ratelimit-input-tokens-remaining": "0",
             "anthropic-ratelimit-input-tokens-reset": "2025-11-20T18:00:12Z"},
            RateLimit("input_tokens", 400, 0, 12.0, 60.0),
            id="anthropic",
        ),
        pytest.param(
            {"x-ratelimit-limit-requests": "250", "x-ratelimit-remaining-requests": "247",
             "x-ratelimit-renewalperiod-requests": "60", "x-ratelimit-reset-requests": "500"},
            RateLimit("requests", 250, 247, 0.5, 60.0),
            id="azure",
        ),
        pytest.param(
            {"x-ratelimit-limit-tokens-minute": "1000000", "x-ratelimit-remaining-tokens-minute": "999780",
             "x-ratelimit-reset-tokens-minute": "20.397132873535156"},
            RateLimit("tokens", 1000000, 999780, 20.397132873535156, 60.0),
            id="cerebras",
        ),
        pytest.param(
            {"date": DATE, "x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1763661630000"},
            RateLimit("requests", 20, 0, 30.0),
            id="openrouter, epoch milliseconds",
        ),
        pytest.param(
            {"date": DATE, "x-ratelimit-limit": "100", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1763661605"},
            RateLimit("requests", 100, 1, 5.0),
            id="epoch seconds",
        ),
        pytest.param(
            {"x-ratelimit-limit-req-10-second": "60", "x-ratelimit-remaining-req-10-second": "53"},
            RateLimit("requests", 60, 53, None, 10.0),
            id="mistral",
        ),
        pytest.param({"x-ratelimit-limit": "10", "x-ratelimit-remaining": "9", "x-ratelimit-reset": "2"}, RateLimit("requests", 10, 9, 2.0), id="together"),
        pytest.param({"x-ratelimit-limit-minute": "400", "x-ratelimit-remaining-minute": "399"}, RateLimit("requests", 400, 399, None, 60.0), id="huggingface"),
    ],
)  # fmt: skip
def test_every_vendors_way_of_writing_a_limit_is_read(headers: dict[str, str], expected: RateLimit) -> None:
    (found,) = rate_limits(headers)
    assert found == expected


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry-after": "3", "date": DATE},
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"},
        {"x-ratelimit-remaining-tokens-day": "9223372036854767616"},
        {"x-ratelimit-limit-input-images": "250000"},
        {"x-ratelimit-key": "gpt-5", "x-ratelimit-abusepenalty-active": "False", "x-ratelimit-tokens-query-cost": "150"},
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-reset-requests": "soon"},
    ],
)  # fmt: skip
def test_what_is_no_limit_or_none_is_not_said(headers: dict[str, str]) -> None:
    assert rate_limits(headers) == ()


def test_times_count_from_the_replys_own_date_and_from_nothing_else() -> None:
    headers = {"anthropic-ratelimit-requests-limit": "5", "anthropic-ratelimit-requests-reset": "2025-11-20T18:00:12Z"}
    assert rate_limits(headers)[0].reset is None
    assert rate_limits({**headers, "date": DATE})[0].reset == 12.0
    past = {**headers, "date": "Thu, 20 Nov 2025 18:01:00 GMT"}
    assert rate_limits(past)[0].reset == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("1h2m3.4s", 3723.4), ("1h12m7.2s", 4327.2), ("999.999999ms", 0.999999999), ("0s", 0.0), ("10us", 1e-5)]
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert duration_seconds(text) == pytest.approx(seconds)


@given(st.dictionaries(
    st.sampled_from(["date", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
                     "x-ratelimit-renewalperiod-requests", "anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-limit"]),
    st.one_of(st.text("0123456789hmsnu.-+:TZeE_ ", max_size=20), st.sampled_from(["inf", "nan", "1e400", "-5", "1" * 400, "٣", "2025-11-20T18:00:12", DATE]))))  # fmt: skip
def test_no_header_value_is_an_exception_or_a_negative_number(headers: dict[str, str]) -> None:
    for limit in rate_limits(headers):
        for value in (limit.limit, limit.remaining, limit.reset, limit.window):
            assert value is None or 0 <= value < float("inf")
