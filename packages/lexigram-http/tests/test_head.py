"""Heads: what is refused of a reply, what is tolerated, and what may be sent."""

from __future__ import annotations

import json
import traceback

import pytest
from http_world import OK, SENTINEL, World

from lexigram.http import (
    Deadlines,
    HeaderBlock,
    Headers,
    HttpProtocolError,
    HttpTimeout,
    InvalidRequest,
    Limits,
    Origin,
    Prepared,
    split_url,
)


async def test_dribbled_headers_do_not_extend_the_headers_deadline(world: World) -> None:
    error = await world.fails("/slow_headers", deadlines=Deadlines(total=3, headers=0.2))
    assert isinstance(error, HttpTimeout) and error.phase == "headers"


async def test_dribbled_headers_do_not_extend_the_total_deadline(world: World) -> None:
    error = await world.fails("/slow_headers", deadlines=Deadlines(total=0.2, headers=3))
    assert isinstance(error, HttpTimeout) and error.phase == "total"


@pytest.mark.parametrize(
    ("name", "kind", "limit"),
    [
        ("huge_headers", "too_large", "header_bytes"),
        ("many_headers", "too_large", "header_count"),
        ("many_early", "too_large", "informational"),
        ("bad_status", "bad_head", ""),
        ("not_http", "bad_head", ""),
        ("version2", "bad_head", ""),
        ("switching", "upgrade", ""),
        ("cl_and_te", "bad_head", ""),
        ("two_cl", "bad_head", ""),
        ("negative_cl", "bad_head", ""),
    ],
)
async def test_a_head_that_breaks_a_rule_is_refused_at_once(world: World, name: str, kind: str, limit: str) -> None:
    error = await world.fails(f"/{name}")
    assert isinstance(error, HttpProtocolError) and (error.kind, error.limit) == (kind, limit)
    assert len(world.journal.requests) == 1


@pytest.mark.parametrize("name", ["te_unknown", "te_gzip_chunked"])
async def test_a_transfer_coding_other_than_chunked_is_refused(world: World, name: str) -> None:
    error = await world.fails(f"/{name}")
    assert isinstance(error, HttpProtocolError) and error.kind == "encoding"


async def test_a_head_cut_short_is_truncated(world: World) -> None:
    error = await world.fails("/half_head")
    assert isinstance(error, HttpProtocolError) and error.kind == "truncated"


async def test_informational_replies_are_passed_over(world: World) -> None:
    assert await world.get("/early") == (200, OK)


@pytest.mark.parametrize("name", ["http10", "nocl_eof"])
async def test_a_body_may_end_with_the_connection(world: World, name: str) -> None:
    assert await world.get(f"/{name}") == (200, OK)
    assert world.pool.stats().open == 0


@pytest.mark.parametrize("name", ["garbage_after", "second_after"])
async def test_bytes_after_the_reply_cost_the_connection_but_not_the_reply(world: World, name: str) -> None:
    assert await world.get(f"/{name}") == (200, OK)
    assert world.pool.stats().open == 0
    assert await world.get("/ok") == (200, OK)


@pytest.mark.parametrize(
    ("path", "method", "status"), [("/head", "HEAD", 200), ("/status=204", "GET", 204), ("/not_modified", "GET", 304)]
)
async def test_replies_without_a_body_end_with_their_head_and_keep_the_connection(
    world: World, path: str, method: str, status: int
) -> None:
    for _ in range(2):
        assert await world.get(path, method=method, body=b"") == (status, b"")
    assert await world.get("/head", method="GET", body=b"") == (200, b"x" * 100)
    assert world.journal.connections == 1


async def test_a_reply_that_comes_before_the_request_is_written_is_read(world: World) -> None:
    status, body = await world.get("/early_reply", body=bytes(8 << 20))
    assert (status, body) == (413, b"too much")
    assert world.pool.stats().open == 0


async def test_a_large_request_body_arrives_whole(world: World) -> None:
    _, body = await world.get("/echo", body=bytes(3 << 20))
    assert json.loads(body)["size"] == 3 << 20


async def test_cookies_are_handed_up_and_never_sent_back(world: World) -> None:
    reply = await world.open("/cookie")
    assert reply.headers.get_list("Set-Cookie") == ["sid=1; Path=/", "b=2"]
    reply.close()
    _, body = await world.get("/echo")
    assert "cookie" not in json.loads(body)["headers"]


