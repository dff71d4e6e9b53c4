"""What an :class:`~lexigram.contracts.ai.LLMClientProtocol` promises, whoever stands behind it.

    class TestMyClient(ClientConformance):
        claims = ClientConformance.ALL - {"calls_tools"}

        def make(self, situation):
            return MyClient(...)            # one whose provider is in that situation

For a client that speaks HTTP :mod:`lexigram.testing.conformance.http_client` brings the provider as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final, Literal, TypeAlias, TypeVar

from lexigram.contracts.ai.completion import Completion, StreamChunk
from lexigram.contracts.ai.errors import (
    InvalidMessageError,
    LLMError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
    StreamClosedError,
    StreamError,
)
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.ai.stream import AsyncStream
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing.canary import Canary
from lexigram.testing.conformance.suite import Conformance, behaviour, check
from lexigram.testing.stepping import Step, sweep

__all__ = ["ClientConformance", "Situation"]

T = TypeVar("T")
Situation: TypeAlias = Literal["answers", "calls a tool", "refuses", "breaks off", "hangs"]
"""How the provider is: it answers :attr:`ClientConformance.text`; asks for :attr:`ClientConformance.tool`; says that
there were too many requests (429); ends a stream in the middle of that text; or never says anything."""

USER: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Hi"}]
TOOLS: Final[list[dict[str, Any]]] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
    }
]


class ClientConformance(Conformance):
    """The behaviours of a client.

    Attributes:
        text: what a provider that answers says; at least two pieces as a stream.
        streams: whether the client streams; without, behaviours look at whole answers alone.
        tool: the tool that one asks for in the situation ``calls a tool``.
        deadline: seconds of the deadlines that are to pass.
        grace: seconds that they may be passed by.
    """

    text: ClassVar[str] = "Hello there."
    streams: ClassVar[bool] = True
    tool: ClassVar[str] = "weather"
    deadline: ClassVar[float] = 0.3
    grace: ClassVar[float] = 3.0

    @abstractmethod
    def make(self, situation: Situation) -> LLMClientProtocol:
        """Return a client whose provider is in that situation, for all calls that follow."""
        raise NotImplementedError

    @property
    def canary(self) -> Canary:
        """The test's own secret: give its value to the client as its key."""
        found: Canary | None = getattr(self, "_canary", None)
        if found is None:
            found = self._canary = Canary()
        return found

    @asynccontextmanager
    async def client(self, situation: Situation) -> AsyncGenerator[LLMClientProtocol, None]:
        """Make a client and close it afterwards."""
        client = self.make(situation)
        try:
            yield client
        finally:
            await client.close()

    async def ask(self, client: LLMClientProtocol, **options: Any) -> list[Result[Completion, LLMError]]:
        """Return the answer, whole and, of a client that streams, folded from its stream."""
        results = [await _in_time(client.complete(USER, **options))]
        if self.streams:
            results.append(await _in_time(client.stream_chat(USER, **options).completion()))
        return results

    # -- answers

    @behaviour
    async def test_answers(self) -> None:
        """``complete`` gives ``Ok`` of the text, why it ended, who answered, and what it cost."""
        async with self.client("answers") as client:
            self.check_answer(await client.complete(USER))

    @behaviour
    async def test_streams_what_it_completes(self) -> None:
        """A stream's chunks add up to the answer that ``complete`` gives."""
        async with self.client("answers") as client:
            whole = self.check_answer(await client.complete(USER))
            stream = client.stream_chat(USER)
            chunks = await _in_time(stream.collect())
            check(chunks.is_ok(), f"the stream failed: {chunks!r}")
            joined = "".join(chunk.delta for chunk in chunks.unwrap())
            check(joined == self.text, f"the stream's pieces join to {joined!r}; expected {self.text!r}")
            check(len([c for c in chunks.unwrap() if c.delta]) > 1, "the text came in one piece")
            _check_same(self.check_answer(await stream.completion()), whole)

    @behaviour
    async def test_tells_usage(self) -> None:
        """Answers, whole and streamed, say how many tokens they took, or that it is not known: never 0 for that."""
        async with self.client("answers") as client:
            for made in await self.ask(client):
                usage = self.check_answer(made).usage
                check(usage.source == "reported", f"the usage is {usage.source}")
                counted = (usage.input_tokens or 0) > 0 and (usage.output_tokens or 0) > 0
                check(counted, f"{usage.input_tokens} input and {usage.output_tokens} output tokens")

    @behaviour
    async def test_calls_tools(self) -> None:
        """A tool call has id, name and arguments, whole and streamed, and the call with its result can go back."""
        async with self.client("calls a tool") as client:
            results = await self.ask(client, tools=TOOLS)
            for result in results:
                made = _ok(result)
                check([c.name for c in made.tool_calls] == [self.tool], f"the calls are {made.tool_calls!r}")
                call = made.tool_calls[0]
                check(call.id and isinstance(call.arguments, dict), f"the call is {call!r}")
                check(made.finish_reason == "tool_calls", f"the finish reason is {made.finish_reason!r}")
                answer = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
                _ok(await client.complete([*USER, made.message, answer], tools=TOOLS))
            _check_same(_ok(results[-1]), _ok(results[0]))

    # -- the caller's mistakes

    @behaviour
    async def test_refuses_unknown_options(self) -> None:
        """An option that does not exist is a TypeError that names the near one."""
        async with self.client("answers") as client:
            wrong: Any = {"top_pp": 0.5}

            async def complete() -> object:
                return await client.complete(USER, **wrong)

            async def stream() -> object:
                return client.stream_chat(USER, **wrong)

            calls = [("complete", complete), *([("stream_chat", stream)] if self.streams else [])]
            for name, call in calls:
                try:
                    await call()
                except TypeError as error:
                    check("top_p" in str(error).replace("top_pp", ""), f"{name}: it does not say top_p: {error}")
                else:
                    raise AssertionError(f"{name}(top_pp=0.5) was taken")

    @behaviour
    async def test_refuses_wrong_messages(self) -> None:
        """A wrong message is an InvalidMessageError that gives its place."""
        wrong: dict[str, Any] = {
            "messages[1].role": [*USER, {"role": "boss", "content": "x"}],
            "messages[0].content": [{"role": "user"}],
            "messages": [],
        }
        async with self.client("answers") as client:
            for place, messages in wrong.items():
                try:
                    await client.complete(messages)
                except InvalidMessageError as error:
                    check(error.path == place, f"the place is {error.path}; expected {place}")
                else:
                    raise AssertionError(f"{messages!r} was taken")

    # -- failures

    @behaviour
    async def test_gives_failures_as_values(self) -> None:
        """A provider's failure is an ``Err`` of ``complete`` and of the stream's helpers, not an exception."""
        async with self.client("refuses") as client:
            for result in await self.ask(client):
                self.check_refusal(result.err())
            if self.streams:
                self.check_refusal((await client.stream_chat(USER).collect()).err())

    @behaviour
    async def test_raises_in_a_stream_what_fails(self) -> None:
        """Who reads a failing stream item by item gets the typed error raised, and the same one as the outcome."""
        async with self.client("refuses") as client:
            stream = client.stream_chat(USER)
            try:
                async for _ in stream:
                    pass
            except LLMError as error:
                self.check_refusal(error)
                outcome = stream.outcome
                same = isinstance(outcome, Err) and outcome.err_value is error
                check(same, f"the stream raised {error!r}, and its outcome is {outcome!r}")
            else:
                raise AssertionError("a stream that the provider refuses ended as if it were whole")

    @behaviour
    async def test_keeps_deadlines(self) -> None:
        """``timeouts`` bounds a call and a stream; what passes is an LLMTimeoutError."""
        async with self.client("hangs") as client:
            started = time.monotonic()
            results = await self.ask(client, timeouts=Timeouts(total=self.deadline))
            seconds = (time.monotonic() - started) / len(results)
            for result in results:
                error = result.err()
                check(isinstance(error, LLMTimeoutError), f"a deadline that passed gave {result!r}")
            check(seconds < self.deadline + self.grace, f"it took {seconds:.1f} s of {self.deadline} s")

    @behaviour
    async def test_checks_health_in_bounded_time(self) -> None:
        """``health_check`` says how the provider is, within its time, and never raises."""
        async with self.client("answers") as client:
            found = await client.health_check(5.0)
            check(found.healthy, f"a provider that answers is {found.status}: {found.message}")
        async with self.client("hangs") as client:
            started = time.monotonic()
            found = await _in_time(client.health_check(self.deadline))
            check(not found.healthy, "a provider that never answers is healthy")
            seconds = time.monotonic() - started
            check(seconds < self.deadline + self.grace, f"the check took {seconds:.1f} s of {self.deadline} s")

    # -- streams settle

    @behaviour
    async def test_settles_when_read_to_the_end(self) -> None:
        """A stream has no outcome before it is read, and the answer after it."""
        async with self.client("answers") as client:
            stream = client.stream_chat(USER)
            check(stream.outcome is None, f"before it is read the outcome is {stream.outcome!r}")
            async for chunk in stream:
                check(isinstance(chunk, StreamChunk), f"a chunk is {chunk!r}")
            self.check_answer(stream.outcome)

    @behaviour
    async def test_settles_when_left(self) -> None:
        """A stream that its reader leaves, by ``break``, ``aclose`` or unread, says that its reader closed it."""
        async with self.client("answers") as client:
            broken = client.stream_chat(USER)
            async for chunk in broken:
                if chunk.delta:
                    break
            await broken.aclose()
            closed = client.stream_chat(USER)
            await anext(closed)
            await closed.aclose()
            await closed.aclose()
            unread = client.stream_chat(USER)
            await unread.aclose()
            for how, stream in (("by break", broken), ("by aclose()", closed), ("unread", unread)):
                error = _err(stream.outcome)
                check(isinstance(error, StreamClosedError), f"a stream left {how} has the outcome {stream.outcome!r}")
            partial = _err(broken.outcome).partial
            said = partial.content if partial is not None else ""
            check(said and self.text.startswith(said), f"what was said before the break is {said!r}")
            self.check_answer(await client.complete(USER))

    @behaviour
    async def test_settles_when_cut(self) -> None:
        """A stream that breaks off is an error that carries what was said; it never passes for a whole answer."""
        async with self.client("breaks off") as client:
            stream = client.stream_chat(USER)
            error = (await _in_time(stream.completion())).err()
            typed = isinstance(error, StreamError | ProviderConnectionError)
            check(typed and not isinstance(error, StreamClosedError), f"a stream that was cut gave {error!r}")
            assert error is not None
            said = error.partial.content if error.partial is not None else ""
            check(
                said and self.text.startswith(said),
                f"the error carries {said!r}; expected the beginning of {self.text!r}",
            )

    @behaviour
    async def test_settles_when_cancelled(self) -> None:
        """A stream cancelled at any moment settles, and the next call works."""
        async with self.client("answers") as client:
            streams: list[AsyncStream[StreamChunk, LLMError]] = []

            async def read() -> None:
                streams.append(client.stream_chat(USER))
                async for _ in streams[-1]:
                    await asyncio.sleep(0)

            async def settled(found: Step) -> None:
                check(
                    found.outcome in ("cancelled", "returned"),
                    f"cancelled, the reader {found.outcome}: {found.error!r}",
                )
                if not streams:
                    return
                stream = streams.pop()
                await stream.aclose()
                check(stream.outcome is not None, f"cancelled after {found.turns} turns the stream has no outcome")
                self.check_answer(await _in_time(client.complete(USER)))

            for again in (None, 1):
                await sweep(read, settled, again=again)

    @behaviour
    async def test_survives_cancellation(self) -> None:
        """``complete`` cancelled at any moment lets the cancellation through, and the next call works."""
        async with self.client("answers") as client:

            async def works(found: Step) -> None:
                check(
                    found.outcome in ("cancelled", "returned"), f"cancelled, the call {found.outcome}: {found.error!r}"
                )
                self.check_answer(await _in_time(client.complete(USER)))

            for again in (None, 1):
                await sweep(lambda: _call(client), works, again=again)

    # -- the object

    @behaviour
    async def test_answers_many_at_once(self) -> None:
        """Calls and streams at the same time do not disturb each other."""
        async with self.client("answers") as client:
            for results in await _in_time(asyncio.gather(*[self.ask(client) for _ in range(10)])):
                for made in results:
                    self.check_answer(made)

    @behaviour
    def test_serves_several_event_loops(self) -> None:
        """One object works in an event loop after another one has ended."""
        client = self.make("answers")

        async def call() -> None:
            for made in await self.ask(client):
                self.check_answer(made)

        async def last() -> None:
            await call()
            await client.close()

        asyncio.run(call())
        asyncio.run(last())

    @behaviour
    async def test_closes_twice(self) -> None:
        """``close`` may be called again, and before any call."""
        client = self.make("answers")
        await client.close()
        client = self.make("answers")
        self.check_answer(await client.complete(USER))
        await client.close()
        await client.close()

    @behaviour
    async def test_shows_no_secret(self) -> None:
        """The key is in no text of the client, its answers, its errors and its log."""
        lines: list[logging.LogRecord] = []
        handler = _Collector(lines)
        root, level = logging.getLogger(), logging.getLogger().level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            seen: list[object] = []
            situations: tuple[Situation, ...] = ("answers", "refuses", "breaks off")
            for situation in situations:
                async with self.client(situation) as client:
                    seen += [client, *await self.ask(client), await client.health_check()]
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
        self.canary.assert_absent(seen, lines)

    # -- checks

    def check_answer(self, result: Result[Completion, LLMError] | None) -> Completion:
        """Check that a result is the answer."""
        made = _ok(result)
        check(made.content == self.text, f"the text is {made.content!r}; expected {self.text!r}")
        check(made.finish_reason == "stop", f"the finish reason is {made.finish_reason!r}; expected 'stop'")
        check(made.provider, "the answer does not say who gave it")
        return made

    def check_refusal(self, error: LLMError | None) -> None:
        """Check that an error is the refusal of too many requests."""
        check(isinstance(error, LLMRateLimitError), f"HTTP 429 gave {error!r}; expected LLMRateLimitError")
        assert error is not None
        check(error.provider and error.model, f"the error names provider {error.provider!r} and model {error.model!r}")
        check(error.status == 429, f"the error's status is {error.status!r}; expected 429")
        check(error.retryable, "the error says that it cannot be retried")
        check(error.attempts, "the error has no ledger of its attempts")


class _Collector(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


def _ok(result: Result[Completion, LLMError] | None) -> Completion:
    if not isinstance(result, Ok):
        raise AssertionError(f"expected an Ok, got {result!r}")
    return result.ok_value


def _err(result: Result[Completion, LLMError] | None) -> LLMError:
    if not isinstance(result, Err):
        raise AssertionError(f"expected an Err, got {result!r}")
    return result.err_value


def _check_same(streamed: Completion, whole: Completion) -> None:
    for name in ("parts", "finish_reason", "usage", "model", "provider"):
        one, other = getattr(streamed, name), getattr(whole, name)
        check(one == other, f"{name} is {one!r} as a stream and {other!r} as a whole")


async def _in_time(work: Awaitable[T]) -> T:
    return await asyncio.wait_for(work, 20)


async def _call(client: LLMClientProtocol) -> None:
    _ok(await client.complete(USER))
