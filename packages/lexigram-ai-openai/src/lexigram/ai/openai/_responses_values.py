"""The pieces of a response that whole bodies and streams share: items, usage, status. Total: any JSON is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lexigram.ai.openai._chat_values import arguments_text, as_dict, as_list, as_text, made_up_id
from lexigram.ai.openai._common import ITEM
from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import FinishReason, Usage
from lexigram.contracts.ai.messages import Opaque, OpaquePart, Part, RefusalPart, TextPart, ThinkingPart, ToolCall

__all__ = [
    "CALLS",
    "PENDING",
    "call_of",
    "citations",
    "decode_usage",
    "finish",
    "head_of",
    "item_parts",
    "logprobs_of",
    "thinking_of",
]

PENDING: Final = frozenset({"queued", "in_progress"})
CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
"""The items that are calls of the caller's tools, and where each has what the model wrote."""

# Calls that the caller has to answer and that no ToolCall stands for.
_AWAITED: Final = frozenset({"mcp_approval_request", "computer_call", "local_shell_call", "apply_patch_call"})
_INCOMPLETE: Final[dict[str, FinishReason]] = {"content_filter": "content_filter"}


def finish(response: Mapping[str, Any]) -> tuple[FinishReason | None, str | None]:
    """Return why the answer ended, in our words and in the provider's; None twice while it has not.

    ``incomplete`` is told apart by ``incomplete_details.reason``. A response that ends with a call that only the
    caller can answer (an approval, a click, a command on the caller's machine) is a ``pause``.
    """
    status = as_text(response.get("status")) or "completed"
    if status == "incomplete":
        reason = as_text(as_dict(response.get("incomplete_details")).get("reason"))
        return _INCOMPLETE.get(reason, "length"), reason or status
    if status in PENDING:
        return None, status
    if status == "completed":
        output = [as_dict(i) for i in as_list(response.get("output"))]
        return ("pause" if any(_awaits(item, output) for item in output) else "stop"), status
    return "error", status


def _awaits(item: Mapping[str, Any], output: list[Mapping[str, Any]]) -> bool:
    kind = as_text(item.get("type"))
    if kind == "shell_call":
        return not any(i.get("type") == "shell_call_output" and i.get("call_id") == item.get("call_id") for i in output)
    return kind in _AWAITED or (kind == "tool_search_call" and item.get("execution") == "client")


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def decode_usage(value: object) -> Usage | None:
    """Return the counts; input includes cached tokens and output includes reasoning on this wire."""
    usage = as_dict(value)
    given, output = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
    total = _count(usage.get("total_tokens"))
    if given is None and output is None and total is None:
        return None
    into, out = as_dict(usage.get("input_tokens_details")), as_dict(usage.get("output_tokens_details"))
    return Usage(
        input_tokens=given,
        output_tokens=output,
        total_tokens=given + output if total is None and given is not None and output is not None else total,
        cached_input_tokens=_count(into.get("cached_tokens")),
        cache_write_tokens=_count(into.get("cache_write_tokens")),
        reasoning_tokens=_count(out.get("reasoning_tokens")),
        source="reported",
    )


# -- items


def head_of(item: Mapping[str, Any], provider: str) -> Opaque:
    """Return what has to go back with the text or the call of an item: the item without what its part says."""
    said = CALLS.get(as_text(item.get("type")), "content")
    return Opaque(provider, {ITEM: {k: v for k, v in item.items() if k != said}})


def citations(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the citations of a text, as the provider wrote them."""
    return tuple([a for a in as_list(content.get("annotations")) if isinstance(a, dict)])


def logprobs_of(item: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the log-probabilities of a message's tokens."""
    found = [e for c in as_list(item.get("content")) for e in as_list(as_dict(c).get("logprobs"))]
    return tuple([e for e in found if isinstance(e, dict)])


def thinking_of(item: Mapping[str, Any]) -> str:
    """Return what a reasoning item shows: its summaries, else the reasoning itself; paragraphs between."""
    for field in ("summary", "content"):
        texts = [as_text(as_dict(t).get("text")) for t in as_list(item.get(field))]
        if any(texts):
            return "\n\n".join([t for t in texts if t])
    return ""


def call_of(item: Mapping[str, Any], response_id: object, position: int, provider: str) -> ToolCall:
    """Return the call; some vendors leave out its id, and write the arguments as an object."""
    kind = as_text(item.get("type"))
    text = arguments_text(item.get(CALLS[kind]))
    name, opaque = as_text(item.get("name")), head_of(item, provider)
    ident = as_text(item.get("call_id")) or as_text(item.get("id")) or made_up_id(response_id, 0, position)
    if kind == "custom_tool_call":
        return ToolCall(ident, name, raw_arguments=text, kind="custom", opaque=opaque)
    return make_tool_call(ident, name, text, opaque=opaque)


def item_parts(item: Mapping[str, Any], response_id: object, calls: int, provider: str) -> list[Part]:
    """Return the parts of one output item; an item of any other kind is one opaque part, whole."""
    kind = as_text(item.get("type"))
    if kind == "message":
        return _message_parts(item, provider)
    if kind == "reasoning":
        return [ThinkingPart(thinking_of(item), Opaque(provider, {ITEM: dict(item)}))]
    if kind in CALLS:
        return [call_of(item, response_id, calls, provider)]
    return [OpaquePart(Opaque(provider, {ITEM: dict(item)}), kind=kind)]


def _message_parts(item: Mapping[str, Any], provider: str) -> list[Part]:
    head = head_of(item, provider)
    content = item.get("content")
    listed = [{"type": "output_text", "text": content}] if isinstance(content, str) else as_list(content)
    parts: list[Part] = []
    for piece in map(as_dict, listed):
        if piece.get("type") == "refusal":
            parts.append(RefusalPart(as_text(piece.get("refusal")), head))
        elif isinstance(piece.get("text"), str):
            parts.append(TextPart(piece["text"], citations(piece), head))
    return parts
