"""Every recorded exchange of the Messages wire decodes to what the official SDK reads; errors are typed."""

import json
import random
import re
from typing import Any

import messages_corpus as corpus
import pytest
from messages_check import check, decode_error

from lexigram.contracts.ai import errors
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)

BY_STATUS = {
    400: errors.InvalidRequestError,
    401: errors.LLMAuthenticationError,
    404: errors.InvalidRequestError,
    429: errors.LLMRateLimitError,
    529: errors.ProviderOverloadedError,
}
# What a body says beyond its status, as somebody who reads the message would file it.
BY_BODY = (
    (400, r"prompt is too long", errors.TokenLimitError),
    (400, r"credit balance is too low", errors.LLMQuotaExceededError),
    (404, r'"model: ', errors.ModelNotFoundError),
)


@pytest.mark.parametrize("api", corpus.apis())
def test_every_answer_decodes_and_equals_the_oracles_reading(api: str) -> None:
    seen, different = 0, []
    for record in corpus.records(api):
        if record["status"] is None or record["status"] >= 300:
            continue
        outcome = check(record)
        seen += 1
        if outcome.kind == "different":
            different.append(f"{record['id']}: {outcome.reason}")
    assert seen
    assert not different, "\n".join(different)


@pytest.mark.parametrize("api", corpus.apis())
def test_every_error_reply_becomes_the_right_leaf_with_the_providers_words(api: str) -> None:
    for record in corpus.records(api):
        status, text = record["status"], record["response_body"]
        if status is None or status < 400:
            continue
        error = decode_error(record)
        where = f"{record['id']} {text[:200]}"
        expected = next((cls for code, words, cls in BY_BODY if code == status and re.search(words, text)), None)
        assert type(error) is (expected or BY_STATUS[status]), where
        body = json.loads(text)
        assert (error.status, error.provider, error.message) == (status, record["provider"], body["error"]["message"])
        given = record["response_headers"].get("request-id") or body.get("request_id")
        assert error.request_id == given, where
        assert error.retryable is False, where


# -- streams


def _streams(api: str) -> list[dict[str, Any]]:
    return [r for r in corpus.records(api) if r["status"] == 200 and r["streaming"]]


def _core() -> list[dict[str, Any]]:
    found = [r for api in corpus.apis() for r in _streams(api) if r["id"] in corpus.core_ids()]
    return [r for r in found if len(r["response_body"]) < 60_000]


def _outcome(pieces: list[bytes], record: dict[str, Any]) -> Any:
    chunks, state = corpus.drive(pieces, corpus.endpoint(record))
    return chunks, state.finished


@pytest.mark.parametrize("api", [a for a in corpus.apis() if not a.endswith("count_tokens")])
def test_chunks_are_the_same_at_seeded_random_cuts(api: str) -> None:
    for record in _streams(api):
        body = record["response_body"].encode()
        whole = _outcome([body], record)
        assert whole[1], record["id"]
        cuts = sorted(random.Random(record["id"]).sample(range(len(body)), min(len(body), 20)))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert _outcome(pieces, record) == whole, record["id"]


def test_core_streams_give_the_same_chunks_one_byte_at_a_time() -> None:
    found = _core()
    assert len(found) > 10
    for record in found:
        body = record["response_body"].encode()
        assert _outcome([bytes([b]) for b in body], record) == _outcome([body], record), record["id"]


def test_no_prefix_of_a_stream_looks_finished_or_fails_otherwise() -> None:
    for record in _core():
        body = record["response_body"].encode()
        end = body.find(b"message_stop", body.find(b"event: message_stop") + 20)
        chunks, _ = _outcome([body], record)
        full = CompletionFold()
        for chunk in chunks:
            full.add(chunk)
        for cut in random.Random(record["id"]).sample(range(end), min(end, 25)):
            try:
                made, finished = _outcome([body[:cut]], record)
            except (LLMError, json.JSONDecodeError):
                continue  # the engine takes half an event at the end of the input for a cut stream
            assert not finished, record["id"]
            partial = CompletionFold()
            for chunk in made:
                partial.add(chunk)
            assert full.completion().content.startswith(partial.completion().content), record["id"]


def test_there_are_streams_and_errors_to_look_at() -> None:
    statuses = {r["status"] for api in corpus.apis() for r in corpus.records(api)}
    assert {200, 400, 401, 404} <= statuses
    assert sum(len(_streams(api)) for api in corpus.apis()) > 300
