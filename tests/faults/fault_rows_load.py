"""The rows about many calls and little time: 95 to 101, 103, 105, 106 and 113. All of them concern the whole stack."""

from __future__ import annotations

import asyncio
import copy
import pickle
import random
import statistics
import time
from collections import Counter
from typing import Any

from fault_acts import COMPLETE, OK
from fault_row import BOTH, FULL, Row
from fault_rows_streams import FRESH, swept
from fault_world import Mode, World, open_world

from lexigram.ai.llm.extraction import JSONExtractor
from lexigram.ai.llm.routing import LLMRouter, Target
from lexigram.contracts.ai.completion import Attempt, Completion
from lexigram.contracts.ai.errors import CircuitOpenError, InvalidMessageError, LLMError, LLMTimeoutError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.result import Err, Ok, Result
from lexigram.resilience import ResiliencePolicy
from lexigram.testing.invariants import Observed, until

LONG = Timeouts(total=20.0)
OFF: dict[str, Any] = {"enabled": False}


async def in_turn(world: World, mode: Mode, count: int, **options: Any) -> list[Any]:
    return [await world.ask(mode, **options) for _ in range(count)]


async def outage(world: World, mode: Mode) -> Any:
    """A thousand calls, fifty at a time, to a server that is down."""
    for _ in range(20):
        await asyncio.gather(*[world.ask(mode) for _ in range(50)])
    asked = len(world.server.journal.requests)
    world.figure(f"{asked} requests for 1,000 calls: {asked / 1000:.2f}×")
    await asyncio.sleep(0.1)  # a breaker lets probes through again
    return "at most 1.2 requests a call" if asked <= 1200 else f"{asked} requests"


async def three_layers(world: World, mode: Mode) -> Any:
    """The policy, a router around it, another policy around that, and an extractor that asks again by itself."""
    assert world.policy is not None
    router = LLMRouter([Target("one", world.policy.wrap(world.client))])
    return await JSONExtractor(ResiliencePolicy().wrap(router), max_retries=2).extract("x")


async def synchronised(world: World, mode: Mode) -> Any:
    """A hundred calls whose every try fails, begun together."""
    began = time.monotonic()
    await asyncio.gather(*[world.ask(mode) for _ in range(100)])
    retries = [request.at - began for request in world.server.journal.requests[100:]]
    fullest = max(Counter(int(at / 0.05) for at in retries).values())
    world.notes["retries"] = retries
    world.figure(f"{len(retries)} retries over {max(retries):.1f} s, at most {fullest} in 50 ms")
    return "spread out" if len(retries) == 200 and fullest <= 20 else f"{fullest} of {len(retries)} within 50 ms"


def nothing_too_late(_: World, seen: Observed[Any]) -> list[str]:
    """The last try began with at least 0.3 s left of the second."""
    error: Any = seen.error
    *before, last = error.attempts
    began = sum(a.wait + a.duration for a in before) + last.wait
    return [] if began <= 0.9 and seen.seconds <= 1.5 else [f"the last try began after {began:.2f} s"]


async def breaker_life(world: World, mode: Mode) -> Any:
    """Opens after so many failures, answers at once, probes, opens again, probes, closes."""
    story: list[str] = []
    results = await in_turn(world, mode, 30)
    asked = len(world.server.journal.requests)
    took: list[float] = []
    for _ in range(50):
        began = time.perf_counter()
        refused = await world.ask(mode)
        took.append(time.perf_counter() - began)
        assert isinstance(refused.err(), CircuitOpenError), refused
    story.append(f"open after {asked}" if isinstance(results[-1].err(), CircuitOpenError) else "never open")
    await asyncio.sleep(0.25)
    probe = await world.ask(mode)
    again = await world.ask(mode)
    flaps = not isinstance(probe.err(), CircuitOpenError) and isinstance(again.err(), CircuitOpenError)
    story.append("open again after a failed probe" if flaps else f"{probe}, {again}")
    world.server.heal()
    await asyncio.sleep(0.25)
    world.server.play("sleep=0.1", "sleep=0.1")
    before = len(world.server.journal.requests)
    crowd = await asyncio.gather(*[world.ask(mode) for _ in range(20)])
    story.append(f"{len(world.server.journal.requests) - before} probes of {len(crowd)} calls")
    assert sum(result.is_ok() for result in crowd) == 2, crowd
    story.append("closed" if all(result.is_ok() for result in await in_turn(world, mode, 20)) else "not closed")
    world.figure(f"an open circuit answers in {statistics.median(took) * 1000:.2f} ms")
    return ", ".join(story)


