from __future__ import annotations

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from typing import Annotated, Protocol

import punq
import pytest

from lexigram.di import (
    AsyncFactoryError,
    CircularDependencyError,
    Container,
    ContainerFrozenError,
    Named,
    RegistrationError,
    UnresolvableDependencyError,
)


class Clock(Protocol):
    def now(self) -> float: ...


class SystemClock:
    def now(self) -> float:
        return 1.0


class Orders:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Shop:
    def __init__(self, orders: Orders, retries: int = 3, note: Annotated[Clock, Named("slow")] | None = None) -> None:
        self.orders, self.retries, self.note = orders, retries, note


class First:
    def __init__(self, second: Second) -> None: ...


class Second:
    def __init__(self, first: First) -> None: ...


class Abstract(ABC):
    @abstractmethod
    def run(self) -> None: ...


async def test_parameters_are_injected_by_hint_and_singletons_are_shared() -> None:
    container = Container().register(Clock, SystemClock).register(Orders).register(Shop)
    shop = await container.resolve(Shop)
    assert isinstance(shop.orders.clock, SystemClock)
    assert (shop.retries, shop.note) == (3, None)
    assert await container.resolve(Orders) is shop.orders


async def test_named_services_are_injected_by_annotation() -> None:
    slow = SystemClock()
    container = Container().register(Clock, SystemClock).register(Clock, instance=slow, name="slow")
    container.register(Orders).register(Shop)
    assert (await container.resolve(Shop)).note is slow
    assert await container.resolve(Clock, name="slow") is slow
    assert await container.resolve(Clock) is not slow


async def test_last_registration_wins_and_resolve_all_gives_all() -> None:
    one, two = SystemClock(), SystemClock()
    container = Container().register(Clock, instance=one).register(Clock, instance=two)
    assert await container.resolve(Clock) is two
    assert await container.resolve_all(Clock) == [one, two]

    def count(clocks: list[Clock]) -> int:
        return len(clocks)

    assert await container.call(count) == 2


async def test_a_factory_may_be_async_and_take_the_container() -> None:
    async def make(container: Container, clock: Clock) -> Orders:
        await asyncio.sleep(0)
        return Orders(await container.resolve(Clock))

    container = Container().register(Clock, SystemClock).register(Orders, make)
    assert (await container.resolve(Orders)).clock is await container.resolve(Clock)
    assert await container.resolve(Container) is container


async def test_an_awaitable_service_made_by_a_class_is_not_awaited() -> None:
    class Lazy:
        def __await__(self) -> None:
            raise AssertionError("awaited")

    container = Container().register(Lazy).register(SystemClock, lambda: Lazy())
    assert isinstance(await container.resolve(Lazy), Lazy)
    assert isinstance(await container.resolve(SystemClock), Lazy)


async def test_transients_are_built_each_time() -> None:
    container = Container().register(Clock, SystemClock, scope="transient")
    assert await container.resolve(Clock) is not await container.resolve(Clock)


async def test_call_injects_what_is_not_given() -> None:
    container = Container().register(Clock, SystemClock)

    async def job(clock: Clock, number: int) -> tuple[float, int]:
        return clock.now(), number

    assert await container.call(job, number=4) == (1.0, 4)


# -- errors --------------------------------------------------------------------------------------------------


async def test_a_missing_service_is_named_with_its_path() -> None:
    container = Container().register(Orders).register(Shop)
    with pytest.raises(UnresolvableDependencyError) as caught:
        await container.resolve(Shop)
    assert caught.value.message.startswith("Shop -> Orders (parameter 'orders') -> Clock (parameter 'clock')")
    assert caught.value.code == "LEX_ERR_DI_004"
    assert isinstance(caught.value, punq.MissingDependencyError)


def test_validate_finds_a_missing_link_without_building() -> None:
    container = Container().register(Orders).register(Shop)
    with pytest.raises(UnresolvableDependencyError, match=r"^Shop -> Orders .* -> Clock \(parameter 'clock'\)"):
        container.validate()


def test_validate_reports_every_problem_at_once() -> None:
    def other(text: bytes) -> str:
        return ""

    container = Container().register(Orders).register(str, other)
    with pytest.raises(UnresolvableDependencyError) as caught:
        container.validate()
    assert "Orders -> Clock (parameter 'clock')" in str(caught.value)
    assert "str -> bytes (parameter 'text')" in str(caught.value)


def test_validate_accepts_a_complete_graph() -> None:
    Container().register(Clock, SystemClock).register(Orders).register(Shop).validate()


async def test_an_error_for_a_named_service_lists_the_names_there_are() -> None:
    container = Container().register(Clock, SystemClock, name="fast")
    with pytest.raises(UnresolvableDependencyError) as caught:
        await container.resolve(Clock)
    assert "'fast'" in (caught.value.hint or "")
    assert not container.has(Clock)
    assert container.has(Clock, name="fast")


@pytest.mark.parametrize("scope", ["singleton", "transient"])
async def test_a_cycle_is_an_error_with_its_path(scope: str) -> None:
    container = Container().register(First, scope=scope).register(Second, scope=scope)  # type: ignore[arg-type]
    path = r"First -> Second \(parameter 'second'\) -> First"
    with pytest.raises(CircularDependencyError, match=path):
        await container.resolve(First)
    with pytest.raises(CircularDependencyError, match=path):
        container.validate()


async def test_a_cycle_through_resolve_in_a_factory_is_found() -> None:
    async def make(container: Container) -> Orders:
        return await container.resolve(Orders)

    async with asyncio.timeout(5):
        with pytest.raises(CircularDependencyError):
            await Container().register(Orders, make).resolve(Orders)


