"""One recorded exchange through the dialect, held against the oracle: what came of it, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import chat_corpus as corpus
import chat_oracle as oracle

from lexigram.ai.openai import chat
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.wire import HttpResponse


@dataclass
class Outcome:
    """``kind``: equal, plain (equal to the plain reading, the SDK being unfit), error, excluded, or different."""

    kind: str
    reason: str = ""


def read_ours(completion: Completion) -> list[tuple[oracle.Choice, Completion]]:
    out = []
    for made in (completion, *completion.alternatives):
        calls = [(c.id or None, c.name, c.raw_arguments) for c in made.tool_calls]
        out.append((oracle.Choice(made.content, made.refusal or "", calls, made.raw_finish_reason), made))
    return out


def decode(record: dict[str, Any]) -> Completion:
    where = corpus.endpoint(record)
    if not record["streaming"]:
        return chat.decode_response(json.loads(record["response_body"]), where)
    chunks, state = corpus.drive([record["response_body"].encode()], where)
    assert state.finished, "the stream is whole and the dialect does not say so"
    fold = CompletionFold(provider=where.provider)
    for chunk in chunks:
        fold.add(chunk)
    return fold.completion()


def differences(ours: Completion, theirs: oracle.Reading) -> list[str]:
    found: list[str] = []
    read = read_ours(ours)
    if len(read) != len(theirs.choices):
        return [f"choices: {len(read)} != {len(theirs.choices)}"]
    for at, index in enumerate(sorted(theirs.choices)):
        mine, its = read[at][0], theirs.choices[index]
        for name in ("text", "refusal", "finish"):
            if getattr(mine, name) != getattr(its, name):
                found.append(f"{name}[{index}]: {getattr(mine, name)!r} != {getattr(its, name)!r}")
        if len(mine.calls) != len(its.calls):
            found.append(f"calls[{index}]: {mine.calls} != {its.calls}")
        for (my_id, my_name, my_args), (its_id, its_name, its_args) in zip(mine.calls, its.calls, strict=False):
            if my_name != its_name or my_args != its_args or (its_id is not None and my_id != its_id) or not my_id:
                found.append(f"call[{index}]: {(my_id, my_name, my_args)} != {(its_id, its_name, its_args)}")
    return found + _usage_differences(ours, theirs.usage)


def _usage_differences(ours: Completion, usage: tuple[int | None, int | None, int | None] | None) -> list[str]:
    mine = ours.usage
    if usage is None:
        return [] if mine.source == "unknown" else [f"usage: {mine} where there is none"]
    given, output, total = usage
    if total is None and given is not None and output is not None:
        total = given + output
    if mine.reasoning_tokens and given is not None and output is not None and given + output != total:
        # xAI counts reasoning beside the completion; Lexigram's output includes it, and the total proves it.
        output += mine.reasoning_tokens
    got = (mine.input_tokens, mine.output_tokens, mine.total_tokens)
    return [] if got == (given, output, total) else [f"usage: {got} != {(given, output, total)}"]


def reported_error(payloads: list[Any], names: list[str | None]) -> bool:
    """Whether the exchange itself reports an error inside its 200: read off the JSON."""
    for payload, name in zip(payloads, names, strict=True):
        if name == "error" or payload.get("error") or any(c.get("error") for c in payload.get("choices") or []):
            return True
    return False


def check(record: dict[str, Any], *, sdk_state: bool = False) -> Outcome:
    """Hold one 2xx exchange against the oracle."""
    if record["id"] in corpus.EXCLUDED:
        return Outcome("excluded", corpus.EXCLUDED[record["id"]])
    stream = record["streaming"]
    if stream:
        found = list(corpus.events(record))
        names, payloads = [n for n, _ in found], [p for _, p in found]
    else:
        names, payloads = [None], [json.loads(record["response_body"])]
    try:
        ours = decode(record)
    except LLMError as error:
        if reported_error(payloads, names):
            return Outcome("error", f"the 200 reports an error: {type(error).__name__}")
        return Outcome("different", f"{type(error).__name__}: {error.message}")
    if reported_error(payloads, names):
        return Outcome("different", "the 200 reports an error and none was raised")
    unfit = oracle.sdk_unfit(payloads, stream=stream)
    if unfit is not None:
        theirs = oracle.plain_stream(payloads) if stream else oracle.plain_body(payloads[0])
    elif stream:
        theirs = oracle.sdk_stream_state(payloads) if sdk_state else oracle.sdk_stream(payloads)
    else:
        theirs = oracle.sdk_body(payloads[0])
    wrong = differences(ours, theirs)
    thoughts = oracle.plain_thinking(payloads, stream=stream)
    for (_, made), index in zip(read_ours(ours), sorted(theirs.choices), strict=False):
        if (made.thinking or "") != thoughts.get(index, ""):
            wrong.append(f"thinking[{index}]: {made.thinking!r} != {thoughts.get(index)!r}")
    if wrong:
        return Outcome("different", "; ".join(wrong)[:600])
    return Outcome("equal") if unfit is None else Outcome("plain", unfit)


def decode_error(record: dict[str, Any]) -> LLMError:
    text = record["response_body"]
    try:
        body: Any = json.loads(text)
    except ValueError:
        body = text
    response = HttpResponse(record["status"], record["response_headers"], text.encode())
    return chat.decode_error(response, body, corpus.endpoint(record))
