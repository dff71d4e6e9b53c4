"""What a wire dialect is: a module of pure, synchronous functions for one wire format.

A dialect knows no vendor by name, no network, no environment and no clock. It gets JSON values and gives JSON
values; reading and writing the bytes is the engine's work. A Python *module* with these names satisfies
:class:`Dialect`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from lexigram.contracts.ai.completion import Completion, StreamChunk
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import Embeddings
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import JSON
from lexigram.contracts.wire._schema_rules import SchemaTarget
from lexigram.contracts.wire.http import Flow, HttpRequest, HttpResponse

__all__ = [
    "CountingDialect",
    "Dialect",
    "EmbeddingDialect",
    "Endpoint",
    "FlowDialect",
    "Framing",
    "Quirks",
    "StreamState",
]

Framing: TypeAlias = Literal["sse", "sse-text", "ndjson", "aws-eventstream", "json-array"]
"""How a stream is cut into events. With ``sse-text`` the data of an event is text, else it is JSON."""

ThinkingParam: TypeAlias = Literal[
    "none", "reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How a vendor differs from its dialect's reference. Closed: a third vendor with the same need earns a field.

    Attributes:
        max_tokens_field: the body's name for the limit of answer tokens.
        system_role: the role under which instructions are sent.
        stream_usage: whether ``stream_options.include_usage`` may be sent.
        thinking: which parameter asks for reasoning: ``reasoning_effort`` (a word), ``reasoning`` (an object with
            ``effort`` or ``max_tokens``), ``thinking`` (an object with ``type``), ``enable_thinking`` (a flag, with
            ``thinking_budget``), ``chat_template`` (``chat_template_kwargs.enable_thinking``), or ``none``.
        thinking_field: the message field in which earlier reasoning goes back (``content``: as thinking parts of a
            content list); None sends none.
        json_schema: whether ``response_format`` may carry a schema; without, JSON mode and a local check serve.
        format_field: where the Responses API reads the form of the answer (llama.cpp: the chat API's field).
        tool_strict: whether a tool may carry ``strict``.
        schema: which dialect of JSON Schema it takes where ``strict`` is asked for.
        dimensions_field: the embeddings body's name for the length of the vectors.
        refuses: options that the vendor has no parameter for; using one is an error, not a silent loss. A part of
            ``thinking`` is named ``thinking.effort`` or ``thinking.suppress``.
        accepts: options that the reference wire does not have and the vendor takes under our name (``top_k``).
    """

    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    system_role: Literal["system", "developer"] = "system"
    stream_usage: bool = True
    thinking: ThinkingParam = "none"
    thinking_field: Literal["reasoning_content", "reasoning", "content"] | None = None
    json_schema: bool = True
    format_field: Literal["text.format", "response_format"] = "text.format"
    tool_strict: bool = True
    schema: SchemaTarget = "openai-strict"
    dimensions_field: Literal["dimensions", "output_dimension"] = "dimensions"
    refuses: frozenset[str] = frozenset()
    accepts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request goes and whose reply it is: a vendor's row, filled in with the user's settings.

    Attributes:
        provider: the vendor's name; stamped on completions, errors and opaque data, never branched on.
        base_url: without a trailing slash.
        quirks: see :class:`Quirks`.
        params: the vendor's own settings (API version, region …).
    """

    provider: str
    base_url: str
    quirks: Quirks = Quirks()
    params: Mapping[str, str] = field(default_factory=dict[str, str])


class StreamState:
    """What decoding a stream has to remember; each dialect subclasses it.

    Attributes:
        finished: the answer is whole; a stream that ends before this is an error.
        closed: nothing follows; the engine stops reading.
    """

    __slots__ = ("closed", "finished")

    def __init__(self) -> None:
        self.finished = False
        self.closed = False


class Dialect(Protocol):
    """The functions of a wire format. Decoding functions raise the typed :class:`LLMError` that a body stands for."""

    @property
    def NAME(self) -> str:
        """E.g. ``openai.chat``."""
        ...

    @property
    def FRAMING(self) -> Framing:
        """How its streams are cut."""
        ...

    def encode_request(self, request: CompletionRequest, endpoint: Endpoint, *, stream: bool) -> HttpRequest:
        """Return the request to send.

        Raises:
            InvalidRequestError: for an option or part that the wire or the vendor cannot carry, by its name.
        """
        ...

    def encode_health(self, endpoint: Endpoint) -> HttpRequest:
        """Return a cheap request that needs the key but no model (a listing of models, say)."""
        ...

    def decode_response(self, body: JSON, endpoint: Endpoint) -> Completion:
        """Return the answer of a whole 2xx body."""
        ...

    def decode_error(self, response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
        """Return the typed error of a reply that is not 2xx. ``body`` is its JSON, else its text."""
        ...

    def new_stream_state(self, endpoint: Endpoint) -> Any:
        """Return the :class:`StreamState` of a fresh stream."""
        ...

    def decode_event(self, name: str | None, data: Any, state: Any) -> Sequence[StreamChunk]:
        """Return what one event adds; events of unknown kinds add nothing."""
        ...


class FlowDialect(Dialect, Protocol):
    """A dialect in which some calls take several exchanges (create, then poll)."""

    def encode_flow(self, request: CompletionRequest, endpoint: Endpoint) -> Flow[Completion] | None:
        """Return the flow of a whole (not streamed) call, or None where one exchange will do.

        A flow that is sent a reply other than 2xx raises the error that its own ``decode_error`` gives.
        """
        ...


class CountingDialect(Dialect, Protocol):
    """A dialect whose vendors count a request's tokens themselves."""

    def encode_count(self, request: CompletionRequest, endpoint: Endpoint) -> HttpRequest:
        """Return the request that asks for the count."""
        ...

    def decode_count(self, body: JSON, endpoint: Endpoint) -> int:
        """Return the input tokens."""
        ...


class EmbeddingDialect(Protocol):
    """The functions of an embeddings API."""

    @property
    def NAME(self) -> str:
        """E.g. ``openai.embeddings``."""
        ...

    @property
    def MAX_BATCH(self) -> int:
        """Most texts of one request."""
        ...

    def encode_embeddings(
        self, texts: Sequence[str], model: str, dimensions: int | None, endpoint: Endpoint
    ) -> HttpRequest:
        """Return the request for one batch.

        Raises:
            InvalidRequestError: when the vendor cannot shorten vectors and ``dimensions`` is given.
        """
        ...

    def decode_embeddings(self, body: JSON, endpoint: Endpoint) -> Embeddings:
        """Return the vectors in the order of the texts."""
        ...

    def decode_error(self, response: HttpResponse, body: JSON, endpoint: Endpoint) -> LLMError:
        """Return the typed error of a reply that is not 2xx."""
        ...
