"""The pieces of a Messages answer that whole bodies and streams share: usage, words, blocks.

Everything here reads JSON of any shape without failing: what is not of the expected type is not there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from lexigram.contracts.ai.coerce import make_tool_call
from lexigram.contracts.ai.completion import FinishReason, Usage
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import Opaque, OpaquePart, Part, RefusalPart, TextPart, ThinkingPart
from lexigram.contracts.wire import Endpoint
from lexigram.contracts.wire.errors import error_from_body
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, as_text

__all__ = [
    "as_dict",
    "as_list",
    "as_text",
    "block_part",
    "container_part",
    "decode_usage",
    "error_inside",
    "finish_reason",
    "json_text",
    "refusal_part",
    "rest_of",
    "text_opaque",
    "thinking_opaque",
]

_EMPTY: Final[dict[str, Any]] = {}

_FINISH: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
    "refusal": "refusal",
}


def finish_reason(word: object) -> FinishReason | None:
    """Return ``stop_reason`` in our vocabulary; null says nothing, an unknown word means an end."""
    return _FINISH.get(word, "stop") if isinstance(word, str) and word else None


def json_text(value: object) -> str:
    """Return the value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def rest_of(block: Mapping[str, Any], *known: str) -> dict[str, Any]:
    """Return what a block has beyond its type and the keys named."""
    return {k: v for k, v in block.items() if k != "type" and k not in known}


# -- usage


def decode_usage(value: object) -> Usage | None:
    """Return the counts, or None where the object counts nothing.

    ``input_tokens`` of this wire leaves out what was read from the prompt cache and what was written to it; both
    are added. ``output_tokens`` includes thinking.
    """
    usage = as_dict(value)
    given, output = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    if given is None and output is None:
        return None
    read, written = as_count(usage.get("cache_read_input_tokens")), as_count(usage.get("cache_creation_input_tokens"))
    if given is not None:
        given += (read or 0) + (written or 0)
    return Usage(
        input_tokens=given,
        output_tokens=output,
        total_tokens=given + output if given is not None and output is not None else None,
        cached_input_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=as_count(as_dict(usage.get("output_tokens_details")).get("thinking_tokens")),
        source="reported",
    )


# -- blocks


def text_opaque(rest: Mapping[str, Any], cited: bool, provider: str) -> Opaque | None:
    """What a text block carries beside its text. Citations need it too, even empty: it says whose they are."""
    return Opaque(provider, dict(rest)) if rest or cited else None


def thinking_opaque(rest: Mapping[str, Any], provider: str) -> Opaque | None:
    """The signature of a thinking block, and what else it carries; an empty signature is none."""
    kept = {k: v for k, v in rest.items() if not (k == "signature" and not v)}
    return Opaque(provider, kept) if kept else None


def block_part(block: Mapping[str, Any], provider: str) -> Part | None:
    """Return a whole content block as a part; None for one that says nothing.

    Blocks that only the provider understands (server tools and their results, redacted thinking, compaction …)
    are kept whole, the unknown ones too.
    """
    kind = block.get("type")
    if kind == "text":
        notes = tuple([c for c in as_list(block.get("citations")) if isinstance(c, dict)])
        opaque = text_opaque(rest_of(block, "text", "citations"), bool(notes), provider)
        text = as_text(block.get("text"))
        return TextPart(text, notes, opaque) if text or opaque is not None else None
    if kind == "thinking":
        opaque = thinking_opaque(rest_of(block, "thinking"), provider)
        thought = as_text(block.get("thinking"))
        return ThinkingPart(thought, opaque) if thought or opaque is not None else None
    if kind == "tool_use":
        rest = rest_of(block, "id", "name", "input")
        given = block.get("input")
        raw = json_text(given if given is not None else {})
        opaque = Opaque(provider, rest) if rest else None
        return make_tool_call(as_text(block.get("id")), as_text(block.get("name")), raw, opaque=opaque)
    return OpaquePart(Opaque(provider, dict(block)), kind=as_text(kind))


def refusal_part(stop_details: object, provider: str) -> RefusalPart | None:
    """Return why the answer was refused, where the provider explains it (``stop_details.explanation``)."""
    details = as_dict(stop_details)
    said = as_text(details.get("explanation"))
    return RefusalPart(said, Opaque(provider, {"stop_details": dict(details)})) if said else None


def container_part(container: object, provider: str) -> OpaquePart | None:
    """Return the container in which server tools ran: state of the answer, beside its blocks."""
    data = as_dict(container)
    return OpaquePart(Opaque(provider, {"container": dict(data)}), "container") if data else None


def error_inside(body: object, endpoint: Endpoint, default: type[LLMError]) -> LLMError:
    """Return the typed error that came inside a reply with status 200."""
    error = error_from_body(None, body, provider=endpoint.provider, default=default)
    error.request_id = error.request_id or as_text(as_dict(body).get("request_id")) or None
    return error
