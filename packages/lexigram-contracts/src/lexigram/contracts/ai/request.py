"""What is asked of a model: the request, its tools, its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.values import JSONObject

__all__ = [
    "CompletionOptions",
    "CompletionRequest",
    "Effort",
    "ProviderTool",
    "ResponseFormat",
    "ThinkingConfig",
    "Timeouts",
    "ToolChoice",
    "ToolDefinition",
]

Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
"""How hard a reasoning model should think."""


@dataclass(frozen=True, slots=True)
class ThinkingConfig:
    """One vocabulary for reasoning; each dialect maps it to its vendor's own parameter.

    Attributes:
        suppress: ask the model not to reason (or to hide it).
        budget_tokens: most tokens to spend on reasoning.
        level: a vendor's named level (Gemini's ``thinkingLevel``), used where ``effort`` is not given.
        effort: see :data:`Effort`.
    """

    suppress: bool = False
    budget_tokens: int | None = None
    level: str | None = None
    effort: Effort | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of one call in seconds; None is no limit of its own.

    Attributes:
        total: the whole call, waiting and retries included.
        connect: DNS, TCP and TLS together.
        first_token: from the request to the first content of the answer.
        idle: between two pieces of content of a stream.
    """

    total: float | None = None
    connect: float | None = None
    first_token: float | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A function that the model may ask for.

    Attributes:
        name: letters, digits, ``_`` and ``-``.
        description: what it does, for the model.
        parameters: JSON schema of its arguments, an object.
        strict: whether the vendor shall hold the model to the schema; None leaves it to the vendor.
    """

    name: str
    description: str = ""
    parameters: JSONObject = field(default_factory=dict[str, Any])
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ProviderTool:
    """A tool that the vendor itself runs or defines (web search, code interpreter …), passed as it is."""

    data: JSONObject


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Which tools the model may or must use.

    Attributes:
        mode: ``auto``, ``none``, ``required`` (any tool), or ``tool`` (the one named).
        name: the tool, with mode ``tool``.
    """

    mode: Literal["auto", "none", "required", "tool"]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The form that the answer must have.

    Attributes:
        kind: ``text``, ``json_object`` (any JSON), or ``json_schema``.
        schema: the JSON schema, with ``json_schema``.
        name: a name for it, letters, digits, ``_`` and ``-``.
        description: what it is, for the model.
        strict: whether the vendor shall guarantee it; None leaves it to the vendor.
    """

    kind: Literal["text", "json_object", "json_schema"]
    schema: JSONObject | None = None
    name: str = "response"
    description: str | None = None
    strict: bool | None = None


class CompletionOptions(TypedDict, total=False):
    """Keyword options of ``complete`` and ``stream_chat`` beyond the named ones. Every one may be left out.

    A dialect or vendor that cannot carry an option refuses the call and names it; ``extra_body`` reaches the
    vendor as it is.
    """

    top_p: float
    """Nucleus sampling, 0 < top_p ≤ 1."""
    top_k: int
    """Sample from the k likeliest tokens, ≥ 1."""
    frequency_penalty: float
    """-2 … 2."""
    presence_penalty: float
    """-2 … 2."""
    seed: int
    """For repeatable sampling, where the vendor can."""
    tool_choice: ToolChoice | str | Mapping[str, Any]
    """``auto``, ``none``, ``required``, a tool's name, or a vendor's own object."""
    parallel_tool_calls: bool
    """Whether several tools may be asked for at once."""
    response_format: ResponseFormat | str | Mapping[str, Any] | type
    """``"json_object"``, a JSON schema wrapper, or a pydantic model class."""
    thinking: ThinkingConfig
    """How to reason."""
    logprobs: bool
    """Whether to give log-probabilities."""
    top_logprobs: int
    """With how many alternatives a token, 0 … 20."""
    logit_bias: Mapping[str, float]
    """Token id to bias, -100 … 100."""
    service_tier: str
    """The vendor's word: ``auto``, ``default``, ``flex``, ``priority`` …"""
    verbosity: str
    """``low``, ``medium`` or ``high``."""
    store: bool
    """Whether the vendor may keep the completion."""
    user: str
    """The end user's id, for the vendor's abuse checks."""
    modalities: Sequence[str]
    """What the answer may hold, e.g. ``("text", "audio")``."""
    audio: Mapping[str, Any]
    """Voice and format of an audio answer."""
    prediction: str
    """Text that the answer is expected to repeat in great part."""
    metadata: Mapping[str, str]
    """Names and values that the vendor keeps with the completion."""
    prompt_cache: str
    """A key under which the vendor may cache the prompt's prefix."""
    timeouts: Timeouts | float
    """Deadlines of this call; a number is the total, in seconds."""
    api: str
    """Which of the vendor's dialects to speak, e.g. ``"chat"``."""
    prefer_provider: str
    """For a router: the provider to ask first, by its name."""
    prefer_model: str
    """For a router: the model to ask first, by its name or its provider's; ``"last"`` is who wrote the last answer."""
    extra_body: Mapping[str, Any]
    """Merged into the request body last, as it is."""
    extra_headers: Mapping[str, str]
    """Added to the request's headers."""


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """A call, checked and frozen: what a dialect encodes. Option fields are those of :class:`CompletionOptions`."""

    messages: tuple[ChatMessage, ...]
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    tools: tuple[ToolDefinition | ProviderTool, ...] = ()
    stop_sequences: tuple[str, ...] = ()
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    tool_choice: ToolChoice | Mapping[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    thinking: ThinkingConfig | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: Mapping[str, float] | None = None
    service_tier: str | None = None
    verbosity: str | None = None
    store: bool | None = None
    user: str | None = None
    modalities: tuple[str, ...] | None = None
    audio: Mapping[str, Any] | None = None
    prediction: str | None = None
    metadata: Mapping[str, str] | None = None
    prompt_cache: str | None = None
    timeouts: Timeouts | None = None
    api: str | None = None
    prefer_provider: str | None = None
    prefer_model: str | None = None
    extra_body: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = None
