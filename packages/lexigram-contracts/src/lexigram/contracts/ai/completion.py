"""What a model answers: the completion, its chunks, its usage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from lexigram.contracts.ai.messages import ChatMessage, Part, RefusalPart, TextPart, ThinkingPart, ToolCall

__all__ = [
    "Attempt",
    "Completion",
    "CompletionProtocol",
    "FinishReason",
    "RateLimit",
    "RateUnit",
    "StreamChunk",
    "ToolCallDelta",
    "Usage",
    "UsageSource",
]

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error"]
"""Why the model ended, in one vocabulary; the vendor's own word stays in ``raw_finish_reason``."""

UsageSource: TypeAlias = Literal["reported", "estimated", "unknown"]
"""Where the counts come from."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a call used. None is unknown, never 0.

    Attributes:
        input_tokens: of the request, cached ones included.
        output_tokens: of the answer, reasoning included.
        total_tokens: as reported, else the sum where both are known.
        cached_input_tokens: the part of ``input_tokens`` read from the provider's prompt cache.
        cache_write_tokens: the part of ``input_tokens`` written to it.
        reasoning_tokens: the part of ``output_tokens`` spent on reasoning.
        source: ``reported`` by the provider, ``estimated`` here, or ``unknown``.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    source: UsageSource = "unknown"


UNKNOWN_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a call, as the ledger keeps it.

    Attributes:
        provider, model: who was asked.
        outcome: ``"ok"`` or the code of the error.
        wait: seconds waited before this try.
        retry_after: seconds that the provider asked to wait after it, or None.
        duration: seconds that the try took.
        usage: tokens spent, where known.
    """

    provider: str
    model: str
    outcome: str
    wait: float = 0.0
    retry_after: float | None = None
    duration: float | None = None
    usage: Usage = UNKNOWN_USAGE

    def to_dict(self) -> dict[str, Any]:
        """Return the attempt as JSON values."""
        return {
            "provider": self.provider,
            "model": self.model,
            "outcome": self.outcome,
            "wait": self.wait,
            "retry_after": self.retry_after,
            "duration": self.duration,
            "input_tokens": self.usage.input_tokens,
            "output_tokens": self.usage.output_tokens,
        }


RateUnit: TypeAlias = Literal["requests", "tokens", "input_tokens", "output_tokens"]
"""What a provider's rate limit counts."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One rate limit as a reply's headers tell it. None is unknown.

    Attributes:
        unit: what is counted.
        limit: how much of it within ``window``.
        remaining: how much was left when the reply was made.
        reset: seconds, from the reply on, until all of it is there again.
        window: seconds that ``limit`` is for, where the headers say it.
    """

    unit: RateUnit
    limit: int | None = None
    remaining: int | None = None
    reset: float | None = None
    window: float | None = None


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call in a stream. The dialect has already settled which call it belongs to.

    Attributes:
        index: position of the call in its answer, from 0; pieces with the same index belong together.
        id: the call's id, on its first piece.
        name: the tool's name, on its first piece.
        arguments: the next piece of the arguments' text.
        kind: see :class:`ToolCall`.
        opaque: see :class:`ToolCall`; data of several pieces is merged.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    opaque: Any = None


@dataclass(frozen=True)
class StreamChunk:
    """What one event of a stream adds to the answer.

    Attributes:
        delta: next text of the answer, or ``""``.
        thinking_delta: next text of the reasoning, or ``""``.
        tool_call_delta: next piece of a tool call.
        finish_reason: set on the chunk that ends the answer.
        usage: the counts so far; a later one replaces an earlier one.
        model: the model that answers, where the event says it.
        index: which of several choices (0 unless more than one was asked for).
        role: ``assistant`` on the first chunk, where the event says it.
        raw_finish_reason: the vendor's own word.
        id: the provider's id of the completion, where the event says it.
        part: a part that is neither text, thinking nor a tool call (refusal text, an opaque block, audio), or
            a part with nothing but ``opaque`` data or annotations for the text or thinking before it.
        logprobs: log-probabilities of the delta's tokens, as the provider wrote them.
        block: position of the part that the delta belongs to, where the wire numbers its blocks; without it
            deltas of one kind in a row are one part.
    """

    delta: str = ""
    thinking_delta: str = ""
    tool_call_delta: ToolCallDelta | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str | None = None
    index: int = 0
    role: str | None = None
    raw_finish_reason: str | None = None
    id: str | None = None
    part: Part | None = None
    logprobs: tuple[Mapping[str, Any], ...] = ()
    block: int | None = None

    @property
    def is_thinking(self) -> bool:
        """Whether the chunk carries reasoning and no answer text."""
        return bool(self.thinking_delta) and not self.delta

    @property
    def has_content(self) -> bool:
        """Whether it carries any of the answer, or its end; not where it only says who answers, or what was used."""
        return bool(
            self.delta
            or self.thinking_delta
            or self.tool_call_delta is not None
            or self.part is not None
            or self.finish_reason is not None
        )

    @property
    def content(self) -> str:
        """The same as ``delta``."""
        return self.delta


