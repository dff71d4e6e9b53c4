"""Recordings hold what was exchanged and no secret, and play it back."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.testing import Canary, forbid_network
from lexigram.testing.recording import Cassette, RecordingError
from lexigram.testing.recording._exchange import Asked, Exchange
from lexigram.testing.recording._scrub import Scrubber

URL = "https://models.example/v1/chat?alt=sse"
SECRET = "AK+key/with=signs~0123456789"
FORMS = (SECRET, quote(SECRET, safe=""), SECRET.replace("/", "\\/"), "".join(f"\\u{ord(c):04X}" for c in SECRET))


def replying(*pieces: bytes, status: int = 200, **headers: str) -> httpx.MockTransport:
    async def stream() -> Any:
        for piece in pieces:
            yield piece

    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.MockTransport(lambda _: httpx.Response(status, headers=named, content=stream()))


async def ask(transport: httpx.AsyncBaseTransport, url: str = URL, method: str = "POST", **kwargs: Any) -> list[bytes]:
    request = httpx.Request(method, url, **kwargs)
    response = await transport.handle_async_request(request)
    try:
        return [piece async for piece in response.aiter_bytes()]
    finally:
        await response.aclose()


async def recorded(path: Path, inner: httpx.AsyncBaseTransport, url: str = URL, **kwargs: Any) -> list[bytes]:
    with Cassette(path, "all") as cassette:
        return await ask(cassette.transport(inner), url, **kwargs)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "it.json"


async def test_pieces_come_back_as_they_were_cut_text_or_not(path: Path) -> None:
    pieces = [b'data: {"a":"\xc3', b'\xa4"}\n\n', b"\x00\xff\r\n", b"end"]
    assert await recorded(path, replying(*pieces), json={"q": 1}) == pieces
    with Cassette(path) as cassette, forbid_network():
        assert await ask(cassette.transport(), json={"q": 1}) == pieces


async def test_a_content_encoding_is_undone_before_anything_is_kept(path: Path) -> None:
    packed = gzip.compress(b'{"said": "hello"}')
    assert await recorded(path, replying(packed, content_encoding="gzip"), json={}) == [b'{"said": "hello"}']
    assert b"hello" in path.read_bytes()
    with Cassette(path) as cassette:
        assert await ask(cassette.transport(), json={}) == [b'{"said": "hello"}']


async def test_a_recording_can_be_read(path: Path) -> None:
    body = b'{\n  "said": "gr\xc3\xbc\xc3\x9fe"\n}'
    await recorded(path, replying(body, content_type="application/json"), json={"messages": [{"role": "user"}]})
    kept = json.loads(path.read_text())["exchanges"][0]
    assert kept["request"]["json"] == {"messages": [{"role": "user"}]}
    assert kept["response"]["body"] == [["{\n", '  "said": "grüße"\n', "}"]]
    assert "grüße" in path.read_text()


async def test_the_file_is_its_owners_and_nothing_else_is_left(path: Path) -> None:
    await recorded(path, replying(b"x"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "authorization": lambda s: {"headers": {"authorization": f"Bearer {s}"}},
    "api-key": lambda s: {"headers": {"api-key": s}},
    "x-api-key": lambda s: {"headers": {"x-api-key": s}},
    "x-goog-api-key": lambda s: {"headers": {"x-goog-api-key": s}},
    "cookie": lambda s: {"headers": {"cookie": f"a=1; session={s}"}},
    "account": lambda s: {"headers": {"openai-organization": s}},
    "basic": lambda s: {"headers": {"authorization": "Basic " + base64.b64encode(f"me:{s}".encode()).decode()}},
    "aws": lambda s: {
        "headers": {"authorization": f"AWS4-HMAC-SHA256 Credential=AK/20260101/x, SignedHeaders=host, Signature={s}"}
    },
    "aws-token": lambda s: {"headers": {"x-amz-security-token": s}},
    "query": lambda s: {"url": f"https://models.example/v1?alt=sse&key={quote(s)}"},
    "signed": lambda s: {"url": f"https://models.example/v1?X-Amz-Signature={quote(s)}&x=1"},
    "user": lambda s: {"url": f"https://me:{s}@models.example/v1"},
    "unknown header": lambda s: {"headers": {"x-strange": s}},
}


@pytest.mark.parametrize("place", PLACES)
async def test_no_credential_of_a_request_reaches_the_file_wherever_the_provider_repeats_it(
    place: str, path: Path, canary: Canary
) -> None:
    sent = PLACES[place](canary.value)
    echo = "" if place == "unknown header" else canary.value
    answer = json.dumps({"error": f"bad key {echo}!", "again": quote(echo), "raw": echo.encode().hex()}).encode()
    cut = answer.find(canary.value[:9].encode()) + 5
    inner = replying(answer[:cut], answer[cut:], x_request_id=f"r-{echo}", set_cookie="sid=0123456789abcdef")
    await recorded(path, inner, **sent)
    text = path.read_text()
    assert not canary.is_in(text)
    assert "0123456789abcdef" not in text
    with Cassette(path) as cassette, forbid_network():
        assert b"bad key" in b"".join(await ask(cassette.transport(), **sent))


async def test_a_secret_in_the_prompt_is_taken_out_and_still_matches_under_another_key(
    path: Path, canary: Canary
) -> None:
    def asking(key: str) -> dict[str, Any]:
        return {
            "headers": {"authorization": f"Bearer {key}"},
            "content": json.dumps({"q": f"my key is {key}"}).encode(),
        }

    await recorded(path, replying(b"never"), **asking(canary.value))
    assert not canary.is_in(path.read_bytes())
    with Cassette(path) as cassette:
        assert await ask(cassette.transport(), **asking("another-key-in-the-pipeline")) == [b"never"]


@pytest.mark.parametrize(
    "write",
    [
        lambda s: s,
        lambda s: s.replace("/", "\\/").replace("+", "\\u002B"),
        lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
        lambda s: quote(s, safe=""),
        lambda s: s.encode().hex().upper(),
        lambda s: base64.b64encode(b"{" + s.encode() + b"}").decode(),
        lambda s: base64.urlsafe_b64encode(b"ab" + s.encode() + b"}?>").decode(),
    ],
    ids=["plain", "escaped", "unicode", "percent", "hex", "base64", "base64url"],
)
async def test_a_secret_is_found_however_it_is_written(write: Callable[[str], str], path: Path) -> None:
    secret = "AK+key/with=signs~0123456789"
    written = write(secret)
    with Cassette(path, "all", secrets=[secret]) as cassette:
        await ask(cassette.transport(replying(f'{{"x": "{written}"}}'.encode())))
    text = path.read_text()
    assert written[8:-8] not in text
    assert "SCRUBBED" in text


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe key-0123456789 \x00", b'data: {"t": "key-01"}\n\ndata: {"t": "234567"}\n\ndata: {"t": "89"}\n\n'],
    ids=["binary", "written in pieces"],
)
async def test_what_cannot_be_scrubbed_is_not_written(body: bytes, path: Path) -> None:
    cassette = Cassette(path, "all", secrets=["key-0123456789"])
    await ask(cassette.transport(replying(body)))
    with pytest.raises(RecordingError, match="it cannot be recorded") as caught:
        cassette.save()
    assert not path.exists()
    assert "0123456789" not in str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(["{", '"x": "', "grüße", "\n", *FORMS]), max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
def test_wherever_a_reply_is_cut_the_secret_is_out_and_the_rest_is_kept(pieces: list[str], cuts: list[int]) -> None:
    body = "".join(pieces).encode()
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    cut = tuple(body[a:b] for a, b in pairwise(edges))
    scrubber = Scrubber([SECRET])
    asked = Asked("POST", URL, {}, b"")
    clean = scrubber.clean(Exchange(asked, 200, {}, cut, "complete"))
    assert not scrubber.is_in(b"".join(clean.pieces))
    expected = "".join("SCRUBBED" if piece in FORMS else piece for piece in pieces)
    assert b"".join(clean.pieces).decode() == expected
    assert len(clean.pieces) <= len(cut)


async def test_a_binary_request_with_a_secret_in_it_is_refused_at_once(path: Path) -> None:
    with Cassette(path, "all", secrets=["key-0123456789"]) as cassette, pytest.raises(RecordingError, match="not text"):
        await ask(cassette.transport(replying(b"x")), content=b"\xff key-0123456789")


async def test_requests_match_by_the_meaning_of_their_json_and_in_order(path: Path) -> None:
    answers = iter([b"one", b"two", b"other"])
    inner = httpx.MockTransport(lambda _: httpx.Response(200, content=next(answers)))
    with Cassette(path, "all") as cassette:
        transport = cassette.transport(inner)
        for body in (b'{"a": 1, "b": [2]}', b'{"a": 1, "b": [2]}', b'{"a": 2}'):
            await ask(transport, content=body)
    with Cassette(path) as cassette:
        transport = cassette.transport()
        assert await ask(transport, content=b'{"a":2}') == [b"other"]
        assert await ask(transport, content=b'{"b":[2],"a":1}') == [b"one"]
        with pytest.raises(RecordingError, match=r"nobody asked for: exchange 2: POST https://models\.example"):
            cassette.assert_played()
        assert await ask(transport, content=b'{"b":[2],"a":1}') == [b"two"]
        cassette.assert_played()
        with pytest.raises(RecordingError, match=r"3 of 3 played.*played already"):
            await ask(transport, content=b'{"a":2}')


async def test_a_request_that_no_recording_has_says_where_the_nearest_differs(path: Path) -> None:
    with Cassette(path, "all") as cassette:
        transport = cassette.transport(replying(b"x"))
        await ask(transport, url="https://models.example/other", json={"model": "b"})
        await ask(transport, json={"model": "a", "messages": [{"content": "Hello"}]})
    with Cassette(path) as cassette:
        with pytest.raises(RecordingError) as caught:
            await ask(cassette.transport(), json={"model": "a", "messages": [{"content": "Hi"}], "top_k": True})
    text = str(caught.value)
    assert "exchange 2" in text
    assert "body.messages[0].content is 'Hi' and was 'Hello'" in text
    assert "body.top_k is True and was not there" in text
    assert "--lex-record=all" in text


async def test_the_modes_play_record_and_add(path: Path) -> None:
    with pytest.raises(RecordingError, match=r"does not exist; record it with --lex-record=once"):
        await ask(Cassette(path, "none").transport(replying(b"x")))
    with Cassette(path, "once") as cassette:
        assert await ask(cassette.transport(replying(b"first")), json=1) == [b"first"]
    with Cassette(path, "once") as cassette, pytest.raises(RecordingError):
        await ask(cassette.transport(replying(b"second")), json=2)
    with Cassette(path, "new") as cassette:
        transport = cassette.transport(replying(b"second"))
        assert await ask(transport, json=2) == [b"second"]
        assert await ask(transport, json=1) == [b"first"]
    assert len(json.loads(path.read_text())["exchanges"]) == 2
    with Cassette(path, "all") as cassette:
        assert await ask(cassette.transport(replying(b"third")), json=1) == [b"third"]
    assert len(json.loads(path.read_text())["exchanges"]) == 1
    with pytest.raises(ValueError, match="allowed: none, once, new, all"):
        Cassette(path, "some")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "exchanges": [{}]}'])
def test_a_file_that_is_no_recording_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(RecordingError, match=r"broken\.json"):
        Cassette(path)


def test_a_cassette_does_not_show_what_it_hides(tmp_path: Path, canary: Canary) -> None:
    cassette = Cassette(tmp_path / "x.json", "all", secrets=[canary.value])
    canary.assert_absent(cassette, cassette.transport())


TESTS = """
import httpx, pytest

async def asked(recording, body):
    inner = httpx.MockTransport(lambda r: httpx.Response(200, content=b"real"))
    request = httpx.Request("POST", "https://models.example/", content=body)
    return await (await recording.transport(inner).handle_async_request(request)).aread()

@pytest.mark.parametrize("name", ["a/../../b", "x" * 300, "/etc/passwd"])
async def test_one(llm_recording, name):
    assert await asked(llm_recording, name.encode()) == b"real"

class TestGroup:
    async def test_two(self, llm_recording):
        assert await asked(llm_recording, b"1") == b"real"
"""


def test_the_fixture_keeps_a_file_a_test_beside_it_and_plays_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    def run(*options: str) -> str:
        base = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
        done = subprocess.run(
            [*base, f"--rootdir={tmp_path}", *options, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
        return done.stdout + done.stderr

    assert "4 failed" in (said := run()), said
    assert "--lex-record=once" in said
    assert "4 passed" in (said := run("--lex-record=once")), said
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.json"))
    assert len(files) == 4
    assert {str(path.parent) for path in files} == {"recordings/test_it"}
    assert any(path.name.startswith("TestGroup.test_two") for path in files)
    assert "4 passed" in (said := run()), said
