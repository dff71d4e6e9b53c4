"""A conversation goes on with another vendor: what only the first one understands stays behind, and is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lexigram.ai.llm import ProviderRegistry
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.ai.messages import (
    ChatMessage,
    Opaque,
    OpaquePart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import CompletionRequest, ToolDefinition
from lexigram.contracts.wire import Dialect, Endpoint, Vendor

MARK = "c2lnbmF0dXJl-only-the-first-vendor-knows"
TOOL = ToolDefinition("look", "Looks.", {"type": "object", "properties": {"at": {"type": "string"}}})
ROWS = [
    pytest.param(vendor, dialect, id=f"{vendor.name}-{api}")
    for vendor in ProviderRegistry()
    for api, dialect in vendor.dialects.items()
    if vendor.name != "replicate"  # predictions have neither tools nor turns: such a history is refused by name
]


def history(provider: str) -> tuple[ChatMessage, ...]:
    own = Opaque(provider, {"signature": MARK, "data": MARK})
    return (
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "What is there?"),
        ChatMessage(
            "assistant",
            (
                ThinkingPart("I should look.", own),
                OpaquePart(own, "redacted_thinking"),
                TextPart("I look.", (), own),
                ToolCall("call12345", "look", {"at": "it"}, '{"at": "it"}', opaque=own),
            ),
        ),
        ChatMessage("tool", (ToolResultPart("call12345", "a duck", "look"),)),
        ChatMessage("user", "And now?"),
    )


def encoded(vendor: Vendor, dialect: Dialect, messages: tuple[ChatMessage, ...]) -> Any:
    request = CompletionRequest(messages=messages, model="m-1", tools=(TOOL,), max_tokens=50)
    return dialect.encode_request(
        request, Endpoint(vendor.name, "https://host.invalid/v1", vendor.quirks), stream=False
    )


@pytest.mark.parametrize(("vendor", "dialect"), ROWS)
def test_foreign_parts_stay_behind_and_are_listed(vendor: Vendor, dialect: Dialect) -> None:
    made = encoded(vendor, dialect, history("another-vendor"))
    body = json.dumps(made.json)
    assert MARK not in body
    assert "duck" in body
    assert any("messages[2]" in loss.path for loss in made.losses), made.losses
    for loss in made.losses:
        assert loss.path
        assert loss.reason
        assert MARK not in loss.reason


@pytest.mark.parametrize(("vendor", "dialect"), ROWS)
def test_a_history_stored_as_json_encodes_to_the_same_bytes(vendor: Vendor, dialect: Dialect) -> None:
    for provider in ("another-vendor", vendor.name):
        messages = history(provider)
        stored = [json.loads(json.dumps(message_to_dict(m))) for m in messages]
        again = tuple(message_from_dict(m) for m in stored)
        assert again == messages
        assert encoded(vendor, dialect, again) == encoded(vendor, dialect, messages)
