"""The rows about statuses, hints and answers of another shape: 24 to 46. They concern what stands on the transport."""

from __future__ import annotations

import json
from typing import Any

from fault_acts import COMPLETE, OK, retryable
from fault_row import FULL, Row
from fault_world import Mode, World

from lexigram.contracts.ai.request import Timeouts
from lexigram.testing.faults import Peer, response, scenario
from lexigram.testing.invariants import Observed

ODD = {
    "odd_words": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}], "x": [1]},
    "no_usage": {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}], "usage": {"new_kind": 7}},
    "no_choices": {"id": "c-1", "object": "chat.completion", "choices": []},
}
ODD["odd_words"]["choices"][0]["finish_reason"] = "because"  # type: ignore[index]


@scenario
async def odd(peer: Peer, args: list[str]) -> None:
    """Arguments: which of the answers that are not quite what the API's description says."""
    await peer.send(response(json.dumps(ODD[args[0]]).encode(), "Content-Type: application/json"))


def refused(number: str, fault: str, play: str, *want: str, tries: int = 1, **more: Any) -> Row:
    """A refusal: asked for as a whole and as a stream, as the same typed error."""
    return Row(number=number, fault=fault, play=(f"refuse={play}",), want=want, tries=tries, roads=FULL, **more)


def hinted(number: str, fault: str, play: str, wait: float, **more: Any) -> Row:
    """A 429 with a hint, once; the next try comes after ``wait`` seconds, by the ledger, and not much later."""
    timeouts = Timeouts(total=4.0 + wait)
    checks: dict[str, Any] = {
        "check": waited(wait, wait + 1.0),
        "modes": COMPLETE,
        "timeouts": timeouts,
        **more,
    }
    return refused(number, fault, play, *OK, tries=2, once=True, **checks)


def waited(least: float, most: float) -> Any:
    def check(_: World, seen: Observed[Any]) -> list[str]:
        wait = seen.value.unwrap().attempts[1].wait
        return [] if least <= wait <= most else [f"waited {wait:.2f} s instead of {least} … {most} s"]

    return check


def given_up(retry_after: float) -> Any:
    """The hint is too long to wait for: its error comes at once, and tells it."""

    def check(_: World, seen: Observed[Any]) -> list[str]:
        error: Any = seen.error
        broken = [] if error.retry_after == retry_after else [f"retry_after is {error.retry_after}"]
        return broken if seen.seconds < 0.5 else [*broken, f"it took {seen.seconds:.1f} s"]

    return check


def spaced(_: World, seen: Observed[Any]) -> list[str]:
    """The pauses are within the range of the full jitter: 0.02 · 2ⁿ at most, and 0.05."""
    error: Any = seen.error
    waits = [attempt.wait for attempt in error.attempts]
    return [] if waits[0] == 0 and max(waits) < 0.3 else [f"pauses: {waits}"]


def no_page(_: World, seen: Observed[Any]) -> list[str]:
    error: Any = seen.error
    return ["the page's tags are shown"] if "<" in error.message or len(error.message) > 220 else []


def no_prompt(_: World, seen: Observed[Any]) -> list[str]:
    error: Any = seen.error
    return [] if error.message == "refused" and error.status else [f"message {error.message!r}, status {error.status}"]


def same_key(world: World, seen: Observed[Any]) -> list[str]:
    keys = {request.headers.get("idempotency-key") for request in world.server.journal.requests[: seen.asked]}
    return [] if len(keys) == 1 and None not in keys else [f"{len(keys)} idempotency keys"]


def usage_unknown(_: World, seen: Observed[Any]) -> list[str]:
    usage = seen.value.unwrap().usage
    return [] if usage.input_tokens is None and usage.output_tokens is None else [f"usage is {usage}"]


def raw_reason(_: World, seen: Observed[Any]) -> list[str]:
    answer = seen.value.unwrap()
    return [] if answer.raw_finish_reason == "because" else [f"finish reason {answer.raw_finish_reason!r}"]


async def thirty_refused(world: World, mode: Mode) -> Any:
    """So many refused keys would open a breaker that counted them."""
    results = [await world.ask(mode) for _ in range(30)]
    return results[-1]


BAD_SHAPE = "DecodeError(bad_shape)"
RATE = "LLMRateLimitError"
LONG: dict[str, Any] = {
    "again": False,
    "modes": COMPLETE,
    "note": "the next call is told at once to wait as well: a 429's pause holds for all calls with this key and model",
}

