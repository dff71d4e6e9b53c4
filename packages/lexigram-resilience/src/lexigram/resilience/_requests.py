"""Requests for the tries of a call: the same but for a deadline and a header."""

from __future__ import annotations

import itertools
import os
import secrets
from typing import Final

from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import sparse

__all__ = ["changed", "with_key"]

IDEMPOTENCY_KEY: Final = "idempotency-key"


class _Keys:
    """Keys that no other process makes: random for each process, counted within it."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew: a forked child would repeat its parent's."""
        self._prefix = f"lex-{secrets.token_hex(12)}-"
        self._count = itertools.count()

    def next(self) -> str:
        return f"{self._prefix}{next(self._count):x}"


_keys = _Keys()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.renew)


def with_key(request: CompletionRequest) -> CompletionRequest:
    """Return the request with an idempotency key of its own, unless the caller gave one."""
    headers = request.extra_headers
    if headers and any(name.lower() == IDEMPOTENCY_KEY for name in headers):
        return request
    return changed(request, "extra_headers", {**(headers or {}), IDEMPOTENCY_KEY: _keys.next()})


def changed(request: CompletionRequest, name: str, value: object) -> CompletionRequest:
    """Return the request with one field changed: ``dataclasses.replace`` at a fraction of its cost, for every call."""
    return sparse(CompletionRequest, {**vars(request), name: value})
