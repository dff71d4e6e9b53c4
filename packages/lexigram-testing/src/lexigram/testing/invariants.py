"""What must hold after every call, however it went: run a call under ``observe`` and look at what it broke.

    rules = Rules(deadline=2.0, canary=canary, again=lambda: client.complete(question))
    seen = await observe(lambda: client.complete(question), rules)
    seen.require()

Checked are: the secret is in no text (errors, tracebacks, logs); sockets, file descriptors, tasks, threads and the
caller's own count of slots are back at their baseline; the call ends within its deadline; only the expected types of
exceptions come out and the event loop complains of nothing; memory stays flat; the server was asked no more often than
allowed; tokens are told once, and as unknown where a try broke off; the next call works, and is asked anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import stat
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from lexigram.contracts.ai.completion import Attempt, Completion, Usage
from lexigram.contracts.ai.errors import ExtractionError, LLMContentFilterError, LLMError
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.result import Err, Ok
from lexigram.testing.canary import Canary, SecretLeakError

__all__ = [
    "BrokenInvariantError",
    "Footprint",
    "Observed",
    "Rules",
    "observe",
    "open_fds",
    "open_sockets",
    "until",
    "usage_complaints",
]

T = TypeVar("T")
GRACE: Final = 0.5
_MIB: Final = 1 << 20


class BrokenInvariantError(AssertionError):
    """A call left something behind, took too long, or said too much."""


def open_fds() -> list[int]:
    """Return this process's open file descriptors."""
    folder = Path("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")
    found: list[int] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            os.fstat(int(path.name))
            found.append(int(path.name))
    return found


def open_sockets() -> int:
    """Return how many of this process's file descriptors are sockets."""
    count = 0
    for fd in open_fds():
        with contextlib.suppress(OSError):
            count += stat.S_ISSOCK(os.fstat(fd).st_mode)
    return count


async def until(condition: Callable[[], Any], seconds: float = 1.0) -> bool:
    """Wait until the condition is true; return whether it became so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.005)
    return True


@dataclass(frozen=True)
class Footprint:
    """What a process holds at one moment.

    Attributes:
        sockets: open sockets.
        fds: open file descriptors.
        tasks: unfinished tasks of the running loop.
        threads: threads, without those of the loop's default executor, which end with the loop.
    """

    sockets: int
    fds: int
    tasks: int
    threads: int

    @classmethod
    def now(cls) -> Footprint:
        """Measure."""
        names = (thread.name for thread in threading.enumerate())
        return cls(
            open_sockets(),
            len(open_fds()),
            len(asyncio.all_tasks()),
            sum(not name.startswith(("asyncio_", "ThreadPoolExecutor")) for name in names),
        )

    def above(self, base: Footprint) -> list[str]:
        """Say what there is more of than at the baseline."""
        return [
            f"{name} {getattr(base, name)} → {getattr(self, name)}"
            for name in ("sockets", "fds", "tasks", "threads")
            if getattr(self, name) > getattr(base, name)
        ]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is to hold.

    Attributes:
        deadline: the call's own total deadline in seconds; it may take half a second more.
        canary: the secret that the call was given.
        shown: further objects that must not show the secret.
        errors: the types that may come out as exceptions or in an ``Err``.
        slots: counts what the code under test has in use; 0 when idle.
        asked: counts the requests that the server has seen.
        most_asked: most requests that the call may make, its retries included; None is any number.
        again: the next call; it must give an ``Ok``, from the server and not from something kept. None skips the check.
        before_again: makes the world well again.
        extra_rss: most bytes that the process may grow by.
        settle: seconds until everything is back.
        patience: seconds beyond the deadline after which a hanging call is cancelled.
        sockets: connections that may stay open afterwards because they are kept for reuse.
    """

    deadline: float
    canary: Canary = field(default_factory=Canary)
    shown: tuple[object, ...] = ()
    errors: tuple[type[BaseException], ...] = (LexigramError,)
    slots: Callable[[], int] | None = None
    asked: Callable[[], int] | None = None
    most_asked: int | None = None
    again: Callable[[], Awaitable[Any]] | None = None
    before_again: Callable[[], Any] = lambda: None
    extra_rss: int = 64 * _MIB
    settle: float = 1.0
    patience: float = 1.5
    sockets: int = 1