async def test_a_redirect_is_handed_up_and_not_followed(world: World) -> None:
    reply = await world.open("/redirect")
    assert (reply.status, reply.headers["location"]) == (307, "http://169.254.169.254/")
    assert len(world.journal.requests) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-key", f"{SENTINEL}\r\nx-evil: 1"),
        ("x-key", f"{SENTINEL}\n"),
        ("x-key", f"{SENTINEL}\0"),
        ("x-key", f"{SENTINEL}\u2028"),
        ("x-key", f"{SENTINEL}\x7f"),
        (b"x-key", f"{SENTINEL}\r".encode()),
    ],
)
async def test_a_header_value_that_could_break_the_head_is_refused_unseen(
    world: World, name: str, value: str | bytes
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await world.pool.request("GET", world.origin(), "/ok", [(name, value)])  # type: ignore[list-item]
    error = caught.value
    assert (error.part, error.name) == ("header", "x-key") and "x-key" in str(error)
    assert error.__cause__ is None and error.__context__ is None
    world.no_secret(error)
    assert not world.journal.connections


@pytest.mark.parametrize("name", ["", "x key", "x:key", "x\r\ny", "клю", "host", "Content-Length", "transfer-encoding"])
def test_a_header_name_that_is_no_token_or_not_the_callers_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        HeaderBlock([(name, SENTINEL)])
    assert SENTINEL not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in caught.value.name


@pytest.mark.parametrize("target", ["", "x", "/a b", "/a\r\nHost: x", "/a#b", "/\u00e9", "/a\0", "http://x/"])
def test_a_target_that_could_break_the_head_is_refused(target: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Prepared("GET", Origin("http", "h", 80), target)
    assert caught.value.part == "target"


@pytest.mark.parametrize("method", ["", "G T", "GET\r\n", "CONNECT"])
def test_a_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Prepared(method, Origin("http", "h", 80), "/")
    assert caught.value.part == "method"


@pytest.mark.parametrize(
    "url",
    [f"https://user:{SENTINEL}@h/", "https://user@h/", "ftp://h/", "/path", "http://", "http://h:99999/", "http://h/#f",
     "http://[::1/", "http://h\r\n/", "http://h /", "http://h%0d/", "file:///etc/passwd", "//169.254.169.254"],
)  # fmt: skip
def test_a_url_that_cannot_be_requested_is_refused_unseen(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        split_url(url)
    assert caught.value.part == "url" and SENTINEL not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("http://Example.com/a?b=c", "example.com", b"/a?b=c"),
        ("https://h:443", "h", b"/"),
        ("https://h:80/", "h:80", b"/"),
        ("http://[::1]:8080/x", "[::1]:8080", b"/x"),
    ],
)
def test_the_host_header_is_computed_from_the_url(url: str, authority: str, target: bytes) -> None:
    origin, found = split_url(url)
    assert (origin.authority, found) == (authority, target)
    assert b"\r\nhost: %b\r\n" % authority.encode() in Prepared("GET", origin, found).head


def test_only_what_can_be_decoded_is_advertised_and_a_callers_choice_kept() -> None:
    assert b"accept-encoding: gzip, deflate" in HeaderBlock().raw
    assert HeaderBlock([("Accept-Encoding", "identity")]).raw == b"accept-encoding: identity\r\n"


def test_headers_are_a_case_insensitive_mapping_that_joins_repeated_names() -> None:
    headers = Headers(b"HTTP/1.1 200 OK\r\nA: 1\r\nb:2 \r\na:\t3\r\nEmpty:\r\n")
    assert (headers["A"], headers.get("B"), headers.get("c"), headers["empty"]) == ("1, 3", "2", None, "")
    assert dict(headers) == {"a": "1, 3", "b": "2", "empty": ""} and len(headers) == 3 and "\u2028" not in headers
    assert headers.raw == [(b"A", b"1"), (b"b", b"2"), (b"a", b"3"), (b"Empty", b"")]


def test_a_family_of_headers_is_read_by_a_part_of_its_names_whatever_their_case() -> None:
    head = b"HTTP/1.1 200 Limit\r\nX-Limit-A: 1\r\nother: limit\r\nx-LIMIT-b:\t Two \r\nlimit:\r\nx-limit-a: 3\r\n"
    assert Headers(head).having(b"limit") == {"x-limit-a": "1, 3", "x-limit-b": "Two", "limit": ""}
    assert Headers(head).having(b"nothing") == {}
    assert Headers(b"HTTP/1.1 200 limit: yes\r\n").having(b"limit") == {}


def test_the_lines_around_a_family_of_headers_tell_the_same_of_it_and_little_else() -> None:
    first, last = b"date: now\r\nX-Limit-A: 1\r\n", b"\r\nx-LIMIT-b:\t Two \r\nserver: s\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + first + b"other: limit" + last
    around = Headers(head).around(b"limit")
    assert around is not None
    assert around.having(b"limit") == Headers(head).having(b"limit") == {"x-limit-a": "1", "x-limit-b": "Two"}
    assert (around.find(b"date"), around.find(b"server")) == (None, None)
    assert Headers(head).around(b"nothing") is None
    odd = Headers(b"HTTP/1.1 200 limit\r\nlimit: 1\r\n").around(b"limit")
    assert odd is not None
    assert odd.having(b"limit") == {"limit": "1"}


def test_a_prepared_request_takes_one_calls_own_headers_as_strictly_as_the_others() -> None:
    prepared = Prepared("POST", Origin("http", "h", 80), "/", [("a", "1")])
    more = prepared.plus([("Idempotency-Key", " k1 ")])
    assert more.wire(2) == prepared.wire(2).replace(b"content-length", b"idempotency-key: k1\r\ncontent-length")
    assert b"idempotency" not in prepared.wire(2)
    assert (more.origin, more.close, more.head_only) == (prepared.origin, prepared.close, prepared.head_only)
    for name, value in (("a b", "1"), ("b", f"{SENTINEL}\r\nc: 2"), ("host", "x"), ("connection", "close")):
        with pytest.raises(InvalidRequest) as caught:
            prepared.plus([(name, value)])
        assert caught.value.part == "header"
        assert SENTINEL not in str(caught.value)


async def test_nothing_shows_a_header_a_target_or_a_body(world: World) -> None:
    block = HeaderBlock([("authorization", SENTINEL)])
    prepared = Prepared("POST", world.origin(), f"/ok?key={SENTINEL}", block)
    reply = await world.pool.send(prepared, SENTINEL.encode())
    shown = f"{block!r} {prepared!r} {reply!r} {reply.headers!r} {world.pool!r} {Limits()!r} {Deadlines()!r}"
    assert SENTINEL not in shown
    assert await reply.read() == OK
