"""The mapping from failed replies to typed errors: every shape that vendors are known to send, hand-written."""

import math
from typing import Any

import pytest

from lexigram.contracts.ai import errors
from lexigram.contracts.wire.errors import (
    error_for_status,
    error_from_body,
    mask_secrets,
    plain_text,
    read_error,
    request_id,
    retry_after_seconds,
)

Invalid, Auth, Permission = errors.InvalidRequestError, errors.LLMAuthenticationError, errors.LLMPermissionError
Model, Tokens, Rate, Quota = (
    errors.ModelNotFoundError,
    errors.TokenLimitError,
    errors.LLMRateLimitError,
    errors.LLMQuotaExceededError,
)
Filter, Server, Busy = errors.LLMContentFilterError, errors.ProviderServerError, errors.ProviderOverloadedError


def made(status: int | None, body: Any, headers: dict[str, str] | None = None) -> errors.LLMError:
    return error_from_body(status, body, provider="acme", headers=headers or {})


# -- headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "1", "retry-after-ms": "0"}, 1.0),
        ({"retry-after": "1", "retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "inf"}, math.inf),
        ({"retry-after": "1e400"}, math.inf),
        ({"retry-after": "9" * 30}, float("9" * 30)),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, None),
        ({"retry-after": "Wed, 99 Oct 2026 07:28:10 GMT", "date": "x"}, None),
    ],
)
def test_retry_after_is_read_or_ignored_and_never_fails(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


def test_the_request_id_is_found_under_the_names_that_vendors_use() -> None:
    for name in ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "cf-ray"):
        assert request_id({name: "r-1"}) == "r-1"
    assert request_id({"x-request-id": "r-1", "cf-ray": "c"}) == "r-1"
    assert request_id({"server": "x"}) is None


# -- text


def test_html_becomes_one_line_without_scripts_and_styles() -> None:
    head = "<head><title>T</title><style>b{}</style></head>"
    page = f"<html>{head}<body><script>evil()</script><h1>502  Bad\n Gateway</h1>&amp; more</body></html>"
    assert plain_text(page) == "502 Bad Gateway & more"
    assert plain_text("<html><head><title>Only a title</title></head></html>") == "Only a title"
    assert plain_text(b"\xff plain \n text") == "\ufffd plain text"
    assert plain_text("x" * 500, limit=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-abcdef123456",
        "sk-proj-abc_DEF-123456",
        "gsk_abcdefghijklmnop",
        "AIzaSyA1234567890abcdefghijk",
        "Bearer abcdefgh12345678",
        "xai-abcdefghijklmnop",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIx.abc",
    ],
)
def test_what_looks_like_a_key_is_masked(secret: str) -> None:
    shown = mask_secrets(f"Incorrect API key provided: {secret}, sorry")
    assert secret not in shown
    assert secret[4:] not in shown
    assert shown.endswith("***, sorry")
    error = made(401, {"error": {"message": f"bad key {secret}"}})
    assert secret not in str(error) + repr(error) + str(error.to_dict())


def test_words_that_only_resemble_a_key_stay() -> None:
    text = "ask-me-anything about hf-inference and risk-management"
    assert mask_secrets(text) == text


