"""The engine client: one call, from messages to a Result or a stream, and every way it can fail."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import LLMClient
from lexigram.contracts.ai import LLMClientProtocol, ThinkingConfig, Timeouts
from lexigram.contracts.ai.errors import (
    DecodeError,
    InvalidMessageError,
    InvalidRequestError,
    LLMAuthenticationError,
    LLMError,
    LLMRateLimitError,
    LLMTimeoutError,
    ProviderConnectionError,
    ProviderServerError,
    StreamError,
)
from lexigram.contracts.result import Err, Ok

ANSWER = {
    "id": "c-1", "model": "m-1-2026", "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}  # fmt: skip
USER = [{"role": "user", "content": "Hi"}]


def events(*values: Any, done: bool = True) -> bytes:
    lines = [b"data: " + json.dumps(v).encode() + b"\n\n" for v in values]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def delta(text: str, finish: str | None = None) -> dict[str, Any]:
    return {"id": "c-1", "model": "m-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


STREAM = events(delta("Hel"), delta("lo"), delta("", "stop"), {"id": "c-1", "choices": [], "usage": ANSWER["usage"]})


def replying(status: int = 200, body: bytes | None = None, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    content = json.dumps(ANSWER).encode() if body is None else body
    return lambda _: httpx.Response(status, content=content, headers=headers)


def test_it_is_an_llm_client(make_client: Any) -> None:
    assert isinstance(make_client(replying()), LLMClientProtocol)


async def test_a_call_sends_what_the_caller_said_and_returns_the_whole_answer(make_client: Any) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=ANSWER, headers={"x-request-id": "r-9"})

    result = await make_client(handler, temperature=0.5).complete(
        USER, max_tokens=7, stop_sequences=["END"], extra_headers={"X-Trace": "t"}, extra_body={"custom": 1}
    )
    completion = result.unwrap()
    assert (completion.content, completion.finish_reason, completion.model) == ("Hello", "stop", "m-1-2026")
    assert (completion.provider, completion.request_id, completion.id) == ("openai", "r-9", "c-1")
    assert (completion.usage.input_tokens, completion.usage.source) == (3, "reported")
    assert [a.outcome for a in completion.attempts] == ["ok"]
    (request,) = seen
    assert str(request.url) == "https://api.openai.com/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer sk-test"
    assert request.headers["x-trace"] == "t"
    body = json.loads(request.content)
    assert body["messages"] == USER
    assert (body["temperature"], body["stop"], body["custom"], body["model"]) == (0.5, ["END"], 1, "m-1")


async def test_a_header_that_the_dialect_adds_to_goes_out_as_it_wrote_it_and_the_callers_key_wins(
    make_client: Callable[..., LLMClient],
) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"content": []})

    client = make_client(handler, provider="anthropic")
    file = {"role": "user", "content": [{"type": "file", "file_id": "f"}]}
    headers = {"Anthropic-Beta": "mine", "X-Api-Key": "own"}
    (await client.complete([file], extra_headers=headers)).unwrap()
    assert seen[0].headers["anthropic-beta"] == "mine,files-api-2025-04-14"
    assert seen[0].headers["x-api-key"] == "own"


async def test_a_stream_folds_to_the_same_answer(make_client: Any) -> None:
    stream = make_client(
        replying(body=STREAM, **{"content-type": "text/event-stream", "x-request-id": "r-1"})
    ).stream_chat(USER)
    chunks = [chunk async for chunk in stream]
    assert "".join(c.delta for c in chunks) == "Hello"
    completion = stream.outcome.unwrap()
    assert (completion.content, completion.finish_reason, completion.request_id) == ("Hello", "stop", "r-1")
    assert completion.usage.total_tokens == 4
    assert [a.outcome for a in completion.attempts] == ["ok"]


async def test_calls_override_the_clients_defaults(make_client: Any) -> None:
    bodies: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(200, json=ANSWER)

    client = make_client(handler, temperature=0.1, max_tokens=5, thinking=ThinkingConfig(effort="low"))
    await client.complete(USER)
    await client.complete(USER, model="m-2", temperature=0.9, thinking=ThinkingConfig(effort="high"))
    assert (bodies[0]["temperature"], bodies[0]["reasoning_effort"], bodies[0]["model"]) == (0.1, "low", "m-1")
    assert (bodies[1]["temperature"], bodies[1]["reasoning_effort"], bodies[1]["model"]) == (0.9, "high", "m-2")


async def test_a_mistake_of_the_caller_is_raised_at_once_and_nothing_is_sent(make_client: Any) -> None:
    sent: list[httpx.Request] = []
    client = make_client(lambda r: sent.append(r) or httpx.Response(200, json=ANSWER))
    with pytest.raises(InvalidMessageError, match=r"messages\[0\].role"):
        await client.complete([{"role": "robot", "content": "x"}])
    with pytest.raises(TypeError, match="did you mean 'max_tokens'"):
        await client.complete(USER, max_token=5)
    with pytest.raises(TypeError):
        client.stream_chat(USER, nonsense=1)
    for name, value in (("X-A", "a\r\nB: c"), ("X\nA", "a"), ("X-A", "\0"), ("X-A", "é"), ("Host", "evil.example")):
        with pytest.raises(InvalidMessageError, match="extra_headers"):
            await client.complete(USER, extra_headers={name: value})
    assert sent == []


async def test_an_unknown_api_is_an_err_that_lists_the_known_ones(make_client: Any) -> None:
    result = await make_client(replying()).complete(USER, api="telegraph")
    assert isinstance(result, Err)
    assert isinstance(result.err_value, InvalidRequestError)
    assert "chat" in str(result.err_value)


@pytest.mark.parametrize(
    ("status", "body", "cls"),
    [
        (
            401,
            b'{"error":{"message":"bad key","type":"invalid_request_error","code":"invalid_api_key"}}',
            LLMAuthenticationError,
        ),
        (429, b'{"error":{"message":"slow down"}}', LLMRateLimitError),
        (500, b"oops", ProviderServerError),
        (502, b"<html><h1>Bad gateway</h1></html>", ProviderServerError),
        (302, b"", DecodeError),
        (200, b"<html>login</html>", DecodeError),
        (200, b"", DecodeError),
        (200, b"null", DecodeError),
        (200, b"[]", DecodeError),
        (200, b'{"choices": []}', DecodeError),
        (200, b'{"choices": 5}', DecodeError),
        (200, b'{"choices": [{"message": 5}]}', DecodeError),
        (200, b'{"choi', DecodeError),
        (200, b'{"a": "\xff"}', DecodeError),
        (200, b'{"error": {"message": "overloaded", "code": 502}}', LLMError),
    ],
)
async def test_every_bad_reply_is_a_typed_err_for_calls_and_streams_alike(
    make_client: Any, status: int, body: bytes, cls: type[LLMError]
) -> None:
    client: LLMClient = make_client(replying(status, body, **{"retry-after": "2", "x-request-id": "r-7"}))
    whole, streamed = await client.complete(USER), await client.stream_chat(USER).completion()
    for result in (whole, streamed):
        assert isinstance(result, Err), result
        error = result.err_value
        empty = result is streamed and status == 200 and body in (b"", b"null")  # no event at all
        assert isinstance(error, StreamError if empty else cls)
        assert (error.provider, error.model) == ("openai", "m-1")
        assert [a.outcome for a in error.attempts] == [error.code]
        assert "<" not in error.message
    if status >= 400:
        assert isinstance(whole, Err)
        assert whole.err_value.status == status
        assert whole.err_value.request_id == "r-7"


async def test_a_redirect_is_refused_and_the_key_goes_nowhere_else(make_client: Any) -> None:
    hosts: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://evil.example/v1/chat/completions"})

    result = await make_client(handler).complete(USER)
    assert isinstance(result, Err)
    assert result.err_value.reason == "redirect"
    assert hosts == ["api.openai.com"]


async def test_an_injected_async_client_is_used_and_follows_no_redirect(make_client: Any) -> None:
    from lexigram.ai.llm import ClientConfig, ProviderRegistry
    from lexigram.ai.llm.factory import build_client

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(307, headers={"location": "/x"})), follow_redirects=True
    ) as http:
        client = build_client(
            ClientConfig(api_key="sk-x", model="m-1"), ProviderRegistry().get("openai"), transport=http
        )
        result = await client.complete(USER)
        assert isinstance(result, Err)
        await client.close()
        assert not http.is_closed


@pytest.mark.parametrize("cut", range(1, len(STREAM), 7))
async def test_a_stream_cut_anywhere_before_its_finish_is_an_error_with_the_text_so_far(
    make_client: Any, cut: int
) -> None:
    finished = STREAM.index(b'"stop"') + len(b'"stop"}]}')
    stream = make_client(replying(body=STREAM[:cut])).stream_chat(USER)
    outcome = await stream.completion()
    if cut < finished:
        assert isinstance(outcome, Err)
        assert isinstance(outcome.err_value, StreamError)
        assert "Hello".startswith(outcome.err_value.partial.content)
    else:
        assert isinstance(outcome, Ok)
        assert outcome.ok_value.content == "Hello"


@pytest.mark.parametrize(
    ("body", "cls"),
    [
        (events(delta("Hel"), {"error": {"message": "boom", "code": 502}}), LLMError),
        (events(delta("Hel")) + b"data: {not json\n\n", StreamError),
        (events(delta("Hel"), done=False) + b"data: {not json\n\ndata: x\n\n", DecodeError),
        (events(delta("Hel"), done=False) + b'data: {"a": "\xff"}\n\n', DecodeError),
        (events(delta("Hel"), done=False) + b'data: {"choices": 5}\n\n', DecodeError),
        (events(delta("Hel"), done=False) + b'event: error\ndata: {"error": {"message": "x"}}\n\n', LLMError),
    ],
)
async def test_what_breaks_in_the_middle_keeps_the_text_so_far(
    make_client: Any, body: bytes, cls: type[LLMError]
) -> None:
    outcome = await make_client(replying(body=body)).stream_chat(USER).completion()
    if cls is StreamError:
        assert isinstance(outcome, Ok)  # what follows [DONE] is not read
        return
    assert isinstance(outcome, Err)
    assert isinstance(outcome.err_value, cls)
    assert outcome.err_value.partial.content == "Hel"


async def test_a_whole_answer_where_a_stream_was_asked_for_is_taken(make_client: Any) -> None:
    stream = make_client(replying(**{"content-type": "application/json"})).stream_chat(USER)
    assert (await stream.completion()).unwrap().content == "Hello"


# -- real sockets

Start = Callable[..., Awaitable[Any]]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"


@pytest.mark.parametrize("name", ["Idempotency-Key", "X-Trace"])
async def test_every_call_carries_its_own_header_whatever_was_prepared_before(
    make_client: Any, loopback: Start, name: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(ANSWER).encode()
        while True:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await server.read_request(reader)

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    for value in ("one", "two", None, "three"):
        (await client.complete(USER, extra_headers={name: value} if value else None)).unwrap()
    await client.close()
    own = f"{name.lower()}: ".encode()
    lines = [[line for line in request.split(b"\r\n") if line.startswith(own)] for request in server.requests]
    assert lines == [[own + b"one"], [own + b"two"], [], [own + b"three"]]
    assert all(request.count(b"\r\nauthorization: Bearer ") == 1 for request in server.requests)


async def test_connections_are_kept_for_the_next_call(make_client: Any, loopback: Start) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        body = json.dumps(ANSWER).encode()
        while True:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await server.read_request(reader)

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    for _ in range(5):
        assert (await client.complete(USER)).is_ok()
    assert connections == 1
    await client.close()


async def test_a_finished_stream_gives_its_connection_back(make_client: Any, loopback: Start) -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(STREAM) + STREAM + b"\r\n0\r\n\r\n")
            await server.read_request(reader)

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    for _ in range(3):
        assert (await client.stream_chat(USER).completion()).is_ok()
    assert connections == 1
    await client.close()


async def test_breaking_off_closes_the_connection(make_client: Any, loopback: Start) -> None:
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n" + events(delta("Hel"), done=False))
        assert await reader.read() == b""
        gone.set()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    stream = client.stream_chat(USER)
    async for _ in stream:
        break
    await asyncio.wait_for(gone.wait(), 2)
    assert isinstance(stream.outcome, Err)
    await client.close()


@pytest.mark.parametrize(
    ("timeouts", "sent", "phase"),
    [
        (Timeouts(total=0.2), b"", "total"),
        (Timeouts(total=5, first_token=0.2), b"", "first_token"),
        (Timeouts(total=5, first_token=0.2), b": keep-alive\n\n", "first_token"),
        (Timeouts(total=5, idle=0.2), events(delta("Hel"), done=False), "idle"),
        (Timeouts(total=0.3, idle=5), events(delta("Hel"), done=False), "total"),
    ],
)
async def test_a_stalled_stream_ends_at_the_deadline_whose_phase_it_names(
    make_client: Any, loopback: Start, timeouts: Timeouts, sent: bytes, phase: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n" + sent)
        while not reader.at_eof():
            await asyncio.sleep(0.02)
            writer.write(b": still here\n\n")
            await writer.drain()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    outcome = await asyncio.wait_for(client.stream_chat(USER, timeouts=timeouts).completion(), 3)
    assert isinstance(outcome, Err)
    assert isinstance(outcome.err_value, LLMTimeoutError)
    assert outcome.err_value.phase == phase
    await client.close()


async def test_a_dribbled_body_cannot_outlast_the_total_deadline(make_client: Any, loopback: Start) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
        while True:
            await asyncio.sleep(0.02)
            writer.write(b" ")
            await writer.drain()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    result = await asyncio.wait_for(client.complete(USER, timeouts=0.2), 3)
    assert isinstance(result, Err)
    assert result.err_value.phase == "total"
    assert server.requests[0].count(b"POST") == 1
    await client.close()


async def test_a_stream_that_says_done_but_never_closes_ends_all_the_same(make_client: Any, loopback: Start) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"\r\n" + STREAM)
        await reader.read()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    assert (await asyncio.wait_for(client.stream_chat(USER).completion(), 3)).unwrap().content == "Hello"
    await client.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "closed"),
        (b"garbage\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "truncated"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{", "truncated"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", "encoding"),
    ],
)
async def test_broken_http_is_a_typed_error(make_client: Any, loopback: Start, reply: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    result = await client.complete(USER)
    assert isinstance(result, Err)
    assert isinstance(result.err_value, ProviderConnectionError | DecodeError)
    assert result.err_value.reason == reason
    await client.close()


async def test_a_refused_connection_and_an_unknown_host_say_so(make_client: Any, unused_tcp_port: int) -> None:
    refused = await make_client(api_base=f"http://127.0.0.1:{unused_tcp_port}/v1").complete(USER)
    unknown = await make_client(api_base="https://nowhere.invalid/v1").complete(USER)
    assert isinstance(refused, Err) and isinstance(unknown, Err)
    assert refused.err_value.reason == "refused"
    assert unknown.err_value.reason == "dns"


async def test_gzip_is_undone(make_client: Any, loopback: Start) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = gzip.compress(json.dumps(ANSWER).encode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    assert (await client.complete(USER)).unwrap().content == "Hello"
    await client.close()


async def test_cancellation_passes_through_and_the_next_call_works(make_client: Any, loopback: Start) -> None:
    answered = json.dumps(ANSWER).encode()
    slow = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if slow:
            await reader.read()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answered) + answered)
        await writer.drain()

    server = await loopback(serve)
    client = make_client(api_base=server.url)
    task = asyncio.create_task(client.complete(USER))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    slow = False
    assert (await client.complete(USER)).is_ok()
    await client.close()


async def test_health_is_asked_of_the_network_and_a_failure_is_a_result(make_client: Any, unused_tcp_port: int) -> None:
    seen: list[httpx.Request] = []
    healthy = await make_client(lambda r: seen.append(r) or httpx.Response(200, json={"data": []})).health_check()
    assert healthy.healthy
    assert seen[0].method == "GET"
    assert not (await make_client(replying(401)).health_check()).healthy
    assert not (await make_client(api_base=f"http://127.0.0.1:{unused_tcp_port}/v1").health_check(timeout=1)).healthy
