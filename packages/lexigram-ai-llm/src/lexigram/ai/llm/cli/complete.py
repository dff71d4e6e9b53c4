"""``lex complete``: one question, one answer."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import typer

from lexigram.ai.llm.cli._console import AnswerWriter, Screen, remark, summary
from lexigram.ai.llm.cli._session import FAILED, MISUSED, explicit_settings, finish, open_client, report
from lexigram.ai.llm.codec import loads
from lexigram.contracts.ai.completion import Completion
from lexigram.contracts.ai.errors import DecodeError, LLMError
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.ai.request import Effort, ResponseFormat, ThinkingConfig
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["Stopwatch", "complete", "say_stream"]


def complete(
    prompt: str | None,
    *,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    system: str | None,
    thinking: str | None,
    json_schema: Path | None,
    stream: bool,
    quiet: bool,
) -> None:
    """Ask, print the answer, and leave with the exit code."""
    screen = Screen()
    question = _question(screen, prompt)
    schema = _schema(screen, json_schema) if json_schema is not None else None
    messages = [ChatMessage("system", system)] if system else []
    messages.append(ChatMessage("user", question))
    call: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if thinking is not None:
        call["thinking"] = ThinkingConfig(effort=cast("Effort", thinking))
    if schema is not None:
        call["response_format"] = ResponseFormat("json_schema", schema, "answer")

    async def work() -> int:
        async with open_client(explicit_settings(settings)) as client:
            return await _ask(screen, client, messages, call, schema, stream=stream, quiet=quiet)

    finish(screen, work())


class Stopwatch:
    """Seconds since it was made, and until the first piece of an answer."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.first: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    def piece(self) -> None:
        """Note that a piece came."""
        if self.first is None:
            self.first = self.seconds


async def say_stream(
    writer: AnswerWriter,
    client: LLMClientProtocol,
    messages: list[ChatMessage],
    watch: Stopwatch,
    options: Mapping[str, Any],
) -> Result[Completion, LLMError]:
    """Write an answer as it comes; return the whole, or the error with what had come."""
    answer = client.stream_chat(messages, **options)
    try:
        async with answer:
            async for chunk in answer:
                if chunk.delta or chunk.thinking_delta:
                    watch.piece()
                    writer.add(chunk.delta, chunk.thinking_delta)
    except LLMError as error:
        return Err(error)
    finally:
        writer.end()
    return await answer.completion()


async def _ask(
    screen: Screen,
    client: LLMClientProtocol,
    messages: list[ChatMessage],
    call: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    *,
    stream: bool,
    quiet: bool,
) -> int:
    watch = Stopwatch()
    writer = AnswerWriter(screen)
    if stream:
        result = await say_stream(writer, client, messages, watch, call)
    else:
        result = await client.complete(messages, **call)
        if isinstance(result, Ok):
            writer.add(result.ok_value.content, result.ok_value.thinking or "")
            writer.end()
    if isinstance(result, Err):
        return report(screen, result.err_value)
    completion = result.ok_value
    if not quiet:
        screen.note(summary(completion, watch.seconds, watch.first))
    said = remark(completion)
    if said is not None:
        screen.note(said, style="yellow")
    if completion.finish_reason in ("content_filter", "refusal"):
        return FAILED
    wrong = _misfit(completion.content, schema) if schema is not None else None
    if wrong is not None:
        screen.refuse(f"the answer does not fit the schema: {wrong}")
        return FAILED
    return 0


def _question(screen: Screen, prompt: str | None) -> str:
    if prompt is None and sys.stdin.isatty():
        _misuse(screen, "there is no prompt\n  hint: lex complete 'a question', or pipe it in")
    try:
        text = sys.stdin.buffer.read().decode() if prompt is None or prompt == "-" else prompt
        text.encode()
    except UnicodeError:
        _misuse(screen, "the prompt is not UTF-8 text")
    if not text.strip():
        _misuse(screen, "the prompt is empty\n  hint: lex complete 'a question', or pipe it in")
    return text


def _schema(screen: Screen, path: Path) -> dict[str, Any]:
    import jsonschema_rs

    try:
        schema = loads(path.read_bytes())
    except OSError as error:
        _misuse(screen, f"--json-schema: {path}: {error.strerror}")
    except DecodeError as error:
        _misuse(screen, f"--json-schema: {path}: {error.message}")
    if not isinstance(schema, dict):
        _misuse(screen, f"--json-schema: {path}: a JSON object is wanted")
    try:
        jsonschema_rs.validator_for(schema)
    except ValueError as error:
        first = (str(error).splitlines() or ["not a JSON schema"])[0]
        _misuse(screen, f"--json-schema: {path}: {first}")
    return schema


def _misfit(text: str, schema: Mapping[str, Any]) -> str | None:
    import jsonschema_rs

    try:
        value = loads(text.encode())
    except DecodeError as error:
        return error.message
    problem = next(iter(jsonschema_rs.validator_for(dict(schema)).iter_errors(value)), None)
    return None if problem is None else problem.message


def _misuse(screen: Screen, message: str) -> NoReturn:
    screen.refuse(message)
    raise typer.Exit(MISUSED)
