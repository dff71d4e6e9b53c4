"""Everything of :mod:`lexigram.contracts.ai`, and the errors."""

from __future__ import annotations

from lexigram.contracts.ai import *  # noqa: F403
from lexigram.contracts.ai import __all__ as _values
from lexigram.contracts.ai.errors import *  # noqa: F403
from lexigram.contracts.ai.errors import __all__ as _errors

__all__ = [*_values, *_errors]  # pyright: ignore[reportUnsupportedDunderAll]
