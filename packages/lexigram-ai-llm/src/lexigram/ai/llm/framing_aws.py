"""The AWS event stream (``application/vnd.amazon.eventstream``): binary frames with checksums.

A frame is a prelude (total length, length of the headers, CRC-32 of both), the headers, the payload, and a CRC-32 of
all that. All numbers are big-endian. Source: the AWS Event Stream specification (Smithy, "Amazon Event Stream").
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Final

from lexigram.contracts.ai.errors import DecodeError

__all__ = ["AWSEventStreamDecoder"]

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_SMALLEST: Final = _PRELUDE.size + _CRC.size
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header value types of fixed length: true, false, byte, short, integer, long, timestamp, uuid."""
_BYTES: Final = 6
_STRING: Final = 7


class AWSEventStreamDecoder:
    """Frames as events. The name is the ``:event-type``, the data the payload.

    An exception frame is named ``exception:`` and its ``:exception-type``; an error frame likewise, by its
    ``:error-code``, with the ``:error-message`` as ``{"message": …}``. An empty payload is ``{}``.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit = max_event_bytes

    def feed(self, data: bytes) -> list[tuple[str | None, bytes]]:
        """Take in the next bytes and return the events they complete.

        Raises:
            DecodeError: for a frame whose checksum or lengths are wrong; with reason ``too_large`` for one above the
                limit.
        """
        buffer = self._buffer
        buffer += data
        events: list[tuple[str | None, bytes]] = []
        start, size = 0, len(buffer)
        while size - start >= _PRELUDE.size:
            total, headers, crc = _PRELUDE.unpack_from(buffer, start)
            if zlib.crc32(memoryview(buffer)[start : start + 8]) != crc:
                raise _broken("the checksum of a frame's prelude is wrong")
            if total > self._limit:
                raise DecodeError(f"an event of the stream is larger than {self._limit} bytes", reason="too_large")
            if total < _SMALLEST or headers > total - _SMALLEST:
                raise _broken("the lengths of a frame contradict each other")
            if size - start < total:
                break
            frame = bytes(memoryview(buffer)[start : start + total])
            if zlib.crc32(frame[:-4]) != _CRC.unpack_from(frame, total - 4)[0]:
                raise _broken("the checksum of a frame is wrong")
            at = _PRELUDE.size
            events.append(_event(_headers(frame[at : at + headers]), frame[at + headers : -4]))
            start += total
        del buffer[:start]
        return events

    def flush(self) -> list[tuple[str | None, bytes]]:
        """Return nothing: half a frame at the input's end is no event."""
        self._buffer.clear()
        return []


def _broken(what: str) -> DecodeError:
    return DecodeError(f"the stream is no sound AWS event stream: {what}", reason="bad_shape")


def _headers(data: bytes) -> dict[str, str]:
    """Return the headers that are text; the others are skipped."""
    out: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            end = at + 1 + data[at]
            name, kind = data[at + 1 : end].decode("utf-8"), data[end]
            at = end + 1
            if kind in (_BYTES, _STRING):
                length = int.from_bytes(data[at : at + 2], "big")
                value = data[at + 2 : at + 2 + length]
                at += 2 + length
                if kind == _STRING:
                    out[name] = value.decode("utf-8")
            else:
                at += _FIXED[kind]
    except (IndexError, KeyError, UnicodeDecodeError):
        raise _broken("a frame's headers cannot be read") from None
    if at != len(data):
        raise _broken("a frame's headers are cut off")
    return out


def _event(headers: dict[str, str], payload: bytes) -> tuple[str | None, bytes]:
    kind = headers.get(":message-type")
    if kind == "exception":
        return f"exception:{headers.get(':exception-type', 'unknown')}", payload or b"{}"
    if kind == "error":
        said = json.dumps({"message": headers.get(":error-message", "")}).encode()
        return f"exception:{headers.get(':error-code', 'unknown')}", said
    return headers.get(":event-type"), payload or b"{}"
