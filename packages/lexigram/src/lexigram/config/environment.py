"""The door to the process environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["environment", "read_env"]


def environment() -> Mapping[str, str]:
    """Return the process environment: live, and read-only."""
    return MappingProxyType(os.environ)


def read_env(name: str) -> str | None:
    """Return an environment variable, or None if it is not set or empty."""
    return os.environ.get(name) or None
