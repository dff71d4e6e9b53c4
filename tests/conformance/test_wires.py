"""Every recorded exchange of a wire decodes to what somebody else reads from it, however its bytes are cut."""

import json
import random
from typing import Any

import chat_corpus as corpus
import pytest
import wire_corpus
from wires import WIRES

from lexigram.contracts.ai.completion import Usage
from lexigram.contracts.ai.errors import DecodeError, LLMError
from lexigram.contracts.ai.fold import CompletionFold

pytestmark = [
    pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS),
    pytest.mark.parametrize("wire", WIRES.values(), ids=WIRES),
]


def _ok(wire: wire_corpus.Wire) -> list[dict[str, Any]]:
    return [r for r in wire.records() if r["status"] is not None and r["status"] < 300]


def _streams(wire: wire_corpus.Wire) -> list[dict[str, Any]]:
    return [r for r in _ok(wire) if r["streaming"]]


def _outcome(wire: wire_corpus.Wire, pieces: list[bytes], record: dict[str, Any]) -> Any:
    try:
        chunks, state = wire_corpus.drive(wire, pieces, wire.endpoint(record))
    except LLMError as error:
        return type(error), error.message
    return chunks, state.finished, state.closed


def test_every_answer_decodes_and_equals_the_oracles_reading(wire: wire_corpus.Wire) -> None:
    found = [(r["id"], *wire_corpus.check(wire, r)) for r in _ok(wire)]
    assert found
    assert [f"{i}: {why}" for i, kind, why in found if kind == "different"] == []


def test_the_exclusions_are_few_and_argued(wire: wire_corpus.Wire) -> None:
    assert len(wire.excluded) <= 2
    assert all(len(why) > 20 for why in wire.excluded.values())


def test_every_error_reply_is_typed_with_the_providers_words(wire: wire_corpus.Wire) -> None:
    for record in wire.records():
        if record["status"] is None or record["status"] < 400:
            continue
        error = wire_corpus.decode_error(wire, record)
        body = json.loads(record["response_body"])
        said = body.get("message") or body.get("detail") or body.get("error")
        assert type(error) is not LLMError, record["id"]
        assert error.status == record["status"], record["id"]
        assert error.message.startswith(said), record["id"]
        headers = record["response_headers"]
        ids = (headers.get("x-request-id"), headers.get("request-id"), headers.get("x-amzn-requestid"), body.get("id"))
        assert error.request_id == next((i for i in ids if i), None), record["id"]


def test_chunks_are_the_same_at_seeded_random_cuts(wire: wire_corpus.Wire) -> None:
    for record in _streams(wire):
        body = wire_corpus.content(record)
        whole = _outcome(wire, [body], record)
        cuts = sorted(random.Random(record["id"]).sample(range(len(body)), min(len(body), 20)))
        pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        assert _outcome(wire, pieces, record) == whole, record["id"]
        if sizes := record.get("chunk_sizes"):
            ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
            pieces = [body[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]
            assert _outcome(wire, pieces, record) == whole, record["id"]


def test_core_streams_give_the_same_chunks_one_byte_at_a_time(wire: wire_corpus.Wire) -> None:
    for record in _streams(wire):
        body = wire_corpus.content(record)
        if record["id"] in corpus.core_ids() and len(body) < 60_000:
            assert _outcome(wire, [bytes([b]) for b in body], record) == _outcome(wire, [body], record), record["id"]


def test_no_prefix_of_a_stream_looks_finished_before_its_end_or_raises_anything_foreign(wire: wire_corpus.Wire) -> None:
    for record in _streams(wire):
        body, endpoint = wire_corpus.content(record), wire.endpoint(record)
        whole = _outcome(wire, [body], record)
        places = random.Random(record["id"]).sample(range(len(body)), min(len(body), 12))
        for at in sorted({*places, 0, len(body) - 1}):
            outcome = _outcome(wire, [body[:at]], record)
            if outcome[0] is DecodeError or outcome == whole:
                continue
            chunks, finished, _ = outcome
            partial, full = CompletionFold(), CompletionFold()
            for chunk in chunks:
                partial.add(chunk)
            if isinstance(whole[0], list):
                for chunk in whole[0]:
                    full.add(chunk)
                assert full.completion().content.startswith(partial.completion().content), record["id"]
            if finished:  # then nothing of the answer may be missing
                assert partial.completion().parts == full.completion().parts, f"{record['id']} at {at}"
                # (where the usage comes in an event of its own it may be missing, and is then unknown)
                assert partial.completion().usage in (full.completion().usage, Usage()), f"{record['id']} at {at}"
                assert partial.completion().finish_reason is not None, f"{record['id']} at {at}"
    assert endpoint


def test_a_recorded_request_that_our_words_can_express_is_encoded_in_the_same_meaning(wire: wire_corpus.Wire) -> None:
    wrong, seen = [], 0
    for record in wire.records():
        if wire_corpus.expressible(wire, record) is not None:
            continue
        seen += 1
        mine, its = wire.meaning(wire_corpus.reencode(wire, record)), wire.meaning(record["request_body"])
        if mine != its:
            keys = [k for k in {*mine, *its} if mine.get(k) != its.get(k)]
            wrong.append(f"{record['id']} {[(k, mine.get(k), its.get(k)) for k in keys]}"[:900])
    assert seen
    assert not wrong, "\n".join(wrong[:5])
