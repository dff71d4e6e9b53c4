"""One request for every feature of a wire, and who judges them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bedrock_wire
import ollama._types as ollama
from botocore.validate import ParamValidator

from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    FilePart,
    ImagePart,
    Opaque,
    OpaquePart,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ProviderTool, ResponseFormat, ThinkingConfig, ToolDefinition

HI: Any = [{"role": "user", "content": "hi"}]
SCHEMA: Any = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOL = ToolDefinition("f", "what it does", SCHEMA)
BARE_TOOL = ToolDefinition("g")
IMAGE = ImagePart(data=b"\x89PNG", media_type="image/png")
TEXT_FILE = FilePart(data=b"once upon a time", media_type="text/plain", filename="story.txt")
CALLS = ChatMessage(
    "assistant", (ThinkingPart("hm"), TextPart("I look"), ToolCall("i", "f", {"x": 1}), ToolCall("j", "g"))
)
RESULTS = ChatMessage("tool", (ToolResultPart("i", "1"), ToolResultPart("j", (TextPart("no"),), is_error=True)))
TURN: Any = [
    ChatMessage("system", "be brief"),
    ChatMessage("developer", (TextPart("and kind"),)),
    ChatMessage("user", (TextPart("see"), IMAGE)),
    CALLS,
    RESULTS,
    ChatMessage("assistant", (RefusalPart("no"),)),
    ChatMessage("user", "why"),
]
TOOLS: Any = {"tools": [TOOL, BARE_TOOL]}
Case = tuple[Any, dict[str, Any]]

COMMON: dict[str, Case] = {
    "bare": (HI, {}),
    "every part": (TURN, TOOLS),
    "sampling": (HI, {"temperature": 0.5, "top_p": 0.5, "top_k": 4, "seed": 1, "max_tokens": 5}),
    "stop": (HI, {"stop_sequences": ["a", "b"]}),
    "tools": (HI, TOOLS),
}
PENALTIES: Case = (HI, {"frequency_penalty": 0.5, "presence_penalty": 0.5})
JSON_MODE: Case = (HI, {"response_format": "json_object"})
JSON_SCHEMA: Case = (HI, {"response_format": ResponseFormat("json_schema", SCHEMA)})
NO_THINKING: Case = (HI, {"thinking": ThinkingConfig(suppress=True)})
BUDGET: Case = (HI, {"thinking": ThinkingConfig(budget_tokens=2000)})

COHERE: dict[str, Case] = {
    **COMMON,
    "penalties": PENALTIES,
    "json": JSON_MODE,
    "schema": JSON_SCHEMA,
    "thinking": BUDGET,
    "no thinking": NO_THINKING,
    "required": (HI, {**TOOLS, "tool_choice": "required"}),
    "no tool": (HI, {**TOOLS, "tool_choice": "none"}),
    "strict": (HI, {"tools": [ToolDefinition("f", "", SCHEMA, strict=True)]}),
    "logprobs": (HI, {"logprobs": True}),
    "plan": ([*HI, ChatMessage("assistant", (ThinkingPart("plan", Opaque("cohere", {"tool_plan": True})),))], {}),
    "documents": ([ChatMessage("user", (TextPart("read"), TEXT_FILE))], {}),
    "document as a result": (
        [*HI, CALLS, ChatMessage("tool", (ToolResultPart("i", (TEXT_FILE, TextPart("see"))),))],
        TOOLS,
    ),
    "extra": (
        HI,
        {"extra_body": {"safety_mode": "STRICT", "citation_options": {"mode": "FAST"}, "documents": ["text"]}},
    ),
}

OLLAMA: dict[str, Case] = {
    **COMMON,
    "penalties": PENALTIES,
    "json": JSON_MODE,
    "schema": JSON_SCHEMA,
    "effort": (HI, {"thinking": ThinkingConfig(effort="high")}),
    "thinking": (HI, {"thinking": ThinkingConfig(level="on")}),
    "no thinking": NO_THINKING,
    "logprobs": (HI, {"top_logprobs": 2}),
    "extra": (HI, {"extra_body": {"options": {"min_p": 0.1}, "keep_alive": "5m"}}),
}


def _ollama(body: dict[str, Any]) -> list[str]:
    """The SDK's own request type, which keeps what it knows: whatever it drops is no key of the wire."""
    made = ollama.ChatRequest(**body).model_dump(exclude_none=True)
    lost = [k for k in body if k not in made]
    for sent, kept in zip(body["messages"], made["messages"], strict=True):
        lost += [f"messages: {k}" for k in sent if k not in kept and k != "tool_call_id"]
    return lost


