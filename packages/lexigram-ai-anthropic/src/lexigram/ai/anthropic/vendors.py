"""The vendors that speak the Messages wire: the one source of truth for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from lexigram.ai.anthropic import messages, vertex
from lexigram.ai.anthropic._encode import KEY_HEADER_VERSION, VERSION_HEADER
from lexigram.contracts.wire import HeaderAuth, HttpRequest, Vendor

__all__ = ["VersionedAuth", "vendors"]


@dataclass(frozen=True, slots=True)
class VersionedAuth:
    """The key in ``x-api-key`` for API version 2023-06-01, as a bearer token for any later one."""

    def apply(self, request: HttpRequest, secret: str) -> HttpRequest:
        """Return the request with the key on it."""
        old = request.headers.get(VERSION_HEADER, KEY_HEADER_VERSION) == KEY_HEADER_VERSION
        name, value = ("x-api-key", secret) if old else ("Authorization", f"Bearer {secret}")
        return replace(request, headers={**request.headers, name: value})


def vendors() -> Iterable[Vendor]:
    """Return the rows.

    Admission: as for every table, a base URL and a key from the vendor's own reference (``docs_url``), and a
    recorded exchange or the reference for what differs. A server that merely copies the wire (a gateway, a local
    one) is reached by the row ``anthropic`` with an ``api_base`` of its own. Claude on Bedrock needs signed
    requests and another framing, so its row belongs to the package that has both.
    """
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="anthropic",
        dialects={"messages": messages},
        base_url="https://api.anthropic.com/v1",
        key_env=("ANTHROPIC_API_KEY",),
        auth=VersionedAuth(),
        settings=("api_version", "system_messages"),
        extra="anthropic",
        docs_url="https://docs.anthropic.com/en/api/messages",
        aliases=("claude",),
    ),
    Vendor(
        name="azure-anthropic",
        dialects={"messages": messages},
        base_url="https://{resource}.services.ai.azure.com/anthropic/v1",
        key_env=("ANTHROPIC_FOUNDRY_API_KEY",),
        auth=HeaderAuth("x-api-key", ""),
        settings=("system_messages",),
        extra="azure-anthropic",
        docs_url="https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude",
    ),
    # The key is an OAuth access token, which lives for about an hour; the row has no signer to renew it.
    Vendor(
        name="vertex-anthropic",
        dialects={"messages": vertex},
        base_url="https://aiplatform.googleapis.com/v1/projects/{project}/locations/global",
        key_env=("CLOUDSDK_AUTH_ACCESS_TOKEN",),
        settings=("system_messages",),
        extra="vertex-anthropic",
        docs_url="https://docs.anthropic.com/en/api/claude-on-vertex-ai",
    ),
)
