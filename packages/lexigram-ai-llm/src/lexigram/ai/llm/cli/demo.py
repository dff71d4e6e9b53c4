"""``lex demo``: a service whose client comes from the container, against a llama.cpp server that is started for it."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, Final, TypeVar, cast

from rich.padding import Padding
from rich.syntax import Syntax
from rich.text import Text

from lexigram.ai.llm.cli._console import Screen, usage_text, without_controls
from lexigram.ai.llm.cli._service import SupportDesk, Ticket
from lexigram.ai.llm.cli._session import finish, report
from lexigram.ai.llm.cli.complete import Stopwatch
from lexigram.ai.llm.module import LLMModule
from lexigram.app import Application
from lexigram.contracts.ai.completion import Completion, Usage
from lexigram.contracts.ai.errors import LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol, Messages
from lexigram.contracts.result import Err, Ok, Result

__all__ = ["demo"]

T = TypeVar("T")

SETTINGS: Final[dict[str, Any]] = {
    "provider": "llamacpp",
    "model": "tiny",
    "api_base": None,
    "api": None,
    "temperature": None,
    "max_tokens": 256,
    "thinking": None,
    "extra": {},
    "timeouts": None,
    "timeout": 60.0,
    "enable_cache": False,
}
"""Every setting, so that the environment's own client does not mix in."""

_BOOT: Final = """\
app = Application(modules=[LLMModule.configure({"provider": "llamacpp"})])
app.container.register(SupportDesk)
async with app:
    desk = await app.container.resolve(SupportDesk)"""

_NEXT: Final = """\
lex complete "Why is the sky blue?" --provider openai --model gpt-4o-mini
lex chat --provider llamacpp --model path/to/model.gguf
lex providers
lex doctor"""


def demo() -> None:
    """Run the demonstration and leave with its exit code."""
    screen = Screen()
    finish(screen, _Demo(screen).run())


