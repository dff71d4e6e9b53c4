"""What a wire is: how requests are read and how answers, failures and limits are written.

A wire does no I/O and keeps no state. It imports nothing of the client packages: its bytes follow the vendor's own
description.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from lexigram.testing.simulator._limits import Standing
from lexigram.testing.simulator._values import Failure, Generation, Question, Refused

__all__ = ["Direct", "Frame", "Report", "Request", "Route", "Wire", "dumps", "invalid", "sse", "text_of"]

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came.

    Attributes:
        method: the method.
        path: the path, without a vendor's prefix and still percent-encoded.
        params: what the route's pattern named, percent-decoded.
        query: the query string's values by name.
        headers: by lower-case name.
        json: the body, an object; empty where there is none.
        key_id: which key asked.
        seed: the simulator's.
        models: the models that exist; None for all.
        created: Unix time in seconds.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    json: Mapping[str, Any]
    key_id: str
    seed: int
    models: Sequence[str] | None
    created: int


@dataclass(frozen=True, slots=True)
class Direct:
    """A reply that needs no model: embeddings, counted tokens, lists.

    Attributes:
        body: the JSON reply.
        model: the model that was asked, for the limits and the journal.
        input_tokens: the tokens that were read.
        counts: whether the request counts against the limits.
    """

    body: Mapping[str, Any]
    model: str = ""
    input_tokens: int = 0
    counts: bool = True


Reader: TypeAlias = Callable[[Request], Question | Direct]
"""Reads a request.

Raises:
    Refused: for a body that the vendor would refuse.
"""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a wire listens.

    Attributes:
        method: the method.
        pattern: the path after the vendor's prefix, percent-encoded; ``{name}`` stands for a piece without slashes.
        read: how its requests are read.
        query: a value of the query string that the route wants, where the path alone does not tell wires apart.
        regex: the pattern, made from it.
    """

    method: str
    pattern: str
    read: Reader
    query: tuple[str, str] | None = None
    regex: re.Pattern[str] | None = field(init=False)

    def __post_init__(self) -> None:
        pieces = re.split(r"\{(\w+)\}", self.pattern)
        if len(pieces) > 1:
            text = "".join(f"(?P<{p}>[^/]+?)" if i % 2 else re.escape(p) for i, p in enumerate(pieces))
            object.__setattr__(self, "regex", re.compile(text))
        else:
            object.__setattr__(self, "regex", None)


class Frame(NamedTuple):
    """Bytes of a stream that are sent at once, and how many tokens the model took to write them."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the headers of a reply tell.

    Attributes:
        request_id: 24 letters and digits, unique to the request.
        limits: how the key stands with its limits; empty without limits.
        failure: what the reply fails with, or None.
        seconds: how long the model took so far.
        now: Unix time in seconds.
        model: the model.
    """

    request_id: str
    limits: Sequence[Standing]
    failure: Failure | None
    seconds: float
    now: float
    model: str


class Wire(Protocol):
    """One wire format of one vendor. Instances are modules' constants and frozen."""

    @property
    def name(self) -> str:
        """E.g. ``openai.chat``."""
        ...

    @property
    def vendor(self) -> str:
        """The prefix of its paths (``/openai/v1/…``); without it they go to the first wire that has them."""
        ...

    @property
    def base(self) -> str:
        """What the vendor's base URL ends with: ``/v1``."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """Where it listens."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of its streams."""
        ...

    def call_id(self, letters: str) -> str:
        """Write the id of a call with these 24 letters and digits."""
        ...

    def whole(self, question: Question, generation: Generation) -> bytes:
        """Write the whole reply."""
        ...

    def stream(self, question: Question, generation: Generation) -> Iterator[Frame]:
        """Write the reply as a stream, with the real order of events."""
        ...

    def fail(self, failure: Failure, report: Report) -> tuple[int, bytes]:
        """Return the status and the body of a failure."""
        ...

    def broken(self, failure: Failure, report: Report) -> bytes:
        """Write a failure in the middle of a stream; empty where the wire has no such thing."""
        ...

    def headers(self, report: Report) -> list[tuple[str, str]]:
        """Return the headers of a reply, besides type and length."""
        ...


def dumps(value: object) -> bytes:
    """Write compact JSON."""
    return _ENCODE(value).encode("utf-8", "surrogatepass")


def sse(data: bytes, event: str = "") -> bytes:
    """Write one server-sent event."""
    head = b"event: %b\n" % event.encode() if event else b""
    return b"%bdata: %b\n\n" % (head, data)


def invalid(message: str, param: str | None = None) -> Refused:
    """Return the refusal of a body."""
    return Refused(Failure("invalid_request", message, param=param))


def text_of(content: object, *types: str) -> str:
    """Return the text of a content that is text, or parts of these types with ``text``."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [cast("Mapping[str, Any]", p) for p in cast("list[object]", content) if isinstance(p, dict)]
    return "".join([p["text"] for p in parts if p.get("type") in types and isinstance(p.get("text"), str)])
