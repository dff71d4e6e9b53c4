"""Tokens for Vertex AI: fetched off the event loop, once for all who wait, and only when they expire."""

import asyncio
import datetime
import json
import threading
from pathlib import Path
from typing import Any

import google.auth
import pytest
from google.auth import credentials as google_credentials
from google.auth import exceptions
from google.oauth2 import credentials as user_credentials

from lexigram.ai.google import auth
from lexigram.ai.google.auth import GoogleSigner
from lexigram.contracts.ai.errors import LLMAuthenticationError, LLMConfigurationError, ProviderConnectionError

SAID = ("POST", "https://v.example", {}, b"{}")


class Credentials(google_credentials.Credentials):  # type: ignore[misc]
    """Credentials whose refresh is counted, may fail and may take its time."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)
        self.threads: list[threading.Thread] = []
        self.gate = threading.Event()
        self.gate.set()

    def refresh(self, request: Any) -> None:
        self.threads.append(threading.current_thread())
        assert self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        self.token = f"ya29.{len(self.threads)}"
        self.expiry = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(hours=1)


@pytest.fixture
def signer(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(credentials: Credentials) -> GoogleSigner:
        monkeypatch.setattr(google.auth, "default", lambda scopes: (credentials, "project"))
        return GoogleSigner({})

    return make


async def test_a_token_is_fetched_in_a_thread_and_kept(signer: Any) -> None:
    credentials = Credentials()
    ours = signer(credentials)
    assert credentials.threads == []
    for _ in range(3):
        assert await ours.sign(*SAID) == {"authorization": "Bearer ya29.1"}
    assert len(credentials.threads) == 1
    assert credentials.threads[0] is not threading.main_thread()
    assert credentials.threads[0].daemon


async def test_an_expired_token_is_fetched_again(signer: Any) -> None:
    credentials = Credentials()
    ours = signer(credentials)
    await ours.sign(*SAID)
    credentials.expiry = datetime.datetime(2020, 1, 1)
    assert await ours.sign(*SAID) == {"authorization": "Bearer ya29.2"}


async def test_those_who_wait_share_one_fetch_and_one_who_leaves_takes_nothing_along(signer: Any) -> None:
    credentials = Credentials()
    credentials.gate.clear()
    ours = signer(credentials)
    tasks = [asyncio.create_task(ours.sign(*SAID)) for _ in range(5)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    await asyncio.sleep(0)
    credentials.gate.set()
    got = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert got[1:] == [{"authorization": "Bearer ya29.1"}] * 4
    assert len(credentials.threads) == 1


def test_it_works_from_several_loops(signer: Any) -> None:
    ours = signer(Credentials())
    assert [asyncio.run(ours.sign(*SAID)) for _ in range(2)] == [{"authorization": "Bearer ya29.1"}] * 2


async def test_the_project_to_bill_goes_along(signer: Any) -> None:
    credentials = Credentials()
    credentials._quota_project_id = "billed"
    assert (await signer(credentials).sign(*SAID))["x-goog-user-project"] == "billed"


async def test_a_refused_refresh_is_an_authentication_error_of_each_callers_own(signer: Any) -> None:
    credentials = Credentials(exceptions.RefreshError("invalid_grant: Bearer ya29.verysecrettoken"))  # type: ignore[no-untyped-call]
    credentials.gate.clear()
    ours = signer(credentials)
    tasks = [asyncio.create_task(ours.sign(*SAID)) for _ in range(2)]
    await asyncio.sleep(0.05)
    credentials.gate.set()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert type(first) is type(second) is LLMAuthenticationError
    assert first is not second
    assert "invalid_grant" in str(first)
    assert "verysecret" not in str(first)
    assert "GOOGLE_APPLICATION_CREDENTIALS" in (first.hint or "")
    assert await ours.sign(*SAID) == {"authorization": "Bearer ya29.2"}


async def test_a_token_service_out_of_reach_is_a_connection_error(signer: Any) -> None:
    with pytest.raises(ProviderConnectionError) as failed:
        await signer(Credentials(exceptions.TransportError("no route"))).sign(*SAID)  # type: ignore[no-untyped-call]
    assert failed.value.retryable


async def test_no_credentials_at_all_are_an_authentication_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(LLMAuthenticationError, match=r"none\.json"):
        await GoogleSigner({}).sign(*SAID)


@pytest.mark.parametrize(
    "content", [None, "no json", "[]", '{"type": "external_account"}', '{"type": "service_account"}']
)
async def test_a_bad_file_is_an_authentication_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "key.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(LLMAuthenticationError):
        await GoogleSigner({"credentials_file": str(path)}).sign(*SAID)


async def test_a_users_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.json"
    path.write_text(
        json.dumps({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"})
    )

    def refresh(self: Any, request: Any) -> None:
        self.token = f"ya29.{self.refresh_token}"

    monkeypatch.setattr(user_credentials.Credentials, "refresh", refresh)
    assert await GoogleSigner({"credentials_file": str(path)}).sign(*SAID) == {"authorization": "Bearer ya29.r"}


def test_without_google_auth_the_application_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "find_spec", lambda name: None)
    with pytest.raises(LLMConfigurationError) as failed:
        GoogleSigner({})
    assert "[vertex]" in (failed.value.hint or "")
