"""One recorded Google exchange through the dialect, held against the oracle: what came of it, and why."""

from __future__ import annotations

import json
from typing import Any

import google_corpus as corpus
import google_oracle as oracle
from chat_check import Outcome

from lexigram.ai.google import embeddings
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import ToolCall
from lexigram.contracts.wire import HttpResponse

_NAMED = ("text", "thinking", "finish", "usage", "model", "logprobs")


def decode(record: dict[str, Any]) -> Completion:
    where, dialect = corpus.endpoint(record), corpus.dialect(record)
    if record["stream_format"] != "sse":
        made: Completion = dialect.decode_response(json.loads(record["response_body"]), where)
        return made
    chunks, state = corpus.drive([record["response_body"].encode()], where)
    assert state.finished, "the stream is whole and the dialect does not say so"
    fold = CompletionFold(provider=where.provider)
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()


def signatures(completion: Completion) -> list[str]:
    """The thought signatures of an answer, in order, as they came."""
    found = []
    for part in completion.parts:
        data = part.opaque.data if part.opaque is not None else {}
        if data.get("thoughtSignature"):
            found.append(data["thoughtSignature"])
    return found


def read_ours(made: Completion) -> oracle.Reading:
    usage = made.usage
    calls = []
    for call in made.tool_calls:
        assert call.id
        given = call.opaque is None or call.opaque.data.get("id", "") is not None
        calls.append((call.id if given else None, call.name, dict(call.arguments)))
    counts = None
    if usage.source == "reported":
        counts = (usage.input_tokens or 0, usage.output_tokens or 0, usage.total_tokens)
    return oracle.Reading(
        made.content,
        made.thinking or "",
        calls,
        signatures(made),
        made.raw_finish_reason,
        counts,
        made.model,
        len(made.logprobs),
    )


def check(record: dict[str, Any]) -> Outcome:
    """Hold one 2xx exchange against the oracle."""
    if record["id"] in corpus.EXCLUDED:
        return Outcome("excluded", corpus.EXCLUDED[record["id"]])
    messages = list(corpus.messages(record))
    try:
        made = decode(record)
    except LLMError as error:
        if not any(m.get("candidates") for m in messages):
            return Outcome("error", f"the 200 has no candidate: {type(error).__name__}")
        return Outcome("different", f"{type(error).__name__}: {error.message}")
    unfit = oracle.sdk_unfit(messages)
    wrong = []
    for index, ours in enumerate((made, *made.alternatives)):
        theirs = oracle.plain(messages, index) if unfit else oracle.sdk(messages, index)
        theirs.signatures = oracle.plain(messages, index).signatures  # as text: the SDK gives their bytes
        mine = read_ours(ours)
        for name in (*_NAMED, "calls", "signatures"):
            if getattr(mine, name) != getattr(theirs, name):
                wrong.append(f"{name}: {getattr(mine, name)!r} != {getattr(theirs, name)!r}")
        wrong += [f"{c.name}: {c.arguments_error}" for c in ours.parts if isinstance(c, ToolCall) and c.arguments_error]
    if wrong:
        return Outcome("different", "; ".join(wrong)[:600])
    return Outcome("equal") if unfit is None else Outcome("plain", unfit)


def check_other(record: dict[str, Any]) -> Outcome:
    """Hold a count or an embedding against a reading of its JSON."""
    body, where = json.loads(record["response_body"]), corpus.endpoint(record)
    if "count_tokens" in record["api"]:
        same = corpus.dialect(record).decode_count(body, where) == body["totalTokens"]
        return Outcome("plain" if same else "different", "a count read from the JSON")
    made = embeddings.decode_embeddings(body, where)
    if "predictions" in body:
        vectors = [p["embeddings"]["values"] for p in body["predictions"]]
        tokens: int | None = sum(int(p["embeddings"]["statistics"]["token_count"]) for p in body["predictions"])
    else:
        vectors = [e["values"] for e in body.get("embeddings") or [body["embedding"]]]
        tokens = body.get("usageMetadata", {}).get("promptTokenCount")
    same = [list(v) for v in made.vectors] == vectors and made.usage.input_tokens == tokens
    return Outcome("plain" if same else "different", "vectors and their count read from the JSON")


def decode_error(record: dict[str, Any]) -> LLMError:
    text = record["response_body"]
    response = HttpResponse(record["status"], record["response_headers"], text.encode())
    error: LLMError = corpus.dialect(record).decode_error(response, json.loads(text), corpus.endpoint(record))
    return error
