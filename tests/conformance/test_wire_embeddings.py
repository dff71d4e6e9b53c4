"""Recorded embeddings: the vectors that the official SDK reads, and requests in the same meaning."""

import chat_corpus as corpus
import pytest
import wire_embeddings

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)


@pytest.mark.parametrize("api", wire_embeddings.WIRES)
def test_recorded_embeddings_and_their_requests_are_ours(api: str) -> None:
    found = wire_embeddings.records(api)
    assert found
    assert [f"{r['id']}: {wrong}" for r in found for wrong in wire_embeddings.check(api, r)] == []
