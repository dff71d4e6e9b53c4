"""The mock provider: prerendered replies on raw asyncio protocols, in a process of its own.

The first piece of the path says what to answer with: ``/call/…`` a whole reply, ``/stream-500/…`` as many chunks in
one go, ``/paced-50/…`` one chunk every ten milliseconds. A request without ``"stream": true`` always gets the whole
reply. Speaks OpenAI's chat wire, and Anthropic's messages where the path ends so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re

PACE = 0.01
WORDS = (" the", " quick", " brown", " fox", " jumps", " over", " a", " lazy", " dog", ".")

_STREAM = re.compile(rb'"stream":\s*true')
_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_USAGE = '{"prompt_tokens":72,"completion_tokens":40,"total_tokens":112,"prompt_tokens_details":{"cached_tokens":0}}'
# What a large provider's edge really sends with every reply.
_HEADERS = """\
date: Fri, 20 Nov 2026 12:00:00 GMT
server: cloudflare
connection: keep-alive
access-control-expose-headers: X-Request-ID
openai-organization: example-organization
openai-processing-ms: 412
openai-project: proj_4JZs8yWqTq1nXJmBd0aVtLxC
openai-version: 2020-10-01
x-envoy-upstream-service-time: 416
x-ratelimit-limit-requests: 10000
x-ratelimit-limit-tokens: 2000000
x-ratelimit-remaining-requests: 9999
x-ratelimit-remaining-tokens: 1999893
x-ratelimit-reset-requests: 6ms
x-ratelimit-reset-tokens: 3ms
x-request-id: req_5f1d7a08c9e94c1db1f4cf2d7cf25c54
cf-cache-status: DYNAMIC
set-cookie: __cf_bm=Yk3s0pXv1; path=/; HttpOnly; Secure; SameSite=None
set-cookie: _cfuvid=Jq8lq3uW0; path=/; HttpOnly; Secure; SameSite=None
strict-transport-security: max-age=31536000; includeSubDomains; preload
x-content-type-options: nosniff
cf-ray: 9a1b2c3d4e5f6a7b-FRA
alt-svc: h3=":443"; ma=86400""".replace("\n", "\r\n")


def whole(body: str) -> bytes:
    """Return a reply with its length."""
    data = body.encode()
    head = f"HTTP/1.1 200 OK\r\n{_HEADERS}\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


STREAM_HEAD = (
    f"HTTP/1.1 200 OK\r\n{_HEADERS}\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    "transfer-encoding: chunked\r\n\r\n"
).encode()
STREAM_END = b"0\r\n\r\n"

CHAT = whole(
    '{"id":"chatcmpl-CdQ8sX1b7mY2kV0aTz3nLwPq","object":"chat.completion","created":1795176000,'
    '"model":"gpt-4.1-mini-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":'
    '"The paragraph says that a busy reader is best served by one clear sentence.","refusal":null,"annotations":[]},'
    '"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":72,"completion_tokens":16,"total_tokens":88,'
    '"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,'
    '"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_4c2851f862"}'
)
MESSAGES = whole(
    '{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","model":"claude-sonnet-4-5-20250929",'
    '"content":[{"type":"text","text":"The paragraph says that a busy reader is best served by one clear sentence."}],'
    '"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":72,"cache_creation_input_tokens":0,'
    '"cache_read_input_tokens":0,"output_tokens":16,"service_tier":"standard"}}'
)


def _block(event: str) -> bytes:
    data = f"{event}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def chat_events(count: int) -> list[bytes]:
    """Return a stream with ``count`` pieces of text, each event a chunk of the transfer coding."""
    head = (
        'data: {"id":"chatcmpl-CdQ8sX1b7mY2kV0aTz3nLwPq","object":"chat.completion.chunk","created":1795176000,'
        '"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_4c2851f862","choices":'
    )
    text = head + '[{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":null}],"usage":null}'
    first = text.replace('{"content"', '{"role":"assistant","refusal":null,"content"') % WORDS[0]
    end = head + '[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}'
    events = [first, *(text % WORDS[i % len(WORDS)] for i in range(1, count)), end]
    return [_block(e) for e in (*events, f'{head}[],"usage":{_USAGE}}}', "data: [DONE]")]


def messages_events(count: int) -> list[bytes]:
    """Return the same in Anthropic's wire."""

    def event(kind: str, rest: str) -> str:
        return f'event: {kind}\ndata: {{"type":"{kind}",{rest}}}'

    head = (
        '"message":{"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant","content":[],'
        '"model":"claude-sonnet-4-5-20250929","stop_reason":null,"stop_sequence":null,'
        '"usage":{"input_tokens":72,"output_tokens":1}}'
    )
    texts = [
        event("content_block_delta", f'"index":0,"delta":{{"type":"text_delta","text":"{WORDS[i % len(WORDS)]}"}}')
        for i in range(count)
    ]
    events = [
        event("message_start", head),
        event("content_block_start", '"index":0,"content_block":{"type":"text","text":""}'),
        *texts,
        event("content_block_stop", '"index":0'),
        event("message_delta", '"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":40}'),
        'event: message_stop\ndata: {"type":"message_stop"}',
    ]
    return [_block(e) for e in events]


@functools.cache
def _events(messages: bool, count: int) -> list[bytes]:
    return messages_events(count) if messages else chat_events(count)


@functools.cache
def _at_once(messages: bool, count: int) -> bytes:
    return STREAM_HEAD + b"".join(_events(messages, count)) + STREAM_END


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._seen = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the transport."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=1 << 30)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers once the request is whole."""
        data = self._seen + data if self._seen else data
        end = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, end) if end >= 0 else None
        if end < 0 or (length is not None and len(data) < end + 4 + int(length[1])):
            self._seen = data
            return
        self._seen = b""
        assert self._transport is not None
        path = data[: data.index(b" HTTP")].partition(b" ")[2]
        kind, _, count = path.split(b"/", 2)[1].partition(b"-")
        messages = path.endswith(b"/messages")
        if not count or not _STREAM.search(data, end):
            self._transport.write(MESSAGES if messages else CHAT)
        elif kind == b"stream":
            self._transport.write(_at_once(messages, int(count)))
        else:
            self._transport.write(STREAM_HEAD)
            self._pace(iter(_events(messages, int(count))), self._loop.time())

    def _pace(self, events: object, due: float) -> None:
        assert self._transport is not None
        event = next(events, None)
        if self._transport.is_closing():
            return
        self._transport.write(STREAM_END if event is None else event)
        if event is not None:
            self._loop.call_at(due + PACE, self._pace, events, due + PACE)


async def serve() -> None:
    """Listen on a free port, say which, and serve until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Provider(loop), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
