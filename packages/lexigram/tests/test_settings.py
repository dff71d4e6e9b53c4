from __future__ import annotations

import subprocess
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from lexigram.config import (
    ConfigError,
    ConfigSourceError,
    InvalidSettingError,
    KeyFile,
    Loaded,
    UnknownSettingError,
    VendorEnv,
    environment,
    load_settings,
    read_env,
)
from lexigram.contracts.ai.request import ThinkingConfig

CANARY = "sk-canary-0123456789"


class Vendor(BaseModel):
    api_key: SecretStr | None = None
    model: str | None = None


class Settings(BaseModel):
    provider: str = "openai"
    model: str = "default-model"
    api_key: SecretStr | None = None
    access_token: str | None = None
    signing_keys: list[str] = []
    api_base: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    strategy: Literal["sequential", "race"] = "sequential"
    thinking: ThinkingConfig | None = None
    extra: dict[str, Any] = {}
    providers: dict[str, Vendor] = {}

    @field_validator("api_key")
    @classmethod
    def _no_placeholder(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and "placeholder" in value.get_secret_value():
            raise ValueError(f"{value.get_secret_value()} is a placeholder")
        return value


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(explicit: Mapping[str, Any] | Settings | None = None, **given: Any) -> Loaded[Settings]:
    given.setdefault("env", {})
    return load_settings(Settings, section="ai_llm", explicit=explicit, **given)


def secret(value: SecretStr | None) -> str:
    assert value is not None
    return value.get_secret_value()


def test_each_field_comes_from_its_strongest_source(tmp_path: Path) -> None:
    (tmp_path / "lexigram.yaml").write_text(
        "ai_llm: {provider: y, model: y, temperature: 0.1, api_base: y, thinking: {effort: low, budget_tokens: 9}}\n"
    )
    loaded = load_settings(
        Settings,
        section="ai_llm",
        explicit=Settings(provider="explicit"),
        env={
            "LEX_AI_LLM__PROVIDER": "env",
            "LEX_AI_LLM__MODEL": "env",
            "LEX_AI_LLM__THINKING__EFFORT": "high",
            "VENDOR_BASE": "vendor",
        },
        fallbacks=[VendorEnv("api_base", ("MISSING", "VENDOR_BASE")), VendorEnv("model", ("VENDOR_BASE",))],
    )
    value = loaded.value
    assert (value.provider, value.model, value.api_base, value.temperature) == ("explicit", "env", "vendor", 0.1)
    assert value.thinking == ThinkingConfig(effort="high", budget_tokens=9)
    assert loaded.sources["provider"] == "explicit"
    assert loaded.sources["model"] == "env LEX_AI_LLM__MODEL"
    assert loaded.sources["api_base"] == "env VENDOR_BASE"
    assert loaded.sources["temperature"] == "lexigram.yaml"
    assert loaded.sources["thinking.effort"] == "env LEX_AI_LLM__THINKING__EFFORT"
    assert loaded.sources["thinking.budget_tokens"] == "lexigram.yaml"
    assert loaded.sources["max_tokens"] == "default"


def test_an_explicit_model_leaves_the_key_to_the_environment() -> None:
    assert secret(load(Settings(model="m"), env={"LEX_AI_LLM__API_KEY": CANARY}).value.api_key) == CANARY
    assert secret(load(Settings(api_key=None), env={"LEX_AI_LLM__API_KEY": CANARY}).value.api_key) == CANARY


def test_nested_names_reach_dictionaries_and_models() -> None:
    env = {
        "LEX_AI_LLM__EXTRA__FOO": "bar",
        "LEX_AI_LLM__PROVIDERS__GROQ__API_KEY": CANARY,
        "LEX_AI_LLM__PROVIDERS": '{"xai": {"model": "grok"}}',
    }
    value = load(env=env).value
    assert value.extra == {"foo": "bar"}
    assert secret(value.providers["groq"].api_key) == CANARY
    assert value.providers["xai"].model == "grok"


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(env={"LEX_AI_LLM__TEMPERATURE": ""}).value.temperature is None


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("LEX_AI_LLM__MODLE", "LEX_AI_LLM__MODEL"),
        ("LEX_AI_LLM__THINKING__EFORT", "LEX_AI_LLM__THINKING__EFFORT"),
        ("LEX_AI_LLM__PROVIDERS__GROQ__APIKEY", "LEX_AI_LLM__PROVIDERS__GROQ__API_KEY"),
        ("LEX_AILLM__MODEL", "LEX_AI_LLM__MODEL"),
        ("LEX_AI_LLM_MODEL", "LEX_AI_LLM__MODEL"),
        ("LEX_AI_LLM_API_KEY", "LEX_AI_LLM__API_KEY"),
    ],
)
def test_a_misspelt_variable_is_named_with_its_near_match(wrong: str, right: str) -> None:
    with pytest.raises(UnknownSettingError) as caught:
        load(env={wrong: CANARY})
    assert caught.value.message == f"{wrong}: no such setting; did you mean {right}?"


