"""The v2 embed wire: vectors by type, an input type that it demands, usage by what is billed."""

from __future__ import annotations

from typing import Any

import pytest

from lexigram.ai.cohere import embed
from lexigram.contracts.ai.errors import DecodeError, ModelNotFoundError
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("cohere", "https://api.cohere.com")


def test_a_batch_asks_for_floats_and_never_for_a_cut() -> None:
    sent = embed.encode_embeddings(["a", "b"], "embed-v4.0", 256, HERE)
    assert (sent.method, sent.url) == ("POST", "https://api.cohere.com/v2/embed")
    assert sent.json == {
        "model": "embed-v4.0",
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "truncate": "NONE",
        "output_dimension": 256,
    }


def test_the_input_type_is_a_setting() -> None:
    query = Endpoint("cohere", "https://api.cohere.com", params={"input_type": "search_query"})
    sent = embed.encode_embeddings(["a"], "m", None, query).json
    assert isinstance(sent, dict)
    assert sent["input_type"] == "search_query"
    assert "output_dimension" not in sent


def test_vectors_come_by_type_or_as_a_bare_list() -> None:
    rows: list[Any] = [[1, 2.5], [0.5, -1]]
    meta = {"billed_units": {"input_tokens": 3}}
    made = embed.decode_embeddings({"embeddings": {"float": rows}, "meta": meta}, HERE)
    assert made.vectors == ((1.0, 2.5), (0.5, -1.0))
    assert (made.usage.input_tokens, made.usage.source) == (3, "reported")
    bare = embed.decode_embeddings({"embeddings": rows}, HERE)
    assert bare.vectors == made.vectors
    assert bare.usage.source == "unknown"


@pytest.mark.parametrize("wrong", [None, {}, {"embeddings": {"int8": [[1]]}}, {"embeddings": {"float": [["x"]]}}])
def test_what_holds_no_float_vectors_is_a_decode_error(wrong: Any) -> None:
    with pytest.raises(DecodeError):
        embed.decode_embeddings(wrong, HERE)


def test_errors_are_those_of_the_chat_wire() -> None:
    error = embed.decode_error(HttpResponse(404, {}, b""), {"id": "r", "message": "model 'x' not found"}, HERE)
    assert isinstance(error, ModelNotFoundError)
