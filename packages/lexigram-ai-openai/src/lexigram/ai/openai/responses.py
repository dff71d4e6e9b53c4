"""The dialect of OpenAI's Responses API.

A module of pure functions that satisfies :class:`lexigram.contracts.wire.FlowDialect`. Stateless unless asked
otherwise: nothing is stored at the vendor, and the reasoning goes back encrypted with the history. Background mode
is asked for with ``extra_body={"background": True}``, a stored predecessor is named with
``extra_body={"previous_response_id": …}``.
"""

from __future__ import annotations

from typing import Final

from lexigram.ai.openai._chat_decode import decode_error
from lexigram.ai.openai._responses_decode import decode_response
from lexigram.ai.openai._responses_encode import encode_health, encode_request, responses_url
from lexigram.ai.openai._responses_flow import cancel, encode_flow, retrieve
from lexigram.ai.openai._responses_stream import ResponsesStreamState, decode_event, new_stream_state
from lexigram.contracts.wire import Framing

__all__ = [
    "FRAMING",
    "NAME",
    "ResponsesStreamState",
    "cancel",
    "decode_error",
    "decode_event",
    "decode_response",
    "encode_flow",
    "encode_health",
    "encode_request",
    "new_stream_state",
    "responses_url",
    "retrieve",
]

NAME: Final = "openai.responses"
FRAMING: Final[Framing] = "sse"
