"""The Cohere v2 chat dialect: ``POST /v2/chat``. Source of the wire's facts: Cohere's API reference, "Chat (v2)".

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect`. No I/O, no environment, no vendor
names, no third-party import may enter.
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.cohere._decode import decode_error, decode_response
from lexigram.ai.cohere._encode import chat_url, encode_health, encode_request
from lexigram.ai.cohere._stream import ChatStreamState, decode_event, new_stream_state
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "ChatStreamState",
    "chat_url",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "cohere.chat"
FRAMING: Final[Framing] = "sse"