async def other_model(world: World, mode: Mode) -> Any:
    """A model's breaker is open; its neighbour at the same address is asked all the same."""
    world.server.play_always("refuse=500")
    await in_turn(world, mode, 25)
    assert isinstance((await world.ask(mode)).err(), CircuitOpenError)
    world.server.heal()
    result = await world.ask(mode, model="m-2")
    await asyncio.sleep(0.25)
    return result


async def all_cancelled(world: World, mode: Mode) -> Any:
    """Thirty calls are cancelled while a server does not answer; that says nothing about the server."""
    world.server.play_always("hang")
    tasks = [asyncio.create_task(world.ask(mode)) for _ in range(30)]
    await until(lambda: len(world.server.journal.requests) == 30)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    world.server.heal()
    return await world.ask(mode)


async def late(world: World, mode: Mode) -> Any:
    """The first answer takes a second; after the usual time it is asked for once more."""
    await in_turn(world, mode, 4)
    world.server.play("sleep=1", "ok")
    return await world.ask(mode)


def loser_is_gone(world: World, seen: Observed[Any]) -> list[str]:
    outcomes = sorted(attempt.outcome for attempt in seen.value.unwrap().attempts)
    broken = [] if outcomes == ["cancelled", "ok"] else [f"the ledger tells {outcomes}"]
    if seen.seconds > 0.9:
        broken.append(f"took {seen.seconds:.1f} s")
    return broken if world.slots() == 0 else [*broken, "the loser holds its connection"]


async def late_without_budget(world: World, mode: Mode) -> Any:
    await in_turn(world, mode, 4)
    world.server.play("sleep=0.4", "ok")
    before = len(world.server.journal.requests)
    result = await world.ask(mode)
    return result if len(world.server.journal.requests) == before + 1 else "asked twice"


async def cancelled_waiters(world: World, mode: Mode) -> Any:
    """Two may go at a time; of forty that want to, some are cancelled, before, while and after they hold a permit."""
    dice = random.Random(7)
    world.server.play_always("sleep=0.02")
    tasks = [asyncio.create_task(world.ask(mode)) for _ in range(40)]
    for task in dice.sample(tasks, 25):
        await asyncio.sleep(dice.random() * 0.02)
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    lost = [r for r in results if not isinstance(r, Ok | Err | asyncio.CancelledError)]
    assert not lost and await until(lambda: world.slots() == 0), (lost, world.slots())
    running = asyncio.gather(*[world.ask(mode) for _ in range(10)])
    most = 0
    while not running.done():
        most = max(most, world.leases())
        await asyncio.sleep(0.002)
    done = sum(isinstance(r, Ok) for r in results)
    assert all(r.is_ok() for r in await running) and done >= 15
    return "two permits, none lost, none doubled" if most == 2 else f"{most} permits"


def same_body(world: World, seen: Observed[Any]) -> list[str]:
    bodies = {request.body for request in world.server.journal.requests[: seen.asked]}
    return [] if len(bodies) == 1 and len(bodies.pop()) > 10_000 else ["the tries sent different bodies"]


async def long_question(world: World, mode: Mode) -> Any:
    messages = [{"role": "user", "content": "x" * 20_000}]
    if mode == "complete":
        return await world.client.complete(messages)
    return await world.client.stream_chat(messages).completion()


async def left(task: asyncio.Task[Any], after: float) -> str:
    """Cancel, and say how it went."""
    await asyncio.sleep(after)
    task.cancel()
    began = time.perf_counter()
    done, _ = await asyncio.wait([task], timeout=1)
    took = time.perf_counter() - began
    return "cancelled at once" if done and task.cancelled() and took < 0.25 else f"{task}, after {took:.3f} s"


