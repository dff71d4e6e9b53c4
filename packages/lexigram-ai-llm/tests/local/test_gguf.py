from __future__ import annotations

import struct
from array import array

import pytest

from lexigram.ai.llm.local._gguf import MAGIC, Tensor, Value, encode_gguf


def read_string(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + size].decode(), at + 8 + size


def test_the_header_counts_tensors_and_metadata() -> None:
    data = encode_gguf({"a": "b"}, [Tensor("t", (2,), array("f", [1.0, 2.0]))])
    assert data[:4] == MAGIC
    assert struct.unpack_from("<IQQ", data, 4) == (3, 1, 1)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (True, struct.pack("<I?", 7, True)),
        (7, struct.pack("<II", 4, 7)),
        (0.5, struct.pack("<If", 6, 0.5)),
        ("né", struct.pack("<IQ", 8, 3) + "né".encode()),
        (["x"], struct.pack("<IIQQ", 9, 8, 1, 1) + b"x"),
        ([-1, 2], struct.pack("<IIQii", 9, 5, 2, -1, 2)),
    ],
)
def test_a_metadata_value_is_written_with_its_type(value: Value, encoded: bytes) -> None:
    data = encode_gguf({"key": value}, [])
    key, at = read_string(data, 24)
    assert key == "key"
    assert data[at : at + len(encoded)] == encoded


def test_tensors_start_on_multiples_of_32_bytes() -> None:
    first, second = Tensor("first", (3,), array("f", [1.0, 2.0, 3.0])), Tensor("second", (1,), array("f", [4.0]))
    data = encode_gguf({}, [first, second])
    assert len(data) % 32 == 0
    assert data[-64:-52] == struct.pack("<3f", 1.0, 2.0, 3.0)
    assert data[-32:-28] == struct.pack("<f", 4.0)
    name, at = read_string(data, 24)
    assert (name, struct.unpack_from("<IQIQ", data, at)) == ("first", (1, 3, 0, 0))
    name, at = read_string(data, at + 24)
    assert (name, struct.unpack_from("<IQIQ", data, at)) == ("second", (1, 1, 0, 32))
