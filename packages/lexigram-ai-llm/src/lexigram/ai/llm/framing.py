"""From bytes to events, for any chunking of the same bytes. No JSON, no I/O.

A decoder is fed bytes as they come and gives the events that are whole; ``flush`` gives what is left at the end of
the input. Cost is linear in the bytes, whatever the chunking; an event above ``max_event_bytes`` is an error.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeAlias

from lexigram.ai.llm.framing_aws import AWSEventStreamDecoder
from lexigram.contracts.ai.errors import DecodeError, LLMConfigurationError
from lexigram.contracts.wire import Framing

__all__ = ["Event", "EventDecoder", "NDJSONDecoder", "SSEDecoder", "decoder_for"]

Event: TypeAlias = tuple[str | None, bytes]
"""The event's name, or None, and its data."""

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"


class EventDecoder(Protocol):
    """What the engine needs of a framing."""

    def feed(self, data: bytes) -> list[Event]:
        """Take in the next bytes and return the events they complete."""
        ...

    def flush(self) -> list[Event]:
        """Return an event that the input's end left without its terminator."""
        ...


class SSEDecoder:
    """Server-sent events, after the WHATWG HTML standard (section 9.2.6).

    Lines end with CR, LF or CRLF, also across chunks; nothing else splits a line. A byte-order mark, comments and
    blocks without data give nothing; ``id`` and ``retry`` are ignored. Beyond the standard, ``error: …`` as a field
    (llama-box) is an event of that name, and ``flush`` gives an unterminated last block, which some servers send.
    """

    __slots__ = ("_buffer", "_limit", "_skip_lf", "_start")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = max_event_bytes
        self._skip_lf = False
        self._start = True

    def feed(self, data: bytes) -> list[Event]:
        """Take in the next bytes and return the events they complete.

        Raises:
            DecodeError: with reason ``too_large`` for an event above the limit.
        """
        if self._start:
            data = self._without_bom(data)
        if self._skip_lf and data:
            self._skip_lf = False
            if data[0] == 10:
                data = data[1:]
        if b"\r" in data:
            self._skip_lf = data[-1] == 13
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        buffer = self._buffer
        if buffer:
            seen = len(buffer) - 1
            buffer += data
            if buffer.find(b"\n\n", seen) < 0:
                self._check(len(buffer))
                return []
            data = bytes(buffer)
            buffer.clear()
        blocks = data.split(b"\n\n")
        tail = blocks.pop()
        if tail:
            self._check(len(tail))
            buffer += tail
        events: list[Event] = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append((None, block[6:]))
            elif (event := _parse(block)) is not None:
                events.append(event)
        return events

    def flush(self) -> list[Event]:
        """Return the last block if it holds data but no blank line followed it."""
        if self._start and self._buffer:
            self._start = False
        block = bytes(self._buffer)
        self._buffer.clear()
        event = _parse(block)
        return [] if event is None else [event]

    def _without_bom(self, data: bytes) -> bytes:
        data = bytes(self._buffer) + data
        self._buffer.clear()
        if len(data) < 3 and _BOM.startswith(data):
            self._buffer += data
            return b""
        self._start = False
        return data.removeprefix(_BOM)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise DecodeError(f"an event of the stream is larger than {self._limit} bytes", reason="too_large")


def _parse(block: bytes) -> Event | None:
    name: str | None = None
    data: list[bytes] = []
    for line in block.split(b"\n"):
        field, colon, value = line.partition(b":")
        if not field:
            continue
        if colon and value[:1] == b" ":
            value = value[1:]
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field == b"error":
            name = "error"
            data.append(value)
    return (name or None, b"\n".join(data)) if data else None


class NDJSONDecoder:
    """One JSON value a line (LF or CRLF); blank lines give nothing."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = max_event_bytes

    def feed(self, data: bytes) -> list[Event]:
        """Take in the next bytes and return the lines they complete.

        Raises:
            DecodeError: with reason ``too_large`` for a line above the limit.
        """
        buffer = self._buffer
        if buffer:
            seen = len(buffer)
            buffer += data
            if buffer.find(b"\n", seen) < 0:
                self._check(len(buffer))
                return []
            data = bytes(buffer)
            buffer.clear()
        lines = data.split(b"\n")
        tail = lines.pop()
        if tail:
            self._check(len(tail))
            buffer += tail
        return [(None, line) for line in map(bytes.strip, lines) if line]

    def flush(self) -> list[Event]:
        """Return the last line if no line end followed it."""
        line = bytes(self._buffer).strip()
        self._buffer.clear()
        return [(None, line)] if line else []

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise DecodeError(f"a line of the stream is larger than {self._limit} bytes", reason="too_large")


_DECODERS: Final[dict[str, type[SSEDecoder] | type[NDJSONDecoder] | type[AWSEventStreamDecoder]]] = {
    "sse": SSEDecoder,
    "sse-text": SSEDecoder,
    "ndjson": NDJSONDecoder,
    "aws-eventstream": AWSEventStreamDecoder,
}


def decoder_for(framing: Framing, max_event_bytes: int = MAX_EVENT_BYTES) -> EventDecoder:
    """Return a fresh decoder.

    Raises:
        LLMConfigurationError: for a framing that this version does not read.
    """
    decoder = _DECODERS.get(framing)
    if decoder is None:
        raise LLMConfigurationError(f"streams framed as {framing!r} are not read by this version")
    return decoder(max_event_bytes)
