"""The one accumulator: from the chunks of any dialect to a completion.

The fold of a stream and the whole-body decoding of the same answer give the same completion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import (
    UNKNOWN_USAGE,
    Attempt,
    Completion,
    FinishReason,
    RateLimit,
    StreamChunk,
    ToolCallDelta,
    Usage,
)
from lexigram.contracts.ai.messages import AudioPart, Opaque, Part, RefusalPart, TextPart, ThinkingPart, ToolCall

__all__ = ["CompletionFold", "chunks_of", "settle_finish_reason"]

_MERGED: Final = (TextPart, ThinkingPart, RefusalPart)


def settle_finish_reason(reason: FinishReason | None, parts: tuple[Part, ...]) -> FinishReason | None:
    """Decide the finish reason by what is there, then by the vendor's word.

    Tool calls win over ``stop`` or nothing (vendors say ``stop`` with forced tools), a refusal over ``stop``.
    ``length`` stays, for the last call may be cut off.
    """
    if reason not in (None, "stop"):
        return reason
    refused = False
    for part in parts:
        if type(part) is ToolCall:
            return "tool_calls"
        refused = refused or type(part) is RefusalPart
    return "refusal" if refused else reason


class _Run:
    """A part in the making."""

    __slots__ = ("annotations", "block", "cls", "opaque", "text")

    def __init__(self, cls: type[Any], block: int | None) -> None:
        self.cls = cls
        self.block = block
        self.text: list[str] = []
        self.opaque: Opaque | None = None
        self.annotations: tuple[Mapping[str, Any], ...] = ()

    def part(self) -> Part | None:
        text = "".join(self.text)
        if not text and self.opaque is None and not self.annotations:
            return None
        if self.cls is TextPart:
            return TextPart(text, self.annotations, self.opaque)
        return self.cls(text, self.opaque)  # type: ignore[no-any-return]


class _Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "id", "kind", "name", "opaque")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.kind = "function"
        self.arguments: list[str] = []
        self.opaque: Opaque | None = None

    def add(self, delta: ToolCallDelta) -> None:
        if delta.id:
            self.id = delta.id
        if delta.name:
            self.name = delta.name
        if delta.arguments:
            self.arguments.append(delta.arguments)
        if delta.kind == "custom":
            self.kind = "custom"
        self.opaque = _merge(self.opaque, delta.opaque)

    def part(self) -> ToolCall:
        raw = "".join(self.arguments)
        if self.kind == "custom":
            return ToolCall(self.id, self.name, raw_arguments=raw, kind="custom", opaque=self.opaque)
        return make_tool_call(self.id, self.name, raw, opaque=self.opaque)


class _Audio:
    """Audio in the making."""

    __slots__ = ("data", "last", "transcript")

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.transcript: list[str] = []
        self.last = AudioPart()

    def part(self) -> Part:
        return replace(self.last, data=b"".join(self.data) or None, transcript="".join(self.transcript) or None)


class _Choice:
    """One choice in the making: its parts in order, text runs and calls still open."""

    __slots__ = ("audio", "blocks", "calls", "finish", "items", "logprobs", "raw_finish", "run")

    def __init__(self) -> None:
        self.items: list[_Run | _Call | _Audio | Part] = []
        self.run: _Run | None = None
        self.blocks: dict[tuple[type[Any], int], _Run] = {}
        self.calls: dict[int, _Call] = {}
        self.audio: _Audio | None = None
        self.finish: FinishReason | None = None
        self.raw_finish: str | None = None
        self.logprobs: list[Mapping[str, Any]] = []

    def open(self, cls: type[Any], block: int | None) -> _Run:
        if block is not None and (run := self.blocks.get((cls, block))) is not None:
            self.run = run
            return run
        run = _Run(cls, block)
        if block is not None:
            self.blocks[cls, block] = run
        self.items.append(run)
        self.run = run
        return run

    def call(self, delta: ToolCallDelta) -> None:
        call = self.calls.get(delta.index)
        if call is None:
            call = self.calls[delta.index] = _Call()
            self.items.append(call)
            self.run = None
        call.add(delta)

    def part(self, part: Part, block: int | None) -> None:
        if isinstance(part, AudioPart):
            if self.audio is None:
                self.audio = _Audio()
                self.items.append(self.audio)
            self.audio.last = replace(part, id=part.id or self.audio.last.id)
            if part.data:
                self.audio.data.append(part.data)
            if part.transcript:
                self.audio.transcript.append(part.transcript)
            return
        if isinstance(part, _MERGED):
            run = self.run
            cls = type(part)
            if run is None or run.cls is not cls or run.block != block:
                run = self.open(cls, block)
            if part.text:
                run.text.append(part.text)
            run.opaque = _merge(run.opaque, part.opaque)
            if isinstance(part, TextPart):
                run.annotations += part.annotations
            return
        self.run = None
        self.items.append(part)

    def parts(self) -> tuple[Part, ...]:
        out: list[Part] = []
        for item in self.items:
            made = item.part() if isinstance(item, _Run | _Call | _Audio) else item
            if made is not None:
                out.append(made)
        return tuple(out)


def _merge(old: Opaque | None, new: Opaque | None) -> Opaque | None:
    if new is None or old is None:
        return new or old
    return Opaque(new.provider, {**old.data, **new.data})


class CompletionFold:
    """Adds up chunks. ``completion()`` may be asked for at any time: what came so far is the partial answer."""

    __slots__ = ("_choices", "_first", "attempts", "id", "model", "provider", "rate_limits", "request_id", "usage")

    def __init__(self, *, provider: str = "", model: str = "") -> None:
        self.provider = provider
        self.model = model
        self.id: str | None = None
        self.request_id: str | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.rate_limits: tuple[RateLimit, ...] | Callable[[], tuple[RateLimit, ...]] = ()
        self.usage: Usage = UNKNOWN_USAGE
        self._first = _Choice()
        self._choices: dict[int, _Choice] = {0: self._first}

    @property
    def finished(self) -> bool:
        """Whether a finish reason has come for every choice seen."""
        return all(c.finish is not None for c in self._choices.values())

    def add(self, chunk: StreamChunk) -> None:
        """Take in the next chunk."""
        index = chunk.index
        if index == 0:
            choice = self._first
        elif (found := self._choices.get(index)) is not None:
            choice = found
        else:
            choice = self._choices[index] = _Choice()
        if chunk.delta:
            run = choice.run
            if run is None or run.cls is not TextPart or run.block != chunk.block:
                run = choice.open(TextPart, chunk.block)
            run.text.append(chunk.delta)
        if chunk.thinking_delta:
            run = choice.run
            if run is None or run.cls is not ThinkingPart or run.block != chunk.block:
                run = choice.open(ThinkingPart, chunk.block)
            run.text.append(chunk.thinking_delta)
        if chunk.tool_call_delta is not None:
            choice.call(chunk.tool_call_delta)
        if chunk.part is not None:
            choice.part(chunk.part, chunk.block)
        if chunk.finish_reason is not None:
            choice.finish = chunk.finish_reason
        if chunk.raw_finish_reason is not None:
            choice.raw_finish = chunk.raw_finish_reason
        if chunk.logprobs:
            choice.logprobs.extend(chunk.logprobs)
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.model:
            self.model = chunk.model
        if chunk.id:
            self.id = chunk.id

    def completion(self) -> Completion:
        """Return what has been said so far."""
        made = [self._completion(self._choices[i]) for i in sorted(self._choices)]
        return replace(made[0], alternatives=tuple(made[1:])) if len(made) > 1 else made[0]

    def _completion(self, choice: _Choice) -> Completion:
        parts = choice.parts()
        return Completion(
            parts=parts,
            finish_reason=settle_finish_reason(choice.finish, parts),
            raw_finish_reason=choice.raw_finish,
            usage=self.usage,
            model=self.model,
            provider=self.provider,
            id=self.id,
            request_id=self.request_id,
            attempts=self.attempts,
            logprobs=tuple(choice.logprobs),
            rate_limits=cast("tuple[RateLimit, ...]", self.rate_limits),
        )


def chunks_of(completion: Completion) -> list[StreamChunk]:
    """Return chunks that fold to the completion: for whole answers where a stream was asked for."""
    chunks: list[StreamChunk] = []
    calls = 0
    for block, part in enumerate(completion.parts):
        if isinstance(part, ToolCall):
            delta = ToolCallDelta(calls, part.id, part.name, part.raw_arguments, part.kind, part.opaque)
            chunks.append(StreamChunk(tool_call_delta=delta))
            calls += 1
        elif isinstance(part, TextPart) and part.opaque is None and not part.annotations:
            chunks.append(StreamChunk(part.text, block=block))
        elif isinstance(part, ThinkingPart) and part.opaque is None:
            chunks.append(StreamChunk(thinking_delta=part.text, block=block))
        else:
            chunks.append(StreamChunk(part=part, block=block))
    chunks.append(
        StreamChunk(
            finish_reason=completion.finish_reason,
            raw_finish_reason=completion.raw_finish_reason,
            usage=completion.usage,
            model=completion.model or None,
            id=completion.id,
            logprobs=completion.logprobs,
        )
    )
    return chunks
