"""``AsyncStream``: an answer as it is written, which always settles.

However a stream ends (finished, broken off by the consumer, cancelled, cut by the network), ``outcome`` becomes
exactly one ``Result``, and the connection behind it is closed or given back.

    async for chunk in stream:          # raises the typed error when the stream fails
        print(chunk.delta, end="")
    result = await stream.completion()  # the same answer, folded: Ok(Completion) or Err(error)
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Generic, Protocol, Self, TypeVar, cast

from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError, StreamClosedError, StreamError
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["AsyncStream", "Fold"]

T = TypeVar("T")
U = TypeVar("U")
E = TypeVar("E", bound=Exception)
T_contra = TypeVar("T_contra", contravariant=True)


class Fold(Protocol[T_contra]):
    """What adds up a stream's items to a completion."""

    @property
    def finished(self) -> bool:
        """Whether the answer's end has been seen."""
        ...

    def add(self, chunk: T_contra, /) -> None:
        """Take in the next item."""
        ...

    def completion(self) -> Completion:
        """Return what has been said so far."""
        ...


class AsyncStream(Generic[T, E]):
    """Items as they come. Nothing is sent before the first item is asked for.

    ``async for`` yields the items and raises the typed error if the stream fails; breaking out of it closes the
    stream. A single item is had with ``await anext(stream)``; the stream then stays open until it is read to its
    end, closed, or left by ``async with``.

    Args:
        source: gives the items and raises an :class:`LLMError` on failure; it is closed with the stream.
        fold: adds the items up to the completion; without one, ``completion()`` holds no text.
    """

    __slots__ = ("__weakref__", "_closing", "_fold", "_outcome", "_parent", "_peeked", "_reader", "_source")

    def __init__(
        self, source: AsyncIterator[T], *, fold: Fold[T] | None = None, _parent: AsyncStream[Any, E] | None = None
    ) -> None:
        self._source = source
        self._fold = fold
        self._parent = _parent
        self._outcome: Result[Completion, E] | None = None
        self._reader: Callable[[], AsyncGenerator[T, None] | None] = _nobody
        self._peeked: AsyncGenerator[T, None] | None = None
        self._closing = False

    @property
    def outcome(self) -> Result[Completion, E] | None:
        """How the stream ended, with the whole or partial answer; None while it has not."""
        return self._outcome if self._parent is None else self._parent.outcome

    @property
    def so_far(self) -> Completion | None:
        """The answer as far as it has been read; None for a stream that is not folded."""
        if self._parent is not None:
            return self._parent.so_far
        return self._fold.completion() if self._fold is not None else None

    def __repr__(self) -> str:
        outcome = self.outcome
        state = "open" if outcome is None else "finished" if outcome.is_ok() else "failed"
        return f"<AsyncStream {state}>"

    # -- reading

    def __aiter__(self) -> AsyncIterator[T]:
        if self._peeked is not None:
            return _closing(self._peeked)
        return self._start()

    async def __anext__(self) -> T:
        if self._peeked is None:
            self._peeked = self._start()
        return await self._peeked.__anext__()

    def _start(self) -> AsyncGenerator[T, None]:
        running = self._reader()
        if running is not None and self._outcome is None:
            raise RuntimeError("the stream is being read already; one reader at a time")
        # The reader must not hold the stream: dropped together they would wait for the garbage collector.
        reader = _read(self._source, self._fold, weakref.ref(self))
        self._reader = weakref.ref(reader)
        return reader

    async def _close_source(self) -> None:
        # Once: a dropped reader is closed by the event loop at the same time as the stream by its owner.
        if not self._closing:
            self._closing = True
            await _close(self._source)

    def _settle(self, outcome: Result[Completion, E]) -> None:
        if self._outcome is None:
            self._outcome = outcome

    # -- ending

    async def aclose(self) -> None:
        """Close now: the connection is dropped or given back, and ``outcome`` is set. Safe to call again."""
        reader = self._reader()
        if reader is not None:
            await reader.aclose()
        if self._parent is not None:
            await self._parent.aclose()
        elif self._outcome is None:
            self._settle(_closed(self._fold, "closed"))
            await self._close_source()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def completion(self) -> Result[Completion, E]:
        """Read what is left and return the folded answer; a failure is an ``Err`` that carries the partial answer."""
        await self.drain()
        outcome = self.outcome
        if outcome is None:
            raise RuntimeError("the stream has been read to its end but has not settled")
        return outcome

    async def collect(self) -> Result[list[T], E]:
        """Read what is left into a list."""
        items: list[T] = []
        try:
            async for item in self:
                items.append(item)
        except LLMError as error:
            return Err(cast("E", error))
        return Ok(items)

    async def drain(self) -> Result[None, E]:
        """Read what is left and keep nothing."""
        try:
            async for _ in self:
                pass
        except LLMError as error:
            return Err(cast("E", error))
        return Ok(None)

    async def first(self) -> Result[T, E]:
        """Return the next item and close; an empty stream is an ``Err``."""
        async with self:
            try:
                return Ok(await anext(self))
            except StopAsyncIteration:
                return Err(cast("E", StreamError("the stream is empty", reason="truncated")))
            except LLMError as error:
                return Err(cast("E", error))

    # -- deriving

    def map(self, fn: Callable[[T], U]) -> AsyncStream[U, E]:
        """Return a stream of ``fn(item)``; it ends as this one does."""

        async def mapped() -> AsyncGenerator[U, None]:
            async with aclosing(self):
                async for item in self:
                    yield fn(item)

        return AsyncStream(mapped(), _parent=self)

    def filter(self, keep: Callable[[T], bool]) -> AsyncStream[T, E]:
        """Return a stream of the items that ``keep`` accepts; it ends as this one does."""

        async def kept() -> AsyncGenerator[T, None]:
            async with aclosing(self):
                async for item in self:
                    if keep(item):
                        yield item

        return AsyncStream(kept(), _parent=self)

    def take(self, count: int) -> AsyncStream[T, E]:
        """Return a stream of at most ``count`` items; this one is closed after them."""

        async def taken() -> AsyncGenerator[T, None]:
            async with aclosing(self):
                left = count
                while left > 0:
                    try:
                        item = await anext(self)
                    except StopAsyncIteration:
                        return
                    left -= 1
                    yield item

        return AsyncStream(taken(), _parent=self)


