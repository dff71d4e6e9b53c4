"""``plan``: exactly what would be sent, without sending."""

import json
from typing import Any

import httpx
import pytest

from lexigram.ai.llm import RequestPlan
from lexigram.contracts.ai.errors import InvalidRequestError
from lexigram.contracts.ai.messages import ChatMessage, Opaque, OpaquePart, TextPart

HI: Any = [{"role": "user", "content": "hi"}]


def refuse(_: httpx.Request) -> httpx.Response:
    raise AssertionError("a plan sends nothing")


def test_a_plan_is_the_request_and_nothing_goes_out(make_client: Any) -> None:
    plan = make_client(refuse).plan(HI, temperature=0.5, extra_headers={"X-Api-Token": "t0ps3cret", "x-trace": "1"})
    assert isinstance(plan, RequestPlan)
    assert (plan.method, plan.url) == ("POST", "https://api.openai.com/v1/chat/completions")
    assert json.loads(plan.body) == plan.json
    assert plan.headers["authorization"] == "Bearer **********"
    assert plan.headers["x-trace"] == "1"
    assert "sk-test" not in repr(plan)
    assert "t0ps3cret" not in repr(plan)
    assert plan.tokens.tokens > 0
    assert plan.tokens.source in ("counted", "estimated")


async def test_the_bytes_are_those_that_complete_sends(make_client: Any) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": "x"}}]})

    client = make_client(answer)
    options: dict[str, Any] = {"max_tokens": 5, "tools": [{"name": "f", "parameters": {"type": "object"}}]}
    plan = client.plan(HI, **options)
    (await client.complete(HI, **options)).unwrap()
    assert seen[0].content == plan.body
    assert str(seen[0].url) == plan.url
    for name, value in plan.headers.items():
        assert name == "authorization" or seen[0].headers[name] == value


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_what_does_not_go_out_is_listed(make_client: Any, api: str) -> None:
    foreign = ChatMessage("assistant", (TextPart("a"), OpaquePart(Opaque("other", {"type": "x"}), "thing")))
    plan = make_client(refuse).plan([*HI, foreign, *HI], api=api)
    assert [(loss.path, loss.reason) for loss in plan.losses] == [
        ("messages[1].parts[1]", "thing of other is left out")
    ]


def test_a_plan_of_background_mode_is_its_first_request(make_client: Any) -> None:
    plan = make_client(refuse).plan(HI, api="responses", extra_body={"background": True})
    assert (plan.method, plan.url.rpartition("/")[2], plan.json["background"]) == ("POST", "responses", True)


def test_what_is_refused_is_raised(make_client: Any) -> None:
    with pytest.raises(InvalidRequestError, match="top_k"):
        make_client(refuse).plan(HI, top_k=3)
