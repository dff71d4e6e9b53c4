"""The Responses dialect: what goes out, what comes back, and the way round."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexigram.ai.openai import chat, grammar_tool, responses
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import InvalidRequestError, LLMError, LLMRateLimitError, ProviderServerError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.messages import (
    AudioPart,
    ChatMessage,
    Opaque,
    OpaquePart,
    RefusalPart,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResultPart,
)
from lexigram.contracts.ai.request import ThinkingConfig, ToolDefinition
from lexigram.contracts.wire import Endpoint, HttpRequest, HttpResponse, Quirks, Sleep

ACME = Endpoint("acme", "https://api.acme.example/v1")
HI: Any = [{"role": "user", "content": "hi"}]
REASONING = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "S1"},
             {"type": "summary_text", "text": "S2"}], "encrypted_content": "gAAA=="}  # fmt: skip
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "phase": "final_answer",
           "content": [{"type": "output_text", "text": "Hi!", "annotations": [{"type": "url_citation", "url": "u"}]}]}  # fmt: skip
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "f",
    "arguments": '{"x":1}',
    "status": "completed",
}
CUSTOM = {"id": "ct_1", "type": "custom_tool_call", "call_id": "call_2", "name": "sql", "input": "SELECT 1"}
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}
USAGE = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12, "input_tokens_details": {"cached_tokens": 2},
         "output_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip


def body(*output: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": "completed", "model": "m-1", "output": list(output),
            "usage": USAGE, "error": None, **fields}  # fmt: skip


def encode(messages: Any = HI, *, endpoint: Endpoint = ACME, **options: Any) -> HttpRequest:
    named = {k: options.pop(k) for k in ("temperature", "max_tokens", "tools", "stop_sequences") if k in options}
    request = build_request(messages, model=options.pop("model", "gpt-5"), options=options, **named)
    return responses.encode_request(request, endpoint, stream=False)


def sent(messages: Any = HI, **options: Any) -> Any:
    return json.loads(json.dumps(encode(messages, **options).json))


# -- requests


def test_nothing_is_stored_and_the_reasoning_is_asked_for_encrypted() -> None:
    assert sent() == {
        "model": "gpt-5",
        "input": [{"role": "user", "content": "hi"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert "include" not in sent(store=True)
    assert sent(store=True)["store"] is True


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "openai/gpt-4o", "ft:gpt-4o:me"])
def test_models_from_before_reasoning_are_not_asked_for_it(model: str) -> None:
    assert "include" not in sent(model=model)


def test_include_is_joined_and_an_empty_one_asks_for_nothing() -> None:
    joined = sent(extra_body={"include": ["web_search_call.action.sources"]})["include"]
    assert joined == ["reasoning.encrypted_content", "web_search_call.action.sources"]
    assert sent(extra_body={"include": []})["include"] == []
    assert "message.output_text.logprobs" in sent(top_logprobs=2)["include"]


def test_options_go_under_the_wires_own_names() -> None:
    out = sent(
        max_tokens=9, temperature=0.5, prompt_cache="k", verbosity="low", response_format="json_object",
        metadata={"a": "b"}, service_tier="flex", parallel_tool_calls=False,
        thinking=ThinkingConfig(effort="low"), extra_body={"truncation": "auto", "reasoning": {"summary": "detailed"}},
    )  # fmt: skip
    assert out["max_output_tokens"] == 9
    assert out["prompt_cache_key"] == "k"
    assert out["text"] == {"format": {"type": "json_object"}, "verbosity": "low"}
    assert out["reasoning"] == {"effort": "low", "summary": "detailed"}
    assert out["truncation"] == "auto"
    assert sent(thinking=ThinkingConfig(suppress=True))["reasoning"] == {"effort": "none"}


@pytest.mark.parametrize(
    "option",
    [{"seed": 1}, {"stop_sequences": ["a"]}, {"frequency_penalty": 1}, {"presence_penalty": 1}, {"top_k": 2},
     {"logit_bias": {"1": 1}}, {"modalities": ("text",)}, {"prediction": "p"}, {"audio": {"voice": "v"}},
     {"thinking": ThinkingConfig(budget_tokens=5)}],
    ids=str,
)  # fmt: skip
def test_an_option_that_the_wire_has_not_is_refused_by_name(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="budget_tokens" if "thinking" in option else next(iter(option))):
        encode(**option)


def test_tools_are_flat_and_strict_is_always_said() -> None:
    tool = ToolDefinition("f", "d", {"type": "object", "properties": {"x": {"type": "integer"}}})
    own = {"type": "web_search"}
    assert sent(tools=[tool, own])["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": dict(tool.parameters), "strict": False},
        own,
    ]


def test_a_strict_schema_is_compiled_and_its_losses_are_on_the_request() -> None:
    tool = ToolDefinition("f", "", {"type": "object", "properties": {"x": {"type": "integer"}}}, strict=True)
    request = encode(tools=[tool])
    made: Any = request.json
    assert made["tools"][0]["parameters"]["required"] == ["x"]
    assert [loss.path for loss in request.losses] == ["tools[0].parameters.properties.x"]


def test_a_grammar_tool_has_the_form_of_each_api() -> None:
    tool = grammar_tool("sql", "lark", "start: WORD", "says")
    form = {"type": "grammar", "syntax": "lark", "definition": "start: WORD"}
    assert sent(tools=[tool])["tools"] == [{"type": "custom", "name": "sql", "description": "says", "format": form}]
    request = build_request(HI, model="m", tools=[tool])
    over_chat: Any = chat.encode_request(request, ACME, stream=False).json
    inner = {"syntax": "lark", "definition": "start: WORD"}
    assert over_chat["tools"] == [
        {
            "type": "custom",
            "custom": {"name": "sql", "description": "says", "format": {"type": "grammar", "grammar": inner}},
        }
    ]
    back = {"type": "custom", "custom": over_chat["tools"][0]["custom"]}
    assert sent(tools=[back])["tools"] == sent(tools=[tool])["tools"]
    with pytest.raises(InvalidRequestError, match="ebnf"):
        grammar_tool("x", "ebnf", "")


def test_the_api_version_of_older_azure_urls_is_the_query() -> None:
    azure = Endpoint("azure-openai", "https://r.example/openai", params={"api_version": "2025-04-01-preview"})
    assert encode(endpoint=azure).url == "https://r.example/openai/responses?api-version=2025-04-01-preview"


# -- the way round


def test_items_go_back_as_they_came_and_in_order() -> None:
    output = [REASONING, MESSAGE, SEARCH, CALL, CUSTOM]
    done = responses.decode_response(body(*output), ACME)
    assert done.finish_reason == "tool_calls"
    history = [*HI, done.message, ChatMessage("tool", (ToolResultPart("call_1", "1"), ToolResultPart("call_2", "2")))]
    request = encode(history)
    made: Any = request.json
    assert made["input"][1:6] == output
    assert [i["type"] for i in made["input"][6:]] == ["function_call_output", "custom_tool_call_output"]
    assert request.losses == ()


def test_parts_of_another_provider_or_api_are_left_out_and_listed() -> None:
    history = [
        ChatMessage(
            "assistant",
            (
                ThinkingPart("hm", Opaque("other", {"signature": "S"})),
                OpaquePart(Opaque("other", {"type": "x"}), "server_tool"),
                OpaquePart(Opaque("acme", {"type": "of_chat"})),
                TextPart("Hi", opaque=Opaque("other", {"item": {"id": "m"}})),
            ),
        ),
        ChatMessage("user", "go on", name="ann"),
    ]
    request = encode(history)
    made: Any = request.json
    assert made["input"] == [{"role": "assistant", "content": "Hi"}, {"role": "user", "content": "go on"}]
    assert [loss.path for loss in request.losses] == [
        "messages[0].parts[0]", "messages[0].parts[1]", "messages[0].parts[2]", "messages[0].parts[3]",
        "messages[1].name",
    ]  # fmt: skip


def test_chat_sends_nothing_of_the_items_of_the_same_provider() -> None:
    done = responses.decode_response(body(REASONING, MESSAGE, SEARCH, CALL), ACME)
    request = chat.encode_request(build_request([done.message], model="m"), ACME, stream=False)
    made: Any = request.json
    assert made["messages"] == [
        {
            "role": "assistant",
            "content": "Hi!",
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}],
        }
    ]
    assert [loss.path for loss in request.losses] == ["messages[0].parts[0]", "messages[0].parts[2]"]


def test_reasoning_that_nobody_has_kept_is_left_out_with_the_ids_that_need_it() -> None:
    bare = {k: v for k, v in REASONING.items() if k != "encrypted_content"}
    done = responses.decode_response(body(bare, MESSAGE, CALL), ACME)
    request = encode([done.message])
    made: Any = request.json
    assert made["input"] == [
        {"role": "assistant", "content": "Hi!", "phase": "final_answer"},
        {k: v for k, v in CALL.items() if k != "id"},
    ]
    assert request.losses[0].path == "messages[0].parts[0]"
    stored: Any = encode([done.message], store=True).json
    assert stored["input"] == [bare, MESSAGE, CALL]


def test_what_the_wire_cannot_carry_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[0\].parts\[0\]: .* AudioPart"):
        encode([ChatMessage("assistant", (AudioPart(data=b"x"),))])


# -- whole bodies


def test_an_answer_is_read_item_by_item() -> None:
    done = responses.decode_response(body(REASONING, MESSAGE), ACME)
    assert (done.content, done.thinking, done.finish_reason) == ("Hi!", "S1\n\nS2", "stop")
    assert (done.usage.cached_input_tokens, done.usage.reasoning_tokens, done.usage.total_tokens) == (2, 3, 12)
    text = done.parts[1]
    assert isinstance(text, TextPart)
    assert text.annotations == ({"type": "url_citation", "url": "u"},)


def test_an_incomplete_answer_may_hold_no_message_at_all() -> None:
    cut = body(REASONING, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    done = responses.decode_response(cut, ACME)
    assert (done.content, done.finish_reason, done.raw_finish_reason) == ("", "length", "max_output_tokens")
    filtered = body(status="incomplete", incomplete_details={"reason": "content_filter"})
    assert responses.decode_response(filtered, ACME).finish_reason == "content_filter"


def test_a_failed_response_with_status_200_is_its_typed_error() -> None:
    failed = body(MESSAGE, status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"})
    with pytest.raises(LLMRateLimitError, match="slow down") as caught:
        responses.decode_response(failed, ACME)
    assert caught.value.partial is not None
    assert caught.value.partial.content == "Hi!"


@pytest.mark.parametrize(("status", "reason"), [("queued", None), ("in_progress", None), ("cancelled", "error")])
def test_an_unfinished_response_has_its_id_and_status(status: str, reason: str | None) -> None:
    done = responses.decode_response(body(status=status, usage=None), ACME)
    assert (done.id, done.finish_reason, done.raw_finish_reason) == ("resp_1", reason, status)


def test_refusals_opaque_items_and_odd_calls() -> None:
    refusing = {**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}
    assert responses.decode_response(body(refusing), ACME).finish_reason == "refusal"
    odd = responses.decode_response(body({"type": "function_call", "name": "f", "arguments": ""}), ACME)
    assert odd.tool_calls[0].arguments == {}
    assert odd.tool_calls[0].id
    asks = {"type": "mcp_approval_request", "id": "m", "name": "n", "arguments": "{}", "server_label": "s"}
    pausing = responses.decode_response(body(asks), ACME)
    assert pausing.finish_reason == "pause"
    part = pausing.parts[0]
    assert isinstance(part, OpaquePart)
    assert (part.kind, part.opaque.data["item"]) == ("mcp_approval_request", asks)


# -- streams


def fold(events: Sequence[Any], endpoint: Endpoint = ACME) -> tuple[Completion, bool]:
    state, adding = responses.new_stream_state(endpoint), CompletionFold(provider=endpoint.provider)
    for event in events:
        for chunk in responses.decode_event(None, event, state):
            adding.add(chunk)
    return adding.completion(), state.finished


def stream_of(
    *output: Any, deltas: bool = True, indices: bool = True, final: bool = True, ids: bool = True
) -> list[Any]:
    """The events of an answer as the wire has them."""
    out: list[Any] = [{"type": "response.created", "response": body(status="in_progress", usage=None)}]
    for at, item in enumerate(output):
        where: dict[str, Any] = {"output_index": at} if indices else {}
        if ids:
            where["item_id"] = item["id"]
        kind = item["type"]
        early = {**item, "content": []} if kind == "message" else {**item, "arguments": "", "input": "", "summary": []}
        out.append({"type": "response.output_item.added", "item": {**early, "status": "in_progress"}, **where})
        if deltas and kind == "message":
            for index, part in enumerate(item["content"]):
                said = part.get("text") or part.get("refusal") or ""
                name = "refusal" if part["type"] == "refusal" else "output_text"
                out += [{"type": f"response.{name}.delta", "delta": c, "content_index": index, **where} for c in said]
        if deltas and kind == "reasoning":
            for index, part in enumerate(item["summary"]):
                out += [{"type": "response.reasoning_summary_text.delta", "delta": c, "summary_index": index, **where}
                        for c in part["text"]]  # fmt: skip
        if deltas and kind in ("function_call", "custom_tool_call"):
            name = "function_call_arguments" if kind == "function_call" else "custom_tool_call_input"
            said = item.get("arguments") or item.get("input")
            out += [{"type": f"response.{name}.delta", "delta": c, **where} for c in said]
            out.append({"type": f"response.{name}.done", "arguments": said, "input": said, **where})
        out.append({"type": "response.output_item.done", "item": item, **where})
    out.append({"type": "keepalive"})
    out.append({"type": "response.completed", "response": body(*(output if final else ()))})
    return out


OUTPUT = (REASONING, MESSAGE, SEARCH, CALL, CUSTOM)


@pytest.mark.parametrize("indices", [True, False], ids=["indices", "no indices"])
@pytest.mark.parametrize("deltas", [True, False], ids=["deltas", "no deltas"])
@pytest.mark.parametrize("final", [True, False], ids=["output", "empty output"])
def test_a_stream_folds_to_what_the_whole_body_says(indices: bool, deltas: bool, final: bool) -> None:
    folded, finished = fold(stream_of(*OUTPUT, deltas=deltas, indices=indices, final=final))
    whole = responses.decode_response(body(*OUTPUT), ACME)
    assert finished
    assert folded.parts == whole.parts
    assert (folded.usage, folded.finish_reason, folded.id) == (whole.usage, whole.finish_reason, whole.id)


def test_neither_positions_nor_ids_are_needed_while_items_follow_each_other() -> None:
    folded, _ = fold(stream_of(REASONING, MESSAGE, CALL, indices=False, ids=False))
    assert folded.parts == responses.decode_response(body(REASONING, MESSAGE, CALL), ACME).parts


def test_text_that_only_the_final_event_holds_is_not_lost() -> None:
    folded, finished = fold([{"type": "response.completed", "response": body(*OUTPUT)}])
    assert finished
    assert folded.parts == responses.decode_response(body(*OUTPUT), ACME).parts


def test_content_that_is_counted_through_is_not_said_twice() -> None:
    events = stream_of(REASONING, MESSAGE)
    shifted = [{**e, "content_index": 1} if e["type"] == "response.output_text.delta" else e for e in events]
    assert fold(shifted)[0].content == "Hi!"


def test_two_reasoning_items_of_one_id_stay_two() -> None:
    second = {**REASONING, "encrypted_content": "other"}
    folded, _ = fold(stream_of(REASONING, second))
    assert [p.opaque.data["item"] for p in folded.parts if isinstance(p, ThinkingPart) and p.opaque] == [
        REASONING,
        second,
    ]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "slow down"},
        {"type": "error", "error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "slow down"}},
        {"type": "response.failed", "response": body(error={"code": "rate_limit_exceeded", "message": "slow down"})},
        {"error": {"code": "rate_limit_exceeded", "message": "slow down"}},
    ],
    ids=["flat", "nested", "failed", "bare"],
)
def test_an_error_in_the_stream_is_typed(event: Any) -> None:
    with pytest.raises(LLMRateLimitError, match="slow down"):
        fold([*stream_of(MESSAGE)[:4], event])


def test_a_stream_without_its_end_is_unfinished() -> None:
    events = stream_of(*OUTPUT)
    assert not any(fold(events[:n])[1] for n in range(len(events)))


def test_incomplete_and_refusal_in_a_stream() -> None:
    cut = body(MESSAGE, status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    folded, finished = fold([*stream_of(MESSAGE)[:-1], {"type": "response.incomplete", "response": cut}])
    assert (folded.finish_reason, finished) == ("length", True)
    refusing = {**MESSAGE, "content": [{"type": "refusal", "refusal": "no"}]}
    folded, _ = fold(stream_of(refusing))
    assert folded.refusal == "no"
    assert isinstance(folded.parts[0], RefusalPart)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "x", "message", "function_call", "reasoning", "in_progress"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["id", "type", "output", "status", "content", "summary", "text", "arguments", "input", "call_id", "name",
                         "error", "message", "usage", "input_tokens", "annotations", "logprobs", "item", "refusal", "response"]),
        inner, max_size=6,
    ),
    max_leaves=14,
)  # fmt: skip
KINDS = st.sampled_from(["response.output_text.delta", "response.output_item.done", "response.output_item.added",
    "response.completed", "response.incomplete", "response.failed", "error", "response.function_call_arguments.delta",
    "response.reasoning_text.delta", "response.custom_tool_call_input.done", "response.refusal.delta", "x", "response.created"])  # fmt: skip


@given(ANY)
def test_any_json_body_is_a_completion_or_a_typed_error(value: Any) -> None:
    for given_body in (value, {"output": value, "status": "completed"}, {"output": [value]}):
        try:
            responses.decode_response(given_body, ACME)
        except LLMError:
            pass


@given(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(["item", "response", "delta", "output_index", "item_id",
       "content_index", "summary_index", "arguments", "error", "logprobs"]), ANY)), max_size=6))  # fmt: skip
def test_any_events_are_chunks_or_a_typed_error(events: list[tuple[str, dict[str, Any]]]) -> None:
    try:
        fold([{"type": kind, **event} for kind, event in events])
    except LLMError:
        pass


# -- flows


def reply(data: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"x-request-id": "r"}, json.dumps(data).encode())


def test_background_mode_polls_by_id_until_the_answer_is_there() -> None:
    request = build_request(HI, model="m", options={"extra_body": {"background": True}})
    flow = responses.encode_flow(request, ACME)
    assert flow is not None
    first = next(flow)
    assert isinstance(first, HttpRequest)
    assert first.json["store"] is True  # type: ignore[index, call-overload]
    assert isinstance(flow.send(reply(body(status="queued", usage=None))), Sleep)
    asked = flow.send(None)
    assert asked == HttpRequest("GET", "https://api.acme.example/v1/responses/resp_1")
    assert isinstance(flow.send(reply(body(status="in_progress"))), Sleep)
    flow.send(None)
    with pytest.raises(StopIteration) as done:
        flow.send(reply(body(MESSAGE)))
    assert done.value.value.content == "Hi!"
    assert responses.encode_flow(build_request(HI, model="m"), ACME) is None


def test_a_flow_that_fails_keeps_the_id_of_what_it_waited_for() -> None:
    flow = responses.retrieve("resp_1", ACME)
    next(flow)
    flow.send(reply(body(status="queued")))
    flow.send(None)
    with pytest.raises(ProviderServerError) as caught:
        flow.send(reply({"error": {"message": "boom"}}, 500))
    assert caught.value.partial is not None
    assert caught.value.partial.id == "resp_1"
    assert "resp_1" in (caught.value.hint or "")


def test_cancel_and_retrieve_address_the_response_by_its_quoted_id() -> None:
    assert next(responses.cancel("a/b", ACME)) == HttpRequest(
        "POST", "https://api.acme.example/v1/responses/a%2Fb/cancel"
    )
    flow = responses.retrieve("resp_1", ACME, wait=False)
    next(flow)
    with pytest.raises(StopIteration) as done:
        flow.send(reply(body(status="queued")))
    assert done.value.value.raw_finish_reason == "queued"
    with pytest.raises(InvalidRequestError):
        next(responses.retrieve("", ACME))


def test_json_mode_vendors_get_the_schema_in_words() -> None:
    fmt = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    where = Endpoint("acme", "https://a.example", Quirks(json_schema=False))
    out = sent(endpoint=where, response_format=fmt)
    assert out["text"] == {"format": {"type": "json_object"}}
    assert out["input"][0]["role"] == "system"


def test_llamacpp_reads_the_form_of_the_answer_where_chat_has_it() -> None:
    fmt = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    where = Endpoint("acme", "https://a.example", Quirks(format_field="response_format"))
    out = sent(endpoint=where, response_format=fmt, verbosity="low")
    assert (out["response_format"], out["text"]) == (fmt, {"verbosity": "low"})
    assert sent(endpoint=where, response_format="json_object")["response_format"] == {"type": "json_object"}


def test_a_call_without_arguments_text_writes_its_values() -> None:
    assert sent([ChatMessage("assistant", (ToolCall("i", "f", {"x": 1}),))])["input"][0]["arguments"] == '{"x": 1}'