HEADS = [
    refused("24a", "400", "400", "InvalidRequestError", check=no_prompt),
    refused("24b", "404", "404", "InvalidRequestError", check=no_prompt),
    refused("24c", "404, model_not_found", "404,code~model_not_found", "ModelNotFoundError", check=no_prompt),
    refused("24d", "422", "422", "InvalidRequestError", check=no_prompt),
    refused(
        "25a",
        "401, thirty times",
        "401",
        "LLMAuthenticationError",
        act=thirty_refused,
        requests=30,
        note="thirty refused keys open no breaker",
    ),
    refused("25b", "403", "403", "LLMPermissionError", check=no_prompt),
    refused("26a", "429, insufficient_quota", "429,code~insufficient_quota,retry-after~1", "LLMQuotaExceededError"),
    refused("26b", "402", "402", "LLMQuotaExceededError"),
    refused("27a", "408", "408", "ProviderServerError", tries=3),
    refused("27b", "409", "409", "ProviderServerError", tries=3, check=same_key),
    refused(
        "27c",
        "409, without idempotency keys",
        "409",
        "ProviderServerError",
        policy={"retry": {"base": 0.02, "idempotency_key": False}},
    ),
    refused("28a", "413", "413", "TokenLimitError"),
    refused("28b", "400, context_length_exceeded", "400,code~context_length_exceeded", "TokenLimitError"),
    refused("29", "429 without a hint, always", "429", RATE, tries=3, check=spaced),
    hinted("29b", "429 without a hint, once", "429", 0.0),
    hinted("30", "429, Retry-After: 1", "429,retry-after~1", 1.0),
    hinted("31a", "429, Retry-After: a date in one second", "429,until~1", 1.0),
    hinted("31b", "the same, by a clock that is an hour slow", "429,until~1,clock~-3600", 1.0),
    hinted("31c", "the same, by a clock that is an hour fast", "429,until~1,clock~3600", 1.0),
    hinted("32", "429, retry-after-ms: 300", "429,retry-after-ms~300", 0.3),
    hinted("33", "429, retry-after-ms: 0 and retry-after: 1", "429,retry-after-ms~0,retry-after~1", 1.0),
    hinted("34a", "429, Retry-After: abc", "429,retry-after~abc", 0.0),
    hinted("34b", "429, Retry-After: -5", "429,retry-after~-5", 0.0),
    hinted("34c", "429, Retry-After: nan", "429,retry-after~nan", 0.0),
    hinted("34d", "429, Retry-After: 0", "429,retry-after~0", 0.0),
    refused("35a", "429, Retry-After: 3600", "429,retry-after~3600", RATE, check=given_up(3600), **LONG),
    refused("35b", "429, Retry-After: 1e9", "429,retry-after~1e9", RATE, check=given_up(1e9), **LONG),
    refused("35c", "429, Retry-After: inf", "429,retry-after~inf", RATE, check=given_up(float("inf")), **LONG),
    refused(
        "35d",
        "429, Retry-After: 30, of a deadline of 3 s",
        "429,retry-after~30",
        RATE,
        check=given_up(30),
        **LONG,
    ),
    refused("36a", "500", "500", "ProviderServerError", tries=3, check=same_key),
    refused("36b", "502", "502", "ProviderServerError", tries=3),
    refused("36c", "503", "503", "ProviderOverloadedError", tries=3),
    refused("36d", "504", "504", "ProviderServerError", tries=3),
    refused("36e", "503, once", "503", *OK, tries=2, once=True),
    refused("37a", "501", "501", "ProviderServerError", check=retryable(False)),
    refused("37b", "505", "505", "ProviderServerError", check=retryable(False)),
    refused("37c", "507", "507", "ProviderServerError", check=retryable(False)),
    refused("37d", "511", "511", "ProviderServerError", check=retryable(False)),
    refused("38", "529, overloaded_error", "529,code~overloaded_error", "ProviderOverloadedError", tries=3),
    refused("39a", "503, x-should-retry: false", "503,x-should-retry~false", "ProviderOverloadedError"),
    refused("39b", "400, x-should-retry: true", "400,x-should-retry~true", "InvalidRequestError", tries=3),
    Row(
        number="40",
        fault="502 with a web page",
        play=("html=502",),
        want=("ProviderServerError",),
        tries=3,
        roads=FULL,
        check=no_page,
    ),
    Row(
        number="41",
        fault="200 with a web page",
        play=("html200",),
        want=("DecodeError(content_type)",),
        roads=FULL,
        check=no_page,
    ),
    Row(
        number="42",
        fault='200 with {"error": …}: overloaded',
        play=("s_json200",),
        want=("ProviderOverloadedError",),
        modes=COMPLETE,
        tries=3,
        roads=FULL,
        note="as a stream: row 74",
    ),
    Row(number="43a", fault="200, empty", play=("empty200",), want=(BAD_SHAPE,), modes=COMPLETE, tries=2, roads=FULL),
    Row(number="43b", fault="200, null", play=("null200",), want=(BAD_SHAPE,), modes=COMPLETE, tries=2, roads=FULL),
    Row(number="43c", fault="200, []", play=("list200",), want=(BAD_SHAPE,), modes=COMPLETE, tries=2, roads=FULL),
    Row(number="44a", fault="no choices", play=("shapeless",), want=(BAD_SHAPE,), modes=COMPLETE, roads=FULL),
    Row(number="44b", fault="empty choices", play=("odd=no_choices",), want=(BAD_SHAPE,), modes=COMPLETE, roads=FULL),
    Row(
        number="45",
        fault="unknown finish reason, unknown fields",
        play=("odd=odd_words",),
        want=OK,
        modes=COMPLETE,
        roads=FULL,
        check=raw_reason,
        note="kept as it was written",
    ),
    Row(
        number="46",
        fault="usage without its counts, unknown kinds of tokens",
        play=("odd=no_usage",),
        want=OK,
        modes=COMPLETE,
        roads=FULL,
        check=usage_unknown,
        note="unknown, not 0",
    ),
]
