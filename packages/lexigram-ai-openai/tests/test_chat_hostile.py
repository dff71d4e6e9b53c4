"""Whatever JSON a server sends, decoding gives values or a typed error: nothing else comes out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.ai.openai import chat
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("acme", "https://acme.example/v1")
KEYS = st.sampled_from(
    [
        "id",
        "model",
        "choices",
        "usage",
        "error",
        "index",
        "delta",
        "message",
        "content",
        "text",
        "tool_calls",
        "function",
        "name",
        "arguments",
        "custom",
        "input",
        "finish_reason",
        "logprobs",
        "reasoning",
        "reasoning_details",
        "refusal",
        "audio",
        "data",
        "annotations",
        "images",
        "type",
        "thinking",
        "code",
        "detail",
        "details",
        "metadata",
        "raw",
        "function_call",
        "role",
        "x_groq",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "prompt_tokens_details",
        "cached_tokens",
        "retryDelay",
        "errors",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 600)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["error", "text", "thinking", "-1", "stop", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
CHOICE = st.dictionaries(KEYS, JSON, max_size=6)
BODY = JSON | st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2)}, optional={"usage": JSON, "error": JSON, "id": JSON}
)


@settings(max_examples=300, deadline=None)
@given(BODY)
def test_any_body_gives_a_completion_or_a_typed_error(body: Any) -> None:
    try:
        made = chat.decode_response(body, HERE)
    except LLMError:
        return
    assert isinstance(made.content, str)


@settings(max_examples=300, deadline=None)
@given(st.lists(BODY, max_size=5), st.sampled_from([None, "error", "message"]))
def test_any_events_give_chunks_or_a_typed_error(events: list[Any], name: str | None) -> None:
    state, fold = chat.new_stream_state(HERE), CompletionFold()
    try:
        for event in events:
            for chunk in chat.decode_event(name, event, state):
                fold.add(chunk)
    except LLMError:
        return
    assert isinstance(fold.completion().content, str)


@settings(max_examples=300, deadline=None)
@given(st.integers(300, 599), JSON | st.dictionaries(KEYS, JSON))
def test_any_error_body_gives_a_typed_error_with_a_message(status: int, body: Any) -> None:
    error = chat.decode_error(HttpResponse(status, {}, b""), body, HERE)
    assert isinstance(error, LLMError)
    assert error.message
    assert error.status == status
