from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lexigram.ai.llm.local import LlamaServer
from lexigram.ai.llm.local._options import read_options
from lexigram.contracts.ai.errors import LLMConfigurationError


@pytest.mark.parametrize("model", [None, "", "tiny"])
def test_without_a_file_the_model_is_the_synthetic_one(model: str | None) -> None:
    server = LlamaServer.from_config(model, {})
    assert (server.synthetic, server.model_name) == (True, "tiny")


def test_a_file_is_served_under_its_own_name(tmp_path: Path) -> None:
    server = LlamaServer.from_config(str(tmp_path / "mind.gguf"), {})
    assert (server.synthetic, server.model_name) == (False, "mind")


def test_texts_are_read_as_the_values_that_they_stand_for() -> None:
    given = {
        "context": "2048",
        "slots": "2",
        "embeddings": "True",
        "startup_timeout": "1.5",
        "cache_dir": "/c",
        "alias": "a",
    }
    read = {
        "context": 2048,
        "slots": 2,
        "embeddings": True,
        "startup_timeout": 1.5,
        "cache_dir": Path("/c"),
        "alias": "a",
    }
    assert read_options(given) == read
    assert read_options(read) == read


def test_a_setting_left_at_none_keeps_its_default() -> None:
    assert read_options({"context": None}) == {}


def test_an_unknown_setting_is_refused_with_the_near_name_and_the_allowed_ones() -> None:
    with pytest.raises(LLMConfigurationError, match=r"'contxt' \(did you mean 'context'\?\)") as caught:
        LlamaServer.from_config(None, {"contxt": 1})
    assert caught.value.hint == "allowed: context, slots, embeddings, startup_timeout, alias, cache_dir"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("context", "many"), ("context", 0), ("context", 1.5), ("context", True), ("context", 8),
        ("slots", 0), ("slots", 10_000), ("slots", "1000"),
        ("embeddings", "perhaps"), ("embeddings", 3),
        ("startup_timeout", 0), ("startup_timeout", "soon"), ("startup_timeout", float("inf")),
        ("startup_timeout", "nan"), ("alias", ""), ("cache_dir", 7),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(LLMConfigurationError, match=f"setting '{name}'") as caught:
        LlamaServer.from_config(None, {name: value})
    assert (caught.value.hint or "").startswith("allowed: ")
