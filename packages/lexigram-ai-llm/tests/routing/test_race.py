"""A race: all are asked at once, the first good answer is taken, and nothing of the others is left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from router_kit import USER, Late, router

from lexigram.contracts.ai.errors import LLMError, LLMRateLimitError, ProviderServerError
from lexigram.testing import FakeLLM
from lexigram.testing.stepping import Step, sweep


async def race(*clients: FakeLLM) -> Any:
    return await router(*clients, strategy="parallel_race").complete(USER)


async def test_the_first_good_answer_wins_and_the_others_are_ended() -> None:
    slow, fast = Late(provider="slow"), Late("Hello", provider="fast")
    fast.event.set()
    completion = (await race(slow, fast)).unwrap()
    assert completion.provider == "fast"
    assert [(a.provider, a.outcome) for a in completion.attempts] == [("slow", "cancelled"), ("fast", "ok")]
    assert (slow.asked, slow.broken_off) == (1, 1)


async def test_a_failure_does_not_win() -> None:
    failing, late = FakeLLM(ProviderServerError("x"), provider="failing"), Late("Hello", provider="late")
    asyncio.get_running_loop().call_later(0.01, late.event.set)
    completion = (await race(failing, late)).unwrap()
    assert completion.provider == "late"
    assert [a.outcome for a in completion.attempts] == ["LEX_ERR_LLM_022", "ok"]


async def test_of_two_that_come_together_the_first_in_order_is_taken_and_both_are_told() -> None:
    completion = (await race(FakeLLM("1", provider="one"), FakeLLM("2", provider="two"))).unwrap()
    assert completion.content == "1"
    assert [(a.provider, a.outcome) for a in completion.attempts] == [("two", "cancelled"), ("one", "ok")]


async def test_when_all_fail_the_error_has_all_tries() -> None:
    error: LLMError = (
        await race(FakeLLM(ProviderServerError("x"), provider="one"), FakeLLM(LLMRateLimitError("y"), provider="two"))
    ).unwrap_err()
    assert {a.provider for a in error.attempts} == {"one", "two"}


async def test_a_stream_is_raced_to_its_first_content() -> None:
    slow, fast = Late("slow answer", provider="slow"), Late("fast answer", provider="fast")
    fast.event.set()
    stream = router(slow, fast, strategy="parallel_race").stream_chat(USER)
    assert "".join([c.delta async for c in stream]) == "fast answer"
    assert slow.broken_off == 1


async def test_a_bug_in_one_client_ends_the_race_with_it() -> None:
    def bug(_: Any) -> str:
        raise ZeroDivisionError

    late = Late("Hello", provider="late")
    with pytest.raises(ZeroDivisionError):
        await race(FakeLLM(bug, provider="bug"), late)
    assert late.broken_off == late.asked


@pytest.mark.parametrize("again", [None, 0, 1])
@pytest.mark.parametrize("streamed", [False, True])
async def test_cancelled_at_any_step_a_race_leaves_no_task(streamed: bool, again: int | None) -> None:
    before = asyncio.all_tasks()

    async def attempt() -> None:
        slow, fast = Late(provider="slow"), Late("Hello", provider="fast")
        asyncio.get_running_loop().call_soon(fast.event.set)
        llm = router(slow, fast, strategy="parallel_race")
        if streamed:
            (await llm.stream_chat(USER).completion()).unwrap()
        else:
            (await llm.complete(USER)).unwrap()

    async def check(found: Step) -> None:
        assert found.outcome in ("cancelled", "returned"), found
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    steps = await sweep(attempt, check, again=again)
    assert len(steps) > 3
