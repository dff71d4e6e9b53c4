"""What is answered: scripts, made-up answers, and that a stream says what the whole reply says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from lexigram.testing.simulator import Answer, Call, Counts, Failure, Question, Simulator, When

Ask = Callable[..., Any]
Events = Callable[[Any], list[dict[str, Any]]]

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


async def test_one_text_answers_everything(ask: Ask) -> None:
    asker = ask("Hello")
    assert [await asker.text(), await asker.text()] == ["Hello", "Hello"]


async def test_a_list_answers_in_order_and_says_when_it_has_run_out(ask: Ask) -> None:
    asker = ask(["one", Answer("two"), lambda question: f"three {question.text}"])
    assert [await asker.text("a"), await asker.text("b"), await asker.text("c")] == ["one", "two", "three c"]
    assert asker.simulator.script_left == 0
    reply = await asker.chat()
    assert reply.status_code == 400
    assert (
        reply.json()["error"]["message"] == "the simulator's script has run out: it has 3 answer(s), this is question 4"
    )


async def test_a_function_may_be_async_and_is_given_the_question(ask: Ask) -> None:
    async def answer(question: Question) -> Answer:
        return Answer(f"{question.wire} {question.model} {question.key_id} {question.body['temperature']}")

    assert await ask(answer).text(temperature=0.5) == "openai.chat gpt-4o key-1 0.5"


async def test_rules_answer_by_the_last_user_message(ask: Ask) -> None:
    asker = ask([When("(?i)weather", "It rains."), When("^bye", Failure("overloaded"))])
    assert await asker.text("How is the Weather?") == "It rains."
    assert (await asker.chat("bye")).status_code == 503
    assert await asker.text("Something else") not in ("", "It rains.")


def test_rules_and_answers_do_not_mix() -> None:
    with pytest.raises(ValueError, match="not of both"):
        Simulator(["Hello", When("x", "y")])  # type: ignore[list-item]


async def test_a_script_that_fails_or_answers_nonsense_is_told_to_the_client(ask: Ask) -> None:
    def fail(question: Question) -> str:
        raise AssertionError("not this one")

    for script, words in (
        (lambda question: 7, "answered 7; an answer is"),
        (fail, "failed: AssertionError: not this one"),
    ):
        reply = await ask(script).chat()
        assert reply.status_code == 400
        assert words in reply.json()["error"]["message"]


async def test_made_up_answers_hang_on_seed_and_question_only(ask: Ask) -> None:
    said = await ask(seed=1).text("Hi")
    asker = ask(seed=1)
    await asker.text("Something else first")
    assert await asker.text("Hi") == said
    assert await ask(seed=2).text("Hi") != said
    assert await ask(seed=1).text("Ho") != said


async def test_a_made_up_text_has_as_many_tokens_as_wanted(ask: Ask) -> None:
    for tokens in (1, 2, 37, 200):
        reply = await ask(Answer(tokens=tokens)).chat()
        assert reply.json()["usage"]["completion_tokens"] == tokens


async def test_an_answer_to_a_schema_conforms_to_it(ask: Ask) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "trip", "schema": PARAMETERS}}
    for seed in range(5):
        jsonschema_rs.validate(PARAMETERS, json.loads(await ask(seed=seed).text(response_format=wanted)))
    assert isinstance(json.loads(await ask().text(response_format={"type": "json_object"})), dict)


async def test_a_schema_that_cannot_be_met_is_refused(ask: Ask) -> None:
    impossible = {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": {"allOf": [{"type": "string"}, {"type": "null"}]}},
    }
    reply = await ask().chat(response_format=impossible)
    assert reply.status_code == 400
    assert "can make nothing for the answer's schema" in reply.json()["error"]["message"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
async def test_a_tool_that_must_be_called_is_called_with_conforming_arguments(ask: Ask, choice: Any) -> None:
    reply = (await ask().chat(tools=[TOOL], tool_choice=choice)).json()["choices"][0]
    assert reply["finish_reason"] == "tool_calls"
    (call,) = reply["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    jsonschema_rs.validate(PARAMETERS, json.loads(call["function"]["arguments"]))


@pytest.mark.parametrize("choice", ["auto", "none"])
async def test_a_tool_that_need_not_be_called_is_not(ask: Ask, choice: str) -> None:
    assert await ask().text(tools=[TOOL], tool_choice=choice)


async def test_scripted_arguments_may_be_broken(ask: Ask) -> None:
    reply = await ask(Answer(tool_calls=(Call("weather", '{"city": "Be', id="call_1"),))).chat()
    (call,) = reply.json()["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Be'}}


async def test_a_stop_sequence_ends_the_text(ask: Ask) -> None:
    asker = ask("one two three")
    reply = (await asker.chat(stop=["three", " two"])).json()
    assert reply["choices"][0]["message"]["content"] == "one"
    assert reply["choices"][0]["finish_reason"] == "stop"
    message = (await asker.messages(stop_sequences=[" two"])).json()
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", " two")


async def test_max_tokens_cut_thinking_and_text_and_leave_out_calls(ask: Ask) -> None:
    asker = ask(Answer("one two three", thinking="let me think", tool_calls=(Call("weather", {"city": "Bern"}),)))
    cut = (await asker.messages(max_tokens=5)).json()
    assert [b["type"] for b in cut["content"]] == ["thinking", "text"]
    assert cut["content"][1]["text"] == "one two"
    assert (cut["stop_reason"], cut["usage"]["output_tokens"]) == ("max_tokens", 5)
    none = (await asker.responses(max_output_tokens=2)).json()
    assert none["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["type"] for item in none["output"]] == ["reasoning"]


async def test_thinking_is_shown_where_it_is_asked_for(ask: Ask) -> None:
    asker = ask()
    plain, thought = (await asker.chat()).json(), (await asker.chat(reasoning_effort="high")).json()
    assert "reasoning_content" not in plain["choices"][0]["message"]
    assert thought["choices"][0]["message"]["reasoning_content"]
    assert 0 < thought["usage"]["completion_tokens_details"]["reasoning_tokens"] < thought["usage"]["completion_tokens"]


async def test_several_choices_differ(ask: Ask) -> None:
    choices = (await ask().chat(n=3)).json()["choices"]
    assert [c["index"] for c in choices] == [0, 1, 2]
    assert len({c["message"]["content"] for c in choices}) == 3


async def test_scripted_usage_goes_over_every_wire_in_its_own_way(ask: Ask) -> None:
    asker = ask(Answer("Hi", usage=Counts(input=100, output=7, reasoning=3, cached=60, cache_write=20)))
    chat = (await asker.chat()).json()["usage"]
    assert (chat["prompt_tokens"], chat["prompt_tokens_details"]["cached_tokens"]) == (100, 60)
    message = (await asker.messages()).json()["usage"]
    assert (message["input_tokens"], message["cache_read_input_tokens"]) == (20, 60)
    assert message["cache_creation_input_tokens"] == 20


SCRIPTS = {
    "made up": None,
    "everything": Answer(
        "Let me see.", thinking="Hm, hm.", tool_calls=(Call("weather", {"city": "Zürich"}), Call("now"))
    ),
    "refusal": Answer(refusal="No, I will not."),
    "nothing": Answer(""),
    "emoji": Answer("a 🦔 in\nthe\u2028garden"),
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("short", [None, 3])
async def test_a_chat_stream_says_what_the_whole_reply_says(
    ask: Ask, read_events: Events, script: Any, short: int | None
) -> None:
    asker = ask(script)
    more = {"max_tokens": short, "n": 2, "reasoning_effort": "low", "tools": [TOOL]}
    whole = (await asker.chat(**more)).json()
    chunks = read_events(await asker.chat(stream=True, stream_options={"include_usage": True}, **more))
    assert chunks[-1]["usage"] == whole["usage"]
    for choice in whole["choices"]:
        deltas = [c for chunk in chunks for c in chunk["choices"] if c["index"] == choice["index"]]
        assert deltas[-1]["finish_reason"] == choice["finish_reason"]
        message = choice["message"]
        for name in ("content", "refusal", "reasoning_content"):
            joined = "".join(d["delta"].get(name) or "" for d in deltas)
            assert joined == (message.get(name) or "")
        calls: dict[int, dict[str, str]] = {}
        for piece in (p for d in deltas for p in d["delta"].get("tool_calls", ())):
            call = calls.setdefault(piece["index"], {"name": "", "arguments": "", "id": ""})
            call["id"] += piece.get("id", "")
            for name in ("name", "arguments"):
                call[name] += piece["function"].get(name, "")
        assert [calls[i] for i in sorted(calls)] == [
            {"id": c["id"], **c["function"]} for c in message.get("tool_calls", ())
        ]


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("short", [None, 3])
async def test_a_stream_of_responses_says_what_the_whole_reply_says(
    ask: Ask, read_events: Events, script: Any, short: int | None
) -> None:
    asker = ask(script)
    more = {"max_output_tokens": short, "reasoning": {"effort": "low"}}
    whole = (await asker.responses(**more)).json()
    streamed = read_events(await asker.responses(stream=True, **more))
    last = streamed[-1]
    assert last["type"] == f"response.{whole['status']}"
    ours = {"id", "created_at", "completed_at", "output"}
    assert {k: v for k, v in last["response"].items() if k not in ours} == {
        k: v for k, v in whole.items() if k not in ours
    }
    without_ids = [{k: v for k, v in item.items() if k != "id"} for item in whole["output"]]
    assert [{k: v for k, v in item.items() if k != "id"} for item in last["response"]["output"]] == without_ids
    done = [e["item"] for e in streamed if e["type"] == "response.output_item.done"]
    assert done == last["response"]["output"]
    for index, item in enumerate(whole["output"]):
        joined = "".join(e["delta"] for e in streamed if e["type"].endswith(".delta") and e["output_index"] == index)
        texts = item.get("summary") or item.get("content") or [{"text": item.get("arguments", "")}]
        assert joined == "".join(t.get("text") or t.get("refusal") or "" for t in texts)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("short", [None, 3])
async def test_a_stream_of_messages_says_what_the_whole_reply_says(
    ask: Ask, read_events: Events, script: Any, short: int | None
) -> None:
    asker = ask(script)
    more = {"thinking": {"type": "adaptive"}, "tools": [{"name": "weather", "input_schema": PARAMETERS}]}
    if short:
        more["max_tokens"] = short
    whole = (await asker.messages(**more)).json()
    streamed = read_events(await asker.messages(stream=True, **more))
    blocks: list[dict[str, Any]] = []
    for event in streamed:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
            blocks[-1]["raw"] = ""
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            for name in ("text", "thinking", "signature"):
                if name in delta:
                    block[name] += delta[name]
            block["raw"] += delta.get("partial_json", "")
    for block in blocks:
        raw = block.pop("raw")
        if block["type"] == "tool_use":
            block["input"] = json.loads(raw or "{}")
    assert blocks == whole["content"]
    ended = next(e for e in streamed if e["type"] == "message_delta")
    assert {k: ended["delta"][k] for k in ("stop_reason", "stop_sequence")} == {
        "stop_reason": whole["stop_reason"],
        "stop_sequence": whole["stop_sequence"],
    }
    assert {k: whole["usage"][k] for k in ended["usage"]} == ended["usage"]


async def test_signed_thinking_has_to_come_back_as_it_was(ask: Ask) -> None:
    asker = ask(Answer("42", thinking="Hm."))
    said = (await asker.messages()).json()["content"]

    async def send_back(content: list[dict[str, Any]]) -> Any:
        turns = [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": "So?"},
        ]
        return await asker.messages(messages=turns)

    assert (await send_back(said)).status_code == 200
    changed = await send_back([{**said[0], "thinking": "Hm!"}, said[1]])
    assert changed.status_code == 400
    assert "Invalid `signature`" in changed.json()["error"]["message"]


async def test_sealed_reasoning_has_to_come_back_as_it_was(ask: Ask) -> None:
    asker = ask(Answer("42", thinking="Hm."))
    reply = (await asker.responses(include=["reasoning.encrypted_content"])).json()["output"]
    back = [{"role": "user", "content": "Hi"}, *reply, {"role": "user", "content": "So?"}]
    assert (await asker.responses(back)).status_code == 200
    back[1] = {**back[1], "encrypted_content": "AAAA"}
    assert (await asker.responses(back)).status_code == 400


async def test_the_question_has_the_whole_conversation(ask: Ask) -> None:
    asker = ask("Fine.")
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "How is"}, {"type": "text", "text": " Bern?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
    ]
    await asker.chat(messages=messages, tools=[TOOL], stop="x", max_completion_tokens=9)
    question = asker.simulator.journal.last.question
    assert [turn.role for turn in question.turns] == ["system", "user", "assistant", "tool"]
    assert question.text == "How is Bern?"
    assert question.turns[2].calls == (Call("weather", "{}", "c1"),)
    assert [result.text for result in question.results] == ["Rain"]
    assert (question.tools[0].name, question.stop, question.max_tokens) == ("weather", ("x",), 9)


async def test_embeddings_of_texts_that_share_words_are_near(ask: Ask) -> None:
    asker = ask()
    body = {"model": "text-embedding-3-small", "input": ["a red fox", "the red fox", "open sea"]}
    one, two, three = ([*item["embedding"]] for item in (await asker.send("/v1/embeddings", body)).json()["data"])

    def dot(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert dot(one, one) == pytest.approx(1)
    assert dot(one, two) > 0.5 > abs(dot(one, three))
