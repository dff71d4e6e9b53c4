"""The fault server does what its scenarios say, and the invariants are broken by what breaks them."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from dataclasses import replace
from email.utils import parsedate_to_datetime

import pytest

from lexigram.contracts.ai.completion import Attempt, Completion, Usage
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.result import Err, Ok, Result
from lexigram.testing import Canary
from lexigram.testing.faults import CHAT, FaultServer, scenarios
from lexigram.testing.invariants import BrokenInvariantError, Rules, observe, usage_complaints
from lexigram.testing.stepping import Step, sweep


def ask(server: FaultServer, path: str, body: bytes = b"{}") -> bytes:
    """Return what comes within a moment, or until the end."""
    with socket.create_connection(("127.0.0.1", server.ports["plain"]), timeout=5) as client:
        head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        client.sendall(head.encode() + body)
        client.settimeout(0.2)
        got = b""
        try:
            while data := client.recv(1 << 20):
                got += data
        except (TimeoutError, ConnectionResetError):
            pass
        return got


def test_paths_name_scenarios_and_the_plan_names_those_of_the_others(fault_server: FaultServer) -> None:
    assert ask(fault_server, "/status=503").startswith(b"HTTP/1.1 503")
    fault_server.play("status=429", "bad_status")
    fault_server.play_always("status=500")
    codes = [ask(fault_server, "/v1/chat/completions").split()[1] for _ in range(4)]
    assert codes == [b"429", b"abc", b"500", b"500"]
    fault_server.reset()
    assert ask(fault_server, "/v1/chat/completions").startswith(b"HTTP/1.1 200")
    assert [request.path for request in fault_server.journal.requests] == ["/v1/chat/completions"]


def test_the_path_and_the_request_choose_wire_and_form(fault_server: FaultServer) -> None:
    assert ask(fault_server, "/v1/chat/completions").endswith(CHAT.body)
    assert ask(fault_server, "/v1/chat/completions", b'{"stream": true}').endswith(CHAT.stream)
    assert ask(fault_server, "/ok").endswith(b'{"ok":true}')


def test_a_refusal_has_the_headers_the_code_and_the_clock_it_is_told_to_have(fault_server: FaultServer) -> None:
    got = ask(fault_server, "/refuse=429,code~insufficient_quota,retry-after-ms~300,until~2,clock~-3600").decode()
    head, _, body = got.partition("\r\n\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
    date, until_ = (parsedate_to_datetime(headers[name]) for name in ("date", "retry-after"))
    assert head.startswith("HTTP/1.1 429") and headers["retry-after-ms"] == "300"
    assert (until_ - date).total_seconds() == 2
    assert 3500 < time.time() - date.timestamp() < 3700
    assert json.loads(body)["error"]["code"] == "insufficient_quota"


def test_a_closed_port_refuses_and_opens_again_under_its_number(fault_server: FaultServer) -> None:
    fault_server.close_port()
    with pytest.raises(ConnectionRefusedError):
        ask(fault_server, "/ok")
    fault_server.open_port()
    assert ask(fault_server, "/ok").startswith(b"HTTP/1.1 200")


def test_a_connection_can_be_planned_too(fault_server: FaultServer) -> None:
    fault_server.play("accept:eof")
    assert ask(fault_server, "/ok") == b""
    assert ask(fault_server, "/ok").startswith(b"HTTP/1.1 200")


def test_every_scenario_says_what_it_does() -> None:
    assert len(scenarios) > 90 and {"s_err", "s_bom", "s_giant", "short_cl", "slow_headers"} <= set(scenarios)


async def passes(result: Result[str, LLMError] | None = None) -> Result[str, LLMError]:
    return result or Ok("fine")


async def test_a_call_that_keeps_everything_is_not_blamed() -> None:
    seen = await observe(passes, Rules(deadline=1.0, again=passes))
    seen.require()
    assert seen.value == Ok("fine") and seen.seconds < 0.5


async def test_every_invariant_can_be_broken() -> None:
    canary, kept = Canary(), []

    async def slow() -> None:
        await asyncio.sleep(0.7)

    async def hangs() -> None:
        await asyncio.sleep(30)

    async def leaks() -> None:
        kept.append(socket.socket())
        kept.append(socket.socket())
        kept.append(asyncio.create_task(asyncio.sleep(30)))

    async def foreign() -> None:
        raise KeyError("x")

    async def tells() -> Result[str, LLMError]:
        return Err(LLMError(f"the key is {canary.value}"))

    async def swells() -> None:
        kept.append(b"x" * (80 << 20))

    async def told(call: object, **rules: object) -> str:
        rules = {"deadline": 1.0, "canary": canary, "settle": 0.1, **rules}
        return "; ".join((await observe(call, Rules(**rules))).broken)  # type: ignore[arg-type]

    assert "took" in await told(slow, deadline=0.1)
    assert "hangs" in await told(hangs, deadline=0.1, patience=0.2)
    assert "sockets" in (said := await told(leaks)) and "tasks" in said
    assert "foreign" in await told(foreign)
    assert "secret" in await told(tells)
    assert "memory" in await told(swells)
    assert "slots" in await told(passes, slots=lambda: 1)
    assert "next call" in await told(passes, again=foreign)
    assert "2 requests instead of 1" in await told(passes, asked=iter([0, 2]).__next__, most_asked=1)
    assert "something kept" in await told(passes, again=passes, asked=lambda: 7)
    kept[2].cancel()
    kept[0].close()
    kept[1].close()
    with pytest.raises(BrokenInvariantError):
        (await observe(foreign, Rules(deadline=1.0))).require()


def test_tokens_are_told_once_and_are_unknown_where_a_try_broke_off() -> None:
    used = Usage(3, 2, 5, source="reported")
    failed, good = Attempt("p", "m", "LEX_ERR_LLM_023"), Attempt("p", "m", "ok", usage=used)
    assert usage_complaints(Ok(Completion("hi", usage=used, attempts=(failed, good)))) == []
    assert usage_complaints(Completion("hi", usage=used)) == []
    assert usage_complaints(Completion("hi", usage=used, attempts=(failed,)))
    assert usage_complaints(Completion("hi", usage=used, attempts=(replace(failed, usage=used), good)))
    assert usage_complaints(Err(LLMError("x", attempts=(failed,), partial=Completion("h")))) == []
    assert usage_complaints(LLMError("x", attempts=(good,)))
    assert usage_complaints(LLMError("x", partial=Completion("h", usage=Usage(0, 0, 0))))
    assert usage_complaints("a text") == []


async def test_the_harness_notices_a_coroutine_that_keeps_what_it_took() -> None:
    """The sweep must be able to fail: a naive slot is lost when cancelled between taking and giving back."""
    held = 0

    async def naive() -> None:
        nonlocal held
        await asyncio.sleep(0)
        held += 1
        await asyncio.sleep(0)
        held -= 1

    async def check(found: Step) -> None:
        assert held == 0, found

    with pytest.raises(AssertionError):
        await sweep(naive, check)


async def test_the_harness_notices_a_coroutine_that_goes_on_when_it_is_cancelled() -> None:
    async def deaf() -> None:
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return

    found: list[str] = []

    async def check(step: Step) -> None:
        found.append(step.outcome)

    await sweep(deaf, check)
    assert "swallowed" in found and found[-1] == "returned"
