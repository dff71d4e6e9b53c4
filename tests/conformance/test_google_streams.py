"""A recorded stream gives the same chunks however its bytes are cut, and a cut-off one never looks finished."""

import json
import random
from typing import Any

import google_corpus as corpus
import pytest

from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


def _outcome(pieces: list[bytes], record: dict[str, Any]) -> Any:
    try:
        chunks, state = corpus.drive(pieces, corpus.endpoint(record))
    except LLMError as error:
        return type(error), error.message
    return chunks, state.finished


@pytest.mark.parametrize("api", corpus.GENERATE)
def test_chunks_are_the_same_at_seeded_random_cuts(api: str) -> None:
    for record in corpus.streams(api):
        body = record["response_body"].encode()
        whole = _outcome([body], record)
        cuts = sorted(random.Random(record["id"]).sample(range(len(body)), min(len(body), 20)))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert _outcome(pieces, record) == whole, record["id"]


def test_core_streams_give_the_same_chunks_one_byte_at_a_time() -> None:
    found = [r for api in corpus.GENERATE for r in corpus.streams(api) if r["id"] in corpus.core_ids()]
    assert found
    for record in found:
        body = record["response_body"].encode()
        assert _outcome([bytes([b]) for b in body], record) == _outcome([body], record), record["id"]


@pytest.mark.parametrize("api", corpus.GENERATE)
def test_a_prefix_is_unfinished_before_the_finish_and_its_text_is_a_prefix(api: str) -> None:
    for record in corpus.streams(api):
        body = record["response_body"].encode()
        whole, full = _outcome([body], record), CompletionFold()
        for chunk in whole[0]:
            full.add(chunk)
        finish = body.find(b'"finishReason"')
        rng = random.Random(record["id"])
        for end in sorted(rng.sample(range(len(body)), min(len(body), 15))):
            try:
                chunks, state = corpus.drive([body[:end]], corpus.endpoint(record))
            except (LLMError, json.JSONDecodeError):
                continue  # half an event at the end of the input: the engine says that the stream was cut
            assert not state.finished or end > finish, record["id"]
            partial = CompletionFold()
            for chunk in chunks:
                partial.add(chunk)
            assert full.completion().content.startswith(partial.completion().content), record["id"]
            if not state.finished:
                assert not partial.finished
