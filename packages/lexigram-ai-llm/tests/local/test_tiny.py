from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lexigram.ai.llm.local import ensure_tiny_model
from lexigram.ai.llm.local.tiny import RECIPE, TINY_MODEL_NAME, build_tiny_model
from lexigram.contracts.ai.errors import LLMConfigurationError


def test_the_model_is_the_same_every_time_and_its_recipe_says_which_it_is() -> None:
    assert hashlib.sha256(build_tiny_model()).hexdigest().startswith(RECIPE)


def test_the_file_is_named_after_its_recipe_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    path = ensure_tiny_model(tmp_path / "new" / "folder")
    assert path.name == f"lexigram-tiny-{RECIPE}.gguf"
    assert TINY_MODEL_NAME.encode() in path.read_bytes()[:4096]
    assert "synthetic" in TINY_MODEL_NAME


def test_a_file_that_is_there_is_used_as_it_is(tmp_path: Path) -> None:
    path = ensure_tiny_model(tmp_path)
    before = path.stat()
    began = time.perf_counter()
    assert ensure_tiny_model(tmp_path) == path
    assert time.perf_counter() - began < 0.5
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_that_is_not_whole_is_made_anew(tmp_path: Path) -> None:
    path = ensure_tiny_model(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert ensure_tiny_model(tmp_path).read_bytes() == whole


def test_processes_that_make_it_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from lexigram.ai.llm.local import ensure_tiny_model as f; f(pathlib.Path(sys.argv[1]))"
    )
    makers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(4)]
    assert [maker.wait(timeout=60) for maker in makers] == [0, 0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [f"lexigram-tiny-{RECIPE}.gguf"]
    assert hashlib.sha256(ensure_tiny_model(tmp_path).read_bytes()).hexdigest().startswith(RECIPE)


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(LLMConfigurationError, match=str(blocked)) as caught:
        ensure_tiny_model(blocked)
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")


def test_without_a_folder_it_goes_under_the_cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ensure_tiny_model().parent == tmp_path / "lexigram"


def test_without_a_cache_home_it_goes_under_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ensure_tiny_model().parent == tmp_path / ".cache" / "lexigram"
