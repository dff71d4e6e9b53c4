"""What a vendor wants back of its own words goes back as it came, in the history and over a stored one."""

import json
from collections.abc import Iterator
from typing import Any

import chat_corpus as corpus
import pytest
import wire_corpus
from wires import WIRES

from lexigram.ai.replicate import predictions
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.jsonform import message_from_dict, message_to_dict
from lexigram.contracts.wire import HttpRequest, HttpResponse, Sleep

pytestmark = pytest.mark.skipif(not corpus.available(), reason=corpus.NO_RECORDINGS)

# The keys under which a request carries what the reply before it said, and how many second turns are recorded.
WANTED = {
    "bedrock": ({"signature", "redactedContent", "toolUseId", "sourceContent"}, 20),
    "cohere": ({"id", "tool_plan"}, 5),
    "ollama": ({"thinking"}, 1),
}


def _values(node: Any, keys: set[str]) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in keys:
                yield json.dumps(value, sort_keys=True)
            yield from _values(value, keys)
    elif isinstance(node, list):
        for value in node:
            yield from _values(value, keys)


def _pairs(wire: wire_corpus.Wire) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    records = sorted(wire.records(), key=lambda r: (r["source"]["path"], r["source"]["index"]))
    for first, second in zip(records, records[1:], strict=False):
        if first["source"]["path"] == second["source"]["path"] and first["status"] == 200:
            yield first, second


@pytest.mark.parametrize("name", WANTED)
def test_recorded_second_turns_carry_what_ours_carry(name: str) -> None:
    wire, (keys, least) = WIRES[name], WANTED[name]
    seen = 0
    for first, second in _pairs(wire):
        try:
            made = wire_corpus.decode(wire, first)
        except LLMError:
            continue
        stored = message_from_dict(json.loads(json.dumps(message_to_dict(made.message))))
        request = build_request([{"role": "user", "content": "hi"}, stored], model="m")
        sent = json.loads(json.dumps(wire.dialect.encode_request(request, wire.endpoint(first), stream=False).json))
        ours = set(_values(sent, keys))
        reply = json.dumps(
            [v for _, v in wire_corpus.events(wire, first)] if first["streaming"] else made.raw, sort_keys=True
        )
        theirs = {v for v in _values((second["request_body"] or {}).get("messages"), keys) if v in reply}
        seen += bool(theirs)
        assert theirs <= ours, first["id"]
    assert seen >= least


def _last(path: str) -> list[dict[str, Any]]:
    records = [r for r in corpus.records("replicate.predictions") if r["source"]["path"].endswith(path)]
    return sorted(records, key=lambda r: r["source"]["index"])


def test_the_recorded_exchanges_of_a_prediction_drive_the_flow_to_its_end() -> None:
    records = _last("test_replicate_image_generation_legacy.yaml")
    version = records[0]["request_body"]["version"]
    here = WIRES["replicate"].endpoint(records[0])
    flow = predictions.encode_flow(build_request([{"role": "user", "content": "robots"}], model=version), here)
    step, made = next(flow), None
    assert isinstance(step, HttpRequest)
    assert step.json == records[0]["request_body"]
    for record in records:
        try:
            step = flow.send(HttpResponse(record["status"], {}, record["response_body"].encode()))
            assert isinstance(step, Sleep)
            step = flow.send(None)
            assert isinstance(step, HttpRequest)
            assert step.url.endswith(records[-1]["url"].removeprefix("/v1"))
        except StopIteration as stop:
            made = stop.value
            assert record is records[-1]
    assert isinstance(made, Completion)
    assert made.raw_finish_reason == "succeeded"
