"""The pieces of a generateContent answer: words, usage, log-probabilities, ids, calls.

Everything here reads JSON of any shape without failing: what is not of the expected type is not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from lexigram.contracts.ai.completion import FinishReason, Usage
from lexigram.contracts.ai.errors import DecodeError
from lexigram.contracts.wire.shapes import as_count, as_dict, as_list, as_text

__all__ = [
    "as_dict",
    "as_list",
    "as_text",
    "decode_usage",
    "finish_reason",
    "json_text",
    "logprob_entries",
    "made_up_id",
]

_EMPTY: Final[dict[str, Any]] = {}

_FILTERED: Final = (
    "SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION",
)  # fmt: skip
_FAILED: Final = (
    "LANGUAGE", "OTHER", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE", "NO_IMAGE", "IMAGE_OTHER", "ESCALATION",
)  # fmt: skip
_FINISH: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(_FILTERED, "content_filter"),
    **dict.fromkeys(_FAILED, "error"),
}
# Clients that ask with `$alt=json;enum-encoding=int` get numbers; the first ones mean the same on both services.
_NUMBERED: Final = (None, "STOP", "MAX_TOKENS", "SAFETY", "RECITATION")


def finish_reason(word: object) -> tuple[FinishReason | None, str | None]:
    """Return the vendor's word in our vocabulary and as it is; an unknown word means an end.

    Source: "Candidate.finishReason" in the references of both services.
    """
    if isinstance(word, int) and not isinstance(word, bool) and word > 0:
        word = _NUMBERED[word] if word < len(_NUMBERED) else f"{word}"
        return _FINISH.get(word or "", "error"), word
    if not isinstance(word, str) or not word or word == "FINISH_REASON_UNSPECIFIED":
        return None, None
    return _FINISH.get(word, "stop"), word


def json_text(value: object) -> str:
    """Return the value as JSON text.

    Raises:
        DecodeError: with reason ``too_large`` where it is nested too deeply to be written.
    """
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise DecodeError("the arguments of a call are nested too deeply", reason="too_large") from None


def decode_usage(value: object) -> Usage | None:
    """Return the counts; None where the object counts nothing (Vertex AI sends a lone ``trafficType`` at first).

    Input is the prompt (cached tokens included) and what server tools put into it; output is the candidates and the
    thoughts, which ``candidatesTokenCount`` leaves out. A count of 0 is not written on this wire: where
    ``candidatesTokenCount`` is missing, ``totalTokenCount``, the sum of all, proves what it was.
    """
    usage = as_dict(value)
    prompt, total = as_count(usage.get("promptTokenCount")), as_count(usage.get("totalTokenCount"))
    said, thoughts = as_count(usage.get("candidatesTokenCount")), as_count(usage.get("thoughtsTokenCount"))
    if prompt is None and total is None and said is None and thoughts is None:
        return None
    given = prompt if prompt is None else prompt + (as_count(usage.get("toolUsePromptTokenCount")) or 0)
    output: int | None = None
    if said is not None:
        output = said + (thoughts or 0)
    elif given is not None and total is not None and total - given >= (thoughts or 0):
        output = total - given
    if total is None and given is not None and output is not None:
        total = given + output
    return Usage(
        input_tokens=given,
        output_tokens=output,
        total_tokens=total,
        cached_input_tokens=as_count(usage.get("cachedContentTokenCount")),
        reasoning_tokens=thoughts,
        source="reported",
    )


def logprob_entries(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return one entry for each token of a ``logprobsResult``: the chosen one, its rivals under ``topCandidates``."""
    result = as_dict(value)
    top = as_list(result.get("topCandidates"))
    entries: list[Mapping[str, Any]] = []
    for at, chosen in enumerate(as_list(result.get("chosenCandidates"))):
        rivals = as_list(as_dict(top[at]).get("candidates")) if at < len(top) else ()
        entries.append({**as_dict(chosen), **({"topCandidates": list(rivals)} if rivals else {})})
    return tuple(entries)


def made_up_id(*seeds: object) -> str:
    """Return an id for a call that has none: the same seeds give the same id."""
    digest = hashlib.sha256("\0".join([str(s) for s in seeds]).encode("utf-8", "surrogatepass")).hexdigest()
    return f"call_{digest[:24]}"
