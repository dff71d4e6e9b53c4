"""One recorded exchange of the Responses wire through the dialect, held against the oracle."""

from __future__ import annotations

import json
from typing import Any

import responses_corpus as corpus
import responses_oracle as oracle
from chat_check import Outcome

from lexigram.ai.openai import responses
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import OpaquePart, ThinkingPart
from lexigram.contracts.wire import HttpResponse


def differences(ours: Completion, theirs: oracle.Reading) -> list[str]:
    counts = ours.usage
    usage = (
        counts.input_tokens,
        counts.output_tokens,
        counts.total_tokens,
        counts.cached_input_tokens,
        counts.reasoning_tokens,
    )
    pairs = {
        "text": (ours.content, theirs.text),
        "refusal": (ours.refusal or "", theirs.refusal),
        "thinking": (
            [p.text.replace("\n\n", "") for p in ours.parts if isinstance(p, ThinkingPart)],
            [t.replace("\n\n", "") for t in theirs.thinking],
        ),
        "calls": ([(c.id, c.name, c.raw_arguments) for c in ours.tool_calls], theirs.calls),
        "kinds": ([p.kind for p in ours.parts if isinstance(p, OpaquePart)], theirs.kinds),
        "status": (ours.raw_finish_reason, theirs.status),
        "usage": (usage if counts.source == "reported" else None, theirs.usage),
    }
    return [f"{name}: {mine!r} != {its!r}" for name, (mine, its) in pairs.items() if mine != its]


def reported_error(record: dict[str, Any]) -> bool:
    if not record["streaming"]:
        body = json.loads(record["response_body"])
        return bool(body.get("error")) or body.get("status") == "failed"
    return any(e.get("type") in ("error", "response.failed") for _, e in corpus.events(record))


def check(record: dict[str, Any]) -> Outcome:
    """Hold one 2xx exchange against the oracle."""
    excluded = corpus.out_of_scope(record)
    if excluded:
        return Outcome("excluded", excluded)
    try:
        ours = corpus.decode(record)
    except LLMError as error:
        if reported_error(record):
            return Outcome("error", f"the 200 reports an error: {type(error).__name__}")
        return Outcome("different", f"{type(error).__name__}: {error.message}")
    if reported_error(record):
        return Outcome("different", "the 200 reports an error and none was raised")
    unfit = None
    if record["streaming"]:
        events = [e for _, e in corpus.events(record)]
        unfit = oracle.sdk_unfit(events)
        theirs = oracle.plain_stream(events) if unfit else oracle.sdk_stream(events)
    else:
        theirs = oracle.sdk_body(json.loads(record["response_body"]))
    wrong = differences(ours, theirs)
    if wrong:
        return Outcome("different", "; ".join(wrong)[:600])
    return Outcome("equal") if unfit is None else Outcome("plain", unfit)


def decode_error(record: dict[str, Any]) -> LLMError:
    text = record["response_body"]
    response = HttpResponse(record["status"] or 400, record["response_headers"], text.encode())
    return responses.decode_error(response, json.loads(text), corpus.endpoint(record))
