"""SigV4: the same signature as botocore's own signer, credentials off the event loop, clear words without any."""

from __future__ import annotations

import datetime
import sys
import threading
from typing import Any

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, RefreshableCredentials

from lexigram.ai.bedrock import signing, vendors
from lexigram.contracts.ai.errors import LLMAuthenticationError, LLMConfigurationError

URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/anthropic.claude-v1%3A0/converse"
HEADERS = {"content-type": "application/json", "user-agent": "lexigram", "X-Amz-Meta": "1"}
KEYS = Credentials("AKIDEXAMPLE", "secret-of-the-test", "token")


class Session:
    """Stands for botocore's session: gives the credentials and counts how often and where it was asked."""

    def __init__(self, credentials: Any) -> None:
        self.credentials = credentials
        self.threads: list[str] = []

    def get_credentials(self) -> Any:
        self.threads.append(threading.current_thread().name)
        return self.credentials


async def test_the_signature_is_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None))
    signer = signing.SigV4Signer(region="eu-west-1", session=Session(KEYS))
    made = await signer.sign("POST", URL, HEADERS, b'{"a":1}')
    theirs = AWSRequest(
        method="POST", url=URL, data=b'{"a":1}', headers={"content-type": "application/json", "X-Amz-Meta": "1"}
    )
    botocore.auth.SigV4Auth(KEYS, "bedrock", "eu-west-1").add_auth(theirs)
    assert made["Authorization"] == theirs.headers["Authorization"]
    assert made == {k: theirs.headers[k] for k in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")}
    assert "/20260102/eu-west-1/bedrock/aws4_request" in made["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-meta;x-amz-security-token" in made["Authorization"]


async def test_the_body_and_the_region_change_the_signature() -> None:
    signer = signing.SigV4Signer(session=Session(KEYS))
    first, second = [await signer.sign("POST", URL, {}, b) for b in (b"1", b"2")]
    assert first["Authorization"] != second["Authorization"]
    assert "/eu-west-1/bedrock/" in first["Authorization"]
    for url, region in [
        ("https://bedrock.us-gov-west-1.amazonaws.com/foundation-models", "us-gov-west-1"),
        ("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com/x", "us-east-1"),
    ]:
        assert f"/{region}/bedrock/" in (await signer.sign("GET", url, {}, b""))["Authorization"]
    with pytest.raises(LLMConfigurationError, match="region"):
        await signer.sign("GET", "https://proxy.example/x", {}, b"")


async def test_credentials_are_fetched_once_and_not_on_the_event_loop() -> None:
    session = Session(KEYS)
    signer = signing.SigV4Signer(region="eu-west-1", session=session)
    for _ in range(3):
        await signer.sign("POST", URL, HEADERS, b"")
    assert len(session.threads) == 1
    assert session.threads != [threading.current_thread().name]


async def test_expired_credentials_are_refreshed_off_the_event_loop() -> None:
    threads: list[threading.Thread] = []
    ends = [datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=h) for h in (-1, 2)]

    def refresh() -> dict[str, Any]:
        threads.append(threading.current_thread())
        return {"access_key": "new", "secret_key": "s", "token": "t2", "expiry_time": ends[1].isoformat()}

    old = RefreshableCredentials("old", "s", "t1", ends[0], refresh, "test")
    signer = signing.SigV4Signer(region="eu-west-1", session=Session(old))
    for _ in range(2):
        assert (await signer.sign("POST", URL, {}, b""))["X-Amz-Security-Token"] == "t2"
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_without_credentials_the_error_says_where_they_are_looked_for() -> None:
    with pytest.raises(LLMAuthenticationError) as caught:
        await signing.SigV4Signer(region="eu-west-1", session=Session(None)).sign("POST", URL, {}, b"")
    assert "AWS_ACCESS_KEY_ID" in (caught.value.hint or "")


async def test_a_profile_that_is_not_there_is_an_authentication_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    with pytest.raises(LLMAuthenticationError, match="nobody"):
        await signing.signer({"region": "eu-west-1", "profile": "nobody"}).sign("POST", URL, {}, b"")


def test_without_botocore_the_error_is_the_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(LLMConfigurationError) as caught:
        signing.signer({"region": "eu-west-1"})
    assert "bedrock-sigv4" in (caught.value.hint or "")


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(signing.SigV4Signer(region="eu-west-1", session=Session(KEYS)))


def test_the_row_has_a_key_or_a_signer() -> None:
    (row,) = vendors()
    assert row.signer is signing.signer
    assert (row.key_env, row.key_required) == (("AWS_BEARER_TOKEN_BEDROCK",), False)
    assert row.base_url == "https://bedrock-runtime.{region}.amazonaws.com"
