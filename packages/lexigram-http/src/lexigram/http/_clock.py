"""The clock of a connection: which deadline holds in which state, kept by one timer that is re-armed lazily.

Receiving bytes never touches the timer. It fires at or before the nearest deadline and then looks what holds by now,
so a busy connection costs one timer per deadline passed, not per read.
"""

from __future__ import annotations

import asyncio
from math import inf

from ._errors import Phase
from ._limits import Deadlines

# What a connection is doing.
IDLE, HEAD, BODY, DONE, DEAD = range(5)


class Clock:
    """The part of a connection that watches the time; the connection itself is the subclass."""

    __slots__ = (
        "_begun",
        "_deadlines",
        "_expiry",
        "_first_by",
        "_head_by",
        "_last",
        "_manual",
        "_time",
        "_timer",
        "_timer_at",
        "_total_by",
        "_unsent",
        "_writing",
        "loop",
        "state",
    )

    _deadlines: Deadlines
    _total_by: float
    _last: float

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.state = IDLE
        self._time = loop.time
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._expiry = self._head_by = self._first_by = inf
        self._writing = self._begun = self._manual = False
        self._unsent = 0

    def progress(self) -> None:
        """Restarts the idle clock by the reader's word."""
        self._begun = True
        self._last = self._time()

    def watch(self, manual: bool) -> None:
        """Chooses who restarts the idle clock: the reader (True) or any body byte."""
        self._manual = manual

    def timed_out(self, phase: Phase) -> None:
        """Ends the exchange."""
        raise NotImplementedError

    def discard(self, *, keep_slot: bool = False) -> None:
        """Closes the connection."""
        raise NotImplementedError

    def unsent(self) -> int:
        """Bytes of the request not yet handed to the system."""
        raise NotImplementedError

    def reader_busy(self) -> bool:
        """Whether there is something to read that the reader has not taken."""
        raise NotImplementedError

    def _start_clock(self, deadlines: Deadlines, now: float, total_by: float, manual: bool) -> None:
        """A request has been written, or is being written."""
        self._deadlines = deadlines
        self._total_by = total_by
        self._manual = manual
        self._begun = False
        self._expiry = self._head_by = self._first_by = inf
        self._last = now
        if self._writing:
            self._unsent = self.unsent()
        else:
            self._start_reply_clocks(now)
        self._arm()

    def _start_reply_clocks(self, now: float) -> None:
        """The request is with the system."""
        deadlines = self._deadlines
        if deadlines.headers is not None:
            self._head_by = now + deadlines.headers
        if deadlines.first_byte is not None:
            self._first_by = now + deadlines.first_byte

    def _start_idle(self, seconds: float) -> None:
        """The exchange is over and the connection kept."""
        self._expiry = (self._time() if self._manual else self._last) + seconds
        if self._expiry < self._timer_at:
            self._set_timer(self._expiry)

    def _stop_clock(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _due(self) -> tuple[float, Phase]:
        due: float = self._total_by
        phase: Phase = "total"
        deadlines = self._deadlines
        if self.state == HEAD:
            if self._writing:
                if deadlines.write is not None and self._last + deadlines.write < due:
                    return self._last + deadlines.write, "write"
                return due, "total"
            if self._head_by < due:
                due, phase = self._head_by, "headers"
            if self._first_by < due:
                return self._first_by, "first_byte"
        elif not self._begun and self._first_by < inf:
            if self._first_by < due:
                return self._first_by, "first_byte"
        elif deadlines.idle is not None and self._last + deadlines.idle < due:
            return self._last + deadlines.idle, "idle"
        return due, phase

    def _arm(self) -> None:
        """Makes sure the timer fires no later than the next deadline; it may fire earlier and look again."""
        due = self._due()[0]
        if due < self._timer_at:
            self._set_timer(due)

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self.loop.call_at(at, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._time()
        if self.state == IDLE:
            if self._expiry <= now:
                self.discard()
            elif self._expiry < inf:
                self._set_timer(self._expiry)
            return
        if self.state not in (HEAD, BODY):
            return
        due, phase = self._due()
        if due <= now and self._excused(phase):
            self._last = now
            due, phase = self._due()
        if due <= now:
            self.timed_out(phase)
        elif due < inf:
            self._set_timer(due)

    def _excused(self, phase: Phase) -> bool:
        """Whether a deadline passed though the peer got on, or because the reader did not."""
        if phase == "write":
            before, self._unsent = self._unsent, self.unsent()
            return self._unsent < before
        return phase == "idle" and self.reader_busy()
