"""A cache in a dict passes the kit; each deliberately wrong one fails where it is wrong."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from broken import failing

from lexigram.contracts.cache import CacheBackendProtocol, CacheError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing.conformance.cache import CacheConformance

Store = dict[Any, tuple[bytes, float | None]]


class DictCache:
    """Keeps its values in a dict that it is given."""

    now: ClassVar[float] = 0.0

    def __init__(self, store: Store | None, namespace: str) -> None:
        self.store = store
        self.namespace = namespace

    def entry(self, key: str) -> Any:
        return (self.namespace, key)

    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        await asyncio.sleep(0)
        if self.store is None:
            return Err(CacheError("the store is gone"))
        found = self.store.get(self.entry(key))
        if found is None or (found[1] is not None and found[1] <= DictCache.now):
            return Ok(None)
        return Ok(found[0]) if isinstance(found[0], bytes) else Ok(None)

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        await asyncio.sleep(0)
        if self.store is None:
            return Err(CacheError("the store is gone"))
        self.store[self.entry(key)] = (value, None if ttl is None else DictCache.now + ttl)
        return Ok(None)

    async def delete(self, key: str) -> Result[bool, CacheError]:
        if self.store is None:
            return Err(CacheError("the store is gone"))
        return Ok(self.store.pop(self.entry(key), None) is not None)

    async def clear(self) -> Result[None, CacheError]:
        if self.store is None:
            return Err(CacheError("the store is gone"))
        for entry in [e for e in self.store if e[0] == self.namespace]:
            del self.store[entry]
        return Ok(None)

    async def close(self) -> None:
        return


class TestDictCache(CacheConformance):
    claims = CacheConformance.ALL
    cache: ClassVar[type[DictCache]] = DictCache

    def setup_method(self) -> None:
        self.store: Store = {}

    def make(self, namespace: str = "one") -> CacheBackendProtocol:
        return self.cache(self.store, namespace)

    def make_broken(self) -> CacheBackendProtocol:
        return self.cache(None, "one")

    async def pass_time(self, seconds: float) -> None:
        DictCache.now += seconds

    async def corrupt(self, key: str) -> None:
        for entry, (_, ends) in self.store.items():
            self.store[entry] = ("not bytes", ends)  # type: ignore[assignment]


class Truncates(DictCache):
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        return await super().set(key, value[:200_000], ttl)


class MissesWithAnError(DictCache):
    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        got = await super().get(key)
        return Err(CacheError("no such key")) if key.startswith("never") else got


class KeepsTheFirst(DictCache):
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        if value == b"second":
            return Ok(None)
        return await super().set(key, value, ttl)


class DeletesAlways(DictCache):
    async def delete(self, key: str) -> Result[bool, CacheError]:
        done = await super().delete(key)
        return done if self.store is None else Ok(True)


class NeverExpires(DictCache):
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        return await super().set(key, value, ttl and 60.0)


class ClearsAll(DictCache):
    async def clear(self) -> Result[None, CacheError]:
        done = await super().clear()
        if self.store is not None:
            self.store.clear()
        return done


class FoldsKeys(DictCache):
    def entry(self, key: str) -> Any:
        return (self.namespace, key.lower())


class WritesInPieces(DictCache):
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        if len(value) == 100_000:
            await super().set(key, value[:50_000], ttl)
        return await super().set(key, value, ttl)


class SharesAVariable(DictCache):
    last = b""

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        self.last = value
        await asyncio.sleep(0)
        return await super().set(key, self.last if len(value) < 3 else value, ttl)


class StaysInOneLoop(DictCache):
    loop: Any = None

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        self.loop = asyncio.get_running_loop()
        return await super().set(key, value, ttl)

    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        if self.loop not in (None, asyncio.get_running_loop()):
            raise RuntimeError("attached to a different loop")
        return await super().get(key)


class BreaksWhenCancelled(DictCache):
    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        if self.store is not None and value == b"new":
            self.store[self.entry(key)] = (b"", None)
        return await super().set(key, value, ttl)


class Forgets(DictCache):
    async def close(self) -> None:
        if self.store is not None:
            self.store.clear()


class GivesWhatItFinds(DictCache):
    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        got = await super().get(key)
        found = (self.store or {}).get(self.entry(key))
        return Ok(b"whatever") if found is not None and not isinstance(found[0], bytes) else got


class Raises(DictCache):
    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        return Ok((await super().get(key)).unwrap())


class Talks(DictCache):
    def __repr__(self) -> str:
        return f"<Talks {self.store}>"


class ClosesOnce(DictCache):
    closed = False

    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


MUTANTS = {
    "gives_back_what_was_set": Truncates,
    "misses_with_none": MissesWithAnError,
    "overwrites": KeepsTheFirst,
    "deletes": DeletesAlways,
    "expires": NeverExpires,
    "keeps_namespaces_apart": ClearsAll,
    "takes_any_key": FoldsKeys,
    "sets_atomically": WritesInPieces,
    "serves_many_at_once": SharesAVariable,
    "serves_several_event_loops": StaysInOneLoop,
    "survives_cancellation": BreaksWhenCancelled,
    "survives_reopening": Forgets,
    "never_gives_damaged_bytes": GivesWhatItFinds,
    "fails_with_an_error": Raises,
    "shows_no_value": Talks,
    "closes_twice": ClosesOnce,
}


def test_every_behaviour_has_its_mutant() -> None:
    assert set(MUTANTS) == CacheConformance.ALL


@pytest.mark.parametrize("claim", MUTANTS)
def test_a_wrong_cache_fails_where_it_is_wrong_and_nowhere_else(claim: str) -> None:
    assert failing(TestDictCache, cache=MUTANTS[claim]) == {claim}
