from __future__ import annotations

import asyncio
from typing import Annotated, Protocol

import pytest

from lexigram.di import Container, ContainerClosedError, Named, ScopeError


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


class Resource:
    log: list[str]

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    async def aclose(self) -> None:
        self.log.append(self.name)


# -- scopes, closing -----------------------------------------------------------------------------------------


async def test_a_scope_owns_its_instances_and_closes_them() -> None:
    log: list[str] = []
    container = Container().register(Resource, lambda: Resource("scoped", log), scope="scoped")
    async with container.scope() as one, container.scope() as two:
        assert await one.resolve(Resource) is await one.resolve(Resource)
        assert await one.resolve(Resource) is not await two.resolve(Resource)
        assert log == []
    assert log == ["scoped", "scoped"]
    with pytest.raises(ContainerClosedError):
        await one.resolve(Resource)
    with pytest.raises(ScopeError, match="scoped"):
        await container.resolve(Resource)


async def test_a_scope_sees_its_parent_and_does_not_leak_into_it() -> None:
    own = SystemClock()
    container = Container().register(Clock, SystemClock).register(Orders)
    async with container.scope() as child:
        child.register(Clock, instance=own)
        assert await child.resolve(Clock) is own
        assert (await child.resolve(Orders)).clock is not own
        with child.override(Clock, instance=own):
            assert (await child.resolve(Orders)).clock is not own
    assert await container.resolve(Clock) is not own
    assert (await container.resolve(Orders)).clock is not own


async def test_a_scope_that_returns_the_parents_object_does_not_close_it() -> None:
    log: list[str] = []

    class Session(Protocol): ...

    def session(resource: Resource) -> Resource:
        return resource

    container = Container().register(Resource, lambda: Resource("pool", log)).register(Session, session, scope="scoped")
    async with container.scope() as child:
        await child.resolve(Session)
    assert log == []
    await container.aclose()
    assert log == ["pool"]


async def test_a_singleton_may_not_keep_a_scoped_service() -> None:
    container = Container().register(Clock, SystemClock, scope="scoped").register(Orders)
    with pytest.raises(ScopeError, match="Orders"):
        container.validate()


async def test_closing_goes_in_reverse_order_and_closes_open_scopes_first() -> None:
    log: list[str] = []
    container = Container()
    container.register(Resource, lambda: Resource("a", log), name="a")
    container.register(Resource, lambda: Resource("b", log), name="b")
    container.register(Resource, lambda: Resource("s", log), scope="scoped")
    await container.resolve(Resource, name="b")
    await container.resolve(Resource, name="a")
    scope = container.scope()
    await scope.resolve(Resource)
    await container.aclose()
    await container.aclose()
    assert log == ["s", "a", "b"]


async def test_every_failure_to_close_is_reported_after_all_were_closed() -> None:
    log: list[str] = []

    def fail(_: Resource) -> None:
        raise OSError("stuck")

    container = Container().register(Resource, lambda: Resource("last", log), name="last")
    container.register(Resource, lambda: Resource("x", log), name="x", close=fail)
    container.register(Resource, lambda: Resource("y", log), name="y", close=fail)
    for name in ("last", "x", "y"):
        await container.resolve(Resource, name=name)
    with pytest.raises(ExceptionGroup) as caught:
        await container.aclose()
    assert [str(e) for e in caught.value.exceptions] == ["stuck", "stuck"]
    assert log == ["last"]


async def test_an_instance_is_closed_only_on_request() -> None:
    log: list[str] = []
    container = Container().register(Resource, instance=Resource("mine", log), name="mine")
    container.register(Resource, instance=Resource("given", log), name="given", close=Resource.aclose)
    await container.aclose()
    assert log == ["given"]


# -- overrides -----------------------------------------------------------------------------------------------


async def test_an_override_reaches_built_singletons_and_is_taken_back() -> None:
    fake = SystemClock()
    container = Container().register(Clock, SystemClock).register(Orders).register(Shop)
    before = await container.resolve(Shop)
    with container.override(Clock, instance=fake):
        inside = await container.resolve(Shop)
        assert inside.orders.clock is fake
        assert await container.resolve(Shop) is inside
    assert await container.resolve(Shop) is before


async def test_what_is_first_built_under_an_override_does_not_outlive_it() -> None:
    fake = SystemClock()
    container = Container().register(Clock, SystemClock).register(Orders)
    with container.override(Clock, instance=fake):
        assert (await container.resolve(Orders)).clock is fake
    assert (await container.resolve(Orders)).clock is not fake


async def test_an_override_leaves_unrelated_singletons_alone() -> None:
    container = Container().register(Clock, SystemClock).register(Orders)
    with container.override(str, instance="x"):
        orders = await container.resolve(Orders)
    assert await container.resolve(Orders) is orders


async def test_overrides_nest_and_async_with_closes_what_they_built() -> None:
    log: list[str] = []
    container = Container().register(Resource, lambda: Resource("real", log))
    async with container.override(Resource, lambda: Resource("outer", log)):
        assert (await container.resolve(Resource)).name == "outer"
        async with container.override(Resource, lambda: Resource("inner", log)):
            assert (await container.resolve(Resource)).name == "inner"
        assert log == ["inner"]
        assert (await container.resolve(Resource)).name == "outer"
    assert log == ["inner", "outer"]
    assert (await container.resolve(Resource)).name == "real"


async def test_what_is_built_while_the_container_closes_is_closed_too() -> None:
    log: list[str] = []
    gate = asyncio.Event()

    async def make() -> Resource:
        await gate.wait()
        return Resource("late", log)

    container = Container().register(Resource, make)
    task = asyncio.create_task(container.resolve(Resource))
    await asyncio.sleep(0.01)
    await container.aclose()
    gate.set()
    with pytest.raises(ContainerClosedError):
        await task
    assert log == ["late"]
