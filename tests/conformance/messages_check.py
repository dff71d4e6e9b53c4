"""One recorded exchange through the Messages dialect, held against the oracle: what came of it, and why."""

from __future__ import annotations

import json
from typing import Any

import messages_corpus as corpus
import messages_oracle as oracle
from chat_check import Outcome

from lexigram.ai.anthropic import messages
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import OpaquePart, TextPart, ThinkingPart
from lexigram.contracts.wire import HttpResponse


def decode(record: dict[str, Any]) -> Completion:
    where = corpus.endpoint(record)
    if not record["streaming"]:
        return messages.decode_response(json.loads(record["response_body"]), where)
    chunks, state = corpus.drive([record["response_body"].encode()], where)
    assert state.finished, "the stream is whole and the dialect does not say so"
    fold = CompletionFold(provider=where.provider)
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()


def read_ours(made: Completion) -> oracle.Reading:
    calls = [(c.id, c.name, c.raw_arguments if c.arguments_error else dict(c.arguments)) for c in made.tool_calls]
    out = oracle.Reading(made.content, made.thinking or "", [], calls, [], [], made.raw_finish_reason)
    for part in made.parts:
        if isinstance(part, ThinkingPart) and part.opaque is not None:
            out.signatures.append(str(part.opaque.data["signature"]))
        elif isinstance(part, TextPart):
            out.citations += part.annotations
        elif isinstance(part, OpaquePart) and part.kind == "container":
            given: Any = part.opaque.data["container"]
            out.container = given["id"]
        elif isinstance(part, OpaquePart):
            out.opaque.append(dict(part.opaque.data))
    usage = made.usage
    out.usage = (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )
    out.model, out.id = made.model, made.id or ""
    return out


def check(record: dict[str, Any]) -> Outcome:
    """Hold one 2xx exchange against the oracle."""
    stream = record["streaming"]
    body = None if stream else json.loads(record["response_body"])
    if corpus.is_count(record):
        same = messages.decode_count(body, corpus.endpoint(record)) == body["input_tokens"]
        return Outcome("equal" if same else "different", "" if same else "the count")
    try:
        ours = decode(record)
    except LLMError as error:
        return Outcome("different", f"{type(error).__name__}: {error.message}")
    why = None
    if stream:
        payloads = [p for _, p in corpus.events(record)]
        why = oracle.unfit(payloads)
        theirs = oracle.sdk_stream(payloads) if why is None else oracle.plain_stream(payloads)
    else:
        theirs = oracle.sdk_body(body)
    mine = read_ours(ours)
    wrong = [
        f"{name}: {getattr(mine, name)!r} != {getattr(theirs, name)!r}"
        for name in vars(mine)
        if getattr(mine, name) != getattr(theirs, name)
    ]
    if wrong:
        return Outcome("different", "; ".join(wrong)[:600])
    return Outcome("equal") if why is None else Outcome("plain", why)


def decode_error(record: dict[str, Any]) -> LLMError:
    text = record["response_body"]
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = text
    response = HttpResponse(record["status"], record["response_headers"], text.encode())
    return messages.decode_error(response, body, corpus.endpoint(record))
