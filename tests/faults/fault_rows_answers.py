"""The rows about what the model says: 91 to 94. Broken calls of tools, counted tokens, answers that are no JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from fault_acts import COMPLETE, STREAM
from fault_row import BOTH, FULL, Row
from fault_world import Mode, World

from lexigram.ai.llm.extraction import JSONExtractor
from lexigram.testing.faults import Peer, chunk, response, scenario
from lexigram.testing.invariants import Observed

SCHEMA: Final = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def call(arguments: str | None = None, *, index: int | None = 0, **more: Any) -> dict[str, Any]:
    """A piece of a tool call, or a whole one."""
    function = {key: more.pop(key) for key in ("name",) if key in more}
    function |= {"arguments": arguments} if arguments is not None else {}
    return {**({"index": index} if index is not None else {}), **more, "function": function}


def piece(*calls: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "choices": [{"index": 0, "delta": {"tool_calls": list(calls)} if calls else {}, "finish_reason": finish}],
        **more,
    }


def tokens(prompt: int, completion: int) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


TEXT: Final = {"choices": [{"index": 0, "delta": {"content": "hello"}}]}
END: Final = piece(finish="stop")

STREAMS: Final[dict[str, list[dict[str, Any]]]] = {
    "interleaved": [
        piece(call("", id="a", name="f"), call("", index=1, id="b", name="g")),
        piece(call('{"x"', index=1)),
        piece(call('{"x":1', index=0)),
        piece(call(":2}", index=1)),
        piece(call("}", index=0)),
        piece(finish="tool_calls"),
    ],
    "no_index": [
        piece(call('{"x":1}', index=None, id="a", name="f")),
        piece(call('{"x":2}', index=None, id="b", name="g")),
        piece(finish="tool_calls"),
    ],
    "repeated": [
        piece(call('{"x":', id="a", name="f")),
        piece(call("1}", id="a", name="")),
        piece(finish="tool_calls"),
    ],
    "usage_last": [TEXT, END, {"choices": [], "usage": tokens(3, 2)}],
    "usage_none": [TEXT, END],
    "usage_growing": [{**TEXT, "usage": tokens(3, 1)}, {**END, "usage": tokens(3, 2)}],
    "usage_twice": [TEXT, {**END, "usage": tokens(3, 2)}, {"choices": [], "usage": tokens(3, 2)}],
}

MESSAGES: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "arguments_broken": ({"tool_calls": [call('{"x": 1', id="a", name="f")]}, "tool_calls"),
    "arguments_empty": ({"tool_calls": [call("", id="a", name="f")]}, "tool_calls"),
    "arguments_array": ({"tool_calls": [call("[1]", id="a", name="f")]}, "tool_calls"),
    "arguments_cut": ({"tool_calls": [call('{"x": 1', id="a", name="f")]}, "length"),
    "refusal": ({"refusal": "I will not"}, "stop"),
    "filtered": ({"content": ""}, "content_filter"),
    "cut": ({"content": '{"x":'}, "length"),
}


@scenario
async def model(peer: Peer, args: list[str]) -> None:
    """Arguments: what the model says."""
    name = args[0]
    if peer.request.stream:
        events = STREAMS[name] if name in STREAMS else _streamed(*MESSAGES[name])
        data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
        head = response(b"", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", length=False)
        await peer.send(head + chunk(data) + chunk(b""))
        return
    message, finish = MESSAGES[name]
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish}
    await peer.send(response(json.dumps({"choices": [choice]}).encode(), "Content-Type: application/json"))


def _streamed(message: dict[str, Any], finish: str) -> list[dict[str, Any]]:
    return [{"choices": [{"index": 0, "delta": message}]}, piece(finish=finish)]


async def extract(world: World, mode: Mode) -> Any:
    return await JSONExtractor(world.client).extract("x is one", SCHEMA)


def not_run(reason: str = "tool_calls") -> Any:
    """The call says that it is not to be run, keeps what was written, and the answer says why it ended."""

    def check(_: World, seen: Observed[Any]) -> list[str]:
        answer = seen.value.unwrap()
        (asked,) = answer.tool_calls
        broken = [] if asked.arguments == {} and asked.arguments_error and asked.raw_arguments else [f"{asked}"]
        return broken if answer.finish_reason == reason else [*broken, f"finish reason {answer.finish_reason}"]

    return check


def used(prompt: int | None, completion: int | None) -> Any:
    def check(_: World, seen: Observed[Any]) -> list[str]:
        usage = seen.value.unwrap().usage
        right = (usage.input_tokens, usage.output_tokens) == (prompt, completion)
        return [] if right else [f"usage {usage.input_tokens} + {usage.output_tokens}"]

    return check


def said(number: str, fault: str, name: str, *want: str, **more: Any) -> Row:
    return Row(number=number, fault=fault, play=(f"model={name}",), want=want, roads=FULL, **more)


RAW: Final = "the call says so in `arguments_error` and keeps the text, so that it can go back to the model"

ANSWERS = [
    said("91a", "pieces of two calls mixed", "interleaved", "Ok f({'x': 1}) g({'x': 2})", modes=STREAM),
    said("91b", "calls without an index", "no_index", "Ok f({'x': 1}) g({'x': 2})", modes=STREAM),
    said("91c", "id repeated, then an empty name", "repeated", "Ok f({'x': 1})", modes=STREAM),
    said(
        "92a",
        "arguments that are no JSON",
        "arguments_broken",
        "Ok f(unreadable)",
        modes=BOTH,
        check=not_run(),
        note=RAW,
    ),
    said("92b", 'arguments ""', "arguments_empty", "Ok f({})", modes=BOTH),
    said("92c", "arguments that are an array", "arguments_array", "Ok f(unreadable)", modes=BOTH, check=not_run()),
    said(
        "92d", "arguments cut by max_tokens", "arguments_cut", "Ok f(unreadable)", modes=BOTH, check=not_run("length")
    ),
    said("93a", "usage in a last chunk without choices", "usage_last", "Ok 'hello'", modes=STREAM, check=used(3, 2)),
    said(
        "93b", "usage nowhere", "usage_none", "Ok 'hello'", modes=STREAM, check=used(None, None), note="unknown, not 0"
    ),
    said("93c", "usage that grows from chunk to chunk", "usage_growing", "Ok 'hello'", modes=STREAM, check=used(3, 2)),
    said("93d", "usage twice", "usage_twice", "Ok 'hello'", modes=STREAM, check=used(3, 2)),
    said("94a", "a refusal instead of JSON", "refusal", "ExtractionError(refusal)", modes=COMPLETE, act=extract),
    said("94b", "a filter instead of JSON", "filtered", "LLMContentFilterError", modes=COMPLETE, act=extract),
    said("94c", "JSON cut by max_tokens", "cut", "ExtractionError(truncated)", modes=COMPLETE, act=extract),
]
