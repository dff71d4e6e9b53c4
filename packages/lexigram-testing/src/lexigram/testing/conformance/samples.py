"""A provider's sample exchanges: what its API says, written by hand or cut from the vendor's reference.

A package ships them as ``samples.json`` beside the module of its entry point, so that anyone can certify it without a
file of their own::

    {"settings": {"region": "eu-west-1"},
     "dialects": {
       "acme.answers": {
         "model": "anvil-1",
         "exchanges": [
           {"name": "text", "text": "Beep beep", "input_tokens": 2, "output_tokens": 3,
            "answer": {"text": "Beep beep", "tokens": {"in": 2, "out": 3}, "end": "done"},
            "events": [[null, {"piece": "Beep "}], [null, {"piece": "beep"}], [null, {"end": "done", …}]]}],
         "refusals": [{"status": 401, "body": {"why": "who are you?"}, "error": "LLMAuthenticationError"}]}}}

A text in place of a dialect's samples names the dialect whose samples are the same.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Framing

__all__ = ["Event", "Exchange", "Refusal", "Samples", "SamplesError", "load_samples", "samples_of", "write_stream"]

Event: TypeAlias = tuple[str | None, Any]
"""An event's name, or None, and its data: JSON, or text as it stands on the wire (``[DONE]``)."""

T = TypeVar("T")
FILE: Final = "samples.json"
QUESTION: Final[tuple[Mapping[str, Any], ...]] = ({"role": "user", "content": "Hi"},)
_NAMED: Final = ("temperature", "max_tokens", "tools", "stop_sequences")


class SamplesError(ValueError):
    """Samples are written wrongly; the text says where."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One answer, whole and as a stream, and what it means.

    Attributes:
        name: what it shows.
        answer: the body of the whole answer.
        events: the stream of the same answer; empty where the wire has none.
        text: the answer's text.
        thinking: the reasoning shown, or None.
        tools: the names of the tools called.
        finish_reason: see :data:`~lexigram.contracts.ai.FinishReason`.
        input_tokens, output_tokens: as the contract counts them; None is not checked.
        messages, options: what was asked, as ``complete`` takes it.
        texts, vectors: question and answer of an embeddings exchange.
    """

    name: str
    answer: Any
    events: tuple[Event, ...] = ()
    text: str = ""
    thinking: str | None = None
    tools: tuple[str, ...] = ()
    finish_reason: str = "stop"
    input_tokens: int | None = None
    output_tokens: int | None = None
    messages: Sequence[Mapping[str, Any]] = QUESTION
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    texts: tuple[str, ...] = ()
    vectors: tuple[tuple[float, ...], ...] = ()

    def request(self, model: str, *more: Any) -> CompletionRequest:
        """Return the request, with further messages behind its own."""
        named = {name: value for name, value in self.options.items() if name in _NAMED}
        options: Any = {name: value for name, value in self.options.items() if name not in _NAMED}
        return build_request([*self.messages, *more], model=model, options=options, **named)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A reply that is not 2xx, and the error that it stands for.

    Attributes:
        status: the HTTP status.
        body: JSON, or text.
        error: the name of the class in :mod:`lexigram.contracts.ai.errors`.
        headers: by lower-case name.
    """

    status: int
    body: Any
    error: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Samples:
    """The samples of one dialect.

    Attributes:
        model: the model to ask for.
        exchanges: answers.
        refusals: errors.
        words: further words of the wire (keys, types, event names), from which hostile replies are made.
        settings: the vendor's own settings that its rows need (``extra`` of the configuration).
    """

    model: str = "m-1"
    exchanges: tuple[Exchange, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    words: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def vocabulary(self) -> list[str]:
        """Return every key and short text of the samples, and the further words."""
        found = set(self.words)
        for value in self.bodies():
            found.update(_words(value))
        for exchange in self.exchanges:
            found.update(name for name, _ in exchange.events if name)
        return sorted(found)

    def bodies(self) -> list[Any]:
        """Return all JSON of the samples."""
        streamed = [data for exchange in self.exchanges for _, data in exchange.events if not isinstance(data, str)]
        return [*[e.answer for e in self.exchanges], *streamed, *[r.body for r in self.refusals]]


def samples_of(document: Mapping[str, Any], where: str = FILE) -> dict[str, Samples]:
    """Return the samples of a document by the name of their dialect.

    Raises:
        SamplesError: naming the wrong field and the allowed ones.
    """
    settings = document.get("settings", {})
    dialects: dict[str, Samples] = {}
    for name, given in document.get("dialects", {}).items():
        path = f"{where}: dialects.{name}"
        about = document["dialects"].get(given) if isinstance(given, str) else given
        if not isinstance(about, Mapping):
            raise SamplesError(f"{path}: {given!r} is not a dialect of this file")
        exchanges = [_made(Exchange, e, f"{path}.exchanges[{i}]") for i, e in enumerate(about.get("exchanges", ()))]
        refusals = [_made(Refusal, r, f"{path}.refusals[{i}]") for i, r in enumerate(about.get("refusals", ()))]
        made = {**about, "exchanges": exchanges, "refusals": refusals, "settings": settings}
        dialects[name] = _made(Samples, made, path)
    return dialects


def load_samples(source: str | Path) -> dict[str, Samples]:
    """Return the samples of a package (by its name) or of a file (a path), by the name of their dialect.

    A package without samples gives none.

    Raises:
        SamplesError: for a file that is not there, or not what it should be.
    """
    try:
        found = source if isinstance(source, Path) else resources.files(source) / FILE
        text = found.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as missing:
        if isinstance(source, Path):
            raise SamplesError(f"there are no samples at {source}") from missing
        return {}
    try:
        return samples_of(json.loads(text), str(found))
    except ValueError as wrong:
        raise SamplesError(f"{found}: {wrong}") from wrong


def _made(cls: type[T], given: Mapping[str, Any], path: str) -> T:
    allowed = [f.name for f in fields(cls)]  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for name in given:
        if name not in allowed:
            raise SamplesError(f"{path}: unknown field {name!r}; allowed: {', '.join(allowed)}")
    try:
        return cls(**{name: _frozen(value) if isinstance(value, list) else value for name, value in given.items()})
    except TypeError as wrong:
        raise SamplesError(f"{path}: {wrong}") from None


def _frozen(values: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(v) if isinstance(v, list) else v for v in values)


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key
            yield from _words(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _words(inner)
    elif isinstance(value, str) and len(value) < 24:
        yield value


# -- on the wire


def write_stream(events: Sequence[Event], framing: Framing) -> list[bytes]:
    """Return a stream's bytes, one piece an event.

    Raises:
        ValueError: for a framing that the kit does not write.
    """
    if framing in ("sse", "sse-text"):
        return [_sse(name, data) for name, data in events]
    if framing == "ndjson":
        return [_json(data) + b"\n" for _, data in events]
    if framing == "aws-eventstream":
        return [_aws(name or "", data) for name, data in events]
    raise ValueError(f"the kit does not write streams framed as {framing!r}")


def _json(data: Any) -> bytes:
    return data.encode() if isinstance(data, str) else json.dumps(data, ensure_ascii=False).encode()


def _sse(name: str | None, data: Any) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + _json(data).replace(b"\n", b"\ndata: ") + b"\n\n"


def _aws(name: str, data: Any) -> bytes:
    headers = b""
    for key, value in ((":event-type", name), (":content-type", "application/json"), (":message-type", "event")):
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    payload = _json(data)
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))
