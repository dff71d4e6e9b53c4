"""Keys, paths, models and bodies that a vendor refuses, in its own shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lexigram.testing.simulator import Failure

Ask = Callable[..., Any]
CHAT = "/openai/v1/chat/completions"
RESPONSES = "/openai/v1/responses"
MESSAGES = "/anthropic/v1/messages"
TURN = [{"role": "user", "content": "Hi"}]
VERSION = {"anthropic_version": "2023-06-01"}


@pytest.mark.parametrize(
    ("path", "header", "value"),
    [
        (CHAT, "authorization", "Bearer {}"),
        (RESPONSES, "authorization", "Bearer {}"),
        (MESSAGES, "x_api_key", "{}"),
        (MESSAGES, "authorization", "Bearer {}"),
    ],
)
async def test_only_the_listed_keys_are_accepted(ask: Ask, path: str, header: str, value: str) -> None:
    asker = ask("Hi", keys=["right"])
    body = {"model": "m", "messages": TURN, "input": "Hi", "max_tokens": 9}

    async def send(**headers: str) -> Any:
        return await asker.send(path, body, **headers, **VERSION)

    assert (await send(**{header: value.format("right")})).status_code == 200
    for refused in (await send(**{header: value.format("wrong")}), await send()):
        assert refused.status_code == 401
        error = refused.json()["error"]
        assert error["type"] in ("authentication_error", "invalid_request_error")
        assert "wrong" not in refused.text
    assert [entry.outcome for entry in asker.simulator.journal] == ["done", "refused", "refused"]
    assert not any("right" in repr(entry) or "wrong" in repr(entry) for entry in asker.simulator.journal)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openai/v1/nothing", 404),
        ("/anthropic/v1/nothing", 404),
        ("/nothing", 404),
        ("/openai/v2/chat/completions", 404),
    ],
)
async def test_an_unknown_path_is_not_found(ask: Ask, path: str, status: int) -> None:
    reply = await ask().send(path, {"model": "m"})
    assert reply.status_code == status
    assert reply.json()["error"]["type"] == ("not_found_error" if "anthropic" in path else "invalid_request_error")


async def test_a_known_path_with_another_method_is_not_allowed(ask: Ask) -> None:
    assert (await ask().send(CHAT, method="GET")).status_code == 405


async def test_paths_without_a_vendor_go_to_the_first_wire_that_has_them(ask: Ask) -> None:
    asker = ask("Hi")
    for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages"):
        body = {"model": "m", "messages": TURN, "input": "Hi", "max_tokens": 9}
        assert (await asker.send(path, body, **VERSION)).status_code == 200
    assert (await asker.send("/v1/models")).json()["object"] == "list"
    wires = [entry.wire for entry in asker.simulator.journal]
    assert wires == ["openai.chat", "openai.responses", "anthropic.messages", "openai.embeddings"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        (CHAT, 404, "The model `other` does not exist"),
        (RESPONSES, 400, "The requested model 'other' does not exist."),
        (MESSAGES, 404, "model: other"),
    ],
)
async def test_an_unknown_model_is_refused_where_models_are_listed(
    ask: Ask, path: str, status: int, words: str
) -> None:
    body = {"model": "other", "messages": TURN, "input": "Hi", "max_tokens": 9}
    reply = await ask(models=["m"]).send(path, body, **VERSION)
    assert reply.status_code == status
    assert words in reply.json()["error"]["message"]


GOOD = {"model": "m", "messages": TURN, "max_tokens": 2000}


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (CHAT, {"model": "m"}, "messages"),
        (CHAT, {"messages": TURN}, "model"),
        (CHAT, {"model": "m", "messages": []}, "empty array"),
        (CHAT, {"model": "m", "messages": "Hi"}, "messages"),
        (CHAT, {"model": "m", "messages": [{"role": "pope", "content": "Hi"}]}, "'pope'"),
        (CHAT, {"model": "m", "messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        (CHAT, {"model": "m", "messages": [{"role": "tool", "content": "x"}]}, "tool_call_id"),
        (CHAT, {**GOOD, "max_tokens": 0}, "max_tokens"),
        (CHAT, {**GOOD, "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        (CHAT, {**GOOD, "response_format": {"type": "xml"}}, "'xml'"),
        (CHAT, {**GOOD, "response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        (RESPONSES, {"model": "m"}, "input"),
        (RESPONSES, {"model": "m", "input": 7}, "input"),
        (RESPONSES, {"model": "m", "input": "Hi", "previous_response_id": "resp_1"}, "resp_1"),
        (RESPONSES, {"model": "m", "input": [{"role": "pope", "content": "Hi"}]}, "input[0].role"),
        ("/openai/v1/embeddings", {"model": "m", "input": ""}, "input"),
        ("/openai/v1/embeddings", {"model": "m", "input": []}, "input"),
        (MESSAGES, {"model": "m", "max_tokens": 9}, "messages: Field required"),
        (MESSAGES, {"model": "m", "messages": TURN}, "max_tokens: Field required"),
        (MESSAGES, {"messages": TURN, "max_tokens": 9}, "model: Field required"),
        (MESSAGES, {**GOOD, "messages": [{"role": "pope", "content": "Hi"}]}, "messages.0.role"),
        (MESSAGES, {**GOOD, "messages": []}, "at least one message"),
        (MESSAGES, {**GOOD, "tools": [{"name": "x"}]}, "tools.0.custom.input_schema"),
        (MESSAGES, {**GOOD, "thinking": {"type": "enabled", "budget_tokens": 10}}, "1024"),
        (MESSAGES, {**GOOD, "thinking": {"type": "enabled", "budget_tokens": 3000}}, "`thinking.budget_tokens`"),
        (CHAT, b"{", "parse the JSON"),
        (MESSAGES, b"[1]", "parse the JSON"),
    ],
)
async def test_a_bad_body_is_refused_with_the_fields_name(ask: Ask, path: str, body: Any, words: str) -> None:
    asker = ask()
    reply = await asker.send(path, body, **VERSION)
    assert reply.status_code == 400
    assert words in reply.json()["error"]["message"] or words == reply.json()["error"].get("param")
    assert asker.simulator.journal.last.outcome == "refused"


async def test_anthropic_wants_its_version(ask: Ask) -> None:
    reply = await ask().send(MESSAGES, GOOD)
    assert reply.status_code == 400
    assert "anthropic-version: header is required" in reply.text


@pytest.mark.parametrize(
    ("kind", "openai", "anthropic"),
    [
        ("invalid_request", 400, 400),
        ("context_length", 400, 400),
        ("authentication", 401, 401),
        ("permission", 403, 403),
        ("not_found", 404, 404),
        ("rate_limit", 429, 429),
        ("quota", 429, 400),
        ("server", 500, 500),
        ("unavailable", 503, 503),
        ("overloaded", 503, 529),
    ],
)
async def test_a_scripted_failure_has_the_vendors_status(ask: Ask, kind: Any, openai: int, anthropic: int) -> None:
    asker = ask(Failure(kind, retry_after=2.5, headers=(("x-more", "1"),)))
    for reply, status in (
        (await asker.chat(), openai),
        (await asker.responses(), openai),
        (await asker.messages(), anthropic),
    ):
        assert reply.status_code == status
        assert reply.headers["retry-after"] == "3"
        assert reply.headers["x-more"] == "1"
        assert reply.json()["error"]["message"]


async def test_a_scripted_failure_may_have_its_own_words_and_status(ask: Ask) -> None:
    reply = await ask(Failure("server", "out of paper", status=507)).chat(stream=True)
    assert (reply.status_code, reply.json()["error"]["message"]) == (507, "out of paper")
