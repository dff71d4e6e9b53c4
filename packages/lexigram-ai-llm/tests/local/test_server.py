from __future__ import annotations

import asyncio
import json
import pickle
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.llm.local import LlamaServer
from lexigram.contracts.health import HealthStatus

HELLO = [{"role": "user", "content": "Hi"}]


def ask(server: LlamaServer, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
    """Return the JSON that the server answers."""
    headers = {"Authorization": f"Bearer {key or server.api_key.reveal()}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.base_url + path, data, headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def chat(server: LlamaServer, **body: Any) -> Any:
    """Return the first choice of the answer."""
    return ask(server, "/chat/completions", {"messages": HELLO, "max_tokens": 300, **body})["choices"][0]


def tool(name: str) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def test_it_listens_on_the_loopback_interface_only(server: LlamaServer) -> None:
    port = server.base_url.removeprefix("http://127.0.0.1:").removesuffix("/v1")
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [
        local for _, local, _, state, *_ in sockets if state == "0A" and int(local.split(":")[1], 16) == int(port)
    ]
    assert listening == [f"0100007F:{int(port):04X}"]


def test_it_answers_in_words_and_stops_by_itself(server: LlamaServer) -> None:
    choice = chat(server, seed=1)
    assert choice["finish_reason"] == "stop"
    assert set(choice["message"]["content"]) <= set("abcdefghijklmnopqrstuvwxyzH. ")
    assert len(choice["message"]["content"]) > 3


def test_it_does_not_think_unless_asked(server: LlamaServer) -> None:
    assert "reasoning_content" not in chat(server, seed=1)["message"]
    thinking = chat(server, seed=1, chat_template_kwargs={"enable_thinking": True})["message"]
    assert thinking["reasoning_content"].strip()
    assert thinking["content"].strip()


def test_it_calls_a_tool_when_the_prompt_lists_one_and_answers_after_its_result(server: LlamaServer) -> None:
    tools = [tool("get_weather")]
    first = chat(server, seed=1, tools=tools)
    (call,) = first["message"]["tool_calls"]
    assert (first["finish_reason"], call["function"]["name"]) == ("tool_calls", "get_weather")
    assert set(json.loads(call["function"]["arguments"])) == {"city"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    assistant = {"role": "assistant", "content": None, "tool_calls": [call]}
    second = chat(server, seed=1, tools=tools, messages=[*HELLO, assistant, result])
    assert second["finish_reason"] == "stop"
    assert second["message"]["content"].strip()


def test_it_calls_several_tools_at_once_now_and_then(server: LlamaServer) -> None:
    tools = [tool("get_weather"), tool("get_time")]
    counts = [
        len(
            chat(server, seed=seed, tools=tools, tool_choice="required", parallel_tool_calls=True)["message"][
                "tool_calls"
            ]
        )
        for seed in range(20)
    ]
    assert min(counts) == 1
    assert max(counts) >= 2


def test_it_keeps_to_a_json_schema(server: LlamaServer) -> None:
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema = {"type": "object", "properties": properties, "required": ["name", "age"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    for seed in range(5):
        answer = json.loads(chat(server, seed=seed, response_format=wanted)["message"]["content"])
        assert (type(answer["name"]), type(answer["age"])) == (str, int)


def test_calls_beyond_the_slots_wait_and_all_are_answered(server: LlamaServer) -> None:
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda seed: chat(server, seed=seed), range(48)))
    assert [answer["finish_reason"] for answer in answers] == ["stop"] * 48
    assert len({answer["message"]["content"] for answer in answers}) > 24


def test_one_call_may_use_the_whole_context(server: LlamaServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        chat(server, messages=[{"role": "user", "content": "x" * 3000}])
    with caught.value as reply:
        assert json.loads(reply.read())["error"]["n_ctx"] == 2048


def test_a_wrong_key_is_refused_with_401(server: LlamaServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server, "/chat/completions", {"messages": HELLO}, key="not-the-key")
    with caught.value as reply:
        assert reply.status == 401


def test_every_server_has_a_key_of_its_own() -> None:
    first, second = LlamaServer().api_key.reveal(), LlamaServer().api_key.reveal()
    assert first != second
    assert len(first) >= 40


def test_the_key_is_neither_an_argument_nor_an_environment_variable_of_the_child(server: LlamaServer) -> None:
    key = server.api_key.reveal().encode()
    process = Path(f"/proc/{server.pid}")
    assert b"_child.py" in (process / "cmdline").read_bytes()
    assert key not in (process / "cmdline").read_bytes()
    assert key not in (process / "environ").read_bytes()


def test_the_key_is_in_no_text_of_the_server(server: LlamaServer) -> None:
    key = server.api_key.reveal()
    assert key not in f"{server!r} {server} {server.log} {vars(server)}"
    with pytest.raises(TypeError):
        pickle.dumps(server)


def test_its_own_name_is_the_served_model(server: LlamaServer) -> None:
    assert [model["id"] for model in ask(server, "/models")["data"]] == [server.model_name]


async def test_a_running_server_is_healthy(server: LlamaServer) -> None:
    health = await server.health()
    assert (health.status, health.component) == (HealthStatus.HEALTHY, "llamacpp:tiny")
    assert health.details == {"pid": server.pid, "synthetic": True}
    assert health.duration_ms is not None
    assert 0 < health.duration_ms < 5000


def test_health_can_be_asked_for_from_any_loop_and_thread(server: LlamaServer) -> None:
    statuses: list[HealthStatus] = []

    def check() -> None:
        statuses.append(asyncio.run(server.health()).status)

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [HealthStatus.HEALTHY] * 4


async def test_embeddings_are_served_when_asked_for(cache_dir: Path) -> None:
    async with LlamaServer(cache_dir=cache_dir, context=512, embeddings=True) as server:
        reply = await asyncio.to_thread(ask, server, "/embeddings", {"input": ["one", "two"]})
        assert [len(item["embedding"]) for item in reply["data"]] == [384, 384]
        answer = await asyncio.to_thread(chat, server, seed=1)
        assert answer["finish_reason"] == "stop"
