"""A conversation over several turns: what was said, and the part of it that goes with the next question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import Unpack

from lexigram.contracts.ai.coerce import coerce_message
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import ChatMessage, ChatMessageProtocol
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.ai.request import CompletionOptions
from lexigram.contracts.result import Err, Result

__all__ = ["ConversationConfig", "ConversationManager"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationConfig:
    """How much of a conversation goes with each question.

    Attributes:
        max_turns: most turns sent, the newest; None sends all. A turn is a user's message and everything up to
            the next one, so that tool calls and their results are never parted.
        system_prompt: instructions before everything, or None.
    """

    max_turns: int | None = None
    system_prompt: str | None = None

    def __post_init__(self) -> None:
        if self.max_turns is not None and self.max_turns < 1:
            raise ValueError(f"max_turns: {self.max_turns} is out of range; allowed: ≥ 1, or None")


class ConversationManager:
    """Keeps the messages of one conversation and asks the model with them.

    ``messages`` keeps everything; what is sent is ``window()``: the system messages and the newest turns.
    """

    def __init__(
        self,
        config: ConversationConfig | None = None,
        *,
        llm_client: LLMClientProtocol,
        messages: Sequence[ChatMessage | ChatMessageProtocol | Mapping[str, Any]] = (),
    ) -> None:
        self.config = config or ConversationConfig()
        self._client = llm_client
        self._messages = [coerce_message(m, f"messages[{i}]") for i, m in enumerate(messages)]
        self._asking = False

    @property
    def messages(self) -> tuple[ChatMessage, ...]:
        """Everything that was said, oldest first."""
        return tuple(self._messages)

    async def add_message(self, message: ChatMessage | ChatMessageProtocol | Mapping[str, Any]) -> None:
        """Append a message.

        Raises:
            InvalidMessageError: naming the wrong field.
        """
        self._messages.append(coerce_message(message))

    async def get_response(self, **options: Unpack[CompletionOptions]) -> Completion:
        """Ask the model and append its answer.

        Raises:
            LLMError: when the call fails; the conversation is as before, so that asking again is all it takes.
        """
        result = await self.try_get_response(**options)
        if isinstance(result, Err):
            raise result.err_value
        return result.ok_value

    async def try_get_response(self, **options: Unpack[CompletionOptions]) -> Result[Completion, LLMError]:
        """Ask the model; an answer is appended, a failure changes nothing."""
        if self._asking:
            raise RuntimeError("this conversation is waiting for an answer already; one question at a time")
        self._asking = True
        try:
            result = await self._client.complete(self.window(), **options)
        finally:
            self._asking = False
        if result.is_ok():
            self._messages.append(result.unwrap().message)
        return result

    def window(self) -> tuple[ChatMessage, ...]:
        """Return what the next question sends."""
        prompt = self.config.system_prompt
        system = [ChatMessage("system", prompt)] if prompt else []
        system += [m for m in self._messages if m.role in ("system", "developer")]
        turns = _turns(m for m in self._messages if m.role not in ("system", "developer"))
        if self.config.max_turns is not None:
            turns = turns[-self.config.max_turns :]
        return (*system, *[m for turn in turns for m in turn])

    def clear(self) -> None:
        """Forget everything that was said; the system prompt of the config stays."""
        self._messages.clear()


def _turns(messages: Any) -> list[list[ChatMessage]]:
    turns: list[list[ChatMessage]] = []
    for message in messages:
        if message.role == "user" and not (turns and turns[-1][-1].role == "user"):
            turns.append([message])
        elif turns:
            turns[-1].append(message)
        else:
            turns.append([message])
    return turns