@pytest.mark.parametrize("name", ["LEX_CONFIG_X", "LEX_DEBUG", "LEX_CACHE__TTL", "LEX_PROFILE", "OTHER"])
def test_other_variables_are_left_alone(name: str) -> None:
    assert load(env={name: "1"}).value == Settings()


def test_a_near_section_that_is_known_is_left_alone() -> None:
    with pytest.raises(UnknownSettingError):
        load(env={"LEX_AI_LLMS__MODEL": "x"})
    assert load(env={"LEX_AI_LLMS__MODEL": "x"}, other_sections=("ai_llms",)).value == Settings()


def test_a_misspelt_name_in_yaml_or_in_the_arguments_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lexigram.yaml").write_text("ai_llm: {api-key: x}\n")
    with pytest.raises(UnknownSettingError) as caught:
        load({"modle": "x"})
    assert caught.value.problems == (
        "explicit setting modle: no such setting; did you mean model?",
        "lexigram.yaml: ai_llm.api-key: no such setting; did you mean ai_llm.api_key?",
    )


def test_a_bad_value_names_field_source_value_and_range() -> None:
    with pytest.raises(InvalidSettingError) as caught:
        load({"strategy": "x"}, env={"LEX_AI_LLM__TEMPERATURE": "7", "LEX_AI_LLM__MAX_TOKENS": "abc"})
    text = str(caught.value)
    assert "temperature = '7' (from environment variable LEX_AI_LLM__TEMPERATURE)" in text
    assert "(allowed: >= 0, <= 2)" in text
    assert "max_tokens = 'abc'" in text
    assert "strategy = 'x' (from the arguments): should be 'sequential' or 'race'" in text
    assert len(caught.value.problems) == 3
    assert caught.value.code == "LEX_ERR_CFG_002"
    assert caught.value.__context__ is None


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"modle": 1}, env={"LEX_AI_LLM__TEMPERATURE": "hot"})
    assert len(caught.value.problems) == 2
    assert type(caught.value) is ConfigError


def test_a_vendor_variable_is_stripped_and_named_as_source() -> None:
    loaded = load_settings(
        Settings,
        section="ai_llm",
        env={"OPENAI_API_KEY": f" {CANARY}\r\n"},
        fallbacks=lambda values: [VendorEnv("api_key", (f"{values['provider'].upper()}_API_KEY",))],
    )
    assert secret(loaded.value.api_key) == CANARY
    assert loaded.sources["api_key"] == "env OPENAI_API_KEY"


def test_explain_shows_values_and_sources_but_no_secret() -> None:
    given = {
        "api_key": CANARY,
        "access_token": CANARY,
        "signing_keys": [CANARY],
        "max_tokens": 5,
        "api_base": f"https://user:{CANARY}@host/v1",
        "extra": {"client_secret": CANARY},
        "providers": {"groq": {"api_key": CANARY}},
    }
    loaded = load(given)
    table = loaded.explain()
    assert CANARY not in table + repr(loaded) + str(loaded)
    assert "max_tokens" in table
    assert [line.split() for line in table.splitlines() if line.startswith("max_tokens")] == [
        ["max_tokens", "5", "explicit"]
    ]


