"""Every recorded error reply of the chat wire becomes the right typed error, with the provider's own words."""

import json
import re
from typing import Any

import chat_corpus as corpus
import pytest
from chat_check import decode_error

from lexigram.contracts.ai import errors

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)

BY_STATUS = {
    400: errors.InvalidRequestError,
    401: errors.LLMAuthenticationError,
    403: errors.LLMPermissionError,
    404: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    429: errors.LLMRateLimitError,
    500: errors.ProviderServerError,
}
# What a body says beyond its status, as somebody who reads the message would file it.
BY_BODY = (
    (400, r"model_decommissioned|invalid_model", errors.ModelNotFoundError),
    (400, r"maximum context length|prompt too long|too_many_prompt_tokens", errors.TokenLimitError),
    (403, r"Content violates usage guidelines", errors.LLMContentFilterError),
    (
        404,
        r"model_not_found|DeploymentNotFound|model \S+ was deprecated|Specified model not found",
        errors.ModelNotFoundError,
    ),
    (404, r"No endpoints found for|this model has ended", errors.ModelNotFoundError),
)


def _expected(record: dict[str, Any]) -> type[errors.LLMError]:
    for status, words, cls in BY_BODY:
        if record["status"] == status and re.search(words, record["response_body"]):
            return cls
    return BY_STATUS[record["status"]]


def _sentence(text: str) -> str:
    """The provider's sentence, wherever the body keeps it."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    for found in (body.get("error"), body):
        if isinstance(found, str):
            return found
        if isinstance(found, dict):
            for key in ("message", "detail"):
                if isinstance(found.get(key), str):
                    return found[key]
    raise AssertionError(f"no sentence in {text[:200]}")


@pytest.mark.parametrize("api", corpus.apis())
def test_every_error_reply_becomes_the_right_leaf_with_the_providers_words(api: str) -> None:
    for record in corpus.records(api):
        if record["status"] is None or record["status"] < 400:
            continue
        error = decode_error(record)
        where = f"{record['id']} {record['response_body'][:200]}"
        assert type(error) is _expected(record), where
        assert error.status == record["status"], where
        assert error.provider == record["provider"], where
        said = re.sub(r"\bsk-[\w.\-]{6,}", "sk-***", _sentence(record["response_body"]))
        assert error.message.startswith(said[:1990]), where
        headers = record["response_headers"]
        assert error.request_id == (headers.get("x-request-id") or headers.get("request-id")), where


def test_there_are_errors_to_look_at() -> None:
    statuses = {r["status"] for api in corpus.apis() for r in corpus.records(api)}
    assert {400, 401, 403, 404, 422, 429, 500} <= statuses
