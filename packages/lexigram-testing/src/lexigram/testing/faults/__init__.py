"""A server that misbehaves by name, on the loopback interface, with a journal to assert on.

    with FaultServer() as server:
        server.play("s_rst")                     # for the next request; after it all is well again
        ...                                      # call through a client whose base URL is server.url()
        assert len(server.journal.requests) == 1

A scenario is named by :meth:`FaultServer.play`, or by the first segment of the request's path (``/sleep=0.2/…``). Paths
that end as a provider's do are answered in that provider's wire, whole or as a stream, as the request asks; all others
with plain JSON. ``scenarios`` lists the names; :func:`scenario` adds one.
"""

from lexigram.testing.faults import _http, _streams
from lexigram.testing.faults._replies import CANNED, Content, canned, chunk, response
from lexigram.testing.faults._server import (
    FaultServer,
    Journal,
    Peer,
    ReceivedRequest,
    Scenario,
    accepting,
    scenario,
    scenarios,
)
from lexigram.testing.faults._voices import CHAT, MESSAGES, PLAIN, VOICES, Voice

__all__ = [
    "CANNED",
    "CHAT",
    "MESSAGES",
    "PLAIN",
    "VOICES",
    "Content",
    "FaultServer",
    "Journal",
    "Peer",
    "ReceivedRequest",
    "Scenario",
    "Voice",
    "accepting",
    "canned",
    "chunk",
    "response",
    "scenario",
    "scenarios",
]

_http.register()
_streams.register()
