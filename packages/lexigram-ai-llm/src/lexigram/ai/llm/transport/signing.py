"""Signs requests on their way out, for vendors whose authentication is more than a key in a header."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from lexigram.ai.llm.transport import Reply, Sender, WireRequest
from lexigram.contracts.ai.errors import LLMError, LLMTimeoutError
from lexigram.contracts.ai.request import Timeouts
from lexigram.contracts.wire import Signer

__all__ = ["SigningSender"]


class SigningSender:
    """A sender that signs the final bytes, within the call's deadline, and lets another send them."""

    def __init__(self, sender: Sender, signer: Signer) -> None:
        self._sender = sender
        self._signer = signer

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """Those of the sender behind."""
        return self._sender.failures

    def explain(self, error: Exception) -> LLMError:
        """Return the typed error."""
        return self._sender.explain(error)

    async def open(self, request: WireRequest, timeouts: Timeouts, *, stream: bool) -> Reply:
        """Sign, then send; what signing took is taken from the total.

        Raises:
            LLMAuthenticationError: when the signer has no credentials.
            LLMTimeoutError: when signing alone outlasts the deadline.
        """
        limits = (timeouts.total, timeouts.first_token if stream else None)
        limit = min([seconds for seconds in limits if seconds is not None], default=None)
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(limit):
                added = await self._signer.sign(request.method, request.url, request.all_headers, request.body)
        except TimeoutError:
            raise LLMTimeoutError("no credentials came within the deadline", phase="total", seconds=limit) from None
        headers = {**request.all_headers, **{name.lower(): value for name, value in added.items()}}
        left = replace(timeouts, total=timeouts.total - (clock() - began)) if timeouts.total is not None else timeouts
        return await self._sender.open(request._replace(headers=headers, more={}), left, stream=stream)

    async def aclose(self) -> None:
        """Close the sender behind."""
        await self._sender.aclose()
