"""The recorded exchanges of the Chat Completions wire: where they are, which are in scope, how a stream is driven.

The recordings are not part of the repository. They are looked for in ``LEXIGRAM_RECORDINGS``, else beside the
checkout; without them the tests skip.
"""

from __future__ import annotations

import functools
import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lexigram.ai.llm.framing import SSEDecoder
from lexigram.ai.openai import chat
from lexigram.contracts.ai.completion import StreamChunk
from lexigram.contracts.wire import Endpoint

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = Path(os.environ.get("LEXIGRAM_RECORDINGS", ROOT.parent / "shared" / "recordings" / "dev"))
SPECS = Path(os.environ.get("LEXIGRAM_SPECS", ROOT.parent / "shared" / "specs"))
NO_RECORDINGS = f"no recordings in {RECORDINGS}; set LEXIGRAM_RECORDINGS"

OUT_OF_SCOPE = {
    "cohere.v1.chat": "Cohere's own v1 wire: another dialect",
    "cohere.v2.chat": "Cohere's own v2 wire: cohere_wire",
    "ollama.chat": "Ollama's native wire: ollama_wire",
}
EXCLUDED = {
    "ed80480d0aec6bc2": "the body is a test server's echo of the request line, no answer of any kind",
}


def available() -> bool:
    return RECORDINGS.is_dir()


def apis() -> list[str]:
    """The files in scope, by API: those whose last word is ``chat`` or ``openai_chat``."""
    names = sorted(p.name.removesuffix(".jsonl.gz") for p in RECORDINGS.glob("*chat.jsonl.gz")) if available() else []
    return [n for n in names if n not in OUT_OF_SCOPE]


def records(api: str) -> list[dict[str, Any]]:
    with gzip.open(RECORDINGS / f"{api}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@functools.cache
def core_ids() -> frozenset[str]:
    index = json.loads((RECORDINGS / "INDEX.json").read_text(encoding="utf-8"))
    return frozenset(index["core"])


def endpoint(record: dict[str, Any]) -> Endpoint:
    return Endpoint(record["provider"], "https://host.invalid/v1")


def events(record: dict[str, Any]) -> Iterator[tuple[str | None, Any]]:
    """The events of a stream as JSON, ``[DONE]`` left out."""
    decoder = SSEDecoder()
    for name, data in [*decoder.feed(record["response_body"].encode()), *decoder.flush()]:
        if data.strip() == b"[DONE]":
            return
        yield name, json.loads(data)


def drive(pieces: Iterable[bytes], where: Endpoint, dialect: Any = chat) -> tuple[list[StreamChunk], Any]:
    """Decode a stream from its bytes, cut anyhow, as the engine does."""
    decoder, state, out = SSEDecoder(), dialect.new_stream_state(where), []

    def take(found: list[tuple[str | None, bytes]]) -> None:
        for name, data in found:
            if state.closed:
                return
            if data.strip() == b"[DONE]":
                state.finished = state.closed = True
                return
            out.extend(dialect.decode_event(name, json.loads(data), state))

    for piece in pieces:
        take(decoder.feed(piece))
    take(decoder.flush())
    return out, state
