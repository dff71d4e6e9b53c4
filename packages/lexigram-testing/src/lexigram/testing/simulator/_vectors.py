"""Embeddings in which texts that share words are near each other."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final

__all__ = ["vector"]

_WORD: Final = re.compile(r"\w+")
_PER_WORD: Final = 8


def vector(seed: int, model: str, content: str | Sequence[int], dimensions: int) -> list[float]:
    """Return a vector of length 1: the same for the same seed, model and text (or token numbers)."""
    words = _WORD.findall(content.lower()) if isinstance(content, str) else [str(token) for token in content]
    out = [0.0] * dimensions
    for word in words or [""]:
        digest = hashlib.sha256(f"{seed}:{model}:{word}".encode("utf-8", "surrogatepass")).digest()
        for i in range(_PER_WORD):
            piece = int.from_bytes(digest[4 * i : 4 * i + 4], "big")
            out[(piece >> 1) % dimensions] += 1.0 if piece & 1 else -1.0
    length = math.sqrt(sum(x * x for x in out))
    if not length:
        return [1.0, *out[1:]]
    return [x / length for x in out]
