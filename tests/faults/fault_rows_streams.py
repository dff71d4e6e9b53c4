"""The rows about streams, the pool and keys: 63 to 90, 102, 104 and 114."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fault_acts import COMPLETE, CUT, OK, STREAM, TOTAL, quick
from fault_row import BOTH, FULL, Row
from fault_world import QUESTION, Mode, World

from lexigram.ai.llm.transport import Limits
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.result import Err
from lexigram.testing import Canary
from lexigram.testing.invariants import Observed, until
from lexigram.testing.stepping import Step, sweep

HEL = ("StreamError(truncated) after 'hel'",)
FRESH = Limits(connections=2, idle_connections=0)
IDLE = Timeouts(total=3.0, connect=1.0, idle=0.3)
FIRST = Timeouts(total=3.0, connect=1.0, first_token=0.3)
OVERLOADED = ("ProviderOverloadedError after 'hel'", "ProviderServerError after 'hel'")


async def first_at_once(world: World, mode: Mode) -> Any:
    """The first event is flushed half a second before the last."""
    start = time.monotonic()
    stream = world.client.stream_chat(QUESTION)
    await anext(stream)
    world.notes["first"] = time.monotonic() - start
    return await stream.completion()


def not_held_back(world: World, seen: Observed[Any]) -> list[str]:
    late = world.notes["first"] > seen.seconds - 0.25
    return [f"the first token came after {world.notes['first']:.2f} s of {seen.seconds:.2f}"] if late else []


async def slow_consumer(world: World, mode: Mode) -> Any:
    """Reads a little, then nothing: the server must come to a halt."""
    stream = world.client.stream_chat(QUESTION)
    await anext(stream)
    await asyncio.sleep(0.3)
    sent = world.server.journal.sent
    await asyncio.sleep(0.2)
    world.notes["grew"] = world.server.journal.sent - sent
    for _ in range(100):
        await anext(stream)
    await stream.aclose()
    return "the server waits" if world.notes["grew"] == 0 else f"the server sent {world.notes['grew']} more bytes"


def leaving(how: str) -> Any:
    async def act(world: World, mode: Mode) -> Any:
        stream = world.client.stream_chat(QUESTION)
        if how == "break":
            async for _ in stream:
                break
        elif how == "drop":
            await anext(stream)
        else:
            await anext(stream)
            await stream.aclose()
        del stream
        gone = await until(lambda: world.server.journal.gone == world.server.journal.connections)
        return "the server sees the end" if gone else "the server sees no end"

    return act


async def crowd(world: World, mode: Mode) -> Any:
    """One call holds the only connection; the others can only wait."""
    world.server.play_always("hang")
    first = asyncio.create_task(world.ask(mode, timeouts=Timeouts(total=1.5)))
    await asyncio.sleep(0.05)
    waiting = await asyncio.gather(*[world.ask(mode, timeouts=Timeouts(total=0.4)) for _ in range(49)])
    world.server.heal()
    await first
    kinds = {getattr(result.err(), "phase", str(result)) for result in waiting}
    return waiting[0] if len(kinds) == 1 else str(kinds)


def swept(again: int | None, *plan: str, warm: int = 0, together: int = 1) -> Any:
    """Cancel at every turn, while the server plays the plan."""

    async def act(world: World, mode: Mode) -> Any:
        steps = 0
        for _ in range(warm):
            await world.ask(mode)

        async def check(found: Step) -> None:
            nonlocal steps
            steps += 1
            assert found.outcome in ("cancelled", "returned"), found
            assert await until(lambda: world.slots() == 0), (found, world.slots())
            world.server.heal()
            after = await asyncio.wait_for(asyncio.gather(*[world.ask(mode) for _ in range(3)]), 2)
            assert all(result.is_ok() for result in after), (found, after)

        async def attempt() -> None:
            world.server.play(*plan)
            results = await asyncio.gather(*[world.ask(mode) for _ in range(together)])
            assert all(result.is_ok() for result in results), results

        try:
            found = await sweep(attempt, check, again=again)
            assert sum(step.outcome == "cancelled" for step in found) >= 4, found
        except (AssertionError, TimeoutError) as failed:
            return f"dies at step {steps - 1}: {type(failed).__name__}"
        return "alive at every step"

    return act


def key_row(letter: str, fault: str, key: str, want: tuple[str, ...]) -> Row:
    canary = Canary()
    return Row(
        number=f"114{letter}",
        fault=fault,
        want=want,
        canary=canary,
        fields={"api_key": key.format(canary.value)},
        modes=BOTH,
        requests=1 if "Ok" in want[0] else 0,
        again="Ok" in want[0],
    )


def header_act(name: str, value: str) -> Any:
    async def act(world: World, mode: Mode) -> Any:
        try:
            return await world.ask(mode, extra_headers={name: value.format(world.canary.value)})
        except ValueError as refused:
            return Err(refused)

    return act


def s(number: str, fault: str, play: str, *want: str, **more: Any) -> Row:
    return Row(number=number, fault=fault, play=(play,), want=want, modes=STREAM, **more)


NOTHING = "a stream that is cut before its first event, so it is tried again"
MESSAGES = {"provider": "anthropic"}
CONFIG = ("InvalidSettingError",)

STREAMS = [
    s("63", "reset after the first tokens", "s_rst", *HEL, tls=True),
    s("64", "chunked body cut", "s_eof_chunked", *HEL, tls=True),
    s("65", "close-delimited stream cut: a clean end, no finish, no [DONE]", "s_eof_close", *HEL, tls=True),
    s("66a", "no finish_reason", "s_nofinish", "StreamError(truncated) after 'hello'"),
    s("65b", "the same in the Messages wire", "s_eof_close", *HEL, fields=MESSAGES),
    s("66c", "all events but message_stop", "s_nodone", "StreamError(truncated) after 'hello'", fields=MESSAGES),
    s("66b", "finish_reason without [DONE]", "s_nodone", *OK),
    s("67", "stall in mid-stream", "s_stall", "LLMTimeoutError(idle) after 'hel'", timeouts=IDLE, tls=True),
    s(
        "68",
        "comments only, forever",
        "s_comments_forever",
        "LLMTimeoutError(first_token)",
        timeouts=FIRST,
        tls=True,
        tries=3,
        note="a try that brought no content is made again, within the same total",
    ),
    s("68b", "comments only, total alone", "s_comments_forever", TOTAL, timeouts=Timeouts(total=0.4)),
    s("69a", "[DONE], and the body never ends", "s_stall_done", *OK, check=quick(1.5)),
    s("69b", "finish_reason, and then nothing", "s_stall_finish", *OK, check=quick(2.9), timeouts=Timeouts(total=4)),
    s("70a", "first token too late", "s_slow_first=2", "LLMTimeoutError(first_token)", timeouts=FIRST, tries=3),
    s(
        "70b",
        "first token slower than the idle limit",
        "s_slow_first=0.4",
        *OK,
        timeouts=Timeouts(total=3, first_token=2, idle=0.2),
    ),
    s("71a", 'data: {"error": …} in mid-stream', "s_err", *OVERLOADED),
    s("71b", 'data: {"error": …} at once', "s_err_first", "ProviderOverloadedError", "ProviderServerError", tries=3),
    s("72a", "event: error, overloaded, in the Messages wire", "s_err_event_nested", *OVERLOADED, fields=MESSAGES),
    s("72b", "the same in the chat wire", "s_err_event_nested", *OVERLOADED),
    s("73", "event: error without an error key", "s_err_event", *OVERLOADED),
    s(
        "73b",
        "the same in the Messages wire",
        "s_err_event",
        *OVERLOADED,
        "StreamError(error) after 'hel'",
        fields=MESSAGES,
    ),
    s("74", "status 200 and a JSON error", "s_json200", "ProviderOverloadedError", "ProviderServerError", tries=3),
    s("74b", "status 200 and the whole answer as JSON", "s_whole", *OK),
    s("75a", "status 200 and a web page", "s_html200", "DecodeError(content_type)"),
    s("75b", "status 200 and nothing", "s_empty", *CUT, tries=3, note=NOTHING),
    s("75c", "status 200 and blank lines only", "s_blank", *CUT, tries=3),
    s("76", "malformed JSON in one event", "s_badjson", "DecodeError(bad_json) after 'hel'"),
    s("77", "UTF-8 split at every byte", "s_utf8split", "Ok 'h\\xe9\\U0001f600l\\u4e2do'", tls=True),
    s("78", "invalid UTF-8 in one event", "s_badutf8", "DecodeError(bad_utf8) after 'hel'"),
    s("79a", "CRLF, in single bytes", "s_crlf", *OK),
    s("79b", "CR, in single bytes", "s_cr", *OK),
    s("79c", "all line ends mixed, in single bytes", "s_mixed", *OK),
    s("80", "byte-order mark first", "s_bom", *OK),
    s("81", "U+2028, U+0085 and 0x1C in the text", "s_u2028", "Ok 'a\\u2028b\\x85c\\x1cd'"),
    s("82", "comments, blocks of id: or retry: only, event: ping", "s_comment", *OK),
    s("82b", "the same in the Messages wire", "s_comment", *OK, fields=MESSAGES),
    s("83", "unknown events and fields", "s_unknown", *OK),
    s("84a", "no space after data:", "s_nospace", *OK),
    s("84b", "data over several lines", "s_multiline", *OK),
    s("84c", "[DONE] without its blank line", "s_nofinalblank", *OK),
    s(
        "84d",
        "the finishing event without its blank line",
        "s_finish_nofinalblank",
        *OK,
        note="a last block that is whole JSON counts, though the standard drops it: some servers end so",
    ),
    s("84e", "cut in the middle of an event", "s_cut_event", *HEL),
    s("85", "data after [DONE], a second [DONE]", "s_dup_done", *OK),
    s(
        "86",
        "one event of 64 MB",
        "s_giant=64",
        "DecodeError(too_large) after 'hel'",
        check=quick(3),
        timeouts=Timeouts(total=10),
    ),
    s(
        "87a",
        "tokens forever, ended by total",
        "s_infinite",
        "LLMTimeoutError(total) after 'helhel...'",
        timeouts=Timeouts(total=0.4),
    ),
    s(
        "87b",
        "tokens forever, ended by the limit of bytes",
        "s_infinite",
        "DecodeError(too_large) after 'helhel...'",
        timeouts=Timeouts(total=10),
        limits=Limits(stream_bytes=1 << 20),
    ),
    s("88", "gzip, flushed event by event", "s_gzip", *OK, act=first_at_once, check=not_held_back),
    s("89", "the consumer is slow", "s_infinite", "the server waits", act=slow_consumer),
    s("90a", "the consumer breaks out", "s_stall", "the server sees the end", act=leaving("break"), tls=True),
    s("90b", "the consumer drops the stream", "s_stall", "the server sees the end", act=leaving("drop"), tls=True),
    s("90c", "the consumer closes the stream", "s_stall", "the server sees the end", act=leaving("aclose"), tls=True),
]

LIVES = [
    Row(
        number="102",
        fault="one connection, 50 calls",
        want=("LLMTimeoutError(pool)",),
        act=crowd,
        limits=Limits(connections=1),
        modes=BOTH,
        requests=1,
    ),
    Row(
        number="104a",
        fault="cancelled at every turn of the loop",
        want=("alive at every step",),
        act=swept(None),
        limits=FRESH,
        modes=BOTH,
        tls=True,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    Row(
        number="104b",
        fault="cancelled twice, in the same turn",
        want=("alive at every step",),
        act=swept(0),
        limits=FRESH,
        modes=BOTH,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    Row(
        number="104c",
        fault="cancelled twice, a turn apart",
        want=("alive at every step",),
        act=swept(1),
        limits=FRESH,
        modes=BOTH,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    Row(
        number="104d",
        fault="cancelled at every turn of a call that is tried twice",
        want=("alive at every step",),
        act=swept(None, "refuse=503"),
        policy={"breaker": {"enabled": False}, "budget": {"enabled": False}, "retry": {"base": 0.002}},
        limits=FRESH,
        modes=BOTH,
        roads=FULL,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    Row(
        number="104e",
        fault="the same, cancelled twice",
        want=("alive at every step",),
        act=swept(1, "refuse=503"),
        policy={"breaker": {"enabled": False}, "budget": {"enabled": False}, "retry": {"base": 0.002}},
        limits=FRESH,
        modes=BOTH,
        roads=FULL,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    Row(
        number="104f",
        fault="cancelled at every turn of a hedged call",
        want=("alive at every step",),
        act=swept(None, "sleep=0.05", "ok", warm=4),
        policy={"budget": {"enabled": False}, "hedge": {"enabled": True, "min_samples": 3, "min_delay": 0.005}},
        limits=Limits(connections=4, idle_connections=0),
        modes=COMPLETE,
        roads=FULL,
        requests=10_000,
        timeouts=Timeouts(total=30),
    ),
    key_row("a", "key with a line's end after it", "{}\n", OK),
    key_row("b", "key with a header inside", "{}\r\nX-Evil: 1", CONFIG),
    key_row("c", "key with a NUL", "{}\0x", CONFIG),
    key_row("d", "key that is not ASCII", "{}é", CONFIG),
    key_row("e", "key with spaces around it", "  {} ", OK),
    Row(
        number="114f",
        fault="header with a line's end in its value",
        want=("InvalidMessageError",),
        act=header_act("x-org", "{}\r\nX-Evil: 1"),
        requests=0,
    ),
    Row(
        number="114g",
        fault="header with a non-ASCII value",
        want=("InvalidMessageError",),
        act=header_act("x-org", "{}é"),
        requests=0,
    ),
    Row(
        number="114h",
        fault="header whose name is no token",
        want=("InvalidMessageError", "InvalidRequestError"),
        act=header_act("x org", "{}"),
        requests=0,
    ),
]
