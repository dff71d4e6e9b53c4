"""Any bytes in any pieces through the whole client: chunks or a typed error, never a foreign exception."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lexigram.ai.llm import LLMClient, ProviderRegistry
from lexigram.ai.llm.client import ClientDefaults
from lexigram.ai.llm.transport import Limits, WireRequest
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import DecodeError, LLMError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.result import Err, Ok, Result
from lexigram.contracts.wire import Endpoint
from lexigram.testing.faults import CHAT
from lexigram.testing.faults._streams import WRITTEN

QUESTION: Any = [{"role": "user", "content": "Hi"}]


class NullReply:
    """A reply out of memory."""

    def __init__(self, pieces: list[bytes], status: int) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {}
        self._pieces: Iterator[bytes] = iter(pieces)
        self.closed = False

    async def read(self) -> bytes:
        return b"".join(self._pieces)

    async def next_chunk(self) -> bytes:
        return next(self._pieces, b"")

    def progress(self) -> None:
        pass

    async def aclose(self) -> None:
        self.closed = True


class NullSender:
    """A road without a network."""

    failures: tuple[type[Exception], ...] = ()

    def __init__(self, pieces: list[bytes], status: int = 200) -> None:
        self.reply = NullReply([piece for piece in pieces if piece], status)

    def explain(self, error: Exception) -> LLMError:
        raise AssertionError(error)

    async def open(self, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> NullReply:
        return self.reply

    async def aclose(self) -> None:
        pass


VENDOR = ProviderRegistry().get("openai_compatible")
ENDPOINT = Endpoint(VENDOR.name, "http://null/v1", VENDOR.quirks, {})


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def ask(runner: asyncio.Runner, pieces: list[bytes], *, stream: bool = True, status: int = 200) -> Any:
    """Return what the client makes of a reply; everything but a Result is a failure of the test."""
    sender = NullSender(pieces, status)
    client = LLMClient(
        VENDOR, ENDPOINT, sender, defaults=ClientDefaults(model="m-1"), limits=Limits(event_bytes=1 << 16)
    )
    work = client.stream_chat(QUESTION).completion() if stream else client.complete(QUESTION)
    result: Result[Completion, LLMError] = runner.run(asyncio.wait_for(work, 5))
    assert sender.reply.closed
    if isinstance(result, Err):
        assert isinstance(result.err_value, LLMError)
        str(result.err_value)
    else:
        assert isinstance(result, Ok) and isinstance(result.ok_value, Completion)
    return result


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *[p % (len(data) + 1) for p in places]})
    return [data[a:b] for a, b in zip(edges, edges[1:], strict=False)]


PLACES = st.lists(st.integers(0, 5000), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = [
    "choices",
    "delta",
    "content",
    "finish_reason",
    "index",
    "usage",
    "error",
    "tool_calls",
    "function",
    "id",
    "name",
]
CHUNKS = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)
GOOD = sorted(name for name in WRITTEN if name not in ("s_badutf8", "s_badjson"))
FEW = settings(max_examples=150, deadline=None)


@FEW
@given(
    st.lists(st.binary(max_size=300), max_size=6), st.sampled_from([200, 200, 204, 301, 407, 429, 500]), st.booleans()
)
@example([b"\xef"], 200, True)
@example([b" ", b"\n"], 200, True)
def test_any_bytes_give_an_answer_or_a_typed_error(
    runner: asyncio.Runner, pieces: list[bytes], status: int, stream: bool
) -> None:
    ask(runner, pieces, status=status, stream=stream)


@FEW
@given(st.lists(CHUNKS, max_size=5), PLACES)
def test_any_json_in_events_gives_an_answer_or_a_typed_error(
    runner: asyncio.Runner, values: list[Any], places: list[int]
) -> None:
    data = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    ask(runner, cut(CHAT.events[0] + data + CHAT.events[2], places))


@FEW
@given(CHUNKS, st.sampled_from([200, 400, 500]))
def test_any_json_as_a_whole_reply_gives_an_answer_or_a_typed_error(
    runner: asyncio.Runner, value: Any, status: int
) -> None:
    ask(runner, [json.dumps(value).encode()], stream=False, status=status)
    ask(runner, [json.dumps(value).encode()], status=status)


def seen(result: Result[Completion, LLMError]) -> tuple[str, str, str]:
    if isinstance(result, Ok):
        return "ok", result.ok_value.content, str(result.ok_value.finish_reason)
    error = result.err_value
    return type(error).__name__, error.partial.content if error.partial else "", str(getattr(error, "reason", ""))


@FEW
@given(st.sampled_from(GOOD), PLACES)
def test_any_cuts_give_the_same_answer(runner: asyncio.Runner, name: str, places: list[int]) -> None:
    data = WRITTEN[name](CHAT)
    assert seen(ask(runner, cut(data, places))) == seen(ask(runner, [data]))


@FEW
@given(
    st.sampled_from(sorted(WRITTEN)),
    st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=6), st.integers(0, 6)), min_size=1, max_size=4),
    PLACES,
)
def test_a_damaged_stream_gives_an_answer_or_a_typed_error(
    runner: asyncio.Runner, name: str, damage: list[tuple[int, bytes, int]], places: list[int]
) -> None:
    data = WRITTEN[name](CHAT)
    for place, new, gone in damage:
        at = place % (len(data) + 1)
        data = data[:at] + new + data[at + gone :]
    ask(runner, cut(data, places))


@FEW
@given(st.integers(0, 400))
def test_a_stream_cut_anywhere_is_never_an_answer_before_its_end(runner: asyncio.Runner, place: int) -> None:
    whole = b"".join(CHAT.events)
    result = ask(runner, [whole[: place % (len(whole) - 2)]])
    assert isinstance(result, Err)


def test_an_event_above_the_limit_is_too_large_however_it_is_cut(runner: asyncio.Runner) -> None:
    for size in (100, 70_000):
        pieces = [CHAT.events[0], b"data: ", *[b"y" * size] * (200_000 // size)]
        result = ask(runner, pieces)
        assert isinstance(result.err(), DecodeError) and result.err().reason == "too_large"
