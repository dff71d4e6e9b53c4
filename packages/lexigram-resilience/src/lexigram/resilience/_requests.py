"""Requests for the tries of a call: the same but for a deadline and a header."""

from __future__ import annotations

import secrets
from typing import Final

from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import sparse

__all__ = ["changed", "with_key"]

IDEMPOTENCY_KEY: Final = "idempotency-key"


def with_key(request: CompletionRequest) -> CompletionRequest:
    """Return the request with an idempotency key of its own, unless the caller gave one."""
    headers = request.extra_headers
    if headers and any(name.lower() == IDEMPOTENCY_KEY for name in headers):
        return request
    key = f"lex-{secrets.token_hex(16)}"
    return changed(request, "extra_headers", {**(headers or {}), IDEMPOTENCY_KEY: key})


def changed(request: CompletionRequest, name: str, value: object) -> CompletionRequest:
    """Return the request with one field changed: ``dataclasses.replace`` at a fraction of its cost, for every call."""
    return sparse(CompletionRequest, {**vars(request), name: value})
