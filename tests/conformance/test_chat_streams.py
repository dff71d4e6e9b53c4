"""A recorded stream gives the same chunks however its bytes are cut, and a cut-off one never looks finished."""

import json
import random
from typing import Any

import chat_corpus as corpus
import pytest

from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


def _streams(api: str) -> list[dict[str, Any]]:
    return [r for r in corpus.records(api) if r["status"] == 200 and r["streaming"]]


def _core() -> list[dict[str, Any]]:
    found = [r for api in corpus.apis() for r in _streams(api) if r["id"] in corpus.core_ids()]
    return [r for r in found if len(r["response_body"]) < 60_000]


def _outcome(pieces: list[bytes], record: dict[str, Any]) -> Any:
    try:
        chunks, state = corpus.drive(pieces, corpus.endpoint(record))
    except LLMError as error:
        return type(error), error.message
    return chunks, state.finished


@pytest.mark.parametrize("api", corpus.apis())
def test_chunks_are_the_same_at_seeded_random_cuts(api: str) -> None:
    for record in _streams(api):
        body = record["response_body"].encode()
        whole = _outcome([body], record)
        cuts = sorted(random.Random(record["id"]).sample(range(len(body)), min(len(body), 20)))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert _outcome(pieces, record) == whole, record["id"]
        if sizes := record.get("chunk_sizes"):
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
            pieces = [body[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
            assert _outcome(pieces, record) == whole, record["id"]


def test_core_streams_give_the_same_chunks_one_byte_at_a_time() -> None:
    found = _core()
    assert len(found) > 30
    for record in found:
        body = record["response_body"].encode()
        assert _outcome([bytes([b]) for b in body], record) == _outcome([body], record), record["id"]


def test_a_stream_cut_before_its_finish_is_unfinished_and_keeps_the_text_so_far() -> None:
    checked = 0
    for record in _core():
        body = record["response_body"].encode()
        first = body.find(b'"finish_reason":"')
        first = first if first >= 0 else body.find(b'"finish_reason": "')
        if first < 0:
            continue
        start = max(body.rfind(b"\n\n", 0, first), body.rfind(b"\r\n\r\n", 0, first))
        if start < 0:
            continue
        prefix = body[: start + 1]
        whole = _outcome([body], record)
        try:
            chunks, state = corpus.drive([prefix], corpus.endpoint(record))
        except LLMError:
            continue
        assert not state.finished, record["id"]
        partial, full = CompletionFold(), CompletionFold()
        for chunk in chunks:
            partial.add(chunk)
        assert not partial.finished, record["id"]
        if isinstance(whole[0], list):
            for chunk in whole[0]:
                full.add(chunk)
            assert full.completion().content.startswith(partial.completion().content), record["id"]
        checked += 1
    assert checked > 25


def test_half_an_event_at_the_end_is_never_taken_for_an_answer() -> None:
    for record in _core()[:40]:
        body = record["response_body"].encode()
        middle = body.rfind(b"data:", 0, len(body) * 2 // 3)
        piece = body[: middle + 12]
        try:
            _, state = corpus.drive([piece], corpus.endpoint(record))
        except (LLMError, json.JSONDecodeError):
            continue
        assert not state.finished or b'"finish_reason"' in piece, record["id"]
