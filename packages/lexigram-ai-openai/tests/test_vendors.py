"""The table: what every row must have, and what a stranger's row needs."""

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from lexigram.ai.openai import chat, embeddings, responses, vendors
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.request import CompletionOptions
from lexigram.contracts.wire import Dialect, EmbeddingDialect, Endpoint, HeaderAuth, Quirks, Vendor

ROWS = list(vendors())
PACKAGES = Path(__file__).parents[2]
OPTIONS = {*CompletionOptions.__annotations__, "temperature", "max_tokens", "tools", "stop_sequences"}
OPTIONS |= {"thinking.effort", "thinking.suppress"}


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_is_whole(row: Vendor) -> None:
    assert row.name == row.name.lower()
    assert row.docs_url.startswith("https://")
    assert row.extra
    assert row.key_env
    assert all(k == k.upper() and k.replace("_", "").isalnum() for k in row.key_env)
    if row.base_url is not None:
        assert row.base_url.startswith("http://127.0.0.1:" if row.local else "https://")
        assert not row.base_url.endswith("/")
    assert row.key_required != (row.local or row.base_url is None)
    assert row.quirks.refuses <= OPTIONS
    assert row.quirks.accepts <= OPTIONS
    assert not row.quirks.accepts & row.quirks.refuses


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_holds_no_secret(row: Vendor) -> None:
    assert "sk-" not in repr(row).lower().replace("task-", "")
    assert not any("key" in name.lower() or "auth" in name.lower() for name in row.headers)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
@pytest.mark.parametrize("stream", [False, True])
def test_every_row_encodes_a_request(row: Vendor, stream: bool) -> None:
    dialect: Dialect = next(iter(row.dialects.values()))
    endpoint = Endpoint(row.name, row.base_url or "https://own.example/v1", row.quirks)
    request = build_request([{"role": "user", "content": "hi"}], model="m", max_tokens=5, temperature=0.5)
    sent = row.auth.apply(dialect.encode_request(request, endpoint, stream=stream), "KEY")
    assert sent.url == f"{endpoint.base_url}/chat/completions"
    assert isinstance(sent.json, dict)
    assert sent.json[row.quirks.max_tokens_field] == 5
    assert any("KEY" in value for value in sent.headers.values())
    assert "KEY" not in sent.url + json.dumps(sent.json)


@pytest.mark.parametrize("row", [r for r in ROWS if "responses" in r.dialects], ids=lambda r: r.name)
def test_rows_with_the_responses_api_have_chat_as_their_default_and_encode(row: Vendor) -> None:
    assert list(row.dialects) == ["chat", "responses"]
    endpoint = Endpoint(row.name, row.base_url or "https://own.example/v1", row.quirks)
    request = build_request([{"role": "user", "content": "hi"}], model="m", max_tokens=5, temperature=0.5)
    sent = row.auth.apply(row.dialects["responses"].encode_request(request, endpoint, stream=True), "KEY")
    assert sent.url == f"{endpoint.base_url}/responses"
    assert isinstance(sent.json, dict)
    assert (sent.json["max_output_tokens"], sent.json["store"]) == (5, False)


@pytest.mark.parametrize("row", [r for r in ROWS if r.embeddings is not None], ids=lambda r: r.name)
def test_rows_with_embeddings_encode_a_batch(row: Vendor) -> None:
    assert row.embeddings is not None
    endpoint = Endpoint(row.name, row.base_url or "https://own.example/v1", row.quirks)
    sent = row.auth.apply(row.embeddings.encode_embeddings(["a", "b"], "m", 8, endpoint), "KEY")
    assert sent.url == f"{endpoint.base_url}/embeddings"
    assert isinstance(sent.json, dict)
    assert (sent.json["input"], sent.json[row.quirks.dimensions_field]) == (["a", "b"], 8)


def test_names_and_aliases_are_unique() -> None:
    names = [n for row in ROWS for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))


def test_every_row_has_an_extra_that_installs_it() -> None:
    project = tomllib.loads((PACKAGES / "lexigram-ai-llm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    missing = sorted({row.extra for row in ROWS} - extras.keys())
    assert not missing
    for row in ROWS:
        assert any(d.startswith("lexigram-ai-openai") for d in extras[row.extra]), row.extra


def test_azure_puts_its_key_into_its_own_header() -> None:
    azure = next(r for r in ROWS if r.name == "azure-openai")
    assert azure.auth == HeaderAuth("api-key", "")


def test_a_stranger_adds_a_vendor_by_one_row() -> None:
    row = Vendor(
        name="stranger",
        dialects={"chat": chat},
        base_url="https://api.stranger.example/v1",
        key_env=("STRANGER_API_KEY",),
        quirks=Quirks(max_tokens_field="max_completion_tokens"),
    )
    dialect = row.dialects["chat"]
    endpoint = Endpoint(row.name, row.base_url or "", row.quirks)
    request = build_request([{"role": "user", "content": "hi"}], model="m", max_tokens=5)
    sent = dialect.encode_request(request, endpoint, stream=True)
    assert isinstance(sent.json, dict)
    assert sent.json["max_completion_tokens"] == 5
    state = dialect.new_stream_state(endpoint)
    event = {"choices": [{"index": 0, "delta": {"content": "hey"}, "finish_reason": "stop"}]}
    assert [c.delta for c in dialect.decode_event(None, event, state)] == ["hey"]
    body = {"choices": [{"message": {"content": "hey"}, "finish_reason": "stop"}]}
    assert dialect.decode_response(body, endpoint).provider == "stranger"


def test_the_dialect_has_the_names_of_the_contract() -> None:
    wanted = {n for n in vars(Dialect) if not n.startswith("_")}
    assert wanted <= set(dir(chat))
    assert (chat.NAME, chat.FRAMING) == ("openai.chat", "sse")
    assert wanted | {"encode_flow"} <= set(dir(responses))
    assert (responses.NAME, responses.FRAMING) == ("openai.responses", "sse")
    assert {n for n in vars(EmbeddingDialect) if not n.startswith("_")} <= set(dir(embeddings))


def test_importing_pulls_nothing_but_the_standard_library_and_the_contracts() -> None:
    own = [str(PACKAGES / p / "src") for p in ("lexigram-ai-openai", "lexigram-contracts")]
    third = [Path(importlib.import_module(m).__file__ or "") for m in ("result.result", "typing_extensions")]
    paths = [*own, str(third[0].parents[1]), str(third[1].parent)]
    script = f"""if True:
        import json, sys
        sys.path[:0] = {paths!r}
        import lexigram.ai.openai.chat, lexigram.ai.openai.responses, lexigram.ai.openai.embeddings
        print(json.dumps(sorted({{m.split(".")[0] for m in sys.modules}})))
    """
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(found.stdout)) - set(sys.stdlib_module_names) - {"__main__"}
    assert loaded <= {"lexigram", "result", "typing_extensions"}
    assert "lexigram" in loaded
