"""Checked with ``mypy --strict`` and ``pyright``; never run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol, assert_type

from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.di import Container


class Clock(Protocol):
    def now(self) -> float: ...


class Base(ABC):
    @abstractmethod
    def run(self) -> int: ...


class SystemClock:
    def now(self) -> float:
        return 0.0

    async def aclose(self) -> None: ...


async def make_clock(container: Container) -> SystemClock:
    return SystemClock()


def count(clock: Clock) -> int:
    return 1


async def acount(clock: Clock) -> str:
    return ""


async def resolves(container: Container) -> None:
    assert_type(await container.resolve(LLMClientProtocol), LLMClientProtocol)
    assert_type(await container.resolve(Clock, name="utc"), Clock)
    assert_type(await container.resolve(Base), Base)
    assert_type(await container.resolve_optional(Clock), Clock | None)
    assert_type(await container.resolve_all(Clock), list[Clock])
    assert_type(container.resolve_sync(Clock), Clock)
    assert_type(await container.call(count), int)
    assert_type(await container.call(acount, clock=SystemClock()), str)


async def registers(container: Container) -> None:
    container.register(SystemClock)
    container.register(Clock, SystemClock, scope="scoped")
    container.register(Clock, make_clock, close=SystemClock.aclose)
    container.register(Clock, instance=SystemClock(), name="utc").register(Clock, lambda: SystemClock())
    with container.override(Clock, instance=SystemClock()) as same:
        assert_type(same, Container)
    async with container.scope() as scope:
        assert_type(scope, Container)
