"""The wires that the simulator speaks. Where two have the same path, the first has it without a vendor's prefix."""

from __future__ import annotations

from typing import Final

from lexigram.testing.simulator._wire import Wire
from lexigram.testing.simulator.wires.anthropic_messages import ANTHROPIC_MESSAGES
from lexigram.testing.simulator.wires.bedrock import BEDROCK
from lexigram.testing.simulator.wires.cohere import COHERE
from lexigram.testing.simulator.wires.gemini import GEMINI, GEMINI_ARRAY
from lexigram.testing.simulator.wires.mistral import MISTRAL
from lexigram.testing.simulator.wires.ollama import OLLAMA
from lexigram.testing.simulator.wires.openai_chat import OPENAI_CHAT
from lexigram.testing.simulator.wires.openai_embeddings import OPENAI_EMBEDDINGS
from lexigram.testing.simulator.wires.openai_responses import OPENAI_RESPONSES

__all__ = ["WIRES"]

WIRES: Final[tuple[Wire, ...]] = (
    OPENAI_CHAT,
    OPENAI_RESPONSES,
    OPENAI_EMBEDDINGS,
    ANTHROPIC_MESSAGES,
    GEMINI,
    GEMINI_ARRAY,
    COHERE,
    OLLAMA,
    BEDROCK,
    MISTRAL,
)
"""Every wire, in order."""
