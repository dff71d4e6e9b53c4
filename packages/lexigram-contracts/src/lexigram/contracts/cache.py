"""The cache backend protocol (the backends are rooms of their own)."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lexigram.contracts.errors import LexigramError
from lexigram.contracts.result import Result

__all__ = ["CacheBackendProtocol", "CacheError"]


class CacheError(LexigramError):
    """A cache backend failed. The call that wanted the cache goes on without it."""

    code = "LEX_ERR_CACHE_001"


@runtime_checkable
class CacheBackendProtocol(Protocol):
    """A store of bytes by key. Keys are opaque; values are never interpreted and never pickled."""

    async def get(self, key: str) -> Result[bytes | None, CacheError]:
        """Return the value, or ``Ok(None)`` when there is none or it has expired."""
        ...

    async def set(self, key: str, value: bytes, ttl: float | None = None) -> Result[None, CacheError]:
        """Store atomically, for ``ttl`` seconds (for ever when None)."""
        ...

    async def delete(self, key: str) -> Result[bool, CacheError]:
        """Remove; ``Ok(True)`` when there was something to remove."""
        ...

    async def clear(self) -> Result[None, CacheError]:
        """Remove everything of this cache's namespace."""
        ...

    async def close(self) -> None:
        """Give back connections and files."""
        ...
