"""The Replicate predictions dialect: create a prediction, then ask for it until it has ended.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.FlowDialect`. A stream of this wire is a
second request, to an address in the first one's reply, which one exchange cannot express: asking for one is refused.
``decode_event`` reads the events of such an address (``FRAMING`` ``sse-text``: the data is text, its spaces exact).
Source of the wire's facts: Replicate's HTTP API reference, "Predictions" and "Streaming output".
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.replicate._decode import (
    PredictionStreamState,
    decode_error,
    decode_event,
    decode_response,
    new_stream_state,
)
from lexigram.ai.replicate._encode import encode_flow, encode_health, encode_request
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "PredictionStreamState",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_flow",
    "encode_health",
    "encode_request",
    "new_stream_state",
]

NAME: Final = "replicate.predictions"
FRAMING: Final[Framing] = "sse-text"
