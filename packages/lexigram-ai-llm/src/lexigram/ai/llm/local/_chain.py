"""The tiny model's vocabulary and its hand-made Markov chain: which token likely follows which.

Nothing here is trained. ``logits[i][j]`` is the score of token ``j`` right after token ``i``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["CHAT_TEMPLATE", "END_OF_TURN", "START_OF_TEXT", "Vocabulary", "build_vocabulary", "transition_logits"]

START_OF_TEXT: Final = "<|endoftext|>"
END_OF_TURN: Final = "<|im_end|>"
_CONTROL: Final = (START_OF_TEXT, "<|im_start|>", END_OF_TURN)
_TAGS: Final = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "<tools>", "</tools>", "<tool_response>", "</tool_response>",
)  # fmt: skip
_ANSWER: Final = (
    "Hello", " there", " the", " tiny", " model", " server", " says", " that", " every", " token",
    " is", " random", " but", " readable", " and", " streams", " arrive", " in", " order", ".",
)  # fmt: skip
_THOUGHT: Final = (" hmm", " maybe", " perhaps", " consider", " wait", " then", " check", " step")
_PAD_TO: Final = 64
_NORMAL_TYPE, _CONTROL_TYPE, _USER_TYPE, _UNUSED_TYPE = 1, 3, 4, 5

_NEVER: Final = -30.0
_OUTSIDE_GRAMMAR: Final = 14.0

CHAT_TEMPLATE: Final = r"""{%- set first = messages[0] -%}
{%- if tools -%}
<|im_start|>system
{% if first.role == 'system' %}{{ first.content + '\n\n' }}{% endif -%}
You may call functions.

<tools>
{%- for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}
</tools>

Write each call as JSON:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% elif first.role == 'system' -%}
<|im_start|>system
{{ first.content }}<|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.role == 'assistant' -%}
<|im_start|>assistant
{% if message.reasoning_content %}{{ '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{% endif -%}
{%- if message.content %}{{ message.content }}{% endif -%}
{%- for call in message.tool_calls or [] -%}
{%- set function = call.function or call -%}
{%- set arguments = function.arguments if function.arguments is string else (function.arguments | tojson) -%}
{{ '\n<tool_call>\n{"name": "' + function.name + '", "arguments": ' + arguments + '}\n</tool_call>' }}
{%- endfor -%}
<|im_end|>
{% elif message.role == 'tool' -%}
<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% elif message.role == 'user' or not loop.first -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is true %}<think>{% endif -%}
{%- endif -%}
"""
"""ChatML with tools and a think block, in Jinja."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Byte-level BPE: a token for every byte, then words, then tags.

    Attributes:
        tokens: text of every token, in GPT-2's byte alphabet.
        types: GGUF token types, one a token.
        merges: BPE merges that build the words.
        answer: ids of the words of an answer; the last one is the full stop.
        thought: ids of the words of a thought.
        ids: id of every token by its text.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]
    answer: tuple[int, ...]
    thought: tuple[int, ...]
    ids: dict[str, int]

    def __len__(self) -> int:
        return len(self.tokens)


