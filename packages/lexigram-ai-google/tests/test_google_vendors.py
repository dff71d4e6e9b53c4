"""The rows of Google's services, and what importing them brings."""

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from lexigram.ai.google import embeddings, generate, vendors, vertex, vertex_embeddings
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.ai.request import CompletionOptions
from lexigram.contracts.wire import CountingDialect, Dialect, EmbeddingDialect, Endpoint, Vendor

ROWS = list(vendors())
PACKAGES = Path(__file__).parents[2]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_is_whole(row: Vendor) -> None:
    assert row.docs_url.startswith("https://")
    assert row.key_required
    assert row.embeddings is not None
    assert all(k == k.upper() for k in row.key_env)
    for url in (row.base_url or "", *row.base_url_where.values()):
        assert url.startswith("https://")
        assert not url.endswith("/")
    assert row.quirks.refuses <= {*CompletionOptions.__annotations__}
    project = tomllib.loads((PACKAGES / "lexigram-ai-llm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert any(d.startswith("lexigram-ai-google") for d in project["optional-dependencies"][row.extra])


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
@pytest.mark.parametrize("stream", [False, True])
def test_every_row_encodes_a_request_with_its_key_in_a_header(row: Vendor, stream: bool) -> None:
    dialect: Dialect = next(iter(row.dialects.values()))
    endpoint = Endpoint(row.name, "https://own.example/v1", row.quirks)
    request = build_request([{"role": "user", "content": "hi"}], model="m", max_tokens=5)
    sent = row.auth.apply(dialect.encode_request(request, endpoint, stream=stream), "KEY")
    assert sent.headers == {"x-goog-api-key": "KEY"}
    assert "KEY" not in sent.url + json.dumps(sent.json)


def test_names_and_aliases_are_unique() -> None:
    names = [n for row in ROWS for n in (row.name, *row.aliases)]
    assert len(names) == len(set(names))
    assert {"gemini", "google", "vertex"} <= set(names)


@pytest.mark.parametrize("dialect", [generate, vertex], ids=lambda d: d.NAME)
def test_the_dialects_have_the_names_of_the_contract(dialect: ModuleType) -> None:
    wanted = {n for p in (Dialect, CountingDialect) for n in vars(p) if not n.startswith("_")}
    assert wanted <= set(dialect.__all__)


@pytest.mark.parametrize("dialect", [embeddings, vertex_embeddings], ids=lambda d: d.NAME)
def test_the_embedding_dialects_have_the_names_of_the_contract(dialect: ModuleType) -> None:
    assert {n for n in vars(EmbeddingDialect) if not n.startswith("_")} == set(dialect.__all__)


def test_importing_pulls_nothing_but_the_standard_library_and_the_contracts() -> None:
    own = [str(PACKAGES / p / "src") for p in ("lexigram-ai-google", "lexigram-contracts")]
    third = [Path(importlib.import_module(m).__file__ or "") for m in ("result.result", "typing_extensions")]
    paths = [*own, str(third[0].parents[1]), str(third[1].parent)]
    script = f"""if True:
        import json, sys
        sys.path[:0] = {paths!r}
        import lexigram.ai.google
        print(json.dumps(sorted({{m.split(".")[0] for m in sys.modules}})))
    """
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(found.stdout)) - set(sys.stdlib_module_names) - {"__main__"}
    assert loaded <= {"lexigram", "result", "typing_extensions"}