async def in_a_pause(world: World, mode: Mode) -> Any:
    return await left(asyncio.create_task(world.ask(mode)), 0.2)


async def in_the_queue(world: World, mode: Mode) -> Any:
    world.server.play_always("sleep=0.4")
    holder = asyncio.create_task(world.ask(mode))
    await asyncio.sleep(0.05)
    said = await left(asyncio.create_task(world.ask(mode)), 0.1)
    await holder
    return said


async def in_an_application(world: World, mode: Mode) -> Any:
    """The task that holds a whole application is cancelled in the middle of a stream."""
    world.server.play_always("s_stall")

    async def main() -> None:
        async with open_world(world.ground, "full", canary=world.canary) as inner:
            await inner.ask("stream")

    before = world.server.journal.connections
    said = await left(asyncio.create_task(main()), 0.3)
    gone = await until(lambda: world.server.journal.gone >= world.server.journal.connections > before)
    return said if gone else "a connection stays open"


async def same_tick(world: World, mode: Mode) -> Any:
    """Forty calls whose deadlines pass around the moment in which their answers come."""
    world.server.play_always("sleep=0.2")
    totals = [0.19 + n * 0.001 for n in range(40)]
    results = await asyncio.gather(*[world.ask(mode, timeouts=Timeouts(total=total)) for total in totals])
    ok = sum(result.is_ok() for result in results)
    late = sum(isinstance(result.err(), LLMTimeoutError) for result in results)
    ledgers = {len(_attempts(result)) for result in results}
    world.figure(f"{ok} answers, {late} timeouts")
    return "one outcome, one try each" if ok + late == 40 and ledgers == {1} else f"{ok}, {late}, {ledgers}"


def _attempts(result: Result[Completion, LLMError]) -> tuple[Attempt, ...]:
    error = result.err()
    return error.attempts if error is not None else result.unwrap().attempts


async def packed(world: World, mode: Mode) -> Any:
    """Each class of error, with everything an error can carry, goes through pickle and copy."""
    kinds = [InvalidMessageError, LLMError]
    for kind in kinds:
        kinds += [sub for sub in kind.__subclasses__() if sub.__module__.startswith("lexigram.")]
    fields: dict[str, Any] = {
        "provider": "p", "model": "m", "status": 400, "request_id": "r", "retry_after": 1.5,
        "attempts": (Attempt("p", "m", "ok"),), "partial": Completion("hel"), "hint": "h", "details": {"a": 1},
    }  # fmt: skip
    for kind in dict.fromkeys(kinds):
        error = kind("what", **(fields if issubclass(kind, LLMError) else {"path": "messages[0]"}))
        for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
            assert type(twin) is kind and twin.to_dict() == error.to_dict() and str(twin) == str(error), kind
            assert getattr(twin, "partial", None) == getattr(error, "partial", None)
    world.figure(f"{len(dict.fromkeys(kinds))} classes, and the error of every other row")
    return "the same on the other side"


BREAKER = {"retry": {"max_attempts": 1}, "breaker": {"open_seconds": 0.2}}
HEDGE = {"hedge": {"enabled": True, "min_samples": 3, "min_delay": 0.05}}
ONE_BY_ONE = {"limiter": {"concurrency": 1}}


def many(number: str, fault: str, want: str, act: Any, **more: Any) -> Row:
    options: dict[str, Any] = {
        "modes": COMPLETE,
        "tries": None,
        "requests": 10_000,
        "timeouts": LONG,
        "kept": 100,
        **more,
    }
    return Row(number=number, fault=fault, want=(want,), act=act, roads=FULL, **options)