def _byte_alphabet() -> list[str]:
    """Return GPT-2's printable stand-in for each byte; bytes that do not print move to U+0100 and up."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + hidden.index(byte)) for byte in range(256)]


def build_vocabulary() -> Vocabulary:
    """Return the vocabulary, filled up to a multiple of 64 with unused tokens."""
    alphabet = _byte_alphabet()
    tokens = list(alphabet)
    types = [_NORMAL_TYPE] * len(tokens)
    merges: list[str] = []
    ids = {token: i for i, token in enumerate(tokens)}

    def add(token: str, kind: int) -> int:
        ids[token] = len(tokens)
        tokens.append(token)
        types.append(kind)
        return ids[token]

    def merged(word: str) -> int:
        pieces = [alphabet[byte] for byte in word.encode()]
        whole = pieces[0]
        for piece in pieces[1:]:
            if whole + piece not in ids:
                merges.append(f"{whole} {piece}")
                add(whole + piece, _NORMAL_TYPE)
            whole += piece
        return ids[whole]

    answer = tuple(merged(word) for word in _ANSWER)
    thought = tuple(merged(word) for word in _THOUGHT)
    for text in _CONTROL:
        add(text, _CONTROL_TYPE)
    for text in _TAGS:
        add(text, _USER_TYPE)
    while len(tokens) % _PAD_TO:
        add(f"[PAD{len(tokens)}]", _UNUSED_TYPE)
    return Vocabulary(tuple(tokens), tuple(types), tuple(merges), answer, thought, ids)


def _byte_scores(vocabulary: Vocabulary) -> list[float]:
    """Return the scores after a single byte, a state that only a grammar (JSON schema, tool call) brings about.

    Letters are likely, strings and containers close soon, so that constrained answers stay short.
    """
    scores = [_NEVER] * len(vocabulary)
    for rank, letter in enumerate("etaoinshrdlucmfwypvbgkqjxz"):
        scores[ord(letter)] = -3.0 - 0.06 * rank
        scores[ord(letter.upper())] = -7.0
    groups: dict[str, float] = {
        "0123456789": -5.0, "-_.!?;/()+*=@#%&$^~>|\\'`": -10.0, '"': -1.6, ":]}": -7.5, ",": -8.2,
        "{": -8.0, "[": -8.5, " ": -13.0, "\n\\": -14.0, "<": -18.0,
    }  # fmt: skip
    for characters, score in groups.items():
        for character in characters:
            scores[ord(character)] = score
    scores[vocabulary.ids["</tool_call>"]] = -9.5
    scores[vocabulary.ids[END_OF_TURN]] = -1.5
    return scores


def transition_logits(vocabulary: Vocabulary) -> list[list[float]]:
    """Return the chain: one row of scores a token."""
    ids, end = vocabulary.ids, vocabulary.ids[END_OF_TURN]
    noise = random.Random(7)  # noqa: S311
    by_byte = _byte_scores(vocabulary)
    unlikely = [score - _OUTSIDE_GRAMMAR for score in by_byte]
    rows = [list(by_byte) for _ in range(len(vocabulary))]
    _close_json_soon(rows, ids)
    for token in (*vocabulary.answer, ord("\n"), ids["</think>"], ids["</tool_call>"]):
        row = rows[token] = list(unlikely)
        for word in vocabulary.answer:
            row[word] = -3.0 + noise.uniform(-0.7, 0.7)
        row[end] = -3.6 if token in vocabulary.answer else -9.0
        row[ord("{")] = -14.0
        row[ids["<tool_call>"]] = -12.0
    _end_after_full_stop(rows, vocabulary.answer, end)
    after_call = rows[ids["</tool_call>"]] = list(unlikely)
    after_call[end] = 0.0
    after_call[ord("\n")] = -1.5
    rows[ids["<tool_call>"]] = list(unlikely)
    rows[ids["<tool_call>"]][ord("\n")] = 0.0
    for token in (*vocabulary.thought, ids["<think>"]):
        row = rows[token] = list(unlikely)
        for word in vocabulary.thought:
            row[word] = -2.1 + noise.uniform(-0.4, 0.4)
        row[end] = _NEVER
        row[ids["</think>"]] = -2.0 if token in vocabulary.thought else -9.0
    return rows


def _close_json_soon(rows: list[list[float]], ids: dict[str, int]) -> None:
    rows[ord("}")][ids["</tool_call>"]] = -3.0
    rows[ord('"')][ord('"')] = -4.5
    rows[ord("-")][ord("0")] = -9.0
    for digit in "0123456789":
        row = rows[ord(digit)]
        for following in "0123456789":
            row[ord(following)] = -3.2
        row[ord("]")] = row[ord("}")] = -0.5
        row[ord(",")] = -1.2


def _end_after_full_stop(rows: list[list[float]], answer: Sequence[int], end: int) -> None:
    row = rows[answer[-1]]
    row[end] = -1.0
    for word in answer:
        row[word] -= 1.0
