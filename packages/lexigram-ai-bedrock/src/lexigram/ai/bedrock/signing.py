"""AWS Signature Version 4, through botocore (``pip install "lexigram-ai-llm[bedrock-sigv4]"``).

The one module of the package that is not pure: botocore finds the credentials where every AWS tool does
(environment, shared files, container, instance). It is imported when a signer is made, not before.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlsplit

from lexigram.contracts.ai.errors import LLMAuthenticationError, LLMConfigurationError

__all__ = ["SigV4Signer", "signer"]

_SERVICE: Final = "bedrock"
_PLACES: Final = (
    "AWS credentials are looked for in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile "
    "(AWS_PROFILE, ~/.aws/credentials, ~/.aws/config, SSO) and the role of the container or instance; "
    "or set AWS_BEARER_TOKEN_BEDROCK"
)


def signer(settings: Mapping[str, str]) -> SigV4Signer:
    """Return a signer from a vendor's settings: ``region`` and ``profile``."""
    return SigV4Signer(region=settings.get("region"), profile=settings.get("profile"))


class SigV4Signer:
    """Signs requests. Satisfies :class:`lexigram.contracts.wire.Signer`; one object serves many loops and threads.

    Args:
        region: the region to sign for; None takes it from the host's name.
        profile: a profile of the shared files; None takes the default.
        session: a botocore session to take the credentials from, instead of a new one.

    Raises:
        LLMConfigurationError: when botocore is not installed.
    """

    def __init__(self, *, region: str | None = None, profile: str | None = None, session: Any = None) -> None:
        try:
            self._auth: Any = importlib.import_module("botocore.auth")
            self._request: Any = importlib.import_module("botocore.awsrequest")
            self._errors: Any = importlib.import_module("botocore.exceptions")
            sessions: Any = importlib.import_module("botocore.session")
        except ModuleNotFoundError:
            raise LLMConfigurationError(
                "signing requests needs botocore, which is not installed",
                provider="bedrock",
                hint='pip install "lexigram-ai-llm[bedrock-sigv4]"',
            ) from None
        self._region = region
        self._session: Any = session if session is not None else sessions.Session(profile=profile)
        self._credentials: Any = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<SigV4Signer {self._region or 'region of the host'}>"

    async def sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        """Return the headers to add: date, token, authorization. Signed are host, content type and ``x-amz-…``.

        Raises:
            LLMAuthenticationError: when there are no valid credentials, saying where they are looked for.
            LLMConfigurationError: when no region is set and the host names none.
        """
        known = self._credentials
        expires = getattr(known, "refresh_needed", None)  # static credentials have no such method
        if known is None or (expires is not None and expires()):
            frozen = await asyncio.to_thread(self._fetch)
        else:
            frozen = known.get_frozen_credentials()
        region = self._region or _region_of(url)
        signed = {k: v for k, v in headers.items() if k.lower() == "content-type" or k.lower().startswith("x-amz-")}
        request = self._request.AWSRequest(method=method, url=url, data=body, headers=signed)
        self._auth.SigV4Auth(frozen, _SERVICE, region).add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items() if name not in signed}

    def _fetch(self) -> Any:
        """Load or refresh the credentials; runs in a thread, for it may ask a file, a process or the network."""
        with self._lock:
            try:
                if self._credentials is None:
                    self._credentials = self._session.get_credentials()
                if self._credentials is None:
                    raise LLMAuthenticationError("no AWS credentials were found", provider="bedrock", hint=_PLACES)
                return self._credentials.get_frozen_credentials()
            except self._errors.BotoCoreError as error:
                raise LLMAuthenticationError(
                    f"the AWS credentials cannot be had: {error}", provider="bedrock", hint=_PLACES
                ) from error


def _region_of(url: str) -> str:
    """``bedrock-runtime.eu-west-1.amazonaws.com``, and the same of VPC endpoints and other partitions."""
    labels = (urlsplit(url).hostname or "").split(".")
    for before, label in pairwise(labels):
        if before.startswith(("bedrock", "vpce")) and label.count("-") >= 2:
            return label
    raise LLMConfigurationError(
        "no AWS region is set", provider="bedrock", hint="set extra={'region': …} or LEX_AI_LLM__EXTRA__REGION"
    )
