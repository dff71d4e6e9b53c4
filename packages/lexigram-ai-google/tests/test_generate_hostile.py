"""Whatever JSON a server sends, decoding gives values or a typed error: nothing else comes out."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.ai.google import embeddings, generate
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.wire import Endpoint, HttpResponse

HERE = Endpoint("gemini", "https://g.example/v1beta")
KEYS = st.sampled_from(
    [
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "thoughtSignature",
        "functionCall",
        "name",
        "args",
        "id",
        "partialArgs",
        "jsonPath",
        "stringValue",
        "numberValue",
        "willContinue",
        "inlineData",
        "fileData",
        "mimeType",
        "data",
        "fileUri",
        "finishReason",
        "index",
        "usageMetadata",
        "error",
        "code",
        "promptTokenCount",
        "totalTokenCount",
        "promptFeedback",
        "blockReason",
        "groundingMetadata",
        "logprobsResult",
        "chosenCandidates",
        "topCandidates",
        "status",
        "details",
        "reason",
        "retryDelay",
        "message",
        "responseId",
        "modelVersion",
        "embedding",
        "embeddings",
        "values",
        "predictions",
        "statistics",
        "token_count",
        "role",
        "toolCall",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 600)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["$.a", "$.a[0]", "STOP", "image/png", "eA==", "model"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
PART = st.dictionaries(KEYS, JSON, max_size=4) | st.fixed_dictionaries(
    {"functionCall": st.dictionaries(KEYS, JSON, max_size=4)}
)
CANDIDATE = st.fixed_dictionaries(
    {"content": st.fixed_dictionaries({"parts": st.lists(PART | JSON, max_size=3)}) | JSON},
    optional={"finishReason": JSON, "index": JSON, "groundingMetadata": JSON, "logprobsResult": JSON},
)
BODY = JSON | st.fixed_dictionaries(
    {"candidates": st.lists(CANDIDATE | JSON, max_size=2)}, optional={"usageMetadata": JSON, "error": JSON}
)


@settings(max_examples=300, deadline=None)
@given(BODY)
def test_any_body_gives_a_completion_that_can_go_back_or_a_typed_error(body: Any) -> None:
    try:
        made = generate.decode_response(body, HERE)
    except LLMError:
        return
    assert isinstance(made.content, str)
    request = build_request([{"role": "user", "content": "hi"}, made.message], model="m")
    assert generate.encode_request(request, HERE, stream=True).json


@settings(max_examples=300, deadline=None)
@given(st.lists(BODY, max_size=5), st.sampled_from([None, "error", "message"]))
def test_any_events_give_chunks_or_a_typed_error(events: list[Any], name: str | None) -> None:
    state, fold = generate.new_stream_state(HERE), CompletionFold()
    try:
        for event in events:
            for chunk in generate.decode_event(name, event, state):
                fold.add(chunk)
    except LLMError:
        return
    assert isinstance(fold.completion().content, str)


@settings(max_examples=200, deadline=None)
@given(st.integers(300, 599), JSON | st.dictionaries(KEYS, JSON))
def test_any_error_body_gives_a_typed_error_with_a_message(status: int, body: Any) -> None:
    error = generate.decode_error(HttpResponse(status, {}, b""), body, HERE)
    assert isinstance(error, LLMError)
    assert error.message
    assert error.status == status


@settings(max_examples=200, deadline=None)
@given(JSON | st.dictionaries(KEYS, JSON))
def test_any_reply_about_vectors_or_counts_gives_values_or_a_typed_error(body: Any) -> None:
    for decode in (embeddings.decode_embeddings, generate.decode_count):
        try:
            decode(body, HERE)
        except LLMError:
            continue
