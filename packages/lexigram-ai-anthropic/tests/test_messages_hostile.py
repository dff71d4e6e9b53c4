"""Whatever JSON a server sends, decoding gives values or a typed error: nothing else comes out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.ai.anthropic import messages
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("acme", "https://acme.example/v1")
KEYS = st.sampled_from(
    [
        "type",
        "id",
        "model",
        "role",
        "content",
        "stop_reason",
        "stop_details",
        "explanation",
        "usage",
        "input_tokens",
        "output_tokens",
        "error",
        "cache_read_input_tokens",
        "output_tokens_details",
        "text",
        "thinking",
        "signature",
        "data",
        "name",
        "input",
        "citations",
        "citation",
        "caller",
        "index",
        "delta",
        "content_block",
        "message",
        "partial_json",
        "request_id",
    ]
)
TYPES = st.sampled_from(
    [
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
        "ping",
        "text",
        "thinking",
        "tool_use",
        "server_tool_use",
        "text_delta",
        "thinking_delta",
        "signature_delta",
        "input_json_delta",
        "citations_delta",
        "compaction_delta",
        "refusal",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | st.text(max_size=4) | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
BLOCK = st.fixed_dictionaries(
    {"type": TYPES}, optional=dict.fromkeys(("text", "thinking", "id", "name", "input"), JSON)
)
DELTA = st.fixed_dictionaries({"type": TYPES}, optional=dict.fromkeys(("text", "partial_json", "citation"), JSON))
EVENT = JSON | st.fixed_dictionaries(
    {"type": TYPES},
    optional={"index": st.integers(0, 2) | JSON, "delta": DELTA | JSON, "content_block": BLOCK | JSON, "usage": JSON},
)
BODY = JSON | st.fixed_dictionaries({"content": st.lists(BLOCK | JSON, max_size=3)}, optional={"usage": JSON})


@settings(max_examples=300, deadline=None)
@given(BODY)
def test_any_body_gives_a_completion_or_a_typed_error(body: Any) -> None:
    try:
        made = messages.decode_response(body, HERE)
    except LLMError:
        return
    assert isinstance(made.content, str)
    history = [{"role": "user", "content": "q"}, made.message, {"role": "user", "content": "next"}]
    assert messages.encode_request(build_request(history, model="m"), HERE, stream=False).json


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENT, max_size=6), st.sampled_from([None, "error", "message"]))
def test_any_events_give_chunks_or_a_typed_error(events: list[Any], name: str | None) -> None:
    state, fold = messages.new_stream_state(HERE), CompletionFold()
    try:
        for event in events:
            for chunk in messages.decode_event(name, event, state):
                fold.add(chunk)
    except LLMError:
        return
    assert isinstance(fold.completion().content, str)


@settings(max_examples=300, deadline=None)
@given(st.integers(300, 599), JSON | st.dictionaries(KEYS, JSON))
def test_any_error_body_gives_a_typed_error_with_a_message(status: int, body: Any) -> None:
    error = messages.decode_error(HttpResponse(status, {}, b""), body, HERE)
    assert isinstance(error, LLMError)
    assert error.message
    assert error.status == status
