"""The monorepo: one version, namespaces that work, siblings from the workspace and from nowhere else."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(ROOT.glob("packages/*/pyproject.toml"))


def project(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]


def test_there_are_no_init_files_in_the_namespaces() -> None:
    assert len(PACKAGES) >= 5
    assert [
        p
        for pattern in ("src/lexigram/__init__.py", "src/lexigram/ai/__init__.py")
        for p in ROOT.glob(f"packages/*/{pattern}")
    ] == []


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: p.parent.name)
def test_a_package_is_typed_and_pins_its_siblings(path: Path) -> None:
    about = project(path)
    version = project(PACKAGES[0])["version"]
    assert about["version"] == version
    assert about["name"] == path.parent.name
    wanted = [
        *about.get("dependencies", []),
        *(d for extra in about.get("optional-dependencies", {}).values() for d in extra),
    ]
    for dependency in wanted:
        if dependency.startswith("lexigram"):
            assert dependency.endswith(f"=={version}"), dependency
    roots = {p.parent for p in path.parent.glob("src/lexigram/**/__init__.py")}
    tops = {r for r in roots if not any(o != r and o in r.parents for o in roots)}
    assert tops
    for top in tops:
        assert (top / "py.typed").is_file(), top


def test_no_lexigram_distribution_came_from_an_index() -> None:
    found = [d for d in metadata.distributions() if (d.name or "").lower().replace("_", "-").startswith("lexigram")]
    assert {d.name for d in found} >= {project(p)["name"] for p in PACKAGES}
    for dist in found:
        origin = json.loads(dist.read_text("direct_url.json") or "{}")
        assert origin.get("url", "").startswith("file:"), f"{dist.name} was not installed from this workspace"


def test_every_vendor_has_an_extra_that_installs_its_row() -> None:
    extras = project(ROOT / "packages" / "lexigram-ai-llm" / "pyproject.toml")["optional-dependencies"]
    rows = [
        (entry.dist.name, vendor)
        for entry in metadata.entry_points(group="lexigram.llm_providers")
        if entry.dist is not None
        for vendor in entry.load()()
    ]
    assert len({package for package, _ in rows}) > 1
    for package, vendor in rows:
        assert vendor.extra in extras, vendor.name
        assert vendor.name in extras or vendor.name.replace("_", "-") in extras, vendor.name
        assert any(re.match(rf"{package}(\[|==)", d) for d in extras[vendor.extra]), vendor.name


def test_the_lock_file_takes_siblings_from_the_workspace() -> None:
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    for package in lock["package"]:
        if package["name"].startswith("lexigram"):
            assert "editable" in package["source"] or "virtual" in package["source"], package["name"]


def test_the_extra_of_a_provider_installs_no_other_provider() -> None:
    extras = project(ROOT / "packages" / "lexigram-ai-llm" / "pyproject.toml")["optional-dependencies"]
    for name, wanted in extras.items():
        providers = {d for d in wanted if d.startswith("lexigram-ai-")}
        assert len(providers) == (0 if name in ("cli", "prices", "tokenizers") else 1), name
    assert {d.partition("==")[0].partition(">")[0] for d in extras["openai"]} == {"lexigram-ai-openai", "tiktoken"}
