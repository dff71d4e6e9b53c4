"""A call's tokens before it is made: what a limiter reserves. An estimate unless a counter is given."""

from __future__ import annotations

import json
from typing import Final

from lexigram.contracts.ai.messages import AudioPart, FilePart, ImagePart, OpaquePart, Part, ToolCall, ToolResultPart
from lexigram.contracts.ai.protocols import TokenCounterProtocol
from lexigram.contracts.ai.request import CompletionRequest, ToolDefinition
from lexigram.resilience.limiter import Cost

__all__ = ["estimate"]

PER_MESSAGE: Final = 4
PER_IMAGE: Final = 1000
_FEW: Final = 16


def estimate(request: CompletionRequest, *, output_tokens: int, counter: TokenCounterProtocol | None = None) -> Cost:
    """Return the tokens to reserve.

    Args:
        request: the call.
        output_tokens: of the answer, where the call has no ``max_tokens``.
        counter: counts the input; without one four ASCII characters are a token, and so is each other character.
    """
    if counter is not None:
        input_tokens = counter.count_messages(request.messages, request.tools or None).tokens
    else:
        input_tokens = _tools(request) if request.tools else 0
        for message in request.messages:
            input_tokens += PER_MESSAGE + _content(message.content)
    return Cost(input_tokens, request.max_tokens or output_tokens)


def _text(text: str) -> int:
    size = len(text)
    if not text.isascii():
        beyond = sum(1 for c in text if c > "\x7f")
        return beyond + (size - beyond + 3) // 4
    return (size + 3) // 4


def _content(content: str | tuple[Part, ...]) -> int:
    return _text(content) if isinstance(content, str) else sum(_part(p) for p in content)


def _part(part: Part) -> int:
    if isinstance(part, ImagePart):
        return PER_IMAGE
    if isinstance(part, AudioPart | FilePart):
        return len(part.data or b"") // _FEW
    if isinstance(part, ToolCall):
        return _text(part.name) + _text(part.raw_arguments)
    if isinstance(part, ToolResultPart):
        return _content(part.content)
    if isinstance(part, OpaquePart):
        return _text(json.dumps(part.opaque.data, default=str))
    return _text(part.text)


def _tools(request: CompletionRequest) -> int:
    total = 0
    for tool in request.tools:
        if isinstance(tool, ToolDefinition):
            schema = _text(json.dumps(tool.parameters, default=str))
            total += PER_MESSAGE + _text(tool.name) + _text(tool.description) + schema
        else:
            total += PER_MESSAGE + _text(json.dumps(tool.data, default=str))
    return total
