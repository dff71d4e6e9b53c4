"""The dialect of OpenAI's Chat Completions, which most vendors speak.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect`. No I/O, no clock, no
environment, no vendor by name: how vendors differ comes in as :class:`~lexigram.contracts.wire.Quirks`.
Decoding is liberal, for what vendors send differs from what they document; encoding is strict.
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.openai._chat_decode import decode_error, decode_response
from lexigram.ai.openai._chat_encode import chat_url, encode_health, encode_request
from lexigram.ai.openai._chat_stream import ChatStreamState, decode_event, new_stream_state
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

NAME: Final = "openai.chat"
FRAMING: Final[Framing] = "sse"
