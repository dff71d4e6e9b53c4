"""The wires that the simulator speaks. Where two have the same path, the first has it without a vendor's prefix."""

from __future__ import annotations

from typing import Final

from lexigram.testing.simulator._wire import Wire
from lexigram.testing.simulator.wires.openai_chat import OPENAI_CHAT

__all__ = ["WIRES"]

WIRES: Final[tuple[Wire, ...]] = (OPENAI_CHAT,)
"""Every wire, in order."""
