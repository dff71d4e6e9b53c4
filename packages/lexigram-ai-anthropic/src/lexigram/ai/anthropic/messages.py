"""The dialect of Anthropic's Messages API.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect` and
:class:`lexigram.contracts.wire.CountingDialect`. No I/O, no clock, no environment, no vendor by name. Decoding is
liberal: unknown blocks are kept whole, unknown events add nothing; encoding is strict.
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.anthropic._decode import decode_count, decode_error, decode_response
from lexigram.ai.anthropic._encode import encode_count, encode_health, encode_request
from lexigram.ai.anthropic._stream import MessagesStreamState, decode_event, new_stream_state
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "MessagesStreamState",
    "decode_count",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_count",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "anthropic.messages"
FRAMING: Final[Framing] = "sse"
