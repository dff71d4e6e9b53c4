"""The rows of Google's two services: the one source of truth for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lexigram.ai.google import embeddings, generate, vertex, vertex_embeddings
from lexigram.ai.google.auth import GoogleSigner
from lexigram.contracts.wire import HeaderAuth, Quirks, Vendor

__all__ = ["vendors"]

_KEY_HEADER: Final = HeaderAuth("x-goog-api-key", "")


def vendors() -> Iterable[Vendor]:
    """Return the rows.

    The key goes in a header, never in the URL. Vertex AI takes a token of google-auth, or, where a key is configured
    (express mode), the key, with ``api_base`` set to ``https://aiplatform.googleapis.com/v1/publishers/google``.
    """
    return _ROWS


_ROWS: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="gemini",
        dialects={"generate": generate},
        default_model="gemini-2.5-flash",
        base_url="https://generativelanguage.googleapis.com/v1beta",
        key_env=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        auth=_KEY_HEADER,
        embeddings=embeddings,
        quirks=Quirks(refuses=frozenset({"metadata"})),
        extra="gemini",
        docs_url="https://ai.google.dev/api/generate-content",
        aliases=("google",),
    ),
    # ``v1``: what this package sends is in it. The service tier is chosen by a header there.
    Vendor(
        name="vertex",
        dialects={"generate": vertex},
        default_model="gemini-2.5-flash",
        base_url="https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}/publishers/google",
        base_url_where={
            "location=global": "https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/publishers/google",
        },
        key_env=("VERTEX_API_KEY",),
        auth=_KEY_HEADER,
        signer=GoogleSigner,
        embeddings=vertex_embeddings,
        quirks=Quirks(refuses=frozenset({"service_tier", "store"})),
        settings=("credentials_file",),
        extra="vertex",
        docs_url="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
        aliases=("vertexai",),
    ),
)
