"""The readers of bytes under atheris: ``python tests/fuzz/readers.py sse|ndjson|http [libFuzzer's options]``.

The first bytes of an input say where the rest is cut. Every input is read whole and in pieces: both must give the same events, or
the same kind of error; anything else that is raised ends the run. The seeds are the fault server's replies.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[2] / "packages" / "lexigram-http" / "tests"))

with atheris.instrument_imports(include=["lexigram.ai.llm.framing", "lexigram.http"]):
    from test_fuzz import BROKEN, VALID, run

    from lexigram.ai.llm.framing import EventDecoder, NDJSONDecoder, SSEDecoder
    from lexigram.contracts.ai.errors import DecodeError
    from lexigram.testing.faults import CHAT
    from lexigram.testing.faults._streams import WRITTEN

CUTS = 4
LIMIT = 1 << 12


def pieces(data: bytes) -> tuple[bytes, list[bytes]]:
    """Return the input without its first bytes, and the same cut at the places that they name."""
    places, rest = data[:CUTS], data[CUTS:]
    edges = sorted({0, len(rest), *[place % (len(rest) + 1) for place in places]})
    return rest, [rest[a:b] for a, b in zip(edges, edges[1:], strict=False)]


def events(decoder: EventDecoder, parts: list[bytes]) -> object:
    try:
        return [event for part in parts for event in decoder.feed(part)] + decoder.flush()
    except DecodeError as error:
        return error.reason


def framing(make: Callable[[int], EventDecoder]) -> Callable[[bytes], None]:
    def one(data: bytes) -> None:
        whole, parts = pieces(data)
        # Whether an event passes the limit may depend on the cuts; what is read within it may not.
        if len(whole) <= LIMIT:
            assert events(make(LIMIT), parts) == events(make(LIMIT), [whole])
        else:
            events(make(LIMIT), parts)

    return one


def http(data: bytes) -> None:
    whole, parts = pieces(data)
    if whole:
        one, many = run([whole]), run(parts)
        assert one[0] in ("reply", "error") and many[0] == one[0], (one, many)


TARGETS: dict[str, tuple[Callable[[bytes], None], list[bytes]]] = {
    "sse": (framing(SSEDecoder), [write(CHAT) for write in WRITTEN.values()]),
    "ndjson": (framing(NDJSONDecoder), [b'{"a":1}\n{"b":2}\r\n\n{"c":3}', b"\n\r\n", b"{}"]),
    "http": (http, [*VALID, *BROKEN]),
}


def main() -> None:
    target, seeds = TARGETS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / f"seed-{number}").write_bytes(bytes([7, 40, 80, 160]) + seed)
        atheris.Setup([sys.argv[0], *sys.argv[2:], corpus], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
