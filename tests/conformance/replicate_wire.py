"""Replicate predictions: a plain reading of bodies and of a stream's text, and recorded requests in our words."""

from __future__ import annotations

from typing import Any

from wire_corpus import NotOurs, Reading, Wire

from lexigram.ai.replicate import predictions
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.request import CompletionRequest


def body(value: Any) -> Reading:
    output = value["output"]
    files = isinstance(output, list) and all(o.startswith("https://") for o in output)
    text = "" if files or output is None else output if isinstance(output, str) else "".join(output)
    return {"text": text, "thinking": "", "calls": [], "finish": "succeeded", "usage": (None, None)}


def raw_stream(data: bytes) -> Reading:
    """Line by line, by hand: what follows ``data: `` in a block whose event is ``output``, lines joined."""
    text = ""
    for block in data.decode().split("\n\n"):
        lines = block.split("\n")
        if "event: output" in lines:
            text += "\n".join(line[len("data: ") :] for line in lines if line.startswith("data:"))
    return {"text": text, "thinking": "", "calls": [], "finish": "done", "usage": (None, None)}


def fails(events: list[tuple[str | None, Any]]) -> bool:
    """A body that is no answer: it still runs (the flow goes on asking), or it was cancelled or failed."""
    return any(isinstance(value, dict) and value.get("status") != "succeeded" for _, value in events)


def request(record: dict[str, Any]) -> CompletionRequest:
    sent = dict(record["request_body"])
    fields = dict(sent.pop("input"))
    if sent.get("stream"):
        raise NotOurs("a stream, which is two exchanges: refused by name")
    if "prompt" not in fields:
        raise NotOurs("a model that takes no prompt")
    prompt, seed = fields.pop("prompt"), fields.pop("seed", None)
    version = sent.pop("version", None)
    model = version or record["url"].removeprefix("/v1/models/").removesuffix("/predictions")
    options: dict[str, Any] = {"extra_body": {"input": fields, **sent}} if fields or sent else {}
    return build_request([{"role": "user", "content": prompt}], model=model, options={**options, "seed": seed})


WIRE = Wire(
    "replicate",
    predictions,
    ("replicate.predictions", "replicate.stream"),
    body,
    stream=lambda _: {},
    fails=fails,
    request=request,
    meaning=lambda sent: sent,
    raw_stream=raw_stream,
)
