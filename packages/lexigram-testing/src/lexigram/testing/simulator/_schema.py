"""JSON that conforms to a schema."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

__all__ = ["example"]


def example(schema: Mapping[str, Any], random: Random) -> Any:
    """Return a value that conforms to a schema."""
    return {}
