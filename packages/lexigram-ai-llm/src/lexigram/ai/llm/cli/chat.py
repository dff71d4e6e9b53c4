"""``lex chat``: a conversation over several turns."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

import typer

from lexigram.ai.llm.cli._console import AnswerWriter, Screen, remark, summary
from lexigram.ai.llm.cli._session import FAILED, INTERRUPTED, explicit_settings, open_client, report
from lexigram.ai.llm.cli.complete import Stopwatch, say_stream
from lexigram.ai.llm.conversation import ConversationConfig, ConversationManager
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.messages import ChatMessage
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.ai.request import ThinkingConfig
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.result import Ok

__all__ = ["chat"]

_HELP: Final = """\
/help            this list
/system [TEXT]   set the instructions, or show them
/clear           forget what was said; the instructions stay
/usage           tokens so far
/quit            end, as Ctrl-D does
Ctrl-C           break off the answer; the conversation goes on"""
_PROMPT: Final = "> "


def chat(
    *, settings: Mapping[str, Any], options: Mapping[str, Any], system: str | None, thinking: Any, quiet: bool
) -> None:
    """Talk until the input ends, and leave with the exit code."""
    screen = Screen()
    call: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if thinking is not None:
        call["thinking"] = ThinkingConfig(effort=thinking)
    # One runner for all turns: between them the loop rests and input is read; Ctrl-C cancels the turn and no more.
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            client = runner.run(stack.enter_async_context(open_client(explicit_settings(settings))))
            code = _Chat(screen, runner, client, call, system, quiet=quiet).talk()
        except LexigramError as error:
            code = report(screen, error)
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            runner.run(stack.aclose())
    raise typer.Exit(code)


class _Chat:
    def __init__(
        self,
        screen: Screen,
        runner: asyncio.Runner,
        client: LLMClientProtocol,
        options: Mapping[str, Any],
        system: str | None,
        *,
        quiet: bool,
    ) -> None:
        self._screen = screen
        self._runner = runner
        self._client = client
        self._options = options
        self._quiet = quiet
        self._interactive = sys.stdin.isatty()
        self._talk = ConversationManager(ConversationConfig(system_prompt=system), llm_client=client)
        self._usages: list[Usage] = []
        self._failed = False

    def talk(self) -> int:
        """Take turns until the input ends; return the exit code."""
        if self._interactive:
            self._screen.note("Ctrl-D ends, /help helps.")
        for line in _lines(self._screen, interactive=self._interactive):
            text = line.strip()
            if text == "/quit":
                break
            if text.startswith("/"):
                self._command(*text.partition(" ")[::2])
            elif text:
                self._turn(text)
        return FAILED if self._failed and not self._interactive else 0

    def _turn(self, text: str) -> None:
        question = ChatMessage("user", text)
        watch = Stopwatch()
        heard: list[str] = []
        writer = _Listening(self._screen, heard)
        try:
            result = self._runner.run(
                say_stream(writer, self._client, [*self._talk.window(), question], watch, self._options)
            )
        except KeyboardInterrupt:
            partial = "".join(heard)
            self._screen.note("(broken off)", style="yellow")
            if partial:
                self._remember(question, ChatMessage("assistant", partial))
            return
        except LexigramError as error:
            self._failed = True
            report(self._screen, error)
            return
        if isinstance(result, Ok):
            self._answered(question, result.ok_value, watch)
        else:
            self._failed = True
            _report_turn(self._screen, result.err_value)

    def _answered(self, question: ChatMessage, completion: Completion, watch: Stopwatch) -> None:
        self._usages.append(completion.usage)
        if not self._quiet:
            self._screen.note(summary(completion, watch.seconds, watch.first))
        said = remark(completion)
        if said is not None:
            self._screen.note(said, style="yellow")
        if completion.parts:
            self._remember(question, completion.message)

    def _remember(self, question: ChatMessage, answer: ChatMessage) -> None:
        for message in (question, answer):
            self._runner.run(self._talk.add_message(message))

    def _command(self, name: str, rest: str) -> None:
        note = self._screen.note
        if name == "/help":
            note(_HELP)
        elif name == "/clear":
            self._talk.clear()
            note("(everything that was said is forgotten)")
        elif name == "/system":
            if rest.strip():
                self._talk.config = replace(self._talk.config, system_prompt=rest.strip())
            note(f"(instructions: {self._talk.config.system_prompt or 'none'})")
        elif name == "/usage":
            note(self._usage())
        else:
            note(f"there is no command {name}; /help lists them", style="yellow")

    def _usage(self) -> str:
        known = [u for u in self._usages if u.input_tokens is not None and u.output_tokens is not None]
        sent = sum(u.input_tokens or 0 for u in known)
        received = sum(u.output_tokens or 0 for u in known)
        missing = len(self._usages) - len(known)
        unknown = f"; unknown for {missing}" if missing else ""
        return f"(answers: {len(self._usages)}; tokens: {sent} in, {received} out{unknown})"


class _Listening(AnswerWriter):
    """Keeps the text that it writes."""

    def __init__(self, screen: Screen, heard: list[str]) -> None:
        super().__init__(screen)
        self._heard = heard

    def add(self, text: str, thinking: str = "") -> None:
        self._heard.append(text)
        super().add(text, thinking)


def _report_turn(screen: Screen, error: LLMError) -> None:
    screen.fail(error, advice="the question was not kept; ask again to repeat it" if error.retryable else None)


def _lines(screen: Screen, *, interactive: bool) -> Iterator[str]:
    if not interactive:
        yield from sys.stdin
        return
    with suppress(ImportError):
        import_module("readline")  # gives input() editing and history
    while True:
        try:
            if sys.stdout.isatty():
                yield input(_PROMPT)
            else:
                screen.err.print(_PROMPT, end="")
                yield input()
        except KeyboardInterrupt:
            screen.note("\n(Ctrl-D or /quit ends)")
        except EOFError:
            screen.err.print()
            return
