"""Where the commands write: answers to standard output, everything about them to standard error."""

from __future__ import annotations

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from lexigram.config import read_env
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.errors import LexigramError

__all__ = ["AnswerWriter", "Screen", "remark", "summary", "usage_text", "without_controls"]

_CONTROLS: Final = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


class Screen:
    """The two streams. ``NO_COLOR`` and pipes turn every style off."""

    def __init__(self) -> None:
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)

    def note(self, text: str, *, style: str = "dim") -> None:
        """Say something about the answer."""
        self.err.print(Text(without_controls(text), style), soft_wrap=not self.err.is_terminal)

    def fail(self, error: LexigramError, *, advice: str | None = None) -> None:
        """Say what failed and what to do about it."""
        first, *more = without_controls(str(error)).splitlines() or [type(error).__name__]
        provider = getattr(error, "provider", None)
        if provider is not None:
            first = first.removeprefix(f"{provider}: ") if error.message.startswith(provider) else first
        self._problem(first, [*more, *([f"  {advice}"] if advice else [])])

    def refuse(self, message: str) -> None:
        """Say what is wrong with the command line."""
        first, *more = without_controls(message).splitlines()
        self._problem(first, more)

    def _problem(self, first: str, more: list[str]) -> None:
        soft = not self.err.is_terminal
        self.err.print(Text.assemble(("error: ", "bold red"), first), soft_wrap=soft)
        for line in more:
            self.err.print(Text(line), soft_wrap=soft)


class AnswerWriter:
    """Writes one answer: its text as it is to standard output, its thinking dimmed to standard error.

    Thinking is left out where standard error is no terminal. A terminal gets no control characters.
    """

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._thinking = False
        self._last = ""

    def add(self, text: str, thinking: str = "") -> None:
        """Write what came next."""
        if thinking and self._screen.err.is_terminal:
            self._thinking = True
            self._screen.err.print(Text(without_controls(thinking), "dim italic"), end="", soft_wrap=True)
        if not text:
            return
        if self._thinking:
            self._screen.err.print("\n")
            self._thinking = False
        shown = without_controls(text) if self._screen.out.is_terminal else text
        sys.stdout.write(shown)
        sys.stdout.flush()
        self._last = shown[-1:] or self._last

    def end(self) -> None:
        """End the line."""
        if self._thinking:
            self._screen.err.print()
            self._thinking = False
        if self._last and self._last != "\n":
            sys.stdout.write("\n")
            sys.stdout.flush()
            self._last = "\n"


def usage_text(usage: Usage) -> str:
    """Return the tokens in words, e.g. ``20 tokens in (5 cached), 18 out``."""
    if usage.input_tokens is None and usage.output_tokens is None:
        return "tokens unknown"
    cached = f" ({usage.cached_input_tokens} cached)" if usage.cached_input_tokens else ""
    reasoning = f" ({usage.reasoning_tokens} reasoning)" if usage.reasoning_tokens else ""
    about = "about " if usage.source == "estimated" else ""
    return f"{about}{_count(usage.input_tokens)} tokens in{cached}, {_count(usage.output_tokens)} out{reasoning}"


def summary(completion: Completion, seconds: float, first: float | None = None) -> str:
    """Return one line about an answer: who, tokens, time."""
    parts = [f"{completion.provider}/{completion.model}", usage_text(completion.usage), f"{seconds:.2f} s"]
    if first is not None:
        parts.append(f"first token after {first:.2f} s")
    return " · ".join(parts)


def remark(completion: Completion) -> str | None:
    """Return what has to be said about how an answer ended, or None."""
    if completion.finish_reason == "length":
        return "the answer was cut off at its token limit; raise --max-tokens"
    if completion.finish_reason == "content_filter":
        return "the provider's filter stopped the answer"
    if completion.finish_reason == "refusal":
        return f"the model refused{f': {completion.refusal}' if completion.refusal else ''}"
    return None if completion.content else "the answer is empty"


def without_controls(text: str) -> str:
    """Return the text without control characters, line breaks and tabs kept: what others wrote steers no terminal."""
    return text.translate(_CONTROLS)


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _console(*, stderr: bool) -> Console:
    if read_env("NO_COLOR") is not None:
        return Console(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=None)
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
