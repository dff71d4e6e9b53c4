"""The service of ``lex demo``. The demo shows this file's code, so that what is read is what runs."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from lexigram.ai.llm.extraction import StructuredExtractor
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.result import Result

__all__ = ["SupportDesk", "Ticket"]


class Ticket(BaseModel):
    title: str
    urgent: bool


class SupportDesk:
    def __init__(self, llm: LLMClientProtocol) -> None:
        self.llm = llm

    async def answer(self, question: str) -> Result[Completion, LLMError]:
        return await self.llm.complete([{"role": "user", "content": question}])

    async def tell(self, question: str, say: Callable[[str], None]) -> Result[Completion, LLMError]:
        stream = self.llm.stream_chat([{"role": "user", "content": question}])
        async for chunk in stream:
            say(chunk.delta)
        return await stream.completion()

    async def file(self, report: str) -> Result[Ticket, LLMError]:
        return await StructuredExtractor(self.llm).extract(report, Ticket)
