"""Every recorded 2xx exchange of Google's wires decodes, and says what the official SDK reads from the same bytes."""

import json
from dataclasses import replace

import google_corpus as corpus
import pytest
from google_check import check, check_other, decode

from lexigram.contracts.ai.errors import LLMError

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


@pytest.mark.parametrize("api", corpus.GENERATE)
def test_every_answer_decodes_and_equals_the_oracles_reading(api: str) -> None:
    outcomes = {r["id"]: check(r) for r in corpus.records(api) if r["status"] == 200}
    assert outcomes
    assert not [f"{i}: {o.reason}" for i, o in outcomes.items() if o.kind == "different"]


@pytest.mark.parametrize("api", corpus.OTHERS)
def test_every_count_and_embedding_equals_a_plain_reading(api: str) -> None:
    outcomes = {r["id"]: check_other(r) for r in corpus.records(api) if r["status"] == 200}
    assert outcomes
    assert not [f"{i}: {o.reason}" for i, o in outcomes.items() if o.kind == "different"]


@pytest.mark.parametrize("api", corpus.GENERATE)
def test_a_stream_folds_to_what_its_events_give_as_one_array(api: str) -> None:
    for record in corpus.streams(api):
        array = json.loads(json.dumps(list(corpus.messages(record))))
        whole = corpus.dialect(record).decode_response(array, corpus.endpoint(record))
        assert replace(whole, raw=None) == decode(record), record["id"]


@pytest.mark.parametrize("api", corpus.GENERATE)
def test_one_body_with_all_parts_gives_the_same_answer_as_the_stream(api: str) -> None:
    """The stream's parts in one content, as the same answer would have come unstreamed."""
    checked = 0
    for record in corpus.streams(api):
        events = list(corpus.messages(record))
        if any(len(e.get("candidates") or []) > 1 or "partialArgs" in json.dumps(e) for e in events):
            continue
        parts, body, finish = [], {}, None
        for event in events:
            body |= {k: v for k, v in event.items() if k != "usageMetadata" or "promptTokenCount" in v}
            for candidate in event.get("candidates") or []:
                parts += (candidate.get("content") or {}).get("parts") or []
                finish = candidate.get("finishReason") or finish
        body["candidates"] = [{"content": {"parts": parts, "role": "model"}, "finishReason": finish}]
        try:
            whole, streamed = corpus.dialect(record).decode_response(body, corpus.endpoint(record)), decode(record)
        except LLMError:
            continue
        assert whole.content == streamed.content
        assert whole.tool_calls == streamed.tool_calls, record["id"]
        assert (whole.thinking, whole.finish_reason) == (streamed.thinking, streamed.finish_reason), record["id"]
        assert whole.usage == streamed.usage, record["id"]
        kept = [[(type(p), p.opaque) for p in made.parts if p.opaque] for made in (whole, streamed)]
        assert kept[0] == kept[1], record["id"]
        checked += 1
    assert checked > 5
