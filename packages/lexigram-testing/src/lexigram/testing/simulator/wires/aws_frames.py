"""Frames of ``application/vnd.amazon.eventstream``, as Amazon's specification of the encoding lays them out.

A frame is its length and that of its headers, the CRC-32 of these, headers, payload, and the CRC-32 of all before it;
numbers are big-endian. A header is a name, the type 7 (text) and a value, each with its length before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Final

__all__ = ["frame"]

_TEXT: Final = 7
_PRELUDE: Final = struct.Struct("!II")
_CRC: Final = struct.Struct("!I")


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one frame."""
    packed = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    size = _PRELUDE.size + _CRC.size + len(packed) + len(payload) + _CRC.size
    prelude = _PRELUDE.pack(size, len(packed))
    body = prelude + _CRC.pack(zlib.crc32(prelude)) + packed + payload
    return body + _CRC.pack(zlib.crc32(body))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(f"!B{len(name)}sBH{len(value)}s", len(name), name, _TEXT, len(value), value)