async def test_a_cycle_entered_from_both_ends_does_not_hang() -> None:
    async def first(container: Container) -> First:
        await asyncio.sleep(0.01)
        await container.resolve(Second)
        raise AssertionError("unreachable")

    async def second(container: Container) -> Second:
        await asyncio.sleep(0.01)
        await container.resolve(First)
        raise AssertionError("unreachable")

    container = Container().register(First, first).register(Second, second)
    async with asyncio.timeout(5):
        results = await asyncio.gather(container.resolve(First), container.resolve(Second), return_exceptions=True)
    assert all(isinstance(r, CircularDependencyError) for r in results)


async def test_a_factory_error_comes_out_as_it_is_with_the_path_as_a_note() -> None:
    boom = ValueError("boom")

    def fail() -> SystemClock:
        raise boom

    container = Container().register(Clock, fail).register(Orders)
    with pytest.raises(ValueError, match="boom") as caught:
        await container.resolve(Orders)
    assert caught.value is boom
    assert caught.value.__notes__ == ["while building Orders -> Clock (parameter 'clock')"]


@pytest.mark.parametrize("service", [Clock, Abstract])
def test_an_abstract_service_needs_a_factory(service: type) -> None:
    with pytest.raises(RegistrationError, match="abstract"):
        Container().register(service)


def test_a_factory_and_an_instance_are_too_much() -> None:
    with pytest.raises(RegistrationError, match="not both"):
        Container().register(SystemClock, SystemClock, instance=SystemClock())


def test_a_frozen_container_takes_no_registrations() -> None:
    container = Container()
    container.freeze()
    with pytest.raises(ContainerFrozenError):
        container.register(SystemClock)


async def test_resolve_optional_gives_none_only_for_what_is_not_registered() -> None:
    container = Container().register(Orders)
    assert await container.resolve_optional(Clock) is None
    with pytest.raises(UnresolvableDependencyError):
        await container.resolve_optional(Orders)


async def test_resolve_sync_works_until_an_async_factory_is_needed() -> None:
    async def make() -> SystemClock:
        return SystemClock()

    container = Container().register(Clock, SystemClock).register(Orders)
    assert container.resolve_sync(Orders) is await container.resolve(Orders)
    later = Container().register(Clock, make).register(Orders)
    with pytest.raises(AsyncFactoryError, match=r"Orders -> Clock \(parameter 'clock'\)"):
        later.resolve_sync(Orders)
    built = await later.resolve(Clock)
    assert later.resolve_sync(Orders).clock is built


# -- concurrency ---------------------------------------------------------------------------------------------


async def test_tasks_that_ask_together_get_one_instance() -> None:
    built = 0

    async def make() -> SystemClock:
        nonlocal built
        built += 1
        await asyncio.sleep(0.01)
        return SystemClock()

    container = Container().register(Clock, make)
    clocks = await asyncio.gather(*(container.resolve(Clock) for _ in range(20)))
    assert built == 1
    assert len({id(clock) for clock in clocks}) == 1


def test_threads_with_their_own_loops_get_one_instance() -> None:
    built: list[int] = []

    async def make() -> SystemClock:
        built.append(1)
        await asyncio.sleep(0.05)
        return SystemClock()

    container = Container().register(Clock, make).register(Orders)
    got: list[Orders] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        got.append(asyncio.run(container.resolve(Orders)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert built == [1]
    assert len(got) == 4
    assert len({id(o) for o in got}) == 1


def test_threads_without_a_loop_get_one_instance() -> None:
    built: list[int] = []

    def make() -> SystemClock:
        built.append(1)
        time.sleep(0.05)
        return SystemClock()

    container = Container().register(Clock, make)
    got: list[Clock] = []
    threads = [threading.Thread(target=lambda: got.append(container.resolve_sync(Clock))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert built == [1]
    assert len({id(clock) for clock in got}) == 1
    assert len(got) == 4


async def test_a_failed_build_is_tried_again_by_the_next() -> None:
    tries = 0

    async def make() -> SystemClock:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        if tries == 1:
            raise OSError("once")
        return SystemClock()

    container = Container().register(Clock, make)
    first, second = await asyncio.gather(container.resolve(Clock), container.resolve(Clock), return_exceptions=True)
    assert isinstance(first, OSError)
    assert isinstance(second, SystemClock)
    assert tries == 2


async def test_a_cancelled_builder_or_waiter_does_not_stop_the_others() -> None:
    async def make() -> SystemClock:
        await asyncio.sleep(0.02)
        return SystemClock()

    container = Container().register(Clock, make)
    tasks = [asyncio.create_task(container.resolve(Clock)) for _ in range(4)]
    await asyncio.sleep(0.005)
    tasks[0].cancel()
    tasks[1].cancel()
    async with asyncio.timeout(5):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(r) for r in results[:2]] == [asyncio.CancelledError] * 2
    assert isinstance(results[2], SystemClock)
    assert results[2] is results[3]


def test_a_cycle_over_two_threads_does_not_hang() -> None:
    def first(container: Container) -> First:
        time.sleep(0.02)
        return First(container.resolve_sync(Second))

    def second(container: Container) -> Second:
        time.sleep(0.02)
        return Second(container.resolve_sync(First))

    container = Container().register(First, first).register(Second, second)
    errors: list[Exception] = []

    def run(service: type[First] | type[Second]) -> None:
        try:
            container.resolve_sync(service)
        except CircularDependencyError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(service,), daemon=True) for service in (First, Second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 2


async def test_a_cycle_through_a_transient_is_found() -> None:
    container = Container().register(First).register(Second, scope="transient")
    async with asyncio.timeout(5):
        with pytest.raises(CircularDependencyError, match=r"First -> Second .* -> First"):
            await container.resolve(First)
