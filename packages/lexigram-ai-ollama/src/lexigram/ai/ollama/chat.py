"""Ollama's native chat dialect: ``POST /api/chat``, streams as NDJSON. Source: Ollama's API reference, "Chat".

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect`. No I/O, no environment, no vendor
names, no third-party import may enter.
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.ollama._decode import (
    ChatStreamState,
    Metrics,
    decode_error,
    decode_event,
    decode_metrics,
    decode_response,
    new_stream_state,
)
from lexigram.ai.ollama._encode import chat_url, encode_health, encode_request
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "ChatStreamState",
    "Metrics",
    "chat_url",
    "decode_error",
    "decode_event",
    "decode_metrics",
    "decode_response",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "ollama.chat"
FRAMING: Final[Framing] = "ndjson"
