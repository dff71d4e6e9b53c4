"""Listing, describing and getting models, and the embed wire: flows driven by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lexigram.ai.ollama import embed, models
from lexigram.contracts.ai.errors import DecodeError, LLMError, ModelNotFoundError
from lexigram.contracts.wire import Endpoint, Flow, HttpRequest, HttpResponse

HERE = Endpoint("ollama", "http://127.0.0.1:11434")


def drive(flow: Flow[Any], reply: Any, status: int = 200) -> tuple[HttpRequest, Any]:
    request = next(flow)
    assert isinstance(request, HttpRequest)
    content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    try:
        flow.send(HttpResponse(status, {}, content))
    except StopIteration as stop:
        return request, stop.value
    raise AssertionError("the flow wants more")


def test_a_listing_is_one_exchange() -> None:
    details = {"family": "qwen3", "parameter_size": "4B", "quantization_level": "Q4_K_M"}
    listed = {"models": [{"name": "qwen3:4b", "model": "qwen3:4b", "size": 7, "details": details}, {"name": "b"}, 3]}
    request, found = drive(models.list_models(HERE), listed)
    assert (request.method, request.url) == ("GET", "http://127.0.0.1:11434/api/tags")
    assert found == (models.ModelInfo("qwen3:4b", 7, "qwen3", "4B", "Q4_K_M"), models.ModelInfo("b"))
    assert found[0].raw["details"] == details


def test_a_description_says_context_and_capabilities() -> None:
    said = {"model_info": {"qwen3.context_length": 262144}, "capabilities": ["completion", "tools"]}
    request, found = drive(models.show_model("qwen3:4b", HERE), said)
    assert (request.url, request.json) == ("http://127.0.0.1:11434/api/show", {"model": "qwen3:4b"})
    assert found == models.ModelInfo("qwen3:4b", context_length=262144, capabilities=("completion", "tools"))


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        ({"error": "model 'x' not found"}, 404, ModelNotFoundError),
        (b"<html>", 502, LLMError),
        (b"not json", 200, DecodeError),
        ([], 200, DecodeError),
    ],
)
def test_a_failed_exchange_raises_the_typed_error(reply: Any, status: int, error: type[LLMError]) -> None:
    for flow in (models.show_model("x", HERE), models.list_models(HERE)):
        with pytest.raises(error):
            drive(flow, reply, status)


def test_getting_a_model_reports_its_progress() -> None:
    request = models.encode_pull("gemma3:1b", HERE)
    assert request.json == {"model": "gemma3:1b", "stream": True}
    lines = [
        {"status": "pulling manifest"},
        {"status": "pulling 7cd4", "digest": "sha256:7cd4", "total": 10, "completed": 4},
        {"status": "success"},
    ]
    steps = [models.decode_pull_event(line, HERE) for line in lines]
    assert steps[1] == models.PullProgress("pulling 7cd4", "sha256:7cd4", 4, 10)
    assert [s.done for s in steps] == [False, False, True]
    with pytest.raises(ModelNotFoundError, match="file does not exist"):
        models.decode_pull_event({"error": "pull model manifest: file does not exist"}, HERE)
    for wrong in (None, {}, {"status": 3}, {"error": 3, "status": []}):
        with pytest.raises(LLMError):
            models.decode_pull_event(wrong, HERE)


def test_embeddings_go_as_a_batch_and_come_in_order() -> None:
    here = Endpoint("ollama", HERE.base_url, params={"keep_alive": "1h"})
    sent = embed.encode_embeddings(["a", "b"], "nomic", 64, here)
    assert sent.url == "http://127.0.0.1:11434/api/embed"
    want = {"model": "nomic", "input": ["a", "b"], "truncate": False, "keep_alive": "1h", "dimensions": 64}
    assert sent.json == want
    reply: Any = {"model": "nomic", "embeddings": [[1, 0.5], [0, -1]], "prompt_eval_count": 4}
    made = embed.decode_embeddings(reply, HERE)
    assert (made.vectors, made.model, made.usage.input_tokens) == (((1.0, 0.5), (0.0, -1.0)), "nomic", 4)
    for wrong in (None, {}, {"embeddings": [["x"]]}, {"embeddings": [1]}):
        with pytest.raises(DecodeError):
            embed.decode_embeddings(wrong, HERE)  # type: ignore[arg-type]