@runtime_checkable
class CompletionProtocol(Protocol):
    """The least that a completion has; :class:`Completion` is ours."""

    @property
    def content(self) -> str:
        """The answer's text."""
        ...

    @property
    def model(self) -> str:
        """The model that answered."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's answer.

    ``parts`` is the whole answer in order; ``content``, ``thinking`` and ``tool_calls`` are read from it when it
    is given, and make it up when it is not.

    Attributes:
        content: the text parts, joined with nothing between.
        parts: everything that was said, in order.
        thinking: the reasoning shown, or None.
        tool_calls: the tools asked for.
        finish_reason: decided by what is there, then by the vendor's word; None where the vendor gave none.
        raw_finish_reason: the vendor's own word.
        usage: tokens.
        model: the model that answered, as the provider names it.
        provider: the vendor.
        id: the provider's id of the completion.
        request_id: the provider's id of the HTTP request.
        cost: price of the call in US dollars, where known.
        attempts: the tries that led here, oldest first.
        cached: whether it came from the response cache.
        logprobs: log-probabilities of the answer's tokens, as the provider wrote them.
        alternatives: further choices, where more than one was asked for.
        raw: the provider's reply as parsed JSON; None for streams.
        rate_limits: what the reply's headers say of the provider's limits. It is of the reply and not of the answer:
            neither compared nor cached.
    """

    content: str = ""
    parts: tuple[Part, ...] = ()
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    usage: Usage = UNKNOWN_USAGE
    model: str = ""
    provider: str = ""
    id: str | None = None
    request_id: str | None = None
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    cached: bool = False
    logprobs: tuple[Mapping[str, Any], ...] = ()
    alternatives: tuple[Completion, ...] = ()
    raw: Any = field(default=None, repr=False, compare=False)
    rate_limits: tuple[RateLimit, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        parts = self.parts
        if not parts:
            made: list[Part] = []
            if self.thinking is not None:
                made.append(ThinkingPart(self.thinking))
            if self.content:
                made.append(TextPart(self.content))
            made.extend(self.tool_calls)
            put(self, "parts", tuple(made))
            return
        if len(parts) == 1 and type(parts[0]) is TextPart:
            put(self, "content", parts[0].text)
            return
        text: list[str] = []
        thinking: list[str] = []
        calls: list[ToolCall] = []
        for part in parts:
            if isinstance(part, TextPart):
                text.append(part.text)
            elif isinstance(part, ThinkingPart):
                thinking.append(part.text)
            elif isinstance(part, ToolCall):
                calls.append(part)
        put(self, "content", "".join(text))
        put(self, "thinking", "".join(thinking) or None)
        put(self, "tool_calls", tuple(calls))

    @property
    def refusal(self) -> str | None:
        """The model's refusal in its own words, or None."""
        texts = [p.text for p in self.parts if isinstance(p, RefusalPart)]
        return "".join(texts) if texts else None

    @property
    def message(self) -> ChatMessage:
        """The answer as the assistant's message, to be appended to the conversation."""
        return ChatMessage("assistant", self.parts, author=self._author())

    def _author(self) -> str | None:
        for attempt in reversed(self.attempts):
            if attempt.outcome == "ok":
                return f"{attempt.provider}:{attempt.model}"
        return f"{self.provider}:{self.model}" if self.provider else None


_limits: Any = vars(Completion)["rate_limits"]


def _rate_limits(completion: Completion) -> tuple[RateLimit, ...]:
    kept: tuple[RateLimit, ...] | Callable[[], tuple[RateLimit, ...]] = _limits.__get__(completion)
    return kept if isinstance(kept, tuple) else kept()


# An engine may put a function in place of the tuple, for most replies' limits are never read.
Completion.rate_limits = property(_rate_limits, _limits.__set__)  # type: ignore[assignment,misc]
