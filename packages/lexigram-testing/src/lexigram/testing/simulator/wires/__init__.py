"""The wires that the simulator speaks. Where two have the same path, the first has it without a vendor's prefix."""

from __future__ import annotations

from typing import Final

from lexigram.testing.simulator._wire import Wire
from lexigram.testing.simulator.wires.bedrock import BEDROCK
from lexigram.testing.simulator.wires.cohere import COHERE
from lexigram.testing.simulator.wires.gemini import GEMINI, GEMINI_ARRAY
from lexigram.testing.simulator.wires.mistral import MISTRAL
from lexigram.testing.simulator.wires.ollama import OLLAMA
from lexigram.testing.simulator.wires.openai_chat import OPENAI_CHAT

__all__ = ["WIRES"]

WIRES: Final[tuple[Wire, ...]] = (OPENAI_CHAT, GEMINI, GEMINI_ARRAY, COHERE, OLLAMA, BEDROCK, MISTRAL)
"""Every wire, in order."""
