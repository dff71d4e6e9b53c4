"""Rate limits as providers hold them: for each key and model, by a bucket that refills or by the last minute."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

__all__ = ["Admission", "Limiter", "RateLimits", "Standing", "Unit"]

Unit: TypeAlias = Literal["requests", "tokens", "input_tokens", "output_tokens"]

_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a key may use of a model. None is unlimited.

    A request is let in if its input fits; what the answer used is charged as soon as it is known, if need be as a debt
    that the next requests wait for. A request that asks for more than a limit allows at once is never let in.

    Attributes:
        requests_per_minute, tokens_per_minute, input_tokens_per_minute, output_tokens_per_minute: the limits.
        reserve: whether a request's ``max_tokens`` has to fit too, as OpenAI counts; what it does not use comes back.
        burst: the part of a minute's allowance that may be used at once. A bucket of that size refills steadily.
        window: ``bucket``; or ``sliding``: no 60 seconds see more than the limit, and ``burst`` is not used.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    reserve: bool = False
    burst: float = 1.0
    window: Literal["bucket", "sliding"] = "bucket"

    def __post_init__(self) -> None:
        for unit, limit in self.limits():
            if limit < 1:
                raise ValueError(f"{unit}_per_minute is {limit}; a limit is 1 or more, None is unlimited")
        if not 0 < self.burst <= 1:
            raise ValueError(f"burst is {self.burst}; it is a part of a minute's allowance, more than 0 and up to 1")

    def limits(self) -> list[tuple[Unit, int]]:
        """Return the limits that are set."""
        named: list[tuple[Unit, int | None]] = [
            ("requests", self.requests_per_minute),
            ("tokens", self.tokens_per_minute),
            ("input_tokens", self.input_tokens_per_minute),
            ("output_tokens", self.output_tokens_per_minute),
        ]
        return [(unit, limit) for unit, limit in named if limit is not None]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a key stands with one limit.

    Attributes:
        unit: what is counted.
        limit: how many a minute.
        remaining: how many are left now.
        reset: seconds until all of it is there again.
        wait: seconds until the request that was refused for it would be let in: 0 where this limit let it in,
            infinite where it asked for more than the limit ever has.
        asked: how many the request asked for.
    """

    unit: Unit
    limit: int
    remaining: int
    reset: float
    wait: float = 0.0
    asked: int = 0


@dataclass(slots=True)
class _Taken:
    at: float
    amount: float


class _Bucket:
    """An allowance that refills steadily. May be in debt, when a request used more than it announced."""

    def __init__(self, per_minute: int, burst: float, now: float) -> None:
        self.size = max(per_minute * burst, 1.0)
        self._rate = per_minute / _MINUTE
        self._level = self.size
        self._at = now

    def left(self, now: float) -> float:
        self._level = min(self.size, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level

    def wait(self, amount: float, now: float) -> float:
        if amount > self.size:
            return math.inf
        missing = amount - self.left(now)
        return missing / self._rate if missing > 1e-9 else 0.0

    def take(self, amount: float, now: float) -> _Taken:
        self._level = self.left(now) - amount
        return _Taken(now, amount)

    def settle(self, taken: _Taken, used: float) -> None:
        self._level = min(self.size, self._level + taken.amount - used)

    def reset(self, now: float) -> float:
        return (self.size - self.left(now)) / self._rate


class _Window:
    """What was used in the last minute."""

    def __init__(self, per_minute: int, burst: float, now: float) -> None:
        self.size = float(per_minute)
        self._taken: deque[_Taken] = deque()
        self._total = 0.0

    def left(self, now: float) -> float:
        while self._taken and self._taken[0].at <= now - _MINUTE:
            self._total -= self._taken.popleft().amount
        return self.size - self._total

    def wait(self, amount: float, now: float) -> float:
        if amount > self.size:
            return math.inf
        missing = amount - self.left(now)
        for taken in self._taken:
            if missing <= 0:
                break
            missing -= taken.amount
            if missing <= 0:
                return taken.at + _MINUTE - now
        return 0.0

    def take(self, amount: float, now: float) -> _Taken:
        self.left(now)
        taken = _Taken(now, amount)
        self._taken.append(taken)
        self._total += amount
        return taken

    def settle(self, taken: _Taken, used: float) -> None:
        if self._taken and self._taken[0].at <= taken.at:
            self._total += used - taken.amount
            taken.amount = used

    def reset(self, now: float) -> float:
        self.left(now)
        return self._taken[-1].at + _MINUTE - now if self._taken else 0.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a request is let in.

    Attributes:
        let_in: whether it is.
        limits: how the limits stand after it.
        settle: replaces the input and output tokens that were taken by those that were used.
    """

    let_in: bool
    limits: tuple[Standing, ...] = ()
    settle: Callable[[int, int], None] = lambda input_tokens, output_tokens: None


class Limiter:
    """Lets requests in, for one set of limits.

    Args:
        limits: the limits.
        clock: seconds that only rise.
    """

    def __init__(self, limits: RateLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._holders: dict[tuple[str, str], list[tuple[Unit, int, _Bucket | _Window]]] = {}

    def admit(self, key_id: str, model: str, input_tokens: int, max_tokens: int) -> Admission:
        """Take what a request asks for, or nothing where one limit has too little."""
        now = self._clock()
        asked = _amounts(input_tokens, max_tokens if self._limits.reserve else 0)
        holders = self._of(key_id, model, now)
        waits = [holder.wait(asked[unit], now) for unit, _, holder in holders]
        let_in = not any(waits)
        taken = [holder.take(asked[unit], now) for unit, _, holder in holders] if let_in else []

        def settle(input_used: int, output_used: int) -> None:
            used = _amounts(input_used, output_used)
            for (unit, _, holder), entry in zip(holders, taken, strict=False):
                holder.settle(entry, used[unit])

        limits = [
            Standing(unit, limit, max(int(holder.left(now) + 1e-6), 0), holder.reset(now), wait, asked[unit])
            for (unit, limit, holder), wait in zip(holders, waits, strict=True)
        ]
        return Admission(let_in, tuple(limits), settle)

    def _of(self, key_id: str, model: str, now: float) -> list[tuple[Unit, int, _Bucket | _Window]]:
        found = self._holders.get((key_id, model))
        if found is None:
            kind = _Bucket if self._limits.window == "bucket" else _Window
            found = [(unit, limit, kind(limit, self._limits.burst, now)) for unit, limit in self._limits.limits()]
            self._holders[key_id, model] = found
        return found


def _amounts(input_tokens: int, output_tokens: int) -> dict[Unit, int]:
    return {
        "requests": 1,
        "tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
    }
