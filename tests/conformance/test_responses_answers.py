"""Every recorded 2xx exchange of the Responses wire decodes and says what the official SDK reads; errors are typed."""

import json
import random
from typing import Any

import pytest
import responses_corpus as corpus
from responses_check import check, decode_error

from lexigram.ai.openai import responses
from lexigram.contracts.ai import errors
from lexigram.contracts.ai.fold import CompletionFold

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


@pytest.mark.parametrize("api", corpus.apis())
def test_every_answer_decodes_and_equals_the_oracles_reading(api: str) -> None:
    seen, different = 0, []
    for record in corpus.records(api):
        if corpus.is_error(record):
            continue
        outcome = check(record)
        seen += 1
        if outcome.kind == "different":
            different.append(f"{record['id']}: {outcome.reason}")
    assert seen
    assert not different, "\n".join(different)


BY_STATUS = {
    None: errors.InvalidRequestError,
    400: errors.InvalidRequestError,
    401: errors.LLMAuthenticationError,
}


@pytest.mark.parametrize("api", corpus.apis())
def test_every_error_reply_becomes_the_right_leaf_with_the_providers_words(api: str) -> None:
    for record in corpus.records(api):
        if not corpus.is_error(record):
            continue
        error, body = decode_error(record), json.loads(record["response_body"])
        inner = body.get("error", body)
        said = inner if isinstance(inner, str) else inner.get("message") or inner.get("detail")
        gone = "does not exist" in said or "Model not found" in said or "model_not_found" in record["response_body"]
        assert type(error) is (errors.ModelNotFoundError if gone else BY_STATUS[record["status"]]), record["id"]
        assert error.message.startswith(said[:30]), record["id"]
        assert error.request_id == record["response_headers"].get("x-request-id"), record["id"]


# -- streams


def _streams(api: str) -> list[dict[str, Any]]:
    return [r for r in corpus.records(api) if r["status"] == 200 and r["streaming"]]


def _core() -> list[dict[str, Any]]:
    found = [r for api in corpus.apis() for r in _streams(api) if r["id"] in corpus.core_ids()]
    return [r for r in found if len(r["response_body"]) < 60_000]


def _outcome(pieces: list[bytes], record: dict[str, Any]) -> Any:
    try:
        chunks, state = corpus.drive(pieces, corpus.endpoint(record))
    except errors.LLMError as error:
        return type(error), error.message
    return chunks, state.finished


@pytest.mark.parametrize("api", [a for a in corpus.apis() if _streams(a)])
def test_chunks_are_the_same_at_seeded_random_cuts(api: str) -> None:
    for record in _streams(api):
        body = record["response_body"].encode()
        cuts = sorted(random.Random(record["id"]).sample(range(len(body)), min(len(body), 12)))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert _outcome(pieces, record) == _outcome([body], record), record["id"]


def test_core_streams_give_the_same_chunks_one_byte_at_a_time() -> None:
    found = _core()
    assert len(found) > 8
    for record in found:
        body = record["response_body"].encode()
        assert _outcome([bytes([b]) for b in body], record) == _outcome([body], record), record["id"]


def test_no_prefix_of_a_stream_looks_finished_and_its_text_is_a_prefix() -> None:
    checked = 0
    for record in _core():
        where, found = corpus.endpoint(record), list(corpus.events(record))
        state, fold, texts = responses.new_stream_state(where), CompletionFold(), [""]
        try:
            for at, (name, data) in enumerate(found):
                assert not state.finished, (record["id"], at)
                for chunk in responses.decode_event(name, data, state):
                    fold.add(chunk)
                texts.append(fold.completion().content)
        except errors.LLMError:
            continue
        assert state.finished, record["id"]
        assert all(b.startswith(a) for a, b in zip(texts, texts[1:], strict=False)), record["id"]
        checked += 1
    assert checked > 8


def test_the_fold_of_a_stream_is_the_decoding_of_its_final_event() -> None:
    compared = 0
    for record in [r for api in corpus.apis() for r in _streams(api)]:
        events = [e for _, e in corpus.events(record)]
        final = [e["response"] for e in events if e.get("type") in ("response.completed", "response.incomplete")]
        done = {e["item"].get("id") for e in events if e.get("type") == "response.output_item.done"}
        if not final or {i.get("id") for i in final[-1].get("output") or []} != done:
            continue  # the two ends of the stream do not tell of the same items
        items = {e["item"].get("id"): e["item"] for e in events if e.get("type") == "response.output_item.done"}
        if any(items[i.get("id")] != i for i in final[-1]["output"]):
            continue
        whole, ours = responses.decode_response(final[-1], corpus.endpoint(record)), corpus.decode(record)
        for name in ("parts", "finish_reason", "raw_finish_reason", "usage", "id"):
            assert getattr(ours, name) == getattr(whole, name), (record["id"], name)
        compared += 1
    assert compared > 150
