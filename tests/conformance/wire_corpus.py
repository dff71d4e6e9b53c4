"""The recorded exchanges of the wires that have a package of their own: how they are found, driven and compared.

What differs from wire to wire (its oracle, how its requests are read) is in one module a wire, ``*_wire.py``, which
fills in a :class:`Wire`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from chat_corpus import records
from chat_requests import _arguments as arguments

from lexigram.ai.llm.framing import Event, decoder_for
from lexigram.contracts.ai.completion import Completion, StreamChunk
from lexigram.contracts.ai.errors import InvalidMessageError, InvalidRequestError, LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.wire import Endpoint, HttpResponse

Reading = dict[str, Any]
"""``text``, ``thinking``, ``calls`` (name and arguments), ``finish`` (the vendor's word) and ``usage``."""


@dataclass(frozen=True)
class Wire:
    """One dialect and what it is held against.

    ``body`` and ``stream`` read the same JSON independently of the dialect; ``fails`` says whether a 200 reports an
    error; ``raw_stream`` reads a stream from its bytes, framing included; ``request`` reads a recorded request into our
    words, or says why it cannot.
    """

    name: str
    dialect: Any
    apis: tuple[str, ...]
    body: Callable[[Any], Reading]
    stream: Callable[[list[tuple[str | None, Any]]], Reading]
    fails: Callable[[list[tuple[str | None, Any]]], bool]
    request: Callable[[dict[str, Any]], CompletionRequest]
    meaning: Callable[[dict[str, Any]], Any]
    raw_stream: Callable[[bytes], Reading] | None = None
    excluded: dict[str, str] = field(default_factory=dict)
    not_ours: Callable[[dict[str, Any]], str | None] = lambda _: None

    def records(self) -> list[dict[str, Any]]:
        return [r for api in self.apis for r in records(api) if self.not_ours(r) is None]

    def endpoint(self, record: dict[str, Any]) -> Endpoint:
        return Endpoint(record["provider"], "https://host.invalid")


class NotOurs(Exception):
    """A recorded request that our words cannot express, and why."""


def content(record: dict[str, Any]) -> bytes:
    body = record["response_body"]
    return base64.b64decode(body) if record["response_body_encoding"] == "base64" else body.encode()


def _decoded(wire: Wire, events: Iterable[Event], *, stop: bool = True) -> Iterable[tuple[str | None, Any]]:
    text = wire.dialect.FRAMING == "sse-text"
    for name, data in events:
        if stop and data.strip() == b"[DONE]":
            return
        yield name, data.decode() if text else json.loads(data)


def events(wire: Wire, record: dict[str, Any]) -> list[tuple[str | None, Any]]:
    decoder = decoder_for(wire.dialect.FRAMING)
    return list(_decoded(wire, [*decoder.feed(content(record)), *decoder.flush()]))


def drive(wire: Wire, pieces: Iterable[bytes], endpoint: Endpoint) -> tuple[list[StreamChunk], Any]:
    """Decode a stream from its bytes, cut anyhow, as the engine does; half a JSON at the input's end is no event."""
    decoder, state, out = decoder_for(wire.dialect.FRAMING), wire.dialect.new_stream_state(endpoint), []

    def take(found: list[Event]) -> None:
        for name, data in found:
            if state.closed:
                return
            if data.strip() == b"[DONE]":
                state.finished = state.closed = True
                return
            [(name, value)] = _decoded(wire, [(name, data)])
            out.extend(wire.dialect.decode_event(name, value, state))

    for piece in pieces:
        take(decoder.feed(piece))
    try:
        take(decoder.flush())
    except ValueError:
        pass
    return out, state


def decode(wire: Wire, record: dict[str, Any]) -> Completion:
    endpoint = wire.endpoint(record)
    if not record["streaming"]:
        made: Completion = wire.dialect.decode_response(json.loads(content(record)), endpoint)
        return made
    chunks, state = drive(wire, [content(record)], endpoint)
    assert state.finished, "the stream is whole and the dialect does not say so"
    fold = CompletionFold(provider=endpoint.provider)
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()


def ours(completion: Completion) -> Reading:
    usage = completion.usage
    for call in completion.tool_calls:
        assert call.id, "a call without an id"
    return {
        "text": completion.content,
        "thinking": completion.thinking or "",
        "calls": [(c.name, arguments(c.raw_arguments or "{}")) for c in completion.tool_calls],
        "finish": completion.raw_finish_reason,
        "usage": (usage.input_tokens, usage.output_tokens),
        "notes": [dict(n) for p in completion.parts for n in getattr(p, "annotations", ())],
    }


def check(wire: Wire, record: dict[str, Any]) -> tuple[str, str]:
    """Hold one 2xx exchange against the oracle: ``equal``, ``error``, ``excluded`` or ``different``, and why."""
    if record["id"] in wire.excluded:
        return "excluded", wire.excluded[record["id"]]
    found = events(wire, record) if record["streaming"] else [(None, json.loads(content(record)))]
    fails = wire.fails(found)
    try:
        mine = ours(decode(wire, record))
    except LLMError as error:
        return ("error" if fails else "different"), f"{type(error).__name__}: {error.message}"
    if fails:
        return "different", "the 200 reports an error and none was raised"
    if not record["streaming"]:
        theirs = wire.body(found[0][1])
    else:
        theirs = wire.raw_stream(content(record)) if wire.raw_stream is not None else wire.stream(found)
    wrong = [f"{k}: {mine[k]!r} != {theirs[k]!r}"[:300] for k in theirs if mine[k] != theirs[k]]
    return ("different", "; ".join(wrong)) if wrong else ("equal", "")


def decode_error(wire: Wire, record: dict[str, Any]) -> LLMError:
    data = content(record)
    try:
        body: Any = json.loads(data)
    except ValueError:
        body = data.decode("utf-8", "replace")
    response = HttpResponse(record["status"], record["response_headers"], data)
    error: LLMError = wire.dialect.decode_error(response, body, wire.endpoint(record))
    return error


def expressible(wire: Wire, record: dict[str, Any]) -> str | None:
    """Say why a recorded request cannot be written in our words, or None."""
    if not isinstance(record["request_body"], dict):
        return "no request recorded"
    if record["status"] is None or not 200 <= record["status"] < 300:
        return "the provider refused the request"
    try:
        wire.request(record)
    except NotOurs as why:
        return str(why)
    except (InvalidMessageError, TypeError) as error:
        return f"not ours: {str(error).splitlines()[0]}"
    return None


def reencode(wire: Wire, record: dict[str, Any]) -> dict[str, Any]:
    endpoint = wire.endpoint(record)
    stream = bool(record["streaming"])
    try:
        sent = wire.dialect.encode_request(wire.request(record), endpoint, stream=stream)
    except InvalidRequestError as error:
        raise AssertionError(f"{record['id']}: {error}") from error
    made: dict[str, Any] = json.loads(json.dumps(sent.json))
    return made


def shares(wire: Wire) -> tuple[int, int, dict[str, int]]:
    """How many recorded requests there are, how many are expressible, and why the others are not."""
    total, good, reasons = 0, 0, {}
    for record in wire.records():
        why = expressible(wire, record)
        if why in ("no request recorded", "the provider refused the request"):
            continue
        total += 1
        good += why is None
        if why is not None:
            reasons[why] = reasons.get(why, 0) + 1
    return total, good, reasons
