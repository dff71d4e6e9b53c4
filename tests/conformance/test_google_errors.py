"""Every recorded error reply of Google's wires becomes the right typed error, with Google's own words."""

import json
import re

import google_corpus as corpus
import pytest
from google_check import decode_error

from lexigram.contracts.ai import errors

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)

# As somebody who reads the message would file it; what no line names is filed by its status.
BY_BODY = (
    (r"API key not valid|unregistered callers", errors.LLMAuthenticationError),
    (r"is not found for API version|Publisher Model", errors.ModelNotFoundError),
    (r"input token count .* exceeds", errors.TokenLimitError),
)
BY_STATUS = {400: errors.InvalidRequestError, 401: errors.LLMAuthenticationError}


@pytest.mark.parametrize("api", (*corpus.GENERATE, *corpus.OTHERS, "gemini.cached_contents"))
def test_every_error_reply_becomes_the_right_leaf_with_googles_words(api: str) -> None:
    for record in corpus.records(api):
        if record["status"] < 400:
            continue
        error, said = decode_error(record), json.loads(record["response_body"])["error"]
        wanted = next((c for w, c in BY_BODY if re.search(w, said["message"])), None) or BY_STATUS[record["status"]]
        assert type(error) is wanted, record["id"]
        assert (error.status, error.provider) == (record["status"], record["provider"])
        assert error.message.startswith(said["message"])
        reasons = [d["reason"] for d in said.get("details", ()) if "reason" in d]
        assert error.provider_code == (reasons[0] if reasons else said["status"])
        assert not error.retryable


def test_the_distinct_real_errors_of_the_specs_are_typed() -> None:
    path = corpus.SPECS / "real_errors.jsonl"
    if not path.is_file():
        pytest.skip(f"no {path}")
    seen = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record["provider"] not in ("gemini", "vertex"):
            continue
        body = record["body"] if isinstance(record["body"], str) else json.dumps(record["body"])
        error = decode_error(
            {"api": "x", "provider": record["provider"], "status": record["status"], "response_headers": {}}
            | {"response_body": body}
        )
        assert error.message
        assert error.status == record["status"]
        if record["status"] == 429:
            assert type(error) in (errors.LLMRateLimitError, errors.LLMQuotaExceededError)
            assert (error.retry_after is not None) == ("retryDelay" in body)
        seen += 1
    assert seen > 5
