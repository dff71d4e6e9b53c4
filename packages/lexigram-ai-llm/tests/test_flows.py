"""Flows: driven by the engine over canned replies and over a real socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lexigram.ai.openai import responses
from lexigram.contracts.ai.errors import (
    DecodeError,
    LLMAuthenticationError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderServerError,
)
from lexigram.contracts.wire import Flow, HttpRequest, Sleep

HI: Any = [{"role": "user", "content": "hi"}]
BACKGROUND: dict[str, Any] = {"api": "responses", "extra_body": {"background": True}}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Hi!"}]}


def body(status: str, *output: Any) -> dict[str, Any]:
    return {"id": "resp_1", "status": status, "model": "m-1", "output": list(output)}


class Vendor:
    """Answers the creation with ``queued`` and each poll with the next status."""

    def __init__(self, *polls: tuple[int, dict[str, Any]]) -> None:
        self.polls = list(polls)
        self.seen: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append((request.method, request.url.path))
        assert request.headers["authorization"] == "Bearer sk-test"
        if request.method == "POST" and request.url.path.endswith("/responses"):
            assert json.loads(request.content)["background"] is True
            return httpx.Response(200, json=body("queued"))
        status, data = self.polls.pop(0) if len(self.polls) > 1 else self.polls[0]
        return httpx.Response(status, json=data, headers={"x-request-id": "req-9"})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without waiting long."""
    monkeypatch.setattr("lexigram.ai.openai._responses_flow._FIRST_WAIT", 0.001)


@pytest.mark.usefixtures("quick")
async def test_background_mode_is_one_call(make_client: Any) -> None:
    vendor = Vendor((200, body("in_progress")), (200, body("completed", MESSAGE)))
    done = (await make_client(vendor).complete(HI, **BACKGROUND)).unwrap()
    assert (done.content, done.finish_reason, done.request_id) == ("Hi!", "stop", "req-9")
    assert done.attempts[0].outcome == "ok"
    polled = ("GET", "/v1/responses/resp_1")
    assert vendor.seen == [("POST", "/v1/responses"), polled, polled]


async def test_the_deadline_is_the_calls_total_and_leaves_the_id_to_resume_by(make_client: Any) -> None:
    client = make_client(Vendor((200, body("in_progress"))))
    error = (await client.complete(HI, timeouts=0.2, **BACKGROUND)).unwrap_err()
    assert isinstance(error, LLMTimeoutError)
    assert (error.phase, error.partial.id) == ("total", "resp_1")  # type: ignore[union-attr]
    assert "resp_1" in (error.hint or "")


@pytest.mark.usefixtures("quick")
async def test_a_failed_poll_is_typed_and_keeps_the_id(make_client: Any) -> None:
    client = make_client(Vendor((500, {"error": {"message": "boom"}})))
    error = (await client.complete(HI, **BACKGROUND)).unwrap_err()
    assert isinstance(error, ProviderServerError)
    assert (error.partial.id, error.request_id, error.provider) == ("resp_1", "req-9", "openai")  # type: ignore[union-attr]


async def test_retrieve_and_cancel_are_run_by_the_client(make_client: Any) -> None:
    vendor = Vendor((200, body("completed", MESSAGE)))
    client = make_client(vendor)
    assert (await client.run(responses.retrieve("resp_1", client.endpoint))).unwrap().content == "Hi!"
    vendor.polls = [(200, body("cancelled"))]
    cancelled = (await client.run(responses.cancel("resp_1", client.endpoint))).unwrap()
    assert cancelled.raw_finish_reason == "cancelled"
    assert vendor.seen[-1] == ("POST", "/v1/responses/resp_1/cancel")


async def test_a_key_that_is_missing_or_a_flow_that_breaks_is_an_err(make_client: Any) -> None:
    def broken() -> Flow[int]:
        reply = yield HttpRequest("GET", "https://api.openai.com/v1/x")
        assert reply is not None
        return int(json.loads(reply.content)["missing"])

    client = make_client(lambda _: httpx.Response(200, json={}))
    assert isinstance((await client.run(broken())).unwrap_err(), DecodeError)
    client._key = None
    assert isinstance((await client.run(broken())).unwrap_err(), LLMAuthenticationError)


async def test_a_flow_that_swallows_the_deadline_is_ended_all_the_same(make_client: Any) -> None:
    closed = []

    def stubborn() -> Flow[int]:
        try:
            while True:
                try:
                    yield Sleep(10)
                except LLMTimeoutError:
                    pass
        finally:
            closed.append(True)

    error = (await make_client(lambda _: httpx.Response(200)).run(stubborn(), timeouts=0.05)).unwrap_err()
    assert isinstance(error, LLMTimeoutError)
    assert closed == [True]


async def test_cancelling_the_task_closes_the_flow(make_client: Any) -> None:
    closed = []

    def endless() -> Flow[int]:
        try:
            while True:
                yield Sleep(10)
        finally:
            closed.append(True)

    task = asyncio.create_task(make_client(lambda _: httpx.Response(200)).run(endless()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


@pytest.mark.usefixtures("quick")
async def test_background_mode_over_a_real_socket(make_client: Any, loopback: Callable[[Any], Awaitable[Any]]) -> None:
    answers = [body("queued"), body("in_progress"), body("completed", MESSAGE)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = json.dumps(answers.pop(0)).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n"
        writer.write(head.encode() + b"connection: close\r\n\r\n" + data)
        await writer.drain()
        writer.close()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    done = (await client.complete(HI, **BACKGROUND)).unwrap()
    assert done.content == "Hi!"
    assert [r.split(b" ")[0] for r in server.requests] == [b"POST", b"GET", b"GET"]
    gone = (await make_client(api_base="http://127.0.0.1:9/v1").complete(HI, **BACKGROUND)).unwrap_err()
    assert isinstance(gone, ProviderConnectionError)
    await client.close()
