"""What a healthy server would have said, wire by wire: the material that scenarios damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from lexigram.testing.faults._replies import Content

__all__ = ["CHAT", "MESSAGES", "PLAIN", "VOICES", "Voice"]

STREAM_MEDIA: Final = "text/event-stream"
TEXT: Final = "hello"


@dataclass(frozen=True)
class Voice:
    """One wire's answer ``hello``, whole and as a stream.

    Attributes:
        body: the whole answer, JSON.
        events: the stream's events with their blank lines: ``hel``, ``lo``, and the one that finishes.
        end: what follows the last event, e.g. ``data: [DONE]``.
        say: the data of an event that adds a text.
        error: the data of an event that reports that the provider is overloaded.
        media: the whole answer's content type; "" sends none.
    """

    body: bytes
    events: tuple[bytes, ...]
    end: bytes = b""
    say: Callable[[str], bytes] = lambda text: json.dumps(text).encode()
    error: bytes = b'{"error":{"message":"overloaded","type":"overloaded_error","code":"overloaded"}}'
    media: str = ""

    @property
    def stream(self) -> bytes:
        """The whole stream in one piece."""
        return b"".join(self.events) + self.end

    def content(self, stream: bool) -> Content:
        """Return the answer as a request of that kind gets it."""
        return Content(self.stream, STREAM_MEDIA) if stream else Content(self.body, self.media)


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice]}
    return json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode()


_CHAT_BODY: Final = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}

PLAIN: Final = Voice(b'{"ok":true}', tuple(_event(b'{"n":%d}' % n) for n in range(3)))
"""No provider's wire: small JSON."""

CHAT: Final = Voice(
    json.dumps(_CHAT_BODY, separators=(",", ":")).encode(),
    (
        _event(_chat_chunk({"role": "assistant", "content": TEXT[:3]})),
        _event(_chat_chunk({"content": TEXT[3:]})),
        _event(_chat_chunk({}, "stop")),
    ),
    _event(b"[DONE]"),
    say=lambda text: _chat_chunk({"content": text}),
    media="application/json",
)
"""OpenAI's Chat Completions."""


def _named(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":")).encode()
    return b"event: %b\n" % kind.encode() + _event(data)


def _text_delta(text: str) -> dict[str, Any]:
    return {"index": 0, "delta": {"type": "text_delta", "text": text}}


_MESSAGE: Final = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m-1"}

MESSAGES: Final = Voice(
    json.dumps(
        {
            **_MESSAGE,
            "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        }
    ).encode(),
    (
        _named("message_start", message={**_MESSAGE, "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}})
        + _named("content_block_start", index=0, content_block={"type": "text", "text": ""})
        + _named("content_block_delta", **_text_delta(TEXT[:3])),
        _named("content_block_delta", **_text_delta(TEXT[3:])),
        _named("content_block_stop", index=0)
        + _named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}),
    ),
    _named("message_stop"),
    say=lambda text: json.dumps({"type": "content_block_delta", **_text_delta(text)}, ensure_ascii=False).encode(),
    error=b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
    media="application/json",
)
"""Anthropic's Messages."""

VOICES: Final[dict[str, Voice]] = {"/chat/completions": CHAT, "/messages": MESSAGES}
"""Voices by the end of the request's path."""
