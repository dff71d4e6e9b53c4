"""The embeddings dialect."""

import base64
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.ai.openai import embeddings
from lexigram.contracts.ai.errors import DecodeError, InvalidRequestError, LLMError, LLMRateLimitError
from lexigram.contracts.wire import Endpoint, Quirks

ACME = Endpoint("acme", "https://api.acme.example/v1")


def rows(*vectors: Any, **fields: Any) -> dict[str, Any]:
    return {"data": [{"index": i, "embedding": v} for i, v in enumerate(vectors)], "model": "e", **fields}


def test_numbers_are_asked_for_and_the_length_under_the_vendors_name() -> None:
    sent = embeddings.encode_embeddings(["a", "b"], "e", 64, ACME)
    assert sent.url == "https://api.acme.example/v1/embeddings"
    assert sent.json == {"model": "e", "input": ["a", "b"], "encoding_format": "float", "dimensions": 64}
    mistral = Endpoint("m", "https://m.example", Quirks(dimensions_field="output_dimension"))
    assert embeddings.encode_embeddings(["a"], "e", 64, mistral).json["output_dimension"] == 64  # type: ignore[index, call-overload]
    with pytest.raises(InvalidRequestError, match="dimensions"):
        embeddings.encode_embeddings(["a"], "e", 64, Endpoint("m", "u", Quirks(refuses=frozenset({"dimensions"}))))


def test_vectors_come_in_the_order_of_the_texts() -> None:
    body = {"data": [{"index": 1, "embedding": [2, 3]}, {"index": 0, "embedding": [0.5, 1]}], "model": "e"}
    assert embeddings.decode_embeddings(body, ACME).vectors == ((0.5, 1.0), (2.0, 3.0))


def test_base64_is_floats_in_little_endian_order_or_bytes_where_the_setting_says_so() -> None:
    floats = base64.b64encode(struct.pack("<3f", 1.5, -2.0, 0.25)).decode()
    assert embeddings.decode_embeddings(rows(floats), ACME).vectors == ((1.5, -2.0, 0.25),)
    int8 = Endpoint("p", "https://p.example", params={"embeddings_encoding": "base64_int8"})
    assert embeddings.encode_embeddings(["a"], "e", None, int8).json["encoding_format"] == "base64_int8"  # type: ignore[index, call-overload]
    packed = base64.b64encode(struct.pack("4b", 1, -2, 127, -128)).decode()
    assert embeddings.decode_embeddings(rows(packed), int8).vectors == ((1.0, -2.0, 127.0, -128.0),)


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 3, "total_tokens": 3}, (3, 3)),
        ({"total_tokens": 4}, (4, 4)),
        ({"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}, (3, 3)),
        (None, (None, None)),
    ],
    ids=str,
)
def test_usage_in_the_forms_of_the_vendors(usage: Any, counts: tuple[int | None, int | None]) -> None:
    made = embeddings.decode_embeddings(rows([1.0], usage=usage), ACME).usage
    assert (made.input_tokens, made.total_tokens) == counts


@pytest.mark.parametrize(
    "body",
    [{}, [], "x", {"data": [{"embedding": None}]}, rows(["x"]), rows("%%%"), rows("AAA="), rows([10**400]),
     {"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}]}],
    ids=lambda b: str(b)[:40],
)  # fmt: skip
def test_what_is_no_vector_is_a_decode_error(body: Any) -> None:
    with pytest.raises(DecodeError):
        embeddings.decode_embeddings(body, ACME)


def test_an_error_with_status_200_is_typed() -> None:
    with pytest.raises(LLMRateLimitError):
        embeddings.decode_embeddings({"error": {"code": "rate_limit_exceeded", "message": "slow"}}, ACME)


@given(
    st.recursive(
        st.none() | st.text(max_size=3) | st.floats() | st.integers(),
        lambda i: (
            st.lists(i, max_size=3) | st.dictionaries(st.sampled_from(["data", "embedding", "index", "usage"]), i)
        ),
    )
)
def test_any_json_is_vectors_or_a_typed_error(body: Any) -> None:
    try:
        embeddings.decode_embeddings(body, ACME)
    except LLMError:
        pass