# -- shapes


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, "m", "c"),
        ({"error": {"message": "m", "type": "t", "code": None}, "id": "x"}, "m", "t"),
        ({"error": {"message": "m", "type": "t", "code": 400}}, "m", "400"),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}, "request_id": None},
            "m",
            "overloaded_error",
        ),
        ({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": []}}, "m", "400"),
        ({"id": "x", "message": "m", "error_type": "TOO_MANY_TOKENS"}, "m", "TOO_MANY_TOKENS"),
        (
            {"object": "error", "message": "m", "type": "t", "param": None, "code": "3051", "raw_status_code": 400},
            "m",
            "3051",
        ),
        ({"detail": "m"}, "m", None),
        ({"message": "m", "request_id": "r"}, "m", None),
        ({"code": "Some requested entity was not found", "error": "m"}, "m", "Some requested entity was not found"),
        ({"error": "m"}, "m", None),
        ({"error": "m", "error_type": "template_error"}, "m", "template_error"),
        ("m", "m", None),
        (
            {
                "error": {
                    "code": "Invalid input",
                    "message": "m",
                    "status": 422,
                    "details": [{"loc": ["body", "x"], "msg": "n"}],
                }
            },
            "m (body.x: n)",
            "Invalid input",
        ),
        ({"title": "m", "detail": None, "status": 422, "invalid_fields": []}, "m", "422"),
        ({"code": 400, "message": "m", "type": "Bad Request"}, "m", "400"),
        (
            {"detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}]},
            "body.messages: Field required",
            None,
        ),
        ({"code": "InvalidApiKey", "message": "m", "request_id": "r"}, "m", "InvalidApiKey"),
        (
            {
                "error": {
                    "code": 429,
                    "message": "m",
                    "metadata": {"provider_name": "P", "raw": '{"error": {"message": "inner"}}'},
                },
                "user_id": "u",
            },
            "m (P: inner)",
            "429",
        ),
        (
            {"error": {"code": 429, "message": "m", "metadata": {"provider_name": "P", "raw": "not json"}}},
            "m (P: not json)",
            "429",
        ),
        ({"success": False, "message": "m", "data": None, "code": "PRE-006", "detailMessage": "d"}, "m", "PRE-006"),
        ({"success": False, "errors": [{"code": 3043, "message": "m"}], "result": {}}, "m", None),
        ([{"error": {"code": 400, "message": "m"}}], "m", "400"),
        (None, "", None),
        ([], "", None),
        (7, "", None),
        ({}, "", None),
        ({"error": None}, "", None),
        ({"error": []}, "", None),
    ],
)
def test_every_known_shape_gives_its_sentence_and_its_word(body: Any, message: str, code: str | None) -> None:
    read = read_error(body)
    assert (read.message, read.code) == (message, code)


# -- meaning


@pytest.mark.parametrize(
    ("status", "cls", "retryable"),
    [
        (400, Invalid, False),
        (401, Auth, False),
        (402, Quota, False),
        (403, Permission, False),
        (404, Invalid, False),
        (405, Invalid, False),
        (408, Server, True),
        (409, Server, True),
        (410, Invalid, False),
        (413, Tokens, False),
        (422, Invalid, False),
        (425, Server, True),
        (429, Rate, True),
        (451, Invalid, False),
        (500, Server, True),
        (501, Server, False),
        (502, Server, True),
        (503, Busy, True),
        (504, Server, True),
        (505, Server, False),
        (507, Server, False),
        (511, Server, False),
        (520, Server, True),
        (529, Busy, True),
        (302, errors.DecodeError, False),
    ],
)
def test_a_status_alone_decides(status: int, cls: type[errors.LLMError], retryable: bool) -> None:
    error = error_for_status(status, "m", provider="acme")
    assert (type(error), error.retryable, error.status, error.provider, error.message) == (
        cls,
        retryable,
        status,
        "acme",
        "m",
    )


def test_every_status_there_can_be_is_mapped() -> None:
    assert all(isinstance(error_for_status(s, "", provider="p"), errors.LLMError) for s in range(300, 600))
    assert error_for_status(500, "", provider="p").message == "HTTP 500 without a message"


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            Auth,
        ),
        (
            429,
            {
                "error": {
                    "message": "You exceeded your current quota, please check your plan",
                    "code": "insufficient_quota",
                }
            },
            Quota,
        ),
        (429, {"error": {"message": "slow", "code": "rate_limit_exceeded", "type": "tokens"}}, Rate),
        (403, {"error": {"message": "The security token is expired", "code": "ExpiredTokenException"}}, Auth),
        (400, {"error": {"message": "Your credit balance is too low to access the API"}}, Quota),
        (
            404,
            {
                "error": {
                    "message": "The model `x` does not exist or you do not have access to it.",
                    "code": "model_not_found",
                }
            },
            Model,
        ),
        (
            404,
            {
                "error": {
                    "code": "DeploymentNotFound",
                    "message": "The API deployment for this resource does not exist.",
                }
            },
            Model,
        ),
        (404, {"error": "model 'x' not found"}, Model),
        (404, {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}, Model),
        (404, {"message": "model 'command' was removed on September 15, 2025"}, Model),
        (404, {"error": {"message": "tools is not supported in this model."}}, Invalid),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, Invalid),
        (404, "<html><body>Not Found</body></html>", Invalid),
        (400, {"message": "Invalid model: x", "type": "invalid_model", "code": "1500"}, Model),
        (400, {"error": {"code": "model_decommissioned", "message": "m"}}, Model),
        (400, {"error": {"message": "m", "code": "context_length_exceeded"}}, Tokens),
        (400, {"id": "x", "message": "m", "error_type": "TOO_MANY_TOKENS"}, Tokens),
        (500, {"error": {"code": 500, "message": "m", "type": "exceed_context_size_error"}}, Tokens),
        (
            400,
            {
                "error": {
                    "message": "m",
                    "code": "content_filter",
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            Filter,
        ),
        (
            403,
            {
                "error": {
                    "code": 403,
                    "message": "Provider returned error",
                    "metadata": {"provider_name": "xAI", "raw": '{"error": "Content violates usage guidelines."}'},
                }
            },
            Filter,
        ),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Busy),
        (500, {"error": {"message": "m", "type": "overloaded_error"}}, Busy),
        (500, {"error": {"message": "the model does not exist any more in my memory"}}, Server),
        (503, "upstream connect error", Busy),
        (None, {"error": {"type": "overloaded_error", "message": "m"}}, Busy),
        (None, {"error": {"code": 502, "message": "m"}}, Server),
        (None, {"error": {"type": "invalid_request_error", "message": "m"}}, Invalid),
        (None, {"error": {"type": "authentication_error", "message": "m"}}, Auth),
        (None, {"error": {"message": "m"}}, Server),
    ],
)
def test_a_body_says_more_than_its_status(status: int | None, body: Any, cls: type[errors.LLMError]) -> None:
    error = made(status, body)
    assert type(error) is cls
    assert error.status == status
    assert error.retryable is cls.default_retryable


