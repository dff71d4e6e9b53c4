"""What a simulated model is asked and what it answers, whichever wire it came over.

These values are the simulator's own on purpose: a client under test and its counterpart share no reading of a wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = [
    "Answer",
    "Call",
    "Choice",
    "Counts",
    "Failure",
    "FailureKind",
    "FinishReason",
    "Generation",
    "Question",
    "Refused",
    "Tool",
    "ToolResult",
    "Turn",
]

FinishReason: TypeAlias = Literal["stop", "stop_sequence", "length", "tool_calls", "refusal", "content_filter"]
"""Why an answer ended; each wire has its own word for it."""

FailureKind: TypeAlias = Literal[
    "invalid_request",
    "context_length",
    "authentication",
    "permission",
    "not_found",
    "method_not_allowed",
    "model_not_found",
    "rate_limit",
    "quota",
    "server",
    "unavailable",
    "overloaded",
]
"""What went wrong; each wire has its own status, type and words for it."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool gave back: the id of its call, where the wire has one, and its text."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """The model asks for a tool.

    Attributes:
        name: the tool.
        arguments: an object, or the text that the model shall write (which may be broken JSON).
        id: pairs the call with its result; made up where it is empty.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        text: its text parts, joined.
        calls: the tools that it asks for.
        results: the tool results in it.
        thinking: the thinking in it that was sent back.
    """

    role: str
    text: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[ToolResult, ...] = ()
    thinking: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may ask for, with the JSON schema of its arguments."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    description: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked.

    Attributes:
        wire: the wire's name, e.g. ``openai.chat``.
        model: the model, as the request names it.
        turns: the conversation, system prompt first.
        tools: the functions that the model may ask for.
        tool_choice: ``auto``, ``none``, ``required``, or the name of the tool that must be called.
        schema: the JSON schema that the answer has to fit; ``{"type": "object"}`` for the plain JSON mode.
        stream: whether the answer is streamed.
        max_tokens: most tokens of the answer, reasoning included.
        stop: texts that end the answer.
        choices: how many answers are wanted.
        thinking: whether the model shall show its reasoning.
        key_id: which key asked (``key-1``, ``key-2`` … in order of appearance, ``none`` without); never the key.
        body: the request's body.
    """

    wire: str
    model: str
    turns: tuple[Turn, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    stream: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    thinking: bool = False
    key_id: str = "none"
    body: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def text(self) -> str:
        """The text of the last user message."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user" and turn.text), "")

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The tool results that the conversation ends with."""
        return self.turns[-1].results if self.turns else ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens. ``input`` includes ``cached`` and ``cache_write``, ``output`` includes ``reasoning``."""

    input: int
    output: int
    reasoning: int = 0
    cached: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model shall answer. What is left out is made up where the question demands it.

    Attributes:
        text: the text; None is made up, unless there are calls or a refusal.
        thinking: the reasoning that is shown; None is made up where the question asks for it.
        tool_calls: the tools that are asked for, after the text.
        finish_reason: instead of what follows from the rest.
        refusal: the refusal's words, where the model refuses.
        tokens: how many tokens a made-up text has.
        usage: instead of what is counted.
        delay: seconds before the first token, besides the simulator's latency.
    """

    text: str | None = None
    thinking: str | None = None
    tool_calls: tuple[Call, ...] = ()
    finish_reason: FinishReason | None = None
    refusal: str | None = None
    tokens: int | None = None
    usage: Counts | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that the provider answers with, in the wire's own words.

    Attributes:
        kind: what went wrong.
        message: instead of the vendor's words.
        status: the HTTP status, instead of the vendor's.
        param: the field of the request that is at fault.
        retry_after: seconds after which to come again.
        headers: further headers.
    """

    kind: FailureKind
    message: str = ""
    status: int | None = None
    param: str | None = None
    retry_after: float | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """A request is answered with a failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message or failure.kind)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, cut into tokens.

    Attributes:
        index: its number, from 0.
        text, thinking: their tokens.
        calls: the calls with their ids.
        arguments: the tokens of each call's arguments.
        refusal: the tokens of the refusal.
        finish_reason: why it ended.
        stop: the text that ended it.
    """

    index: int
    text: tuple[str, ...]
    thinking: tuple[str, ...]
    calls: tuple[Call, ...]
    arguments: tuple[tuple[str, ...], ...]
    refusal: tuple[str, ...]
    finish_reason: FinishReason
    stop: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """What goes over the wire: the same for a stream and for a whole reply.

    Attributes:
        id: 24 letters and digits, unique to the request.
        created: Unix time in seconds.
        choices: the answers; one on most wires.
        usage: the tokens of all of them.
    """

    id: str
    created: int
    choices: tuple[Choice, ...]
    usage: Counts
