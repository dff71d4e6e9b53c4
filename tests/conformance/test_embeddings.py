"""Every recorded exchange of the embeddings wire decodes; requests are what the SDK and the description allow."""

import json
from typing import Any

import chat_corpus as corpus
import pytest
import request_oracle as oracle
from embeddings_check import apis, check, decode_error

from lexigram.ai.openai import embeddings
from lexigram.contracts.ai import errors
from lexigram.contracts.wire import Endpoint

OPENAI = Endpoint("openai", "https://api.openai.com/v1")
BY_STATUS = {
    400: errors.InvalidRequestError,
    401: errors.LLMAuthenticationError,
    403: errors.LLMPermissionError,
    404: errors.ModelNotFoundError,
    500: errors.LLMError,
}


@pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)
@pytest.mark.parametrize("api", apis())
def test_every_exchange_decodes_or_is_its_typed_error(api: str) -> None:
    for record in corpus.records(api):
        if record["status"] < 400:
            assert check(record).kind == "equal", (record["id"], check(record).reason)
            continue
        error = decode_error(record)
        assert isinstance(error, BY_STATUS[record["status"]]), record["id"]
        assert error.message
        assert error.request_id == record["response_headers"].get("x-request-id"), record["id"]


@pytest.mark.parametrize("dimensions", [None, 64])
def test_the_sdk_and_the_description_accept_the_request(dimensions: int | None) -> None:
    made = embeddings.encode_embeddings(["a", "b"], "text-embedding-3-small", dimensions, OPENAI).json
    body: dict[str, Any] = json.loads(json.dumps(made))
    assert oracle.sdk_objections(body, "/embeddings") == []
    if oracle.has_spec():
        assert oracle.spec_objections(body, "/embeddings") == []
