"""What every dialect of a package of its own promises, whatever its wire: one line a module, one loop over the rows."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.errors import InvalidRequestError, LLMError
from lexigram.contracts.ai.fold import CompletionFold
from lexigram.contracts.ai.request import CompletionOptions
from lexigram.contracts.wire import Dialect, EmbeddingDialect, Endpoint, HttpResponse, Vendor
from lexigram.contracts.wire.shapes import OPTIONS

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"
HERE = Endpoint("acme", "https://acme.example")

# Module, framing, and the words of its replies, from which hostile ones are made.
DIALECTS: dict[str, tuple[str, str]] = {
    "lexigram.ai.bedrock.converse": (
        "aws-eventstream",
        (
            "output message content text toolUse toolUseId name input reasoningContent reasoningText signature "
            "redactedContent citationsContent citations citation toolResult stopReason usage inputTokens outputTokens "
            "contentBlockIndex start delta status cacheReadInputTokens Message __type"
        ),
    ),
    "lexigram.ai.cohere.chat": (
        "sse",
        (
            "id message content type text thinking tool_plan tool_calls function name arguments citations content_index "
            "usage tokens billed_units input_tokens output_tokens finish_reason delta index error error_type logprobs"
        ),
    ),
    "lexigram.ai.ollama.chat": (
        "ndjson",
        (
            "model message content thinking tool_calls function name arguments id done done_reason error prompt_eval_count "
            "eval_count logprobs created_at"
        ),
    ),
    "lexigram.ai.replicate.predictions": (
        "sse-text",
        "id status output error metrics input_token_count output_token_count model detail title urls reason",
    ),
}
TYPES = {
    "lexigram.ai.replicate.predictions": "output done error starting processing succeeded failed canceled {}",
    "lexigram.ai.bedrock.converse": "messageStart contentBlockStart contentBlockDelta contentBlockStop messageStop "
    "metadata exception:throttlingException server_tool_use tool_use end_turn",
    "lexigram.ai.ollama.chat": "stop length true",
    "lexigram.ai.cohere.chat": "message-start content-start content-delta tool-plan-delta tool-call-start "
    "tool-call-delta citation-start message-end error TEXT_CONTENT ERROR COMPLETE text thinking",
}
EMBEDDINGS = {
    "lexigram.ai.cohere.embed": "embeddings float meta billed_units tokens input_tokens",
    "lexigram.ai.ollama.embed": "embeddings model prompt_eval_count",
}
ROWS: list[Vendor] = [
    row for name in sorted({m.rpartition(".")[0] for m in DIALECTS}) for row in importlib.import_module(name).vendors()
]


def _json(keys: str, words: str = "") -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | st.text(max_size=4)
    if words:
        leaves |= st.sampled_from(words.split())
    name = st.sampled_from(["type", *keys.split()])
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(name, inner, max_size=5), max_leaves=25
    )


def _module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_has_the_names_of_the_contract(name: str) -> None:
    module = _module(name)
    assert {n for n in vars(Dialect) if not n.startswith("_")} <= set(module.__all__)
    assert DIALECTS[name][0] == module.FRAMING
    assert name.removeprefix("lexigram.ai.") == module.NAME


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_embedding_dialect_has_the_names_of_the_contract(name: str) -> None:
    module = _module(name)
    assert {n for n in vars(EmbeddingDialect) if not n.startswith("_")} <= set(module.__all__)
    assert name.removeprefix("lexigram.ai.") == module.NAME


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_a_server_sends_gives_values_or_a_typed_error(name: str, data: st.DataObject) -> None:
    module, value = _module(name), _json(DIALECTS[name][1], TYPES[name])
    try:
        assert isinstance(module.decode_response(data.draw(value), HERE).content, str)
    except LLMError:
        pass
    state, fold = module.new_stream_state(HERE), CompletionFold()
    try:
        for event in data.draw(st.lists(value, max_size=5)):
            kind = data.draw(st.sampled_from([None, "error", *TYPES[name].split()]))
            for chunk in module.decode_event(kind, event, state):
                fold.add(chunk)
        assert isinstance(fold.completion().content, str)
    except LLMError:
        pass
    status = data.draw(st.integers(300, 599))
    error = module.decode_error(HttpResponse(status, {}, b""), data.draw(value), HERE)
    assert isinstance(error, LLMError)
    assert error.message
    assert error.status == status


@pytest.mark.parametrize("name", EMBEDDINGS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_a_server_sends_as_vectors_gives_values_or_a_typed_error(name: str, data: st.DataObject) -> None:
    try:
        made = _module(name).decode_embeddings(data.draw(_json(EMBEDDINGS[name])), HERE)
    except LLMError:
        return
    assert all(type(x) is float for row in made.vectors for x in row)


NO_TOOLS = {"replicate"}
_VALUES: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": "f"}}], "stop_sequences": ["a"], "tool_choice": "required",
    "response_format": "json_object", "logit_bias": {"1": 2}, "modalities": ["text"], "audio": {"voice": "v"},
    "metadata": {"a": "b"}, "service_tier": "flex", "verbosity": "low", "user": "u", "prediction": "p",
    "prompt_cache": "k", "parallel_tool_calls": False, "logprobs": True, "store": True,
}  # fmt: skip


@pytest.mark.parametrize("option", sorted(OPTIONS - {"thinking"}))
@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_an_option_changes_what_is_sent_or_is_refused_by_its_name(row: Vendor, option: str) -> None:
    value = _VALUES.get(option, 1)
    named = {option: value} if option in ("temperature", "max_tokens", "tools", "stop_sequences") else {}
    tools = {"tools": _VALUES["tools"]} if option in ("tool_choice", "parallel_tool_calls") else {}
    endpoint = Endpoint(row.name, "https://acme.example", row.quirks)
    dialect = next(iter(row.dialects.values()))
    hi = [{"role": "user", "content": "hi"}]
    if tools and row.name in NO_TOOLS:
        tools = {}
    bare = dialect.encode_request(build_request(hi, model="m", **tools), endpoint, stream=False)
    request = build_request(hi, model="m", options={} if named else {option: value}, **{**tools, **named})
    try:
        sent = dialect.encode_request(request, endpoint, stream=False)
    except InvalidRequestError as error:
        assert repr(option) in error.message or f"'{option}" in error.message
        assert error.provider == row.name
        return
    assert sent.json != bare.json


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_is_whole_and_keeps_its_key_out_of_url_and_body(row: Vendor) -> None:
    assert row.name == row.name.lower()
    assert row.docs_url.startswith("https://")
    assert all(k == k.upper() and k.replace("_", "").isalnum() for k in row.key_env)
    assert row.base_url is not None
    assert row.base_url.startswith("http://127.0.0.1:" if row.local else "https://")
    assert not row.base_url.endswith("/")
    options = {*CompletionOptions.__annotations__, "temperature", "max_tokens", "tools", "stop_sequences"}
    assert row.quirks.refuses | row.quirks.accepts <= options
    for dialect in row.dialects.values():
        endpoint = Endpoint(row.name, "https://acme.example", row.quirks)
        request = build_request([{"role": "user", "content": "hi"}], model="m")
        for wire in (dialect.encode_request(request, endpoint, stream=False), dialect.encode_health(endpoint)):
            sent = row.auth.apply(wire, "KEY")
            assert sent.url.startswith("https://acme.example/")
            assert any("KEY" in value for value in sent.headers.values())
            assert "KEY" not in sent.url + json.dumps(sent.json)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_has_an_extra_that_installs_its_package(row: Vendor) -> None:
    project = tomllib.loads((PACKAGES / "lexigram-ai-llm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"][row.extra] == [f"lexigram-ai-{row.name}==0.1.0"]


def test_names_and_aliases_are_unique_over_all_packages() -> None:
    openai = importlib.import_module("lexigram.ai.openai").vendors()
    names = [n for row in (*ROWS, *openai) for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_importing_a_package_pulls_nothing_but_the_standard_library_and_the_contracts(row: Vendor) -> None:
    own = [str(PACKAGES / p / "src") for p in (f"lexigram-ai-{row.name}", "lexigram-contracts")]
    third = [Path(importlib.import_module(m).__file__ or "") for m in ("result.result", "typing_extensions")]
    paths = [*own, str(third[0].parents[1]), str(third[1].parent)]
    script = f"""if True:
        import json, sys
        sys.path[:0] = {paths!r}
        import lexigram.ai.{row.name}
        print(json.dumps(sorted({{m.split(".")[0] for m in sys.modules}})))
    """
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(found.stdout)) - set(sys.stdlib_module_names) - {"__main__"}
    assert loaded <= {"lexigram", "result", "typing_extensions"}
