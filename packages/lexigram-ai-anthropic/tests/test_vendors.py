"""The rows: what each must have, and how the key goes on a request."""

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.anthropic import messages, vendors, vertex
from lexigram.contracts.ai.coerce import build_request
from lexigram.contracts.wire import Dialect, Endpoint, Vendor
from lexigram.contracts.wire.dialect import CountingDialect

ROWS = list(vendors())
PACKAGES = Path(__file__).parents[2]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_is_whole(row: Vendor) -> None:
    assert row.docs_url.startswith("https://")
    assert row.base_url is not None
    assert row.base_url.startswith("https://")
    assert not row.base_url.endswith("/")
    assert row.key_required
    assert all(k == k.upper() and k.replace("_", "").isalnum() for k in row.key_env)
    assert "sk-" not in repr(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
@pytest.mark.parametrize("stream", [False, True])
def test_every_row_encodes_a_request(row: Vendor, stream: bool) -> None:
    endpoint = Endpoint(row.name, row.base_url or "", row.quirks)
    request = build_request([{"role": "user", "content": "hi"}], model="m", max_tokens=5, temperature=0.5)
    for dialect in row.dialects.values():
        sent: Any = row.auth.apply(dialect.encode_request(request, endpoint, stream=stream), "KEY")
        assert sent.url.startswith(row.base_url)
        assert sent.json["max_tokens"] == 5
        assert any("KEY" in value for value in sent.headers.values())
        assert "KEY" not in sent.url + json.dumps(sent.json)


def test_the_key_goes_where_the_api_version_wants_it() -> None:
    row = next(r for r in ROWS if r.name == "anthropic")
    request = build_request([{"role": "user", "content": "hi"}], model="m")
    for version, header in (("2023-06-01", ("x-api-key", "KEY")), ("2026-10-21", ("Authorization", "Bearer KEY"))):
        endpoint = Endpoint(row.name, row.base_url or "", row.quirks, {"api_version": version})
        sent = row.auth.apply(messages.encode_request(request, endpoint, stream=False), "KEY")
        assert [(k, v) for k, v in sent.headers.items() if "KEY" in v] == [header]
        health = row.auth.apply(messages.encode_health(endpoint), "KEY")
        assert (health.method, health.url) == ("GET", "https://api.anthropic.com/v1/models")
        assert [(k, v) for k, v in health.headers.items() if "KEY" in v] == [header]


def test_every_row_has_an_extra_that_installs_it() -> None:
    project = tomllib.loads((PACKAGES / "lexigram-ai-llm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for row in ROWS:
        assert any(d.startswith("lexigram-ai-anthropic") for d in project["optional-dependencies"][row.extra]), row.name


@pytest.mark.parametrize("dialect", [messages, vertex], ids=lambda d: d.NAME)
def test_a_dialect_has_the_names_of_the_contract(dialect: Any) -> None:
    wanted = {n for of in (Dialect, CountingDialect) for n in vars(of) if not n.startswith("_")}
    assert wanted <= set(dir(dialect))
    assert dialect.FRAMING == "sse"


def test_importing_pulls_nothing_but_the_standard_library_and_the_contracts() -> None:
    own = [str(PACKAGES / p / "src") for p in ("lexigram-ai-anthropic", "lexigram-contracts")]
    third = [Path(importlib.import_module(m).__file__ or "") for m in ("result.result", "typing_extensions")]
    paths = [*own, str(third[0].parents[1]), str(third[1].parent)]
    script = f"""if True:
        import json, sys
        sys.path[:0] = {paths!r}
        import lexigram.ai.anthropic.messages
        print(json.dumps(sorted({{m.split(".")[0] for m in sys.modules}})))
    """
    found = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(json.loads(found.stdout)) - set(sys.stdlib_module_names) - {"__main__"}
    assert loaded <= {"lexigram", "result", "typing_extensions"}
    assert "lexigram" in loaded