@pytest.mark.parametrize(
    ("body", "limit", "requested"),
    [
        (
            {
                "error": {
                    "message": "The maximum context length is 8192 tokens. However, you requested 9,000 tokens",
                    "code": "context_length_exceeded",
                }
            },
            8192,
            9000,
        ),
        (
            {
                "error": {
                    "message": "maximum context length is 4097 tokens, however your messages resulted in 5000 tokens."
                }
            },
            4097,
            5000,
        ),
        (
            {
                "error": {
                    "code": 400,
                    "type": "exceed_context_size_error",
                    "message": "m",
                    "n_prompt_tokens": 900,
                    "n_ctx": 512,
                }
            },
            512,
            900,
        ),
        (
            {"type": "error", "error": {"message": "prompt is too long: 205,000 tokens > 200,000 maximum"}},
            200_000,
            205_000,
        ),
        (
            {
                "error": {
                    "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
                }
            },
            1_048_576,
            1_200_000,
        ),
        (
            {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."},
            4081,
            4292,
        ),
        (
            {"error": {"message": "the request (5000 tokens) exceeds the available context size (4096 tokens)"}},
            4096,
            5000,
        ),
        ({"error": {"message": "prompt too long; exceeded max context length by 17 tokens"}}, None, None),
    ],
)
def test_a_token_limit_says_how_many_where_the_provider_does(
    body: Any, limit: int | None, requested: int | None
) -> None:
    error = made(400, body)
    assert isinstance(error, Tokens)
    assert (error.limit, error.requested) == (limit, requested)


def test_waiting_is_asked_for_only_where_a_retry_can_help() -> None:
    wait = {"retry-after": "7"}
    assert made(429, {"error": "slow"}, wait).retry_after == 7.0
    assert made(503, {"error": "busy"}, wait).retry_after == 7.0
    assert made(400, {"error": "wrong"}, wait).retry_after is None
    assert made(429, {"error": {"message": "m", "code": "insufficient_quota"}}, wait).retry_after is None


def test_googles_retry_delay_means_a_rate_limit_and_not_an_empty_purse() -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    error = made(
        429,
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota",
                "status": "RESOURCE_EXHAUSTED",
                "details": [info],
            }
        },
    )
    assert (type(error), error.retry_after) == (Rate, 34.5)


def test_x_should_retry_is_heard_except_for_an_empty_purse() -> None:
    assert made(500, {"error": "m"}, {"x-should-retry": "false"}).retryable is False
    assert made(400, {"error": "m"}, {"x-should-retry": "true"}).retryable is True
    assert made(402, {"error": "m"}, {"x-should-retry": "true"}).retryable is False


def test_an_error_inside_a_200_takes_the_callers_class_where_nothing_decides() -> None:
    error = error_from_body(None, {"error": {"message": "odd"}}, provider="acme", default=errors.StreamError)
    assert type(error) is errors.StreamError


def test_a_huge_message_is_cut_and_read_in_time() -> None:
    error = made(400, {"error": {"message": "model " * 100_000 + "context " * 100_000}})
    assert len(error.message) <= 2000
