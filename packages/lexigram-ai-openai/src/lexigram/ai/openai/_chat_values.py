"""The pieces of a Chat Completions answer that whole bodies and streams share: usage, words, calls, reasoning.

Everything here reads JSON of any shape without failing: what is not of the expected type is not there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lexigram.contracts.ai.completion import FinishReason, Usage
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.ai.messages import AudioPart, ImagePart, Opaque, OpaquePart, Part, TextPart, ThinkingPart
from lexigram.contracts.wire.shapes import arguments_text, as_count, as_dict, as_list, as_text

__all__ = [
    "arguments_text",
    "as_dict",
    "as_list",
    "as_text",
    "audio_part",
    "content_parts",
    "decode_usage",
    "finish_reason",
    "image_parts",
    "join_details",
    "logprob_entries",
    "made_up_id",
    "thinking_text",
]

_EMPTY: Final[dict[str, Any]] = {}

_FINISH: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
    "malformed_function_call": "error",
}


def finish_reason(word: object) -> FinishReason | None:
    """Return the vendor's word in our vocabulary; ``""`` and null say nothing, an unknown word means an end."""
    if not isinstance(word, str) or not word:
        return None
    return _FINISH.get(word) or _FINISH.get(word.lower(), "stop")


# -- usage


_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
_WRITTEN = ("cache_creation_input_tokens",)
_REASONED = ("reasoning_tokens",)


def _either(value: object, usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the count, else the first that ``usage`` has under one of the names."""
    if value is not None and (count := as_count(value)) is not None:
        return count
    for name in names:
        if name in usage and (count := as_count(usage[name])) is not None:
            return count
    return None


def decode_usage(value: object) -> Usage | None:
    """Return the counts; None where the object counts nothing (Databricks streams nulls until the end).

    Output includes reasoning: where the vendor leaves reasoning out of ``completion_tokens`` (xAI does, and its
    ``total_tokens`` then is the sum of three numbers) it is added. Cached tokens are looked for in
    ``prompt_tokens_details`` (OpenAI), ``prompt_cache_hit_tokens`` (DeepSeek) and ``cached_tokens`` (Together).
    """
    usage = as_dict(value)
    given = as_count(usage.get("prompt_tokens"))
    output = as_count(usage.get("completion_tokens"))
    total = as_count(usage.get("total_tokens"))
    if given is None and output is None and total is None:
        return None
    into, out = as_dict(usage.get("prompt_tokens_details")), as_dict(usage.get("completion_tokens_details"))
    reasoning = _either(out.get("reasoning_tokens"), usage, _REASONED)
    if given is not None and output is not None:
        if reasoning and total == given + output + reasoning:
            output += reasoning
        if total is None:
            total = given + output
    return Usage(
        input_tokens=given,
        output_tokens=output,
        total_tokens=total,
        cached_input_tokens=_either(into.get("cached_tokens"), usage, _CACHED),
        cache_write_tokens=_either(into.get("cache_write_tokens"), usage, _WRITTEN),
        reasoning_tokens=reasoning,
        source="reported",
    )


def logprob_entries(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the token entries as the provider wrote them, those of a refusal after those of the content."""
    if value is None:
        return ()
    logprobs = as_dict(value)
    entries = [*as_list(logprobs.get("content")), *as_list(logprobs.get("refusal"))]
    return tuple([e for e in entries if isinstance(e, dict)])


# -- tool calls


def made_up_id(completion_id: object, choice: int, position: int) -> str:
    """Return an id for a call to which the vendor gave none: the same for the same answer, else different.

    Nine letters and digits, the form that the strictest vendor (Mistral) takes back.
    """
    seed = f"{as_text(completion_id)}:{choice}:{position}"
    return "c" + hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:8]


# -- content


def content_parts(content: object, provider: str) -> list[Part]:
    """Return the parts of ``content``: text, a list of typed parts, or (Cloudflare's JSON mode) an object."""
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    if isinstance(content, dict):
        return [TextPart(json.dumps(content, ensure_ascii=False))]
    parts: list[Part] = []
    for item in as_list(content):
        if isinstance(item, str):
            parts.append(TextPart(item))
            continue
        piece = as_dict(item)
        kind = piece.get("type")
        if kind == "text" and isinstance(piece.get("text"), str):
            parts.append(TextPart(piece["text"], tuple([a for a in as_list(piece.get("annotations")) if a])))
        elif kind == "thinking":
            parts.append(_listed_thinking(piece, provider))
        elif piece:
            parts.append(OpaquePart(Opaque(provider, dict(piece)), kind=as_text(kind)))
    return parts


def _listed_thinking(piece: Mapping[str, Any], provider: str) -> ThinkingPart:
    """Mistral: ``{"type": "thinking", "thinking": [{"type": "text", "text": …}], "closed": true}``."""
    inner = piece.get("thinking")
    text = inner if isinstance(inner, str) else "".join([as_text(as_dict(t).get("text")) for t in as_list(inner)])
    rest = {k: v for k, v in piece.items() if k not in ("type", "thinking")}
    return ThinkingPart(text, Opaque(provider, rest) if rest else None)


def thinking_text(message: Mapping[str, Any], details: Sequence[Any]) -> str:
    """Return the reasoning, once: vendors that write it in several fields write the same text in each."""
    text = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(text, str) and text:
        return text
    texts = [as_text(as_dict(d).get("text")) or as_text(as_dict(d).get("summary")) for d in details]
    return "".join(texts)


def join_details(pieces: Sequence[Any]) -> list[Any]:
    """Join streamed ``reasoning_details`` to what the whole body has: pieces in a row of one kind and index."""
    out: list[Any] = []
    for piece in pieces:
        new, old = as_dict(piece), as_dict(out[-1]) if out else _EMPTY
        same = new.get("type") == old.get("type") and new.get("index") == old.get("index")
        if not out or not same or new.get("type") not in ("reasoning.text", "reasoning.summary"):
            out.append(dict(new) if new else piece)
            continue
        joined = dict(old)
        for name, value in new.items():
            if name in ("text", "summary") and isinstance(value, str):
                joined[name] = as_text(joined.get(name)) + value
            elif value is not None:
                joined[name] = value
        out[-1] = joined
    return out


def audio_part(value: object) -> AudioPart | None:
    """Return the audio, or the piece of it, that the model spoke."""
    audio = as_dict(value)
    if not audio:
        return None
    raw = audio.get("data")
    try:
        data = base64.b64decode(raw) if isinstance(raw, str) and raw else None
    except (binascii.Error, ValueError):
        raise DecodeError("the audio is not base64", reason="bad_shape") from None
    ident, said = audio.get("id"), audio.get("transcript")
    return AudioPart(
        data=data,
        id=ident if isinstance(ident, str) else None,
        transcript=said if isinstance(said, str) else None,
    )


def image_parts(value: object, provider: str) -> list[Part]:
    """Return the images that a model drew (OpenRouter: ``images`` beside ``content``)."""
    parts: list[Part] = []
    for item in as_list(value):
        piece = as_dict(item)
        url = as_dict(piece.get("image_url")).get("url")
        if isinstance(url, str):
            parts.append(ImagePart(url=url, opaque=Opaque(provider, dict(piece))))
    return parts
