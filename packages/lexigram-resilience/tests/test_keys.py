"""Idempotency keys: no two calls share one, in whatever process."""

from __future__ import annotations

from lexigram.contracts.ai.coerce import build_request
from lexigram.resilience import _requests

REQUEST = build_request([{"role": "user", "content": "Hi"}], model="m")


def key() -> str:
    headers = _requests.with_key(REQUEST).extra_headers
    assert headers is not None
    return headers["idempotency-key"]


def test_keys_differ_and_a_process_anew_has_others() -> None:
    keys = {key() for _ in range(1000)}
    _requests._keys.renew()
    keys |= {key() for _ in range(1000)}
    assert len(keys) == 2000
    assert all(k.startswith("lex-") and k.isascii() and len(k) < 64 for k in keys)
