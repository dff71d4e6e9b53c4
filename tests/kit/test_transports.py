"""lexigram-http keeps what the conformance kit asks of any transport; httpx's own keeps what it claims here."""

from __future__ import annotations

from pathlib import Path

import httpx

from lexigram.http import Deadlines, HttpTransport, Limits
from lexigram.testing.conformance.transport import TransportConformance


class TestHttpTransport(TransportConformance):
    claims = TransportConformance.ALL

    def make(self, connections: int | None = None) -> httpx.AsyncBaseTransport:
        limits = Limits(connections=connections or 256, stream_decoded=64 << 20)
        return HttpTransport(limits=limits, deadlines=Deadlines(total=20.0))


class TestHttpxTransport(TransportConformance):
    # What httpx 0.28.1 with httpcore 1.0.9 does not keep, as the kit shows.
    claims = TransportConformance.ALL - {
        "bounds_bodies",
        "bounds_slow_heads",
        "fails_on_damaged_codings",  # a gzip body that is cut passes for a whole one
        "leaks_nothing_when_a_stream_is_cancelled",
        "leaks_nothing_when_cancelled",
        "leaks_nothing_when_cancelled_under_contention",
        "refuses_to_be_injected",  # it does, but its error shows the value
        "serves_several_event_loops",
        "takes_no_reply_that_nobody_asked_for",
    }
    limit = 2.0

    def make(self, connections: int | None = None) -> httpx.AsyncBaseTransport:
        return httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=connections))


def test_the_page_says_how_many_behaviours_httpx_claims() -> None:
    page = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert f"claims {len(TestHttpxTransport.claims)} of the {len(TransportConformance.ALL)}." in page
