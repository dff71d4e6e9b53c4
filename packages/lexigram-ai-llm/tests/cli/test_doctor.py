"""``lex doctor``: a row a check, and 1 where one failed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import Result

from lexigram.testing.faults import FaultServer

Invoke = Callable[..., Result]


def _rows(text: str) -> dict[str, list[str]]:
    lines = [line.split("\t") for line in text.partition("\n\n")[0].splitlines()]
    return {line[1]: line for line in lines}


def test_a_new_installation_is_well(invoke: Invoke) -> None:
    result = invoke("doctor")
    rows = _rows(result.stdout)
    assert result.exit_code == 0, result.output
    assert set(rows) >= {"Python", "packages", "extras", "settings", "token counts", "embedded server", "provider"}
    assert "this workspace" in rows["packages"][2] or "a file" in rows["packages"][2]
    assert rows["embedded server"][0] == "ok"
    assert "none is configured" in rows["provider"][2]
    assert not any(row[0] == "fail" for row in rows.values())
    assert "\x1b" not in result.output


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the embedded server out, which the other tests have seen."""
    from lexigram.ai.llm.cli import _checks

    monkeypatch.setattr(_checks, "find_spec", lambda _: None)


@pytest.mark.usefixtures("no_server")
def test_the_configured_provider_is_asked_and_no_secret_shown(invoke: Invoke, provider: Any) -> None:
    settings = {
        "LEX_AI_LLM__PROVIDER": "openai_compatible",
        "LEX_AI_LLM__MODEL": "m",
        "LEX_AI_LLM__API_KEY": "sk-canary",
        "LEX_AI_LLM__API_BASE": provider.base_url,
        "https_proxy": "http://user:sk-canary@proxy.example:3128",
    }
    result = invoke("doctor", **settings)
    rows = _rows(result.stdout)
    assert (rows["provider"][0], result.exit_code) == ("ok", 0)
    assert "https_proxy: proxy.example:3128" in rows["proxy"][2]
    assert "env LEX_AI_LLM__API_KEY" in result.stdout
    assert "sk-canary" not in result.output
    provider.status = 401
    result = invoke("doctor", **settings)
    assert result.exit_code == 1
    assert _rows(result.stdout)["provider"][0] == "fail"
    assert "1 failed" in result.stdout


@pytest.mark.usefixtures("no_server")
@pytest.mark.parametrize(
    ("variables", "check", "said"),
    [
        ({"LEX_AI_LLM__TEMPERATURE": "hot"}, "settings", "temperature"),
        ({"LEX_AI_LLM__PROVIDER": "opnai"}, "provider", "did you mean 'openai'?"),
        ({"LEX_AI_LLM__PROVIDER": "groq", "LEX_AI_LLM__MODEL": "m"}, "provider", "needs an API key"),
    ],
)
def test_what_is_wrong_fails_with_what_to_do(invoke: Invoke, variables: dict[str, str], check: str, said: str) -> None:
    result = invoke("doctor", **variables)
    row = _rows(result.stdout)[check]
    assert (row[0], result.exit_code) == ("fail", 1)
    assert said in row[2]


@pytest.mark.usefixtures("no_server")
def test_of_several_providers_one_that_fails_is_a_warning(
    invoke: Invoke, fault_server: FaultServer, provider: Any
) -> None:
    fault_server.play_always("status=500")
    one, two = (f"LEX_AI_LLM__PROVIDERS__{name}" for name in ("VLLM", "OPENAI_COMPATIBLE"))
    models = {f"{one}__MODEL": "m", f"{two}__MODEL": "m"}
    addresses = {f"{one}__BASE_URL": fault_server.url(), f"{two}__BASE_URL": provider.base_url}
    result = invoke("doctor", **models, **addresses)
    row = _rows(result.stdout)["provider"]
    assert (row[0], result.exit_code) == ("warn", 0)
    assert "vllm: HTTP 500" in row[2]
