"""``lex complete``: what goes where, and with which exit code."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Invoke = Callable[..., Result]


def test_the_answer_alone_is_on_standard_output(invoke: Invoke, provider: Any, at: list[str]) -> None:
    result = invoke("complete", "why?", "--system", "be brief", "-t", "0.5", "--max-tokens", "9", *at)
    assert (result.stdout, result.exit_code) == ("Blue sky\n", 0)
    assert "openai_compatible/m · 7 tokens in, 2 out · " in result.stderr
    assert "first token after" in result.stderr
    asked = provider.asked[0]
    assert [m["role"] for m in asked["messages"]] == ["system", "user"]
    assert (asked["temperature"], asked["max_tokens"], asked["stream"]) == (0.5, 9, True)


def test_quiet_and_whole(invoke: Invoke, provider: Any, at: list[str]) -> None:
    result = invoke("complete", "why?", "--no-stream", "--quiet", *at)
    assert (result.stdout, result.stderr, result.exit_code) == ("Blue sky\n", "", 0)
    assert not provider.asked[0].get("stream")


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_the_prompt_may_come_from_standard_input(
    invoke: Invoke, provider: Any, at: list[str], arguments: list[str]
) -> None:
    assert invoke("complete", *arguments, *at, input="grüß\nGott\n").exit_code == 0
    assert provider.asked[0]["messages"][-1]["content"] == "grüß\nGott\n"


def test_in_a_pipe_thinking_is_left_out_and_the_answer_is_as_it_came(
    invoke: Invoke, provider: Any, at: list[str]
) -> None:
    provider.thought, provider.words = "hmm", ["\ta\r\n", "[bold]b[/]"]
    result = invoke("complete", "why?", *at)
    assert result.stdout_bytes == b"\ta\r\n[bold]b[/]\n"
    assert "hmm" not in result.stderr


def test_a_real_server_answers(invoke: Invoke) -> None:
    result = invoke("complete", "hello", "--provider", "llamacpp", "--max-tokens", "5", "--thinking", "none")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.strip()
    assert "llamacpp/tiny" in result.stderr


def test_an_answer_fits_its_schema(invoke: Invoke, provider: Any, at: list[str], tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(schema))
    provider.words = ['{"n":', " 3}"]
    result = invoke("complete", "why?", "--json-schema", str(file), *at)
    assert (json.loads(result.stdout), result.exit_code) == ({"n": 3}, 0)
    assert provider.asked[0]["response_format"]["json_schema"]["schema"] == schema
    provider.words = ['{"n": "three"}']
    result = invoke("complete", "why?", "--json-schema", str(file), *at)
    assert result.exit_code == 1
    assert "does not fit the schema" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("{", "JSON"), ("[]", "object"), ('{"type": 12}', "12 is not")]
)
def test_a_schema_that_is_none_is_a_wrong_option(
    invoke: Invoke, at: list[str], tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "schema.json"
    if content is not None:
        file.write_text(content)
    result = invoke("complete", "why?", "--json-schema", str(file), *at)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_failure_of_the_provider(invoke: Invoke, provider: Any, at: list[str]) -> None:
    provider.status = 401
    result = invoke("complete", "why?", *at)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error: openai_compatible/m (HTTP 401): no[31m such key" in result.stderr
    assert "hint: check the API key" in result.stderr
    assert "\x1b" not in result.stderr


def test_an_answer_cut_off_or_filtered_is_said(invoke: Invoke, provider: Any, at: list[str]) -> None:
    provider.finish = "length"
    result = invoke("complete", "why?", *at)
    assert (result.exit_code, result.stdout) == (0, "Blue sky\n")
    assert "cut off" in result.stderr
    provider.finish = "content_filter"
    assert invoke("complete", "why?", *at).exit_code == 1


@pytest.mark.parametrize("command", [["complete", "why?"], ["chat"]])
def test_without_a_key_it_says_so_and_names_the_provider_that_needs_none(invoke: Invoke, command: list[str]) -> None:
    result = invoke(*command, "--model", "gpt-4o", input="")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "openai needs an API key" in result.stderr
    assert "OPENAI_API_KEY" in result.stderr
    assert "--provider llamacpp" in result.stderr
    assert invoke(*command, input="").exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["", "-p", "llamacpp"], {}, "the prompt is empty"),
        (["why?", "-p", "grok-"], {}, "there is no provider 'grok-'"),
        (["why?", "-p", "llamacpp", "-m", "/no/such.gguf"], {}, "there is no such file"),
        (["why?"], {"LEX_AI_LLM__PROVIDR": "openai"}, "did you mean LEX_AI_LLM__PROVIDER?"),
        (["why?", "--thinking", "huge"], {}, "huge"),
        (["why?", "--temperature", "3"], {}, "--temperature"),
    ],
)
def test_what_the_user_got_wrong_is_2(
    invoke: Invoke, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    result = invoke("complete", *arguments, **variables)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_input_that_is_no_text(invoke: Invoke, at: list[str]) -> None:
    result = invoke("complete", *at, input=b"\xff\xfe")
    assert result.exit_code == 2
    assert "not UTF-8" in result.stderr


def test_a_key_configured_for_one_provider_is_not_sent_to_another(invoke: Invoke) -> None:
    configured = {
        "LEX_AI_LLM__PROVIDER": "openai",
        "LEX_AI_LLM__MODEL": "gpt-4o",
        "LEX_AI_LLM__API_KEY": "sk-canary",
        "LEX_AI_LLM__API_BASE": "http://127.0.0.1:9/v1",
    }
    result = invoke("complete", "why?", "-p", "groq", "-m", "m", **configured)
    assert result.exit_code == 2
    assert "is meant for openai and is not sent to groq" in result.stderr
    assert "sk-canary" not in result.output
    result = invoke("complete", "why?", "-p", "groq", **configured)
    assert "name the model" in result.stderr
    assert invoke("complete", "why?", "-p", "llamacpp", "--max-tokens", "3", **configured).exit_code == 0


def test_ctrl_c_ends_it(start: Callable[..., subprocess.Popen[str]], provider: Any, at: list[str]) -> None:
    provider.words, provider.pause = ["word "] * 200, 0.05
    process = start("complete", "why?", *at)
    assert process.stdout is not None
    assert process.stdout.read(5) == "word "
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_it(
    start: Callable[..., subprocess.Popen[str]], provider: Any, at: list[str]
) -> None:
    provider.words, provider.pause = ["word "] * 200, 0.02
    process = start("complete", "why?", *at)
    assert process.stdout is not None
    assert process.stdout.read(5) == "word "
    process.stdout.close()
    assert process.wait(timeout=10) == 1
    assert process.stderr is not None
    assert process.stderr.read() == ""
