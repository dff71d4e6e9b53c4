"""What is left to chance, and the same for the same seed: how long a model takes, and which requests go wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, Protocol, TypeAlias, get_args

__all__ = ["Distribution", "FaultKind", "Faults", "Fixed", "Latency", "LogNormal", "Uniform"]


class Distribution(Protocol):
    """Seconds by chance."""

    def draw(self, random: Random) -> float:
        """Return the next seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same seconds."""

    seconds: float = 0.0

    def draw(self, random: Random) -> float:
        """Return the seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any seconds between two, all alike."""

    low: float
    high: float

    def draw(self, random: Random) -> float:
        """Return the next seconds."""
        return random.uniform(self.low, self.high)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """Mostly about the median, now and then far more: what providers' latencies look like.

    Attributes:
        median: half of all are shorter.
        sigma: the spread; 0.5 puts one of a hundred at 3.2 times the median.
    """

    median: float
    sigma: float = 0.5

    def draw(self, random: Random) -> float:
        """Return the next seconds."""
        return random.lognormvariate(math.log(self.median), self.sigma) if self.median > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a model takes.

    Attributes:
        first: until the reply begins, its head included.
        between: between two tokens.
    """

    first: Distribution = field(default_factory=Fixed)
    between: Distribution = field(default_factory=Fixed)

    @property
    def none(self) -> bool:
        """Whether it takes no time at all."""
        return self.first == Fixed() and self.between == Fixed()


FaultKind: TypeAlias = Literal[
    "500", "502", "503", "429", "overloaded", "silent", "cut", "stall", "error", "garbled", "unfinished"
]
"""``500 502 503 429 overloaded``: a reply with that status (502 is a proxy's HTML). ``silent``: nothing until the
client leaves. The rest happens in the middle of a reply. ``cut``: the connection ends. ``stall``: no more until the
client leaves. ``error``: an error event. ``garbled``: an event that is no JSON. ``unfinished``: it ends in order, but
without its last events. A whole reply is cut where ``error``, ``garbled`` or ``unfinished`` strikes it."""

_KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)


@dataclass(frozen=True, slots=True)
class Faults:
    """Which share of the requests goes wrong, and how.

    Attributes:
        share: the part of all requests, from 0 to 1.
        kinds: what happens, one of them each time.
    """

    share: float
    kinds: tuple[FaultKind, ...] = _KINDS

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}; it is a part of all requests, from 0 to 1")
        unknown = [kind for kind in self.kinds if kind not in _KINDS]
        if unknown or not self.kinds:
            raise ValueError(f"kinds has {unknown or 'nothing'}; there are {', '.join(_KINDS)}")

    def draw(self, random: Random) -> FaultKind | None:
        """Return what happens to the next request, or None."""
        return random.choice(self.kinds) if random.random() < self.share else None
