"""ConversationManager: whole turns, tool pairs together, failures change nothing."""

from __future__ import annotations

import asyncio

import pytest

from lexigram.ai.llm import ConversationConfig, ConversationManager
from lexigram.contracts.ai import Completion, ToolCall
from lexigram.contracts.ai.errors import InvalidMessageError, LLMRateLimitError
from lexigram.contracts.result import Err
from lexigram.testing import FakeLLM


async def test_an_answer_is_appended_and_goes_with_the_next_question() -> None:
    llm = FakeLLM("Hi Ann", "You are Ann")
    talk = ConversationManager(config=ConversationConfig(max_turns=10), llm_client=llm)
    await talk.add_message({"role": "user", "content": "I am Ann"})
    assert (await talk.get_response()).content == "Hi Ann"
    await talk.add_message({"role": "user", "content": "Who am I?"})
    await talk.get_response()
    assert [m.text for m in llm.requests[1].messages] == ["I am Ann", "Hi Ann", "Who am I?"]
    assert [m.role for m in talk.messages] == ["user", "assistant", "user", "assistant"]


async def test_whole_turns_are_trimmed_and_the_system_messages_stay() -> None:
    llm = FakeLLM(*[f"a{i}" for i in range(6)])
    talk = ConversationManager(ConversationConfig(max_turns=2, system_prompt="Be brief."), llm_client=llm)
    sent = []
    for i in range(5):
        await talk.add_message({"role": "user", "content": f"q{i}"})
        await talk.get_response()
        sent.append([m.text for m in llm.requests[-1].messages])
    assert sent[0] == ["Be brief.", "q0"]
    assert sent[1] == ["Be brief.", "q0", "a0", "q1"]
    assert sent[4] == ["Be brief.", "q3", "a3", "q4"]
    assert len(talk.messages) == 10


async def test_tool_calls_and_their_results_are_never_parted() -> None:
    call = Completion(tool_calls=(ToolCall("c", "f"),), finish_reason="tool_calls")
    llm = FakeLLM(call, "42", "bye")
    talk = ConversationManager(ConversationConfig(max_turns=1), llm_client=llm)
    await talk.add_message({"role": "user", "content": "compute"})
    await talk.get_response()
    await talk.add_message({"role": "tool", "tool_call_id": "c", "content": "42"})
    await talk.get_response()
    assert [m.role for m in llm.requests[1].messages] == ["user", "assistant", "tool"]
    await talk.add_message({"role": "user", "content": "thanks"})
    await talk.get_response()
    assert [m.text for m in llm.requests[2].messages] == ["thanks"]


async def test_a_failure_is_raised_or_returned_and_changes_nothing() -> None:
    llm = FakeLLM(LLMRateLimitError("slow down"), LLMRateLimitError("slow down"), "ok")
    talk = ConversationManager(llm_client=llm)
    await talk.add_message({"role": "user", "content": "q"})
    with pytest.raises(LLMRateLimitError):
        await talk.get_response()
    assert isinstance(await talk.try_get_response(), Err)
    assert [m.role for m in talk.messages] == ["user"]
    assert (await talk.get_response()).content == "ok"


async def test_one_question_at_a_time() -> None:
    class Slow(FakeLLM):
        async def complete(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.01)
            return await super().complete(*args, **kwargs)

    talk = ConversationManager(llm_client=Slow("a", "b"))
    await talk.add_message({"role": "user", "content": "q"})
    first = asyncio.create_task(talk.get_response())
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one question at a time"):
        await talk.get_response()
    assert (await first).content == "a"


async def test_a_wrong_message_or_setting_is_refused_by_name() -> None:
    talk = ConversationManager(llm_client=FakeLLM())
    with pytest.raises(InvalidMessageError, match="role"):
        await talk.add_message({"role": "robot", "content": "x"})
    with pytest.raises(ValueError, match="max_turns"):
        ConversationConfig(max_turns=0)
