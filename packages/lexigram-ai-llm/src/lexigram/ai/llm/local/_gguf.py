"""Writes the GGUF container, version 3: typed metadata, then float tensors.

Only what the tiny model needs. Source: ggml, ``docs/gguf.md``, section "File Structure".
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

__all__ = ["MAGIC", "Tensor", "Value", "encode_gguf"]

MAGIC: Final = b"GGUF"
_VERSION: Final = 3
_ALIGNMENT: Final = 32
_F32_TENSOR: Final = 0
_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9

Value: TypeAlias = bool | int | float | str | Sequence[int] | Sequence[str]
"""A metadata value: a number is written with 32 bits, a sequence as an array of text or of signed numbers."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of 32-bit floats; ``shape`` names the fastest dimension first, as GGUF does."""

    name: str
    shape: tuple[int, ...]
    data: array[float]

    @property
    def size(self) -> int:
        """Bytes of the data, without padding."""
        return 4 * len(self.data)


def encode_gguf(metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> bytes:
    """Return the bytes of the file."""
    head = bytearray(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(metadata)))
    for key, value in metadata.items():
        head += _string(key) + _value(value)
    offset = 0
    for tensor in tensors:
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        head += _string(tensor.name) + dimensions + struct.pack("<IQ", _F32_TENSOR, offset)
        offset += tensor.size + _padding(tensor.size)
    body = bytearray(head) + bytes(_padding(len(head)))
    for tensor in tensors:
        body += _little_endian(tensor.data) + bytes(_padding(tensor.size))
    return bytes(body)


def _padding(size: int) -> int:
    return -size % _ALIGNMENT


def _little_endian(data: array[float]) -> bytes:
    if sys.byteorder == "big":
        data = array("f", data)
        data.byteswap()
    return data.tobytes()


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", _BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", _U32, value)
    if isinstance(value, float):
        return struct.pack("<If", _F32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    texts = [item for item in value if isinstance(item, str)]
    if texts:
        return struct.pack("<IIQ", _ARRAY, _STRING, len(texts)) + b"".join(map(_string, texts))
    numbers = [item for item in value if isinstance(item, int)]
    return struct.pack(f"<IIQ{len(numbers)}i", _ARRAY, _I32, len(numbers), *numbers)
