"""The documentation says what is so."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from lexigram.contracts.ai import errors
from lexigram.contracts.ai.errors import InvalidMessageError, LLMError

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("packages/*/README.md")),
]


def test_the_providers_page_is_the_table() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "providers_page.py"))["page"]()
    assert (ROOT / "docs" / "providers.md").read_text(encoding="utf-8") == page, "run python scripts/providers_page.py"


def test_the_errors_page_lists_every_error_with_its_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    classes = [
        c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, LLMError | InvalidMessageError)
    ]
    for cls in classes:
        assert re.search(rf"`{cls.__name__}` \| (`LEX_ERR_LLM_)?{cls.code[-3:]}", page), cls.__name__


def test_the_configuration_page_lists_every_setting() -> None:
    from lexigram.ai.llm import ClientConfig

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for name in ClientConfig.model_fields:
        assert f"`{name}`" in page, name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_names_the_commands_that_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "pip install uv && uv run lex demo" in readme
    assert "uv run --group nox nox" in readme
    assert "uv run --group nox nox" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    helped = subprocess.run(
        [str(Path(sys.executable).parent / "lex"), "--help"], capture_output=True, text=True, check=True
    )
    for command in ("demo", "complete", "chat", "providers", "doctor"):
        assert command in helped.stdout
        assert f"lex {command}" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
