"""Messages and completions survive JSON."""

from __future__ import annotations

import json

import pytest

from lexigram.contracts.ai.coerce import coerce_message, coerce_messages
from lexigram.contracts.ai.completion import Attempt, Completion, Usage
from lexigram.contracts.ai.errors import InvalidMessageError
from lexigram.contracts.ai.jsonform import (
    completion_from_dict,
    completion_to_dict,
    message_from_dict,
    message_to_dict,
    part_from_dict,
    part_to_dict,
)
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)

OPAQUE = Opaque("p", {"signature": "\u0000é😀", "n": [1, {"a": None}]})
PARTS: list[Part] = [
    TextPart("t", ({"url": "u"},), OPAQUE), TextPart(""), RefusalPart("no"), ThinkingPart("", OPAQUE), ImagePart(url="https://x"),
    ImagePart(data=b"\x00\xff", media_type="image/png", detail="high"), AudioPart(b"ab", "mp3"), AudioPart(id="a", transcript="t"),
    FilePart(data=b"x", media_type="text/plain", filename="f"), FilePart(file_id="f"), ToolCall("i", "f", {"x": [1]}, '{"x":[1]}', opaque=OPAQUE),
    ToolCall("i", "f", {}, "{", "not JSON"), ToolResultPart("i", "r", "f", True), ToolResultPart("i", (TextPart("a"), ImagePart(url="u"))),
    OpaquePart(OPAQUE, "web_search"),
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=lambda p: type(p).__name__)
def test_every_part_survives_json(part: Part) -> None:
    assert part_from_dict(json.loads(json.dumps(part_to_dict(part)))) == part


def test_a_message_survives_json_and_its_json_form_is_a_valid_message() -> None:
    message = ChatMessage("assistant", tuple(p for p in PARTS if not isinstance(p, ToolResultPart)), "n")
    stored = json.loads(json.dumps(message_to_dict(message)))
    assert message_from_dict(stored) == message
    assert coerce_messages([stored]) == (message,)
    text = ChatMessage("user", "hi")
    assert message_from_dict(message_to_dict(text)) == text


def test_a_completion_survives_json_without_its_raw_reply() -> None:
    made = Completion(
        parts=tuple(PARTS[:4]), finish_reason="stop", usage=Usage(1, 2, 3, source="reported"), model="m", provider="p", id="c",
        attempts=(Attempt("p", "m", "ok", usage=Usage(1)),), alternatives=(Completion("other"),), logprobs=({"token": "t"},), raw={"big": 1},
    )  # fmt: skip
    back = completion_from_dict(json.loads(json.dumps(completion_to_dict(made))))
    assert back == made
    assert back.raw is None


def test_a_missing_or_unknown_field_is_refused() -> None:
    with pytest.raises(KeyError, match="tool_call_id"):
        part_from_dict({"type": "tool_result"})
    with pytest.raises(TypeError):
        part_from_dict({"type": "text", "text": "x", "colour": "red"})


def test_a_messages_author_survives_json_and_coercion_and_makes_no_message_another() -> None:
    answer = Completion("Hi", model="m-2026", provider="p", attempts=(Attempt("p", "m", "ok"),))
    message = answer.message
    assert message.author == "p:m"
    assert message_from_dict(message_to_dict(message)).author == "p:m"
    assert coerce_message(message).author == "p:m"
    assert coerce_message(message_to_dict(message)).author == "p:m"
    with pytest.raises(InvalidMessageError, match=r"messages\[0\].author: only an assistant's has one"):
        coerce_messages([{"role": "user", "content": "Hi", "author": "p:m"}])
    assert message == ChatMessage("assistant", message.content)
    assert Completion("Hi", model="m", provider="p").message.author == "p:m"
    assert Completion("Hi").message.author is None
