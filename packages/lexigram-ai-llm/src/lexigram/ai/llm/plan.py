"""What a call would send: the exact request, worked out without any network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from lexigram.ai.llm.tokens import TokenCounterRegistry
from lexigram.ai.llm.transport import WireRequest
from lexigram.contracts.ai.protocols import TokenCount
from lexigram.contracts.ai.request import CompletionRequest
from lexigram.contracts.values import JSON, Secret
from lexigram.contracts.wire import HttpRequest, Loss

__all__ = ["RequestPlan", "plan_of"]

MASK: Final = "**********"
_SECRET_NAME: Final = re.compile(r"auth|key|token|secret|cookie|signature|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPlan:
    """A request as it would go out.

    Attributes:
        method: ``POST``.
        url: with its query.
        headers: as sent, but for the secrets in them, which are masked.
        body: the exact bytes.
        json: the same as JSON values.
        losses: what of the caller's request does not go out as it was given, and why.
        tokens: of the messages and tools: ``counted`` with the model's own vocabulary, or ``estimated``.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    json: JSON
    losses: tuple[Loss, ...]
    tokens: TokenCount


def plan_of(request: CompletionRequest, encoded: HttpRequest, wire: WireRequest, key: Secret | None) -> RequestPlan:
    """Return the plan of a request that is encoded and ready to be sent."""
    return RequestPlan(
        method=wire.method,
        url=wire.url,
        headers={name: _masked(name, value, key) for name, value in wire.all_headers.items()},
        body=wire.body,
        json=encoded.json,
        losses=encoded.losses,
        tokens=counters().for_model(request.model).count_messages(request.messages, request.tools),
    )


def _masked(name: str, value: str, key: Secret | None) -> str:
    if key and key.reveal() in value:
        return value.replace(key.reveal(), MASK)
    return MASK if _SECRET_NAME.search(name) else value


@cache
def counters() -> TokenCounterRegistry:
    """Return the counters that plans use; made once."""
    return TokenCounterRegistry.with_defaults()