@pytest.mark.parametrize(
    ("explicit", "env"),
    [
        ({"api_key": f"{CANARY}\nX: y"}, {}),
        ({"api_key": f"{CANARY}\0x"}, {}),
        ({"api_key": f"{CANARY}é"}, {}),
        ({"api_key": f"placeholder-{CANARY}"}, {}),
        ({"api_key": [CANARY]}, {}),
        ({"access_token": {"x": CANARY}}, {}),
        ({"signing_keys": CANARY}, {}),
        ({"providers": CANARY}, {}),
        ({"providers": {"groq": CANARY}}, {}),
        ({"providers": {"groq": {"api_key": 5, "model": [CANARY]}}}, {}),
        ({}, {"LEX_AI_LLM__PROVIDERS": '{"groq": {"api_key": "' + CANARY}),
        ({}, {"LEX_AI_LLM__PROVIDERS__GROQ": CANARY}),
        ({}, {"LEX_AI_LLM__API_KEY": f"{CANARY}\r\nHost: x"}),
        ({}, {"LEX_AI_LLM__API_KEYS": CANARY}),
        ({}, {"LEX_AILLM__API_KEY": CANARY}),
        ({"api_base": [CANARY], "api_key": CANARY}, {}),
    ],
)
def test_no_error_shows_a_secret(explicit: dict[str, Any], env: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(Settings, section="ai_llm", explicit=explicit, env=env)
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(error) + repr(error.to_dict())
    assert CANARY not in shown
    assert error.__context__ is None or CANARY not in "".join(traceback.format_exception(error.__context__))


def test_yaml_is_found_by_lex_config_and_must_then_exist(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("ai_llm: {model: '${HOME}'}\n")
    loaded = load(env={"LEX_CONFIG": str(file)})
    assert (loaded.value.model, loaded.sources["model"]) == ("${HOME}", "other.yaml")
    with pytest.raises(ConfigSourceError, match=r"absent\.yaml cannot be read"):
        load(env={"LEX_CONFIG": str(tmp_path / "absent.yaml")})
    with pytest.raises(ConfigSourceError, match=r"absent\.yaml cannot be read"):
        load(yaml=tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"ai_llm:\n  api_key: '{CANARY}\n", "no valid YAML"),
        (f"ai_llm: !!python/object/apply:os.system ['{CANARY}']", "no valid YAML"),
        (f"- {CANARY}", "sections"),
        (f"ai_llm: {CANARY}", "by name"),
        (f"ai-llm: {{api_key: {CANARY}}}", "did you mean ai_llm"),
    ],
)
def test_a_broken_yaml_file_is_a_clear_error_without_its_content(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "application.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load()
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_key_file_is_the_last_fallback_and_untouched_when_a_key_is_there(tmp_path: Path) -> None:
    root = tmp_path / ".lexigram" / "keys"
    root.mkdir(parents=True)
    file = root / "openai"
    file.write_text(f"{CANARY}\n")
    file.chmod(0o600)
    env = {"HOME": str(tmp_path)}
    loaded = load(env=env, fallbacks=[KeyFile("api_key", "openai")])
    assert secret(loaded.value.api_key) == CANARY
    assert loaded.sources["api_key"] == f"file {root}/openai"
    file.chmod(0o644)
    with pytest.raises(ConfigSourceError, match="mode 0644"):
        load(env=env, fallbacks=[KeyFile("api_key", "openai")])
    assert secret(load({"api_key": "k"}, env=env, fallbacks=[KeyFile("api_key", "openai")]).value.api_key) == "k"


def test_read_env_and_environment_are_live_and_read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEX_TEST_ONLY", "x")
    assert read_env("LEX_TEST_ONLY") == environment()["LEX_TEST_ONLY"] == "x"
    monkeypatch.setenv("LEX_TEST_ONLY", "")
    assert read_env("LEX_TEST_ONLY") is None
    with pytest.raises(TypeError):
        environment()["LEX_TEST_ONLY"] = "y"  # type: ignore[index]


def test_importing_is_cheap() -> None:
    code = (
        "import lexigram.di, lexigram.app, lexigram.config, sys;"
        "print([m for m in ('pydantic', 'pydantic_settings', 'yaml') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
