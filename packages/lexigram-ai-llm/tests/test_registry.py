"""ProviderRegistry: installed rows, rows of one's own, and clear words about what is not there."""

from __future__ import annotations

import pytest

from lexigram.ai.llm import ProviderRegistry
from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.contracts.wire import Vendor
from lexigram.testing import FakeLLM


def test_installed_packages_bring_their_rows() -> None:
    registry = ProviderRegistry()
    assert {"openai", "groq", "openrouter", "llamacpp", "openai_compatible"} <= set(registry.names())
    assert registry.get("openai").base_url == "https://api.openai.com/v1"
    assert [v.name for v in registry] == registry.names()
    assert "openai" in registry
    assert "nobody" not in registry


def test_a_vendor_of_ones_own_is_one_row() -> None:
    registry = ProviderRegistry()
    chat = registry.get("openai").dialects["chat"]
    registry.register(
        Vendor(
            name="mine",
            dialects={"chat": chat},
            base_url="https://llm.example/v1",
            key_env=("MINE_KEY",),
            aliases=("my-llm",),
        )
    )
    assert registry.get("my-llm").name == "mine"


def test_or_a_known_one_with_other_fields_or_a_client() -> None:
    registry = ProviderRegistry()
    registry.register("proxy", like="openai", base_url="https://proxy.example/v1")
    assert registry.get("proxy").base_url == "https://proxy.example/v1"
    assert registry.get("proxy").key_env == ("OPENAI_API_KEY",)
    registry.register("fake", client=lambda config: FakeLLM())
    assert registry.factory("fake") is not None
    assert "fake" in registry.names()


def test_what_is_registered_wins_over_what_is_installed() -> None:
    registry = ProviderRegistry()
    registry.register(Vendor(name="openai", dialects={}, base_url="https://mine.example/v1"))
    assert registry.get("openai").base_url == "https://mine.example/v1"


def test_what_cannot_be_reached_and_what_comes_too_late_is_refused() -> None:
    registry = ProviderRegistry()
    with pytest.raises(LLMConfigurationError, match="how shall 'mine' be reached"):
        registry.register("mine")
    registry.freeze()
    with pytest.raises(LLMConfigurationError, match="before the application boots"):
        registry.register("mine", like="openai")


def test_a_missing_package_is_named_with_its_pip_command_and_a_misspelt_name_with_a_near_one() -> None:
    empty = ProviderRegistry(discover=False)
    with pytest.raises(LLMConfigurationError) as caught:
        empty.get("openai")
    assert 'pip install "lexigram-ai-llm[openai]"' in str(caught.value)
    with pytest.raises(LLMConfigurationError, match="did you mean 'openai'"):
        ProviderRegistry().get("opnai")
