"""The row of the vendor that speaks the Converse wire."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lexigram.ai.bedrock import converse
from lexigram.ai.bedrock.signing import signer
from lexigram.contracts.wire import Vendor

__all__ = ["vendors"]


def vendors() -> Iterable[Vendor]:
    """Return the rows."""
    return _ROWS


# No key is required: without one, requests are signed with AWS credentials.
_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="bedrock",
        dialects={"converse": converse},
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        key_env=("AWS_BEARER_TOKEN_BEDROCK",),
        key_required=False,
        signer=signer,
        settings=("profile",),
        extra="bedrock",
        docs_url="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
        aliases=("aws-bedrock",),
    ),
)