@dataclass
class Observed(Generic[T]):
    """How a call went.

    Attributes:
        value: what it returned, if it did.
        error: the error, raised or inside an ``Err``.
        seconds: how long it took.
        asked: requests that the server has seen, where the rules count them.
        grown: peak growth of the process in bytes, 0 where it cannot be measured.
        broken: the invariants that did not hold, in words.
    """

    value: T | None = None
    error: BaseException | None = None
    seconds: float = 0.0
    asked: int = 0
    grown: int = 0
    broken: list[str] = field(default_factory=list[str])

    def require(self) -> None:
        """Check that nothing is broken.

        Raises:
            BrokenInvariantError: naming everything that is.
        """
        if self.broken:
            raise BrokenInvariantError("; ".join(self.broken))


async def observe(call: Callable[[], Awaitable[T]], rules: Rules) -> Observed[T]:
    """Run a call and check everything that the rules say. A returned ``Err`` counts as its error."""
    gc.collect()
    base = Footprint.now()
    seen: Observed[T] = Observed()
    asked = rules.asked or (lambda: 0)
    before = asked()
    with _listening() as told:
        memory = _Peak()
        await _run(call, rules, seen)
        seen.asked = asked() - before
        seen.grown = memory.grown()
        await _settled(rules, base, seen)
        gc.collect()
        await asyncio.sleep(0)
        seen.broken += [f"said: {text[:200]}" for text in told.complaints]
    _check_secret(rules, seen, told.lines)
    if rules.most_asked is not None and seen.asked > rules.most_asked:
        seen.broken.append(f"{seen.asked} requests instead of {rules.most_asked}")
    seen.broken += usage_complaints(seen.error if seen.error is not None else seen.value)
    if seen.grown > rules.extra_rss:
        seen.broken.append(f"memory grew by {seen.grown // _MIB} MB")
    await _call_again(rules, seen)
    return seen


async def _run(call: Callable[[], Awaitable[T]], rules: Rules, seen: Observed[T]) -> None:
    async def body() -> T:
        return await call()

    start = time.monotonic()
    task = asyncio.ensure_future(body())
    await asyncio.wait([task], timeout=rules.deadline + rules.patience)
    seen.seconds = time.monotonic() - start
    if not task.done():
        seen.broken.append(f"hangs: more than {rules.deadline + rules.patience:.1f} s")
        task.cancel()
        await asyncio.wait([task], timeout=1)
        return
    if seen.seconds > rules.deadline + GRACE:
        seen.broken.append(f"took {seen.seconds:.1f} s of {rules.deadline:.1f} s")
    if task.cancelled():
        seen.error = asyncio.CancelledError()
        return
    seen.error = task.exception()
    if seen.error is None:
        seen.value = task.result()
        seen.error = _error_in(seen.value)
    if seen.error is not None and not isinstance(seen.error, rules.errors):
        seen.broken.append(f"a foreign exception came out: {type(seen.error).__module__}.{type(seen.error).__name__}")


def _error_in(value: object) -> BaseException | None:
    if isinstance(value, Err):
        inner: object = value.err_value
        return inner if isinstance(inner, BaseException) else None
    return _error_in(value.outcome) if isinstance(value, AsyncStream) else None


async def _settled(rules: Rules, base: Footprint, seen: Observed[Any]) -> None:
    """Wait for everything to come back. Connections kept for reuse may stay."""
    kept = Footprint(base.sockets + rules.sockets, base.fds + rules.sockets, base.tasks, base.threads)
    await until(lambda: not Footprint.now().above(kept) and not (rules.slots and rules.slots()), rules.settle)
    seen.broken += [f"left behind: {what}" for what in Footprint.now().above(kept)]
    if rules.slots is not None and rules.slots():
        seen.broken.append(f"left behind: {rules.slots()} slots in use")


