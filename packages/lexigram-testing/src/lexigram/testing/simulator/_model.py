"""The model: makes an answer of what the script says and cuts it to what the question allows."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any

from lexigram.testing.simulator._schema import example
from lexigram.testing.simulator._tokens import split
from lexigram.testing.simulator._values import (
    Answer,
    Call,
    Choice,
    Counts,
    Failure,
    FinishReason,
    Generation,
    Question,
    Refused,
)
from lexigram.testing.simulator._words import letters, words

__all__ = ["generate", "seed_of"]


def generate(
    question: Question,
    answer: Answer,
    *,
    seed: int,
    id: str,
    created: int,
    input_tokens: int,
    call_id: Callable[[str], str],
) -> Generation:
    """Return what goes over the wire: the same for the same seed, question and answer, but for ``id`` and ``created``.

    Args:
        question: what was asked.
        answer: what shall be answered.
        seed: the simulator's.
        id: 24 letters and digits, unique to the request.
        created: Unix time in seconds.
        input_tokens: the question's.
        call_id: writes the wire's id of a call with these 24 letters and digits.
    """
    source = seed_of(seed, question)
    choices = tuple([_choice(question, answer, source, i, call_id) for i in range(question.choices)])
    reasoning = sum(len(c.thinking) for c in choices)
    output = reasoning + sum(len(c.text) + len(c.refusal) + sum(map(len, c.arguments)) for c in choices)
    usage = answer.usage or Counts(input_tokens, output, reasoning)
    return Generation(id, created, choices, usage)


def seed_of(seed: int, question: Question) -> str:
    """Return what all of a question's chance hangs on: neither its wire nor whether it is streamed."""
    asked = (
        question.model,
        [(t.role, t.text, [(r.text,) for r in t.results]) for t in question.turns],
        [t.name for t in question.tools],
        question.tool_choice,
        question.schema,
    )
    text = json.dumps(asked, sort_keys=True, default=str)
    return f"{seed}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _choice(question: Question, answer: Answer, source: str, index: int, call_id: Callable[[str], str]) -> Choice:
    random = Random(f"{source}:{index}")  # noqa: S311 - nothing secret hangs on it
    text, thinking, calls = answer.text, answer.thinking, answer.tool_calls
    if thinking is None:
        thinking = words(random, random.randint(8, 40)) if question.thinking else ""
    if text is None and not calls and answer.refusal is None:
        calls = _demanded_calls(question, random)
        if not calls:
            text = _made_up(question, answer.tokens, random)
    calls = tuple([c if c.id else replace(c, id=call_id(letters(random, 24))) for c in calls])
    arguments = [c.arguments if isinstance(c.arguments, str) else _json(dict(c.arguments)) for c in calls]
    text, stop = _stopped(text or "", question.stop)
    whole = Choice(
        index,
        split(text),
        split(thinking),
        () if stop else calls,
        () if stop else tuple([split(a) for a in arguments]),
        split(answer.refusal or ""),
        answer.finish_reason or _finish(stop, bool(calls), answer.refusal is not None),
        stop,
    )
    return _shortened(whole, question.max_tokens)


def _demanded_calls(question: Question, random: Random) -> tuple[Call, ...]:
    """Return the call that the question leaves no way around; its answer once the tool has given its result."""
    if not question.tools or question.tool_choice in ("auto", "none"):
        return ()
    named = [t for t in question.tools if t.name == question.tool_choice]
    tool = random.choice(named or list(question.tools))
    arguments = _conforming({"type": "object", **tool.parameters}, random, f"the parameters of {tool.name!r}")
    return (Call(tool.name, arguments),)


def _made_up(question: Question, tokens: int | None, random: Random) -> str:
    if question.schema is not None:
        return _json(_conforming(question.schema, random, "the answer's schema"))
    return words(random, tokens or random.randint(8, 60))


def _conforming(schema: Mapping[str, Any], random: Random, what: str) -> Any:
    try:
        return example(schema, random)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, re.error) as error:
        raise Refused(Failure("invalid_request", f"the simulator can make nothing for {what}: {error}")) from None


def _stopped(text: str, stops: tuple[str, ...]) -> tuple[str, str | None]:
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop


def _finish(stop: str | None, calls: bool, refused: bool) -> FinishReason:
    if stop is not None:
        return "stop_sequence"
    if refused:
        return "refusal"
    return "tool_calls" if calls else "stop"


def _shortened(choice: Choice, most: int | None) -> Choice:
    """Cut a choice at its token limit; a call that does not fit is left out, with all after it."""
    if most is None:
        return choice
    thinking, left = choice.thinking[:most], max(most - len(choice.thinking), 0)
    refusal, left = choice.refusal[:left], max(left - len(choice.refusal), 0)
    text, left = choice.text[:left], max(left - len(choice.text), 0)
    kept = 0
    for tokens in choice.arguments:
        if len(tokens) > left:
            break
        left -= len(tokens)
        kept += 1
    short = replace(
        choice,
        thinking=thinking,
        refusal=refusal,
        text=text,
        calls=choice.calls[:kept],
        arguments=choice.arguments[:kept],
    )
    return short if short == choice else replace(short, finish_reason="length", stop=None)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
