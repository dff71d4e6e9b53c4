"""One row of the tables, and how it is played: boot, ask, look at what came out and at what was left behind."""

from __future__ import annotations

import contextlib
import copy
import pickle
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

from fault_world import Ground, Mode, Road, World, addresses, names, open_world

from lexigram.ai.llm.transport import Limits
from lexigram.contracts.ai.completion import Attempt, Completion
from lexigram.contracts.ai.errors import InvalidMessageError, LLMError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.result import Ok
from lexigram.testing import Canary
from lexigram.testing.invariants import Footprint, Observed, Rules, observe, until

BOTH: Final[tuple[Mode, ...]] = ("complete", "stream")
EVERY: Final[tuple[Road, ...]] = ("full", "ours", "httpx")
FULL: Final[tuple[Road, ...]] = ("full",)

Act = Callable[[World, Mode], Awaitable[Any]]
Check = Callable[[World, Observed[Any]], list[str]]


async def ask(world: World, mode: Mode) -> Any:
    return await world.ask(mode)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault.

    Attributes:
        number: the row's number, with a letter where it has several faults.
        fault: what is done to the client.
        want: the outcomes that are right on a bare transport, as `told` writes them.
        full: those that are right for the whole stack, where retries make another outcome of it.
        tries: how many tries the whole stack makes, by its ledger; None where the calls of a row differ.
        play: the plan of the server. On the full road each request meets it, unless ``once``.
        once: whether it happens once there too.
        always: what happens to every request on all roads.
        modes: how the client is asked.
        timeouts: the client's deadlines.
        limits: the client's limits.
        fields: further settings of the client.
        policy: settings of the resilience module.
        canary: the client's key, where the row needs to know it.
        port: the server's port.
        scheme: instead of the port's own.
        host: a name instead of the address.
        tls: whether the row is run over TLS as well.
        around: what surrounds the call, and is over before the next one.
        act: the call, where it is more than a question.
        requests: most requests that the server may see, without those of further tries.
        kept: connections that may stay open for the next call.
        check: further conditions; each text is a complaint.
        again: whether the next call is checked.
        roads: what it is played on; proxied calls go over httpx's whatever else is set.
        note: what there is to say about it.
        alone: what there is to say about it on a bare transport.
    """

    number: str
    fault: str
    want: tuple[str, ...]
    full: tuple[str, ...] = ()
    tries: int | None = 1
    play: tuple[str, ...] = ()
    once: bool = False
    always: str = ""
    modes: tuple[Mode, ...] = BOTH
    timeouts: Timeouts = Timeouts(total=3.0, connect=1.0)
    limits: Limits | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, dict[str, Any]] = field(default_factory=dict)
    canary: Canary = field(default_factory=Canary)
    port: str = "plain"
    scheme: str | None = None
    host: str = ""
    tls: bool = False
    around: Callable[[Ground], AbstractContextManager[Any]] = lambda _: contextlib.nullcontext()
    act: Act = ask
    requests: int = 1
    kept: int = 1
    check: Check = lambda _, __: []
    again: bool = True
    roads: tuple[Road, ...] = EVERY
    note: str = ""
    alone: str = ""

    @property
    def sort(self) -> tuple[int, str]:
        digits = self.number.rstrip("abcdefghijkl")
        return int(digits), self.number[len(digits) :]

    def wanted(self, road: Road) -> tuple[str, ...]:
        return self.full if road == "full" and self.full else self.want

    def most(self, road: Road) -> int:
        return self.requests + ((self.tries or 1) - 1 if road == "full" and self.requests else 0)


@dataclass(frozen=True)
class Shown:
    """How a row went."""

    row: Row
    mode: Mode
    road: Road
    outcome: str
    broken: tuple[str, ...]
    seconds: float
    tries: int | None = None
    asked: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.broken


def told(seen: Observed[Any]) -> str:
    """Return an outcome in a few words: class, reason, and the text that came before."""
    error = seen.error
    if error is None:
        value = seen.value.ok() if isinstance(seen.value, Ok) else seen.value
        return f"Ok {_said(value)}" if isinstance(value, Completion) else str(value)
    detail = getattr(error, "phase", None) or getattr(error, "reason", None)
    text = f"{type(error).__name__}({detail})" if detail else type(error).__name__
    partial = getattr(error, "partial", None)
    return f"{text} after {_short(partial.content)}" if partial is not None and partial.content else text


def _said(answer: Completion) -> str:
    said = [_short(answer.content)] if answer.content or not answer.tool_calls else []
    said += [
        f"{c.name}(unreadable)" if c.arguments_error else f"{c.name}({dict(c.arguments)})" for c in answer.tool_calls
    ]
    return " ".join(said)


def _short(text: str) -> str:
    return ascii(text if len(text) <= 12 else text[:6] + "...")


async def run_row(ground: Ground, row: Row, mode: Mode, road: Road, *, port: str | None = None) -> Shown:
    """Boot, ask, check."""
    server = ground.server
    server.reset()
    await until(lambda: server.journal.gone >= server.journal.connections, 0.1)
    base = Footprint.now()
    _plan(ground, row, road)
    async with contextlib.AsyncExitStack() as stack:
        if row.host:
            stack.enter_context(names(addresses("127.0.0.1")))
        around = stack.enter_context(contextlib.ExitStack())
        around.enter_context(row.around(ground))
        place = {"port": port or row.port, "scheme": row.scheme, "host": row.host}
        fields = {"timeouts": row.timeouts, "limits": row.limits, "policy": row.policy, **row.fields}
        try:
            world = await stack.enter_async_context(open_world(ground, road, canary=row.canary, **place, **fields))
        except LexigramError as refused:
            return _refused(row, mode, road, refused, ground)

        async def call() -> Any:
            try:
                return await row.act(world, mode)
            finally:
                around.close()

        rules = Rules(
            deadline=row.timeouts.total or 60,
            canary=world.canary,
            shown=(world.client, world.policy),
            errors=(LLMError, InvalidMessageError),
            slots=world.slots,
            asked=lambda: len(server.journal.requests),
            most_asked=row.most(road),
            again=(lambda: world.ask(mode)) if row.again else None,
            before_again=server.heal,
            sockets=2 * row.kept,  # both ends of a kept connection are in this process
        )
        seen = await observe(call, rules)
        tries = len(_ledger(seen)) or None
        outcome = told(seen)
        if outcome not in row.wanted(road):
            seen.broken.append(f"expected {' or '.join(row.wanted(road))}")
        if road == "full" and None not in (tries, row.tries) and tries != row.tries:
            seen.broken.append(f"{tries} tries instead of {row.tries}")
        seen.broken += _travels(seen.error) + row.check(world, seen)
    await until(lambda: not Footprint.now().above(base))
    seen.broken += [f"left behind at the end: {what}" for what in Footprint.now().above(base)]
    notes = {**world.notes, "waits": [attempt.wait for attempt in _ledger(seen)]}
    return Shown(row, mode, road, outcome, tuple(seen.broken), seen.seconds, tries, seen.asked, notes)


def _plan(ground: Ground, row: Row, road: Road) -> None:
    if row.always:
        ground.server.play_always(row.always)
    elif road == "full" and len(row.play) == 1 and not row.once:
        ground.server.play_always(row.play[0])
    else:
        ground.server.play(*row.play)


def _ledger(seen: Observed[Any]) -> tuple[Attempt, ...]:
    outcome = seen.error if seen.error is not None else seen.value.ok() if isinstance(seen.value, Ok) else None
    return outcome.attempts if isinstance(outcome, LLMError | Completion) else ()


def _travels(error: BaseException | None) -> list[str]:
    """Whether an error stays what it is on the way to another process (row 113, after every row)."""
    if not isinstance(error, LexigramError):
        return []
    there = [pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)]
    return (
        [] if all(type(e) is type(error) and e.to_dict() == error.to_dict() for e in there) else ["changed by pickle"]
    )


def _refused(row: Row, mode: Mode, road: Road, refused: LexigramError, ground: Ground) -> Shown:
    """The settings were refused before there was a client."""
    seen: Observed[Any] = Observed(error=refused)
    broken: list[str] = []
    try:
        row.canary.assert_absent(refused)
    except AssertionError as leak:
        broken.append(str(leak))
    outcome = told(seen)
    if outcome not in row.want:
        broken.append(f"expected {' or '.join(row.want)}")
    if ground.server.journal.requests:
        broken.append("a request was sent")
    return Shown(row, mode, road, outcome, tuple(broken), 0.0)