def _check_secret(rules: Rules, seen: Observed[Any], lines: list[str]) -> None:
    try:
        rules.canary.assert_absent(seen.error, lines, rules.shown)
    except SecretLeakError as leak:
        seen.broken.append(str(leak))


async def _call_again(rules: Rules, seen: Observed[Any]) -> None:
    if rules.again is None:
        return
    rules.before_again()
    before = rules.asked() if rules.asked is not None else -1
    try:
        result = await asyncio.wait_for(rules.again(), 5)
    except (Exception, asyncio.CancelledError) as failure:  # noqa: BLE001
        seen.broken.append(f"the next call fails: {type(failure).__name__}: {failure}")
        return
    error = _error_in(result)
    if error is not None or not (isinstance(result, Ok) or result):
        seen.broken.append(f"the next call fails: {error}")
    elif rules.asked is not None and rules.asked() == before:
        seen.broken.append("the next call was answered from something kept, without asking the server")


def usage_complaints(outcome: object) -> list[str]:
    """Say what is wrong with how an outcome tells its tokens; nothing is wrong with what tells none.

    The ledger of an answer has a try that succeeded, and its usage is the answer's. Of a try that failed or was broken
    off the usage is unknown, and never 0.

    Args:
        outcome: a completion or an error, also inside a ``Result``.
    """
    if isinstance(outcome, Ok | Err):
        return usage_complaints(outcome.ok_value if isinstance(outcome, Ok) else outcome.err_value)
    if isinstance(outcome, Completion):
        good = [attempt for attempt in outcome.attempts if attempt.outcome == "ok"]
        told = [] if not outcome.attempts or outcome.usage in [a.usage for a in good] else ["no try has the usage"]
        return told + _unknown_where_it_failed(outcome.attempts)
    if isinstance(outcome, LLMError):
        zero = outcome.partial is not None and _is_zero(outcome.partial.usage)
        useless = isinstance(outcome, ExtractionError | LLMContentFilterError)  # an answer came, and was no use
        claimed = not useless and any(attempt.outcome == "ok" for attempt in outcome.attempts)
        wrong = ["an error's ledger has a try that succeeded"] if claimed else []
        wrong += ["the partial answer's usage is 0 instead of unknown"] if zero else []
        return wrong + _unknown_where_it_failed(outcome.attempts)
    return []


def _unknown_where_it_failed(attempts: Sequence[Attempt]) -> list[str]:
    wrong = [a.outcome for a in attempts if a.outcome != "ok" and a.usage.source != "unknown"]
    return [f"a try that ended with {outcome} claims to know its usage" for outcome in wrong]


def _is_zero(usage: Usage) -> bool:
    return usage.input_tokens == 0 or usage.output_tokens == 0


@dataclass
class _Told:
    lines: list[str] = field(default_factory=list[str])
    complaints: list[str] = field(default_factory=list[str])


class _Collector(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self._lines.append(self.format(record))


@contextlib.contextmanager
def _listening() -> Generator[_Told]:
    """Collect log lines of every level, warnings, and what the event loop complains of."""
    told = _Told()
    root, loop, handler = logging.getLogger(), asyncio.get_running_loop(), _Collector(told.lines)
    level, before = root.level, loop.get_exception_handler()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    loop.set_exception_handler(lambda _, context: told.complaints.append(f"{context.get('message')}: {context}"))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                yield told
            finally:
                told.complaints += [str(w.message) for w in caught if issubclass(w.category, ResourceWarning)]
    finally:
        loop.set_exception_handler(before)
        root.setLevel(level)
        root.removeHandler(handler)


class _Peak:
    """Peak memory since it was made, as Linux tells it."""

    _STATUS: Final = Path("/proc/self/status")
    _RESET: Final = Path("/proc/self/clear_refs")

    def __init__(self) -> None:
        self._base: int | None = None
        try:
            self._RESET.write_text("5")
            self._base = self._read("VmRSS")
        except OSError:
            return

    def _read(self, name: str) -> int:
        for line in self._STATUS.read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
        raise OSError(name)

    def grown(self) -> int:
        return 0 if self._base is None else max(0, self._read("VmHWM") - self._base)