class _Demo:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen

    async def run(self) -> int:
        self._line("Lexigram", f" {version('lexigram-ai-llm')}: a service asks a language model", style="bold")
        self._text(
            "The server is the real llama.cpp, on this machine: no key, no network. Its model is a tiny synthetic one "
            "that knows nothing and talks nonsense; only the plumbing is real."
        )
        self._heading("A service asks the container for its client")
        self._code(_source(SupportDesk.__init__, "class SupportDesk:"), "", _BOOT)
        watch = Stopwatch()
        app = Application(modules=[LLMModule.configure(SETTINGS)], name="demo")
        app.container.register(SupportDesk)
        async with app:
            desk = await app.container.resolve(SupportDesk)
            self._fact(f"llama.cpp started, client injected · {watch.seconds:.2f} s")
            meter = desk.llm = cast("Any", _Meter(desk.llm))
            for step in (self._completion, self._stream, self._structured):
                failed = await step(desk, meter)
                if failed is not None:
                    return failed
        self._heading("Next: a model that knows something")
        self._text("Set a key, or name a GGUF file. The service stays as it is.")
        self._code('export OPENAI_API_KEY="…"', _NEXT, language="bash")
        return 0

    async def _completion(self, desk: SupportDesk, meter: _Meter) -> int | None:
        self._heading("1. A completion")
        self._code(_source(SupportDesk.answer))
        watch = Stopwatch()
        result = await desk.answer("Where is my parcel?")
        return self._settle(result, watch, meter, lambda completion: self._answer(completion.content))

    async def _stream(self, desk: SupportDesk, meter: _Meter) -> int | None:
        self._heading("2. A stream, token by token as it arrives")
        self._code(_source(SupportDesk.tell))
        watch = Stopwatch()
        pieces = 0
        column = 2

        def say(delta: str) -> None:
            nonlocal pieces, column
            if not delta:
                return
            watch.piece()
            pieces += 1
            shown = without_controls(delta)
            if self._screen.out.is_terminal and column + len(shown) >= self._screen.out.width:
                self._screen.out.print()
                shown, column = shown.lstrip(), 0
            column += len(shown)
            self._screen.out.print(Text(shown, "green"), end="", soft_wrap=True)

        self._screen.out.print(Text("→ ", "bold green"), end="")
        result = await desk.tell("Tell me about parcels.", say)
        self._screen.out.print()
        first = f"pieces: {pieces}, first after {watch.first or 0:.3f} s"
        return self._settle(result, watch, meter, lambda _: None, first)

    async def _structured(self, desk: SupportDesk, meter: _Meter) -> int | None:
        self._heading("3. JSON that fits a pydantic model, validated")
        self._code(inspect.getsource(Ticket), "", _source(SupportDesk.file))
        watch = Stopwatch()
        result = await desk.file("My parcel is three weeks late and I leave tomorrow!")
        return self._settle(result, watch, meter, lambda ticket: self._answer(repr(ticket)))

    def _settle(
        self,
        result: Result[T, LLMError],
        watch: Stopwatch,
        meter: _Meter,
        show: Callable[[T], None],
        *facts: str,
    ) -> int | None:
        if isinstance(result, Err):
            return report(self._screen, result.err_value)
        show(result.ok_value)
        self._fact(" · ".join([*facts, meter.take(), f"{watch.seconds:.3f} s"]))
        return None

    # -- writing

    def _heading(self, text: str) -> None:
        self._screen.out.print()
        self._screen.out.print(Text(text, "bold cyan"), soft_wrap=True)

    def _line(self, strong: str, rest: str, *, style: str) -> None:
        self._screen.out.print(Text.assemble((strong, style), rest), soft_wrap=True)

    def _text(self, text: str) -> None:
        self._screen.out.print(Text(text), soft_wrap=not self._screen.out.is_terminal)

    def _answer(self, text: str) -> None:
        self._screen.out.print(
            Text.assemble(("→ ", "bold green"), (without_controls(text), "green")),
            soft_wrap=not self._screen.out.is_terminal,
        )

    def _fact(self, text: str) -> None:
        self._screen.out.print(Text(f"  {text}", "dim"), soft_wrap=True)

    def _code(self, *pieces: str, language: str = "python") -> None:
        code = "\n".join(piece.rstrip() for piece in pieces)
        if self._screen.out.is_terminal and self._screen.out.color_system is not None:
            shown = Syntax(code, language, theme="ansi_dark", background_color="default", word_wrap=True)
            self._screen.out.print(Padding(shown, (0, 0, 0, 4)))
        else:
            sys.stdout.write(textwrap.indent(code, "    ") + "\n")
            sys.stdout.flush()


class _Meter:
    """A client around the client that adds up the tokens."""

    def __init__(self, client: LLMClientProtocol) -> None:
        self._client = client
        self._usages: list[Usage] = []

    def take(self) -> str:
        """Return the tokens since the last time, in words."""
        usages, self._usages = self._usages, []
        tries = f" in {len(usages)} tries" if len(usages) > 1 else ""
        return f"{usage_text(_sum(usages))}{tries}"

    async def complete(self, messages: Messages, **options: Any) -> Result[Completion, LLMError]:
        result = await self._client.complete(messages, **options)
        if isinstance(result, Ok):
            self._usages.append(result.ok_value.usage)
        return result

    def stream_chat(self, messages: Messages, **options: Any) -> Any:
        def note(chunk: Any) -> Any:
            if chunk.usage is not None:
                self._usages = [chunk.usage]
            return chunk

        return self._client.stream_chat(messages, **options).map(note)


def _sum(usages: list[Usage]) -> Usage:
    if len(usages) == 1:
        return usages[0]
    if any(u.input_tokens is None or u.output_tokens is None for u in usages) or not usages:
        return Usage()
    return Usage(
        sum(u.input_tokens or 0 for u in usages), sum(u.output_tokens or 0 for u in usages), source=usages[0].source
    )


def _source(function: Callable[..., Any], head: str = "") -> str:
    code = inspect.getsource(function)
    return f"{head}\n{code}" if head else textwrap.dedent(code)
