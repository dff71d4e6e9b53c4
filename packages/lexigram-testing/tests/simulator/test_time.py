"""Latency, faults, clients that leave, and the socket."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.testing.simulator import Answer, Faults, Fixed, Latency, LogNormal, Simulator, Uniform

Ask = Callable[..., Any]
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


class Sleep:
    """Sleeps no time, but keeps how long it was to sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_a_stream_waits_for_the_first_token_and_between_tokens(ask: Ask) -> None:
    sleep = Sleep()
    asker = ask("one two three", latency=Latency(Fixed(2.0), Fixed(0.5)), sleep=sleep)
    await asker.chat(stream=True)
    assert sleep.slept == [2.0, 0.5, 0.5]


async def test_nothing_is_sent_before_the_first_token_is_due() -> None:
    simulator = Simulator("Hi", latency=Latency(Fixed(30.0)))
    async with simulator.serve() as server, httpx.AsyncClient(timeout=0.15) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{server.url}/v1/chat/completions", json={**BODY, "stream": True})
        await _settled(simulator, 1)
    assert simulator.journal.last.status == 0


async def test_a_whole_reply_takes_as_long_as_its_stream(ask: Ask) -> None:
    sleep = Sleep()
    asker = ask(Answer("one two three", delay=4.0), latency=Latency(Fixed(2.0), Fixed(0.5)), sleep=sleep)
    await asker.chat()
    assert sleep.slept == [7.0]


async def test_without_latency_nothing_is_slept(ask: Ask) -> None:
    sleep = Sleep()
    asker = ask(sleep=sleep)
    await asker.chat(stream=True)
    await asker.chat()
    assert sleep.slept == []


async def test_latencies_are_the_same_for_the_same_seed(ask: Ask) -> None:
    slept: list[list[float]] = []
    for seed in (1, 1, 2):
        sleep = Sleep()
        await ask("a b c", latency=Latency(LogNormal(1.0), Uniform(0.1, 0.2)), sleep=sleep, seed=seed).chat(stream=True)
        slept.append(sleep.slept)
    assert slept[0] == slept[1] != slept[2]
    assert all(0.1 <= pause <= 0.2 for pause in slept[0][1:])


def test_half_of_a_lognormal_is_below_its_median() -> None:
    chance = random.Random(0)
    drawn = [LogNormal(2.0, 0.5).draw(chance) for _ in range(2000)]
    assert 0.45 < sum(d < 2.0 for d in drawn) / 2000 < 0.55
    assert LogNormal(0.0).draw(chance) == 0.0


@pytest.mark.parametrize(
    ("kind", "status"), [("500", 500), ("502", 502), ("503", 503), ("429", 429), ("overloaded", 503)]
)
async def test_a_fault_may_be_a_status(ask: Ask, kind: Any, status: int) -> None:
    asker = ask("Hi", faults=Faults(1.0, (kind,)))
    assert (await asker.chat()).status_code == status
    assert (await asker.chat(stream=True)).status_code == status
    assert [(e.outcome, e.fault) for e in asker.simulator.journal] == [("fault", kind)] * 2


async def test_about_the_wanted_share_goes_wrong_and_always_the_same(ask: Ask) -> None:
    async def statuses() -> list[int]:
        asker = ask("Hi", faults=Faults(0.2, ("503",)), seed=3)
        return [(await asker.chat()).status_code for _ in range(200)]

    first = await statuses()
    assert 20 <= first.count(503) <= 60
    assert await statuses() == first


@pytest.mark.parametrize("wrong", [{"share": 2}, {"share": 0.1, "kinds": ()}, {"share": 0.1, "kinds": ("x",)}])
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|kinds"):
        Faults(**wrong)


async def _settled(simulator: Simulator, entries: int) -> None:
    for _ in range(400):
        if len(simulator.journal) >= entries:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(simulator.journal)} of {entries} requests are over")


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/openai/v1/responses", "/anthropic/v1/messages"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", ["cut", "stall", "silent", "error", "garbled", "unfinished"])
async def test_faults_on_a_socket(path: str, stream: bool, kind: Any) -> None:
    simulator = Simulator(Answer(tokens=30), faults=Faults(1.0, (kind,)))
    body = {**BODY, "input": "Hi", "max_tokens": 99, "stream": stream}
    async with simulator.serve() as server, httpx.AsyncClient(timeout=0.15) as client:
        sent = client.post(server.url + path, json=body, headers={"anthropic-version": "2023-06-01"})
        if kind in ("stall", "silent"):
            with pytest.raises(httpx.ReadTimeout):
                await sent
        elif kind == "cut" or not stream:
            with pytest.raises(httpx.RemoteProtocolError):
                await sent
        else:
            text = (await sent).text
            assert text
            assert "[DONE]" not in text or kind == "garbled"
            assert ("error" in text) == (kind == "error") or path.endswith("responses")
        await _settled(simulator, 1)
    assert (simulator.journal.last.outcome, simulator.journal.last.fault) == ("fault", kind)


