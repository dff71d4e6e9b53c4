"""What the packages of dialects and rows promise beside the conformance kit (tests/kit): names, extras, imports."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.llm import ProviderRegistry
from lexigram.contracts.wire import Dialect, EmbeddingDialect, Vendor

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "packages"
OWN = ["bedrock", "cohere", "ollama", "replicate"]
ROWS: list[Vendor] = [row for name in OWN for row in importlib.import_module(f"lexigram.ai.{name}").vendors()]
ALL: dict[str, tuple[Any, type]] = {
    module.NAME: (module, kind)
    for row in ProviderRegistry()
    for module, kind in [*[(d, Dialect) for d in row.dialects.values()], (row.embeddings, EmbeddingDialect)]
    if module is not None
}


@pytest.mark.parametrize("name", ALL)
def test_a_dialect_lists_the_names_of_the_contract_and_is_named_as_its_module(name: str) -> None:
    module, kind = ALL[name]
    assert {n for n in vars(kind) if not n.startswith("_")} <= set(module.__all__)
    assert module.__name__ == f"lexigram.ai.{name}"


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_a_row_has_an_extra_that_installs_its_package(row: Vendor) -> None:
    project = tomllib.loads((PACKAGES / "lexigram-ai-llm" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["optional-dependencies"][row.extra] == [f"lexigram-ai-{row.name}==0.1.0"]


def test_names_and_aliases_are_unique_over_all_packages() -> None:
    names = [name for row in ProviderRegistry() for name in (row.name, *row.aliases)]
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
