"""The commands' options. What they do is imported when they run, so that ``lex --help`` loads no engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexigram.ai.llm.cli._plugins import CommandGroup

__all__ = ["app"]

_EXIT_CODES = (
    "Exit codes: 0 done; 1 the provider failed, or a check of doctor did; 2 a wrong option or setting; 130 interrupted."
)
_ENGINE = "Provider"
_CALL = "Call"

app = typer.Typer(
    name="lex",
    cls=CommandGroup,
    help="Ask language models from the shell, and see what is installed and configured.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Provider = Annotated[
    str | None,
    typer.Option("--provider", "-p", help="Who answers: a name that `lex providers` lists.", rich_help_panel=_ENGINE),
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="The model; for llamacpp the path of a GGUF file.", rich_help_panel=_ENGINE),
]
ApiBase = Annotated[
    str | None, typer.Option("--api-base", metavar="URL", help="Instead of the provider's.", rich_help_panel=_ENGINE)
]
System = Annotated[
    str | None, typer.Option("--system", "-s", help="Instructions before everything.", rich_help_panel=_CALL)
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", "-t", min=0, max=2, help="How random.", rich_help_panel=_CALL)
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", min=1, help="Most tokens of an answer.", rich_help_panel=_CALL)
]


def _effort(value: str | None) -> str | None:
    if value is not None:
        from typing import get_args

        from lexigram.contracts.ai.request import Effort

        allowed = get_args(Effort)
        if value not in allowed:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(allowed)}")
    return value


Thinking = Annotated[
    str | None,
    typer.Option(
        "--thinking",
        metavar="EFFORT",
        callback=_effort,
        help="How hard to reason: none, minimal, low, medium, high, xhigh or max.",
        rich_help_panel=_CALL,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lexigram-ai-llm {version('lexigram-ai-llm')}")
        raise typer.Exit


@app.callback()
def _lex(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask language models from the shell, and see what is installed and configured."""


@app.command("demo")
def _demo() -> None:
    """Show a completion, a stream and a validated answer from a llama.cpp server; needs no key and no network."""
    from lexigram.ai.llm.cli.demo import demo

    demo()


@app.command("complete", epilog=_EXIT_CODES)
def _complete(
    prompt: Annotated[
        str | None, typer.Argument(metavar="PROMPT", help="The question; - or nothing reads standard input.")
    ] = None,
    provider: Provider = None,
    model: Model = None,
    api_base: ApiBase = None,
    system: System = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    thinking: Thinking = None,
    json_schema: Annotated[
        Path | None,
        typer.Option(
            "--json-schema",
            metavar="FILE",
            help="Have the answer fit this JSON schema, and check that it does.",
            rich_help_panel=_CALL,
        ),
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Print the answer as it is written.", rich_help_panel=_CALL)
    ] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tokens and times.")] = False,
) -> None:
    """Ask one question. The answer alone goes to standard output; tokens, time and errors to standard error."""
    from lexigram.ai.llm.cli.complete import complete

    complete(
        prompt,
        settings={"provider": provider, "model": model, "api_base": api_base},
        options={"temperature": temperature, "max_tokens": max_tokens},
        system=system,
        thinking=thinking,
        json_schema=json_schema,
        stream=stream,
        quiet=quiet,
    )


@app.command("chat")
def _chat(
    provider: Provider = None,
    model: Model = None,
    api_base: ApiBase = None,
    system: System = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    thinking: Thinking = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print no tokens and times.")] = False,
) -> None:
    """Talk with a model. Piped input is one line a turn; /help lists the commands inside."""
    from lexigram.ai.llm.cli.chat import chat

    chat(
        settings={"provider": provider, "model": model, "api_base": api_base},
        options={"temperature": temperature, "max_tokens": max_tokens},
        system=system,
        thinking=thinking,
        quiet=quiet,
    )


@app.command("providers")
def _providers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the providers: installed or not, and where their key was found. Keys are never shown."""
    from lexigram.ai.llm.cli.providers import providers

    providers(as_json=as_json)


@app.command("doctor")
def _doctor() -> None:
    """Check the installation, the settings, the embedded server and the configured provider."""
    from lexigram.ai.llm.cli.doctor import doctor

    doctor()