async def test_a_client_that_leaves_is_noticed_at_once() -> None:
    simulator = Simulator(Answer(tokens=500), latency=Latency(between=Fixed(0.02)))
    async with simulator.serve() as server, httpx.AsyncClient() as client:
        async with client.stream(
            "POST", f"{server.base_urls['openai']}/chat/completions", json={**BODY, "stream": True}
        ) as reply:
            async for _ in reply.aiter_raw():
                break
        await _settled(simulator, 1)
        assert simulator.in_flight == 0
    entry = simulator.journal.last
    assert (entry.outcome, entry.status, entry.streamed) == ("cancelled", 200, True)
    assert 1 <= entry.frames < 500


async def test_a_client_that_waits_for_a_whole_reply_and_leaves_is_noticed() -> None:
    simulator = Simulator(latency=Latency(Fixed(30.0)))
    async with simulator.serve() as server, httpx.AsyncClient(timeout=0.2) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post(f"{server.url}/v1/chat/completions", json=BODY)
        await _settled(simulator, 1)
    assert (simulator.journal.last.outcome, simulator.journal.last.status) == ("cancelled", 0)


async def test_the_server_ends_although_a_stream_is_open() -> None:
    simulator = Simulator(latency=Latency(Fixed(30.0)))
    async with httpx.AsyncClient(timeout=5) as client:
        async with asyncio.timeout(5), simulator.serve() as server:
            waiting = asyncio.create_task(client.post(f"{server.url}/v1/chat/completions", json=BODY))
            while not simulator.in_flight:
                await asyncio.sleep(0.01)
        done, _ = await asyncio.wait([waiting], timeout=5)
        assert done
        assert waiting.exception() is not None or waiting.result().status_code == 500
    assert simulator.in_flight == 0


def test_a_thread_serves_code_without_an_event_loop() -> None:
    simulator = Simulator("Hello")
    with simulator.run_in_thread() as server:
        reply = httpx.post(f"{server.base_urls['openai']}/chat/completions", json=BODY)
    assert reply.json()["choices"][0]["message"]["content"] == "Hello"
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"{server.url}/v1/chat/completions", json=BODY)


async def test_a_stream_arrives_token_by_token_on_a_socket() -> None:
    simulator = Simulator("one two three", latency=Latency(between=Fixed(0.02)))
    async with simulator.serve() as server, httpx.AsyncClient() as client:
        async with client.stream("POST", f"{server.url}/v1/chat/completions", json={**BODY, "stream": True}) as reply:
            pieces = [piece async for piece in reply.aiter_raw()]
    assert len(pieces) >= 3


async def test_many_streams_at_once_all_end() -> None:
    simulator = Simulator(Answer(tokens=20))
    limits = httpx.Limits(max_connections=100)
    async with simulator.serve() as server, httpx.AsyncClient(limits=limits, timeout=30) as client:
        url = f"{server.url}/v1/chat/completions"
        replies = await asyncio.gather(*[client.post(url, json={**BODY, "stream": True}) for _ in range(100)])
    assert all(reply.text.endswith("data: [DONE]\n\n") for reply in replies)
    assert simulator.journal.outcomes == {"done": 100}


async def test_without_uvicorn_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(LLMConfigurationError) as caught:
        async with Simulator().serve():
            pass
    assert 'pip install "lexigram-testing[simulator]"' in str(caught.value)
    with pytest.raises(LLMConfigurationError), Simulator().run_in_thread():
        pass


async def test_the_journal_may_keep_the_newest_only(ask: Ask) -> None:
    asker = ask("Hi", keep=2)
    for i in range(5):
        await asker.chat(f"question {i}")
    journal = asker.simulator.journal
    assert [entry.question.text for entry in journal] == ["question 3", "question 4"]
    assert journal.accepted == 5
    journal.clear()
    assert (len(journal), journal.accepted) == (0, 0)
    with pytest.raises(AssertionError, match="asked nothing"):
        _ = journal.last


async def test_it_lives_through_asgis_lifespan() -> None:
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Simulator()({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(NotImplementedError, match="websocket"):
        await Simulator()({"type": "websocket"}, receive, send)
