"""Cuts bytes as a network would: anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["every_split", "one_byte_at_a_time", "split_bytes"]


def split_bytes(data: bytes, seed: int, *, longest: int = 64) -> list[bytes]:
    """Return pieces of 1 … ``longest`` bytes that join to ``data``; the same ones for the same seed."""
    if longest < 1:
        raise ValueError(f"longest is {longest}; allowed: ≥ 1")
    sizes = random.Random(seed)  # noqa: S311
    pieces: list[bytes] = []
    start = 0
    while start < len(data):
        end = start + sizes.randint(1, longest)
        pieces.append(data[start:end])
        start = end
    return pieces


def one_byte_at_a_time(data: bytes) -> list[bytes]:
    """Return every byte as a piece of its own."""
    return [data[i : i + 1] for i in range(len(data))]


def every_split(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give ``data`` cut in two at every place, both ends included."""
    for cut in range(len(data) + 1):
        yield data[:cut], data[cut:]
