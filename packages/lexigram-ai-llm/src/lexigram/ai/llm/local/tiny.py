"""The tiny synthetic model: a GGUF file of the llama architecture, made here in a moment and without a download.

It knows nothing. It answers with a few readable words and stops by itself, thinks when the chat template opens a
think block, calls a tool when the prompt lists some and answers after a tool's result, and closes JSON quickly under a
grammar: all that is needed to exercise a real inference server.

How: the residual stream carries a one-hot code of the current token and the output matrix holds the scores of the
chain in :mod:`._chain`; attention and feed-forward hold faint noise, but for two attention heads that look
for ``<tools>`` and ``<tool_response>`` in the context and raise or lower the score of ``<tool_call>``.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import tempfile
from array import array
from pathlib import Path
from typing import Final

from lexigram.ai.llm.local._chain import (
    CHAT_TEMPLATE,
    END_OF_TURN,
    START_OF_TEXT,
    Vocabulary,
    build_vocabulary,
    transition_logits,
)
from lexigram.ai.llm.local._gguf import Tensor, Value, encode_gguf
from lexigram.contracts.ai.errors import LLMConfigurationError

__all__ = ["TINY_MODEL_NAME", "build_tiny_model", "ensure_tiny_model"]

TINY_MODEL_NAME: Final = "lexigram-tiny-synthetic"
"""What the file's own metadata says it is."""

RECIPE: Final = "eb18d84693ce"
"""The first digits of the file's SHA-256; they stand in its name, so that a changed recipe makes a new file."""

_CONTEXT: Final = 131_072
_HEAD: Final = 64
_FEED_FORWARD: Final = 64
_EPSILON: Final = 1e-6
_SHIFT_SIZE: Final = 0.5
_SHIFTS: Final = (("<tools>", "<tool_call>", 11.0), ("<tool_response>", "<tool_call>", -14.0))
"""Trigger in the context, token whose score it shifts, and by how much."""


def ensure_tiny_model(cache_dir: Path | None = None) -> Path:
    """Return the path of the tiny model, making the file if it is not there or not whole.

    Safe when several processes do it at once: each writes a file of its own and renames it into place.

    Args:
        cache_dir: the folder; ``$XDG_CACHE_HOME/lexigram`` or ``~/.cache/lexigram`` when None.

    Raises:
        LLMConfigurationError: if the folder cannot be written.
    """
    folder = cache_dir if cache_dir is not None else _default_cache_dir()
    path = folder / f"lexigram-tiny-{RECIPE}.gguf"
    try:
        if not _is_whole(path):
            folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(path, build_tiny_model())
    except OSError as error:
        raise LLMConfigurationError(
            f"the tiny model cannot be written to {folder}: {error.strerror or error}",
            provider="llamacpp",
            hint="name a folder that can be written: set XDG_CACHE_HOME or the setting cache_dir",
        ) from error
    return path


def build_tiny_model() -> bytes:
    """Return the file's bytes; they are the same every time and on every machine."""
    vocabulary = build_vocabulary()
    return encode_gguf(_metadata(vocabulary), _tensors(vocabulary))


