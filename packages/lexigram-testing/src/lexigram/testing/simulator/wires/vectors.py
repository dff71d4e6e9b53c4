"""Embeddings by chance: unit vectors that are the same for the same text, and for nothing else."""

from __future__ import annotations

import hashlib
import math
from random import Random

__all__ = ["vector"]


def vector(seed: int, model: str, text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1; a shorter one of the same text begins in the same direction."""
    digest = hashlib.sha256(f"{model}\x00{text}".encode("utf-8", "surrogatepass")).hexdigest()
    random = Random(f"{seed}:{digest}")  # noqa: S311 - nothing secret hangs on it
    values = [random.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [round(value / length, 9) for value in values]
