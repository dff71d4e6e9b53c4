"""Tokens for Vertex AI, from Google's own library: the one file of the package that does I/O, in a thread of its own.

google-auth is imported when credentials are first needed; the extra ``vertex`` brings it.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from lexigram.contracts.ai.errors import (
    LLMAuthenticationError,
    LLMConfigurationError,
    LLMError,
    ProviderConnectionError,
)
from lexigram.contracts.wire.errors import mask_secrets

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["GoogleSigner"]

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_WHERE: Final = (
    "set extra={'credentials_file': …} or GOOGLE_APPLICATION_CREDENTIALS to a credentials file, run `gcloud auth "
    "application-default login`, or run on Google Cloud with a service account"
)


class GoogleSigner:
    """Puts a Google access token on requests. Works from several event loops and threads, and after fork.

    The token is fetched when first needed and again when it is about to expire, in a daemon thread; calls that need
    it meanwhile wait for the same thread.

    Args:
        settings: ``credentials_file``: a service account's key or a user's credentials, as JSON. Without it
            application default credentials are looked for.

    Raises:
        LLMConfigurationError: when google-auth is not installed.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        if find_spec("google") is None or find_spec("google.auth") is None or find_spec("requests") is None:
            raise LLMConfigurationError(
                "Vertex AI without an API key needs google-auth", hint='pip install "lexigram-ai-llm[vertex]"'
            )
        self._file = settings.get("credentials_file")
        self._lock = threading.Lock()
        self._credentials: Credentials | None = None
        self._fetching: Future[Credentials] | None = None
        self._pid = os.getpid()

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """Return the ``authorization`` header, and the project to bill where the credentials name one.

        Raises:
            LLMAuthenticationError: when there are no valid credentials.
            ProviderConnectionError: when Google's token service cannot be reached.
        """
        credentials = self._credentials
        if credentials is None or not credentials.valid:
            try:
                # Shielded: a call that is cancelled must not take the token from the others that wait for it.
                credentials = await asyncio.shield(asyncio.wrap_future(self._fetch()))
            except _Failed as failed:
                raise failed.error() from None
        signed = {"authorization": f"Bearer {credentials.token}"}
        if credentials.quota_project_id:
            signed["x-goog-user-project"] = credentials.quota_project_id
        return signed

    def _fetch(self) -> Future[Credentials]:
        with self._lock:
            fetching = self._fetching
            if fetching is None or self._pid != os.getpid():
                self._pid = os.getpid()
                fetching = self._fetching = Future()
                threading.Thread(target=self._run, args=(fetching,), name="lexigram-google-auth", daemon=True).start()
            return fetching

    def _run(self, result: Future[Credentials]) -> None:
        try:
            credentials = _refreshed(self._credentials or _load(self._file))
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            self._fetching = None
            result.set_exception(error)
        else:
            self._credentials = credentials
            self._fetching = None
            result.set_result(credentials)


class _Failed(Exception):
    """A failure that several calls may be waiting for: each gets an error of its own."""

    def __init__(self, make: type[LLMError], message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self._make = make
        self._message = message
        self._hint = hint

    def error(self) -> LLMError:
        return self._make(self._message, hint=self._hint)


def _load(file: str | None) -> Credentials:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    try:
        if file is not None:
            return _from_file(Path(file))
        return google.auth.default(scopes=[SCOPE])[0]
    except (GoogleAuthError, OSError, ValueError) as error:
        raise _missing(error) from None


def _from_file(path: Path) -> Credentials:
    from google.oauth2 import credentials, service_account

    info: Any = json.loads(path.read_text(encoding="utf-8"))
    kind = cast("dict[str, Any]", info).get("type") if isinstance(info, dict) else None
    # The other kinds name commands and addresses of their own, and are trusted from the environment only.
    made: Any
    if kind == "service_account":
        made = cast("Any", service_account.Credentials).from_service_account_info(info, scopes=[SCOPE])
    elif kind == "authorized_user":
        made = cast("Any", credentials.Credentials).from_authorized_user_info(info, scopes=[SCOPE])
    else:
        raise ValueError(f"{path.name} holds {kind!r}: only service_account and authorized_user are read from a file")
    return cast("Credentials", made)


def _refreshed(credentials: Credentials) -> Credentials:
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request

    if not credentials.valid:
        try:
            cast("Any", credentials).refresh(Request())
        except TransportError as error:
            said = f"Google's token service cannot be reached: {_said(error)}"
            raise _Failed(ProviderConnectionError, said) from None
        except GoogleAuthError as error:
            raise _missing(error) from None
    return credentials


def _missing(error: Exception) -> _Failed:
    return _Failed(LLMAuthenticationError, f"no valid Google credentials: {_said(error)}", _WHERE)


def _said(error: Exception) -> str:
    return mask_secrets(str(error.args[0] if error.args else error))[:500]