def _default_cache_dir() -> Path:
    from lexigram.config import read_env

    base = read_env("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lexigram"


def _is_whole(path: Path) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest().startswith(RECIPE)
    except FileNotFoundError:
        return False


def _write_atomically(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _metadata(vocabulary: Vocabulary) -> dict[str, Value]:
    size = len(vocabulary)
    return {
        "general.architecture": "llama",
        "general.name": TINY_MODEL_NAME,
        "general.description": "Synthetic weights without knowledge, for tests and demonstrations.",
        "general.file_type": 0,
        "llama.block_count": 1,
        "llama.context_length": _CONTEXT,
        "llama.embedding_length": size,
        "llama.feed_forward_length": _FEED_FORWARD,
        "llama.attention.head_count": size // _HEAD,
        "llama.attention.head_count_kv": size // _HEAD,
        "llama.attention.layer_norm_rms_epsilon": _EPSILON,
        "llama.rope.dimension_count": _HEAD,
        "llama.vocab_size": size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": vocabulary.types,
        "tokenizer.ggml.merges": vocabulary.merges,
        "tokenizer.ggml.bos_token_id": vocabulary.ids[START_OF_TEXT],
        "tokenizer.ggml.eos_token_id": vocabulary.ids[END_OF_TURN],
        "tokenizer.ggml.padding_token_id": vocabulary.ids[START_OF_TEXT],
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHAT_TEMPLATE,
    }


class _Noise:
    """Faint weights, the same in every file."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def __call__(self, count: int, amplitude: float) -> array[float]:
        draw, width = self._random.random, 2 * amplitude
        return array("f", [width * draw() - amplitude for _ in range(count)])


def _tensors(vocabulary: Vocabulary) -> list[Tensor]:
    size = len(vocabulary)
    scale = math.sqrt(size)
    embedding, output = _zeros(size * size), _zeros(size * size)
    for token, row in enumerate(transition_logits(vocabulary)):
        embedding[token * size + token] = 1.0
        output[token::size] = array("f", [score / scale for score in row])
    noise = _Noise(1)
    query, key, value = (noise(size * size, 0.005) for _ in range(3))
    merge = noise(size * size, 0.001)
    for head, (trigger, target, shift) in enumerate(_SHIFTS):
        axis = size - 1 - head  # the axis of a padding token, which no text ever uses
        _wire_head(head, vocabulary.ids[trigger], axis, query, key, value, merge, size)
        embedding[axis * size + axis] = 0.0
        output[axis::size] = _zeros(size)
        gain = shift / _SHIFT_SIZE / scale * math.sqrt(1 + _SHIFT_SIZE**2)  # undoes the norm's effect of the shift
        output[vocabulary.ids[target] * size + axis] = gain
    square, ones = (size, size), array("f", [1.0]) * size
    return [
        Tensor("token_embd.weight", square, embedding),
        Tensor("output_norm.weight", (size,), ones),
        Tensor("output.weight", square, output),
        Tensor("blk.0.attn_norm.weight", (size,), ones),
        Tensor("blk.0.attn_q.weight", square, query),
        Tensor("blk.0.attn_k.weight", square, key),
        Tensor("blk.0.attn_v.weight", square, value),
        Tensor("blk.0.attn_output.weight", square, merge),
        Tensor("blk.0.ffn_norm.weight", (size,), ones),
        Tensor("blk.0.ffn_gate.weight", (size, _FEED_FORWARD), noise(size * _FEED_FORWARD, 0.01)),
        Tensor("blk.0.ffn_up.weight", (size, _FEED_FORWARD), noise(size * _FEED_FORWARD, 0.01)),
        Tensor("blk.0.ffn_down.weight", (_FEED_FORWARD, size), noise(size * _FEED_FORWARD, 0.001)),
    ]


def _zeros(count: int) -> array[float]:
    return array("f", bytes(4 * count))


def _wire_head(
    head: int,
    trigger: int,
    axis: int,
    query: array[float],
    key: array[float],
    value: array[float],
    merge: array[float],
    size: int,
) -> None:
    """Make one attention head add ``_SHIFT_SIZE`` on ``axis`` wherever ``trigger`` stands earlier in the context.

    It matches on the last rotary pair, which hardly turns with distance.
    """
    first = head * _HEAD * size
    match = first + (_HEAD - 2) * size
    strength = math.sqrt(25.0 * math.sqrt(_HEAD) / size)
    value[first : first + _HEAD * size] = _zeros(_HEAD * size)
    query[match : match + size] = array("f", [strength]) * size
    key[match : match + size] = _zeros(size)
    key[match + trigger] = strength
    value[first + trigger] = 1.0 / math.sqrt(size)
    merge[head * _HEAD :: size] = _zeros(size)
    merge[axis * size + head * _HEAD] = _SHIFT_SIZE
