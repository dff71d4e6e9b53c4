"""The Bedrock Converse dialect: ``POST /model/{id}/converse`` and ``converse-stream``.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.Dialect`. No I/O, no environment, no vendor
names, no third-party import may enter. Source of the wire's facts: Amazon Bedrock API reference, "Converse" and
"ConverseStream".
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.bedrock._decode import decode_error, decode_response
from lexigram.ai.bedrock._encode import converse_url, encode_health, encode_request
from lexigram.ai.bedrock._stream import ConverseStreamState, decode_event, new_stream_state
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "ConverseStreamState",
    "converse_url",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "bedrock.converse"
FRAMING: Final[Framing] = "aws-eventstream"
