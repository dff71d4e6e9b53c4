"""What a :class:`~lexigram.contracts.cache.CacheBackendProtocol` promises.

class TestMyCache(CacheConformance):
claims = CacheConformance.ALL - {"survives_reopening"}

def make(self, namespace="one"):
return MyCache(self.folder, namespace=namespace)
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lexigram.contracts.cache import CacheBackendProtocol, CacheError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing.canary import Canary
from lexigram.testing.conformance.suite import Conformance, behaviour, check
from lexigram.testing.stepping import Step, sweep

__all__ = ["CacheConformance"]

VALUES: Final = (b"", b"x", b"\x00\xff\r\n\x1a", "中文 😀".encode(), bytes(range(256)) * 4096)
KEYS: Final = (
    "", "a", "A", "a:b", "a:", ":b", "a/b", "../a", "/etc/passwd", "a*", "*", "a?b", "[ab]", "a\nb", "a\x00b", "a b",
    "%61", "é", "e\u0301", "😀", "k" * 10_000,
)  # fmt: skip
SHORT: Final = 0.2


class CacheConformance(Conformance):
    """The behaviours of a cache backend. All caches that one test makes share a store; each test has a fresh one."""

    @abstractmethod
    def make(self, namespace: str = "one") -> CacheBackendProtocol:
        """Return a cache of the test's store, within the namespace."""
        raise NotImplementedError

    def make_broken(self) -> CacheBackendProtocol:
        """Return a cache whose store cannot be reached, for ``fails_with_an_error``."""
        raise NotImplementedError("fails_with_an_error needs make_broken()")

    async def corrupt(self, key: str) -> None:
        """Damage what the store holds for the key in namespace ``one``, for ``never_gives_damaged_bytes``."""
        raise NotImplementedError("never_gives_damaged_bytes needs corrupt()")

    async def pass_time(self, seconds: float) -> None:
        """Let time pass; a cache with a clock of its own moves that instead."""
        await asyncio.sleep(seconds)

    @behaviour
    async def test_gives_back_what_was_set(self) -> None:
        """A value comes back byte for byte, also an empty, a binary and a large one."""
        cache = self.make()
        for number, value in enumerate(VALUES):
            _done(await cache.set(f"k{number}", value))
        for number, value in enumerate(VALUES):
            _holds(await cache.get(f"k{number}"), value, f"value {number}")
        await cache.close()

    @behaviour
    async def test_misses_with_none(self) -> None:
        """A key that was never set is ``Ok(None)``, not an error."""
        cache = self.make()
        _holds(await cache.get("never set"), None, "a key that was never set")
        await cache.close()

    @behaviour
    async def test_overwrites(self) -> None:
        """The last value holds, and with it its own time to live."""
        cache = self.make()
        _done(await cache.set("k", b"first", SHORT))
        _done(await cache.set("k", b"second"))
        _holds(await cache.get("k"), b"second", "an overwritten key")
        await self.pass_time(SHORT * 2)
        _holds(await cache.get("k"), b"second", "a key that was set again without a time to live")
        await cache.close()

    @behaviour
    async def test_deletes(self) -> None:
        """``delete`` says whether there was something, and nothing is left."""
        cache = self.make()
        _done(await cache.set("k", b"v"))
        _done(await cache.set("other", b"stays"))
        _is(await cache.delete("k"), True, "the first delete")
        _is(await cache.delete("k"), False, "the second delete")
        _holds(await cache.get("k"), None, "a deleted key")
        _holds(await cache.get("other"), b"stays", "another key")
        await cache.close()

    @behaviour
    async def test_expires(self) -> None:
        """After its time to live a value is gone; before, and without one, it is there."""
        cache = self.make()
        _done(await cache.set("short", b"v", SHORT))
        _done(await cache.set("long", b"v", 60.0))
        _done(await cache.set("ever", b"v", None))
        _holds(await cache.get("short"), b"v", "a value within its time")
        await self.pass_time(SHORT * 2)
        _holds(await cache.get("short"), None, "a value past its time")
        _holds(await cache.get("long"), b"v", "a value within its time")
        _holds(await cache.get("ever"), b"v", "a value without a time to live")
        await cache.close()

    @behaviour
    async def test_keeps_namespaces_apart(self) -> None:
        """The same key in two namespaces is two entries, and ``clear`` empties its own namespace only."""
        one, two = self.make("one"), self.make("two")
        _done(await one.set("k", b"1"))
        _done(await two.set("k", b"2"))
        _holds(await one.get("k"), b"1", "the key in its namespace")
        _done(await one.clear())
        _holds(await one.get("k"), None, "a key after clear()")
        _holds(await two.get("k"), b"2", "the key of another namespace after clear()")
        await one.close()
        await two.close()

    @behaviour
    async def test_takes_any_key(self) -> None:
        """Keys are opaque: none is a pattern, a path or another's alias."""
        cache = self.make()
        for number, key in enumerate(KEYS):
            _done(await cache.set(key, str(number).encode()))
        for number, key in enumerate(KEYS):
            _holds(await cache.get(key), str(number).encode(), f"the key {key[:20]!r}")
        _is(await cache.delete("*"), True, "deleting the key '*'")
        _holds(await cache.get("a"), b"1", "the key 'a' after deleting '*'")
        await cache.close()

    @behaviour
    async def test_sets_atomically(self) -> None:
        """Who reads while others write gets one whole value."""
        cache = self.make()
        values = [bytes([n]) * 100_000 for n in range(8)]
        _done(await cache.set("k", values[0]))

        async def read() -> None:
            for _ in range(8):
                got = await cache.get("k")
                check(got.is_ok() and got.ok() in values, "a reader got what no writer has written whole")
                await asyncio.sleep(0)

        await asyncio.gather(*[cache.set("k", v) for v in values], *[read() for _ in range(4)])
        await cache.close()

    @behaviour
    async def test_serves_many_at_once(self) -> None:
        """A hundred callers at once each get their own value."""
        cache = self.make()

        async def one(number: int) -> None:
            _done(await cache.set(f"k{number}", str(number).encode()))
            _holds(await cache.get(f"k{number}"), str(number).encode(), f"k{number}")

        await asyncio.gather(*[one(n) for n in range(100)])
        await cache.close()

    @behaviour
    def test_serves_several_event_loops(self) -> None:
        """One object works in an event loop after another one has ended."""
        cache = self.make()

        async def first() -> None:
            _done(await cache.set("k", b"v"))

        async def second() -> None:
            _holds(await cache.get("k"), b"v", "a value that another event loop has set")
            await cache.close()

        asyncio.run(first())
        asyncio.run(second())

    @behaviour
    async def test_survives_cancellation(self) -> None:
        """``set`` cancelled at any moment leaves the old value or the new one, and the cache works."""
        cache = self.make()

        async def looks(found: Step) -> None:
            check(found.outcome in ("cancelled", "returned"), f"a cancelled set() {found.outcome}: {found.error!r}")
            got = await cache.get("k")
            check(got in (Ok(b"old"), Ok(b"new")), f"after a cancelled set() the value is {got!r}")
            _done(await cache.set("k", b"old"))

        _done(await cache.set("k", b"old"))
        await sweep(lambda: _coroutine(cache), looks)
        await cache.close()

    @behaviour
    async def test_survives_reopening(self) -> None:
        """What was set is there for the next cache on the same store."""
        first = self.make()
        _done(await first.set("k", b"v"))
        await first.close()
        second = self.make()
        _holds(await second.get("k"), b"v", "a value after closing and opening")
        await second.close()

    @behaviour
    async def test_never_gives_damaged_bytes(self) -> None:
        """A damaged entry is a miss or an error, never other bytes; setting it again heals it."""
        cache = self.make()
        _done(await cache.set("k", b"value"))
        await self.corrupt("k")
        got = await cache.get("k")
        check(
            got == Ok(None) or (isinstance(got, Err) and isinstance(got.err_value, CacheError)),
            f"a damaged entry gave {got!r}; expected Ok(None) or Err(CacheError)",
        )
        _done(await cache.set("k", b"again"))
        _holds(await cache.get("k"), b"again", "a damaged entry that was set again")
        await cache.close()

    @behaviour
    async def test_fails_with_an_error(self) -> None:
        """A store that cannot be reached is an ``Err(CacheError)`` of every operation, not an exception."""
        cache = self.make_broken()
        operations: dict[str, Callable[[], Awaitable[Result[Any, CacheError]]]] = {
            "get": lambda: cache.get("k"),
            "set": lambda: cache.set("k", b"v"),
            "delete": lambda: cache.delete("k"),
            "clear": cache.clear,
        }
        for name, operation in operations.items():
            got = await operation()
            failed = isinstance(got, Err) and isinstance(got.err_value, CacheError)
            check(failed, f"{name}() of a store that is gone gave {got!r}; expected Err(CacheError)")
        await cache.close()

    @behaviour
    async def test_shows_no_value(self) -> None:
        """Neither the backend nor its results show values in their texts."""
        cache, canary = self.make(), Canary()
        _done(await cache.set("k", canary.value.encode()))
        canary.assert_absent(repr(cache), str(cache), repr(await cache.set("k2", canary.value.encode())))
        await cache.close()

    @behaviour
    async def test_closes_twice(self) -> None:
        """``close`` may be called again."""
        cache = self.make()
        _done(await cache.set("k", b"v"))
        await cache.close()
        await cache.close()


async def _coroutine(cache: CacheBackendProtocol) -> None:
    _done(await cache.set("k", b"new"))


def _done(got: Result[None, CacheError]) -> None:
    check(got == Ok(None), f"expected Ok(None), got {got!r}")


def _is(got: Result[bool, CacheError], wanted: bool, what: str) -> None:
    check(isinstance(got, Ok) and got.ok_value is wanted, f"{what} gave {got!r}; expected Ok({wanted})")


def _holds(got: Result[bytes | None, CacheError], wanted: bytes | None, what: str) -> None:
    short = repr(got)[:80]
    check(isinstance(got, Ok) and got.ok_value == wanted, f"{what} gave {short}; expected {repr(wanted)[:40]}")