LOAD = [
    many(
        "95a",
        "outage: 1,000 calls to a server that answers 503; no breaker",
        "at most 1.2 requests a call",
        outage,
        always="refuse=503",
        policy={"breaker": OFF},
    ),
    many(
        "95b",
        "the same, with the breaker",
        "at most 1.2 requests a call",
        outage,
        always="refuse=503",
        policy={"breaker": {"open_seconds": 0.05}},
    ),
    many(
        "96",
        "client, router, policy and extractor around each other, each with retries; 503",
        "ProviderOverloadedError",
        three_layers,
        always="refuse=503",
        note="one layer retries: a policy around a client that retries by itself makes no further tries",
        tries=3,
        requests=1,
    ),
    many(
        "97",
        "100 clients fail at the same moment, three times",
        "spread out",
        synchronised,
        always="refuse=503",
        policy={"breaker": OFF, "budget": OFF, "retry": {"base": 1.0, "cap": 20.0}},
    ),
    many(
        "98a",
        "50 tries allowed, one second in all, each try worth 0.3 s",
        "ProviderOverloadedError",
        lambda world, mode: world.ask(mode),
        always="refuse=503",
        timeouts=Timeouts(total=1.0),
        check=nothing_too_late,
        policy={"retry": {"max_attempts": 50, "base": 0.2, "cap": 0.2, "min_attempt": 0.3}},
    ),
    many(
        "98b",
        "the server never answers; three tries allowed",
        "LLMTimeoutError(total)",
        lambda world, mode: world.ask(mode),
        always="hang",
        timeouts=Timeouts(total=0.5),
        tries=1,
        requests=1,
        modes=BOTH,
    ),
    many(
        "99a",
        "a server that fails, recovers, fails: the breaker's whole life",
        "open after 20, open again after a failed probe, 2 probes of 20 calls, closed",
        breaker_life,
        always="refuse=500",
        policy=BREAKER,
    ),
    many("99b", "one model fails; the other at the same address is asked", OK[0], other_model, policy=BREAKER),
    many("99c", "thirty calls are cancelled: the breaker stays closed", OK[0], all_cancelled, modes=BOTH, tries=1),
    many(
        "100a",
        "hedging: the first answer is late, the second is not",
        OK[0],
        late,
        policy=HEDGE,
        tries=2,
        check=loser_is_gone,
        note="the ledger tells both tries; the loser is cancelled and its connection closed before the answer is out",
    ),
    many(
        "100b",
        "hedging: late, and the retry budget is empty",
        OK[0],
        late_without_budget,
        policy={**HEDGE, "budget": {"reserve": 0, "ratio": 0}},
        tries=1,
    ),
    many(
        "101a",
        "waiters of the limiter are cancelled",
        "two permits, none lost, none doubled",
        cancelled_waiters,
        policy={"limiter": {"concurrency": 2}},
        modes=BOTH,
    ),
    many(
        "101b",
        "three calls, one permit, cancelled at every turn of the loop",
        "alive at every step",
        swept(None, together=3),
        policy={"limiter": {"concurrency": 1}, "bulkhead": {"max_calls": 1}},
        limits=FRESH,
        timeouts=Timeouts(total=30),
        modes=BOTH,
    ),
    many(
        "103",
        "reset after the request; the body goes again",
        "ProviderConnectionError(reset)",
        long_question,
        always="rst_request",
        tries=3,
        requests=1,
        modes=BOTH,
        check=same_body,
        note="a body is bytes, written once; files and generators cannot be sent",
    ),
    many(
        "105a",
        "cancelled in the pause before a retry",
        "cancelled at once",
        in_a_pause,
        always="refuse=429,retry-after~5",
        modes=BOTH,
        again=False,
        note="the next call is told to wait as well: rows 35",
    ),
    many("105b", "cancelled in the limiter's queue", "cancelled at once", in_the_queue, policy=ONE_BY_ONE, modes=BOTH),
    many("105c", "cancelled inside `async with Application`", "cancelled at once", in_an_application, modes=BOTH[1:]),
    many(
        "106",
        "answer and deadline in the same moment, forty times",
        "one outcome, one try each",
        same_tick,
        policy={"breaker": OFF},
        modes=BOTH,
    ),
    many("113", "errors go to another process", "the same on the other side", packed, again=False),
]
