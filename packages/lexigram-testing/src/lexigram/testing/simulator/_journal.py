"""What the simulator has been asked, for tests to ask."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lexigram.testing.simulator._values import Question

__all__ = ["Journal", "JournalEntry"]


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One request, once it is over.

    Attributes:
        number: its number, from 1, in the order in which requests came.
        wire: the wire's name, or ``""`` where no wire knows the path.
        path: the path that was asked.
        model: the model, or ``""``.
        key_id: which key asked; never the key.
        status: the HTTP status; 0 where the client left before there was one.
        outcome: ``done``; ``refused`` (a status of 400 or more); ``cancelled`` by the client; ``fault``.
        fault: what went wrong on purpose, or ``""``.
        streamed: whether the answer was streamed.
        input_tokens, output_tokens: what was counted against the limits.
        started: when it came, on the simulator's clock.
        seconds: how long it took.
        frames: how many pieces were sent.
        question: what was asked; None where the request was not understood.
    """

    number: int
    wire: str
    path: str
    model: str
    key_id: str
    status: int
    outcome: Literal["done", "refused", "cancelled", "fault"]
    fault: str
    streamed: bool
    input_tokens: int
    output_tokens: int
    started: float
    seconds: float
    frames: int
    question: Question | None = field(default=None, repr=False)


class Journal:
    """Every request that is over, in the order in which they ended.

    Args:
        keep: how many entries are kept; None keeps all. The counts count all of them.

    Attributes:
        entries: the entries.
        input_tokens, output_tokens: of all the requests that were let in.
    """

    def __init__(self, keep: int | None = None) -> None:
        self.entries: deque[JournalEntry] = deque(maxlen=keep)
        self.input_tokens = self.output_tokens = 0
        self._limited = 0
        self._statuses: Counter[int] = Counter()
        self._outcomes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[JournalEntry]:
        return iter(tuple(self.entries))

    def add(self, entry: JournalEntry) -> None:
        """Write an entry."""
        self.entries.append(entry)
        self._statuses[entry.status] += 1
        self._outcomes[entry.outcome] += 1
        self._limited += entry.status == 429 and entry.outcome == "refused"
        if entry.status < 400:
            self.input_tokens += entry.input_tokens
            self.output_tokens += entry.output_tokens

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self._statuses.clear()
        self._outcomes.clear()
        self._limited = 0
        self.input_tokens = self.output_tokens = 0

    @property
    def last(self) -> JournalEntry:
        """The newest entry.

        Raises:
            AssertionError: if there is none.
        """
        if not self.entries:
            raise AssertionError("the simulator was asked nothing, or nothing is over yet")
        return self.entries[-1]

    @property
    def accepted(self) -> int:
        """How many requests were let in."""
        return sum(count for status, count in self._statuses.items() if status < 400)

    @property
    def limited(self) -> int:
        """How many requests were refused with 429, faults not counted."""
        return self._limited

    @property
    def statuses(self) -> Mapping[int, int]:
        """How many replies had which status."""
        return dict(self._statuses)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many requests had which outcome."""
        return dict(self._outcomes)

    def busiest(self, seconds: float = 60.0) -> tuple[int, int]:
        """Return the most requests, and the most tokens, that were let in within any such time."""
        let_in = sorted((e.started, e.input_tokens + e.output_tokens) for e in self if e.status < 400)
        requests = tokens = most_requests = most_tokens = first = 0
        for at, used in let_in:
            requests += 1
            tokens += used
            while let_in[first][0] <= at - seconds:
                requests -= 1
                tokens -= let_in[first][1]
                first += 1
            most_requests, most_tokens = max(most_requests, requests), max(most_tokens, tokens)
        return most_requests, most_tokens
