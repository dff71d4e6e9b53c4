"""Every recorded 2xx exchange of the chat wire decodes, and says what the official SDK reads from the same bytes."""

import chat_corpus as corpus
import pytest
from chat_check import check

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


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


def test_the_core_streams_equal_the_sdks_whole_stream_state() -> None:
    seen, refused, different = 0, 0, []
    for api in corpus.apis():
        for record in corpus.records(api):
            if record["id"] not in corpus.core_ids() or record["status"] != 200 or not record["streaming"]:
                continue
            if len(record["response_body"]) > 200_000:
                continue  # the SDK's state rebuilds its snapshot for every chunk: quadratic
            try:
                outcome = check(record, sdk_state=True)
            except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError):
                refused += 1  # the SDK's state fails on its own; its accumulator alone is held against them above
                continue
            seen += 1
            if outcome.kind == "different":
                different.append(f"{api} {record['id']}: {outcome.reason}")
    assert seen > 30
    assert refused < seen
    assert not different, "\n".join(different)


def test_the_excluded_exchanges_are_few_and_argued() -> None:
    assert len(corpus.EXCLUDED) <= 1
    assert all(len(reason) > 20 for reason in (*corpus.EXCLUDED.values(), *corpus.OUT_OF_SCOPE.values()))
