from __future__ import annotations

import asyncio

import pytest

from lexigram.app import Application, ApplicationStateError, Module, ModuleConflictError, Provider, ProviderBase
from lexigram.contracts.health import HealthCheckResult, HealthStatus
from lexigram.di import Container, UnresolvableDependencyError


class Part(ProviderBase):
    def __init__(self, name: str, log: list[str], *, fail: str = "") -> None:
        self._name, self.log, self.fail = name, log, fail

    @property
    def name(self) -> str:
        return self._name

    async def _step(self, step: str) -> None:
        self.log.append(f"{step} {self._name}")
        if step in self.fail:
            raise OSError(f"{step} {self._name} failed")

    async def register(self, container: Container) -> None:
        await self._step("register")

    async def boot(self, container: Container) -> None:
        await self._step("boot")

    async def shutdown(self) -> None:
        await self._step("shutdown")


class Closing:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def aclose(self) -> None:
        self.log.append("close container")


async def test_providers_run_in_order_imports_first_and_each_once() -> None:
    log: list[str] = []
    base = Module("base", (Part("base", log),))
    modules = [Module("a", (Part("a", log),), imports=(base,)), Module("b", (Part("b", log),), imports=(base,))]
    container = Container().register(Closing, lambda: Closing(log))
    async with Application(modules, [Part("own", log)], container=container) as app:
        await app.container.resolve(Closing)
    assert log == [
        *("register base", "register a", "register b", "register own"),
        *("boot base", "boot a", "boot b", "boot own"),
        *("shutdown own", "shutdown b", "shutdown a", "shutdown base"),
        "close container",
    ]


def test_provider_base_is_a_provider() -> None:
    assert isinstance(ProviderBase(), Provider)


def test_two_modules_of_one_name_conflict() -> None:
    with pytest.raises(ModuleConflictError, match="'a'"):
        Application([Module("a", (Part("x", []),)), Module("a", (Part("y", []),))])


async def test_a_failing_boot_shuts_down_what_has_booted_and_raises_its_own_error() -> None:
    log: list[str] = []
    parts = [Part("a", log), Part("b", log, fail="shutdown"), Part("c", log, fail="boot"), Part("d", log)]
    container = Container().register(Closing, lambda: Closing(log))
    await container.resolve(Closing)
    with pytest.raises(OSError, match="boot c failed") as caught:
        await Application(providers=parts, container=container).start()
    assert log[4:] == ["boot a", "boot b", "boot c", "shutdown b", "shutdown a", "close container"]
    assert any("shutdown b failed" in note for note in caught.value.__notes__)


async def test_the_graph_is_checked_before_anything_boots() -> None:
    log: list[str] = []

    class Needy:
        def __init__(self, missing: bytes) -> None: ...

    container = Container().register(Needy)
    with pytest.raises(UnresolvableDependencyError, match=r"Needy -> bytes \(parameter 'missing'\)"):
        await Application(providers=[Part("a", log)], container=container).start()
    assert log == ["register a"]


async def test_every_failure_of_the_shutdown_is_reported() -> None:
    log: list[str] = []
    app = Application(providers=[Part(n, log, fail="shutdown") for n in "abc"])
    await app.start()
    with pytest.raises(ExceptionGroup) as caught:
        await app.stop()
    assert [str(e) for e in caught.value.exceptions] == [f"shutdown {n} failed" for n in "cba"]
    await app.stop()


async def test_the_error_of_the_block_is_not_hidden_by_the_shutdown() -> None:
    with pytest.raises(ValueError, match="mine") as caught:
        async with Application(providers=[Part("a", [], fail="shutdown")]):
            raise ValueError("mine")
    assert any("shutdown a failed" in note for note in caught.value.__notes__)


async def test_a_cancelled_boot_is_rolled_back() -> None:
    log: list[str] = []

    class Slow(ProviderBase):
        async def boot(self, container: Container) -> None:
            await asyncio.sleep(60)

    task = asyncio.create_task(Application(providers=[Part("a", log), Slow()]).start())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log[-1] == "shutdown a"


async def test_an_application_runs_once() -> None:
    app = Application(name="shop")
    async with app:
        with pytest.raises(ApplicationStateError, match="'shop' cannot start: it is running"):
            await app.start()
    with pytest.raises(ApplicationStateError, match="it is stopped"):
        await app.start()


async def test_health_asks_every_provider_and_a_failure_is_a_result() -> None:
    class Checked(ProviderBase):
        def __init__(self, name: str, error: Exception | None = None, delay: float = 0) -> None:
            self._name, self.error, self.delay = name, error, delay

        @property
        def name(self) -> str:
            return self._name

        async def health_check(self, timeout: float = 5.0) -> HealthCheckResult:
            await asyncio.sleep(self.delay)
            if self.error is not None:
                raise self.error
            return HealthCheckResult(self._name, HealthStatus.HEALTHY)

    parts = [Checked("ok"), Checked("bad", OSError("canary")), Checked("slow", delay=30), Part("none", [])]
    async with Application(providers=parts) as app:
        results = await app.health(timeout=0.05)
    assert [(r.component, r.status.value) for r in results] == [
        ("ok", "healthy"),
        ("bad", "unhealthy"),
        ("slow", "unhealthy"),
    ]
    assert "canary" not in repr(results)