def _nobody() -> None:
    return None


async def _read(
    source: AsyncIterator[T], fold: Fold[T] | None, owner: weakref.ref[AsyncStream[T, E]]
) -> AsyncGenerator[T, None]:
    """Give the source's items and settle the stream, if anyone still has it."""
    stream = owner()
    settled = stream._outcome if stream is not None else None  # pyright: ignore[reportPrivateUsage]
    del stream
    if settled is not None:
        if isinstance(settled, Err):
            raise settled.err_value
        return
    add = fold.add if fold is not None else None
    outcome: Result[Completion, Any] | None = None
    try:
        async for item in source:
            if add is not None:
                add(item)
            yield item
    except GeneratorExit:
        outcome = _closed(fold, "closed")
        raise
    except asyncio.CancelledError:
        outcome = _closed(fold, "cancelled")
        raise
    except LLMError as error:
        if error.partial is None and fold is not None:
            error.partial = fold.completion()
        outcome = Err(error)
        raise
    except BaseException as error:
        outcome = Err(StreamError(f"the stream broke: {error!r}", reason="error", partial=_partial(fold)))
        raise
    else:
        outcome = Ok(fold.completion() if fold is not None else Completion())
    finally:
        stream = owner()
        if stream is None:
            await _close(source)
        else:
            if outcome is not None:
                stream._settle(outcome)  # pyright: ignore[reportPrivateUsage]
            await stream._close_source()  # pyright: ignore[reportPrivateUsage]


def _partial(fold: Fold[Any] | None) -> Completion | None:
    return fold.completion() if fold is not None else None


def _closed(fold: Fold[Any] | None, reason: str) -> Result[Completion, Any]:
    """Return the outcome of a stream that its consumer ended."""
    if fold is not None and fold.finished:
        return Ok(fold.completion())
    message = f"the stream was {reason} by its consumer before its end"
    partial = _partial(fold)
    attempts = partial.attempts if partial is not None else ()
    return Err(StreamClosedError(message, reason=reason, partial=partial, attempts=attempts))


async def _close(source: object) -> None:
    # Of garbage in a cycle the event loop closes reader and source by itself, each in a task of its own.
    close = getattr(source, "aclose", None)
    if close is not None and not getattr(source, "ag_running", False):
        await close()


async def _closing(reader: AsyncGenerator[T, None]) -> AsyncGenerator[T, None]:
    async with aclosing(reader):
        async for item in reader:
            yield item