CITED = TextPart("so", ({"title": "t"},), Opaque("bedrock", {"citations": [{"title": "t"}]}))
CACHE_POINT = OpaquePart(Opaque("bedrock", {"cachePoint": {"type": "default"}}))
SIGNED = ThinkingPart("hm", Opaque("bedrock", {"signature": "s"}))
REDACTED = OpaquePart(Opaque("bedrock", {"reasoningContent": {"redactedContent": "eA=="}}))
PDF = FilePart(b"%PDF", "application/pdf", "my report.pdf")
_NO_TOP_K: Case = (HI, {"temperature": 0.5, "top_p": 0.5, "max_tokens": 5})
BEDROCK: dict[str, Case] = {
    **{name: case for name, case in COMMON.items() if name != "sampling"},
    "sampling": _NO_TOP_K,
    "schema": (HI, {"response_format": ResponseFormat("json_schema", SCHEMA, "n", "d")}),
    "effort": (HI, {"thinking": ThinkingConfig(effort="high")}),
    "required": (HI, {**TOOLS, "tool_choice": "required"}),
    "one tool": (HI, {**TOOLS, "tool_choice": "f"}),
    "auto": (HI, {**TOOLS, "tool_choice": "auto"}),
    "strict": (HI, {"tools": [ToolDefinition("f", "d", SCHEMA, strict=True)]}),
    "cache points": (
        [ChatMessage("system", (TextPart("s"), CACHE_POINT)), ChatMessage("user", (TextPart("u"), CACHE_POINT))],
        {"tools": [TOOL, ProviderTool({"cachePoint": {"type": "default"}})]},
    ),
    "media": ([ChatMessage("user", (TextPart("see"), IMAGE, PDF, PDF, TEXT_FILE, AudioPart(b"x", "wav")))], {}),
    "own parts": ([*HI, ChatMessage("assistant", (SIGNED, REDACTED, CITED, TextPart("a"))), *HI], {}),
    "media as a result": (
        [*HI, CALLS, ChatMessage("tool", (ToolResultPart("i", (TextPart("1"), IMAGE, PDF)),))],
        TOOLS,
    ),
    "tier and metadata": (HI, {"service_tier": "flex", "metadata": {"a": "b"}}),
    "extra": (
        HI,
        {
            "extra_body": {
                "additionalModelRequestFields": {"top_k": 5},
                "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
                "performanceConfig": {"latency": "optimized"},
            }
        },
    ),
}


def _bedrock(body: dict[str, Any]) -> list[str]:
    report = ParamValidator().validate({**body, "modelId": "m"}, bedrock_wire.CONVERSE.input_shape)
    return [report.generate_report()] if report.has_errors() else []


REPLICATE: dict[str, Case] = {
    "bare": (HI, {}),
    "sampling": COMMON["sampling"],
    "stop": COMMON["stop"],
    "penalties": PENALTIES,
    "turns": ([ChatMessage("system", "s"), *HI, ChatMessage("assistant", "a"), *HI], {}),
    "extra": (HI, {"extra_body": {"input": {"image": "https://a.example/i.png"}}}),
}


FEATURES: dict[str, dict[str, Case]] = {"bedrock": BEDROCK, "cohere": COHERE, "ollama": OLLAMA, "replicate": REPLICATE}
NO_STREAMS = {"replicate"}
PATHS = {
    "bedrock": ("bedrock", "/model/{modelId}/converse"),
    "cohere": ("cohere", "/v2/chat"),
    "ollama": ("ollama", "/api/chat"),
    "replicate": ("replicate", "/models/{model_owner}/{model_name}/predictions"),
}
SDK_CHECKS: dict[str, Callable[[dict[str, Any]], list[str]]] = {"bedrock": _bedrock, "ollama": _ollama}
# Keys that the vendor takes and its description does not have yet, and who knows them.
UNDESCRIBED = {
    "ollama": {
        "thinking": "the SDK's Message, and recorded requests",
        "tool_name": "the SDK's Message, and recorded requests",
        "tool_call_id": "the server's own Message type; others ignore it",
        "id": "the id of a recorded reply's call, sent back beside its function",
    },
}
