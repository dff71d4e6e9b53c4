"""Commands that other installed packages add to ``lex``: entry points of the group ``lexigram.commands``.

An entry's name is the command's; its value is a function with typer's annotations, whose docstring is the help. It is
loaded when it is run or listed, so its module should import little.
"""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import typer
from typer.core import TyperGroup

__all__ = ["COMMAND_GROUP", "CommandGroup"]

COMMAND_GROUP: Final = "lexigram.commands"

_SETTINGS: Final = {"help_option_names": ["-h", "--help"]}


class CommandGroup(TyperGroup):
    """The commands of ``lex`` itself, and after them those of other packages. Its own names cannot be taken."""

    @cached_property
    def _entries(self) -> dict[str, EntryPoint]:
        found = sorted(entry_points(group=COMMAND_GROUP), key=lambda entry: entry.name)
        return {entry.name: entry for entry in found if entry.name not in self.commands}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return every command's name."""
        return [*super().list_commands(ctx), *self._entries]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; loads the package that has it."""
        entry = self._entries.get(cmd_name)
        return super().get_command(ctx, cmd_name) if entry is None else _loaded(entry)


def _loaded(entry: EntryPoint) -> Any:
    """Return the entry's command, or one that says what is wrong with it."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    try:
        function = entry.load()
        if not callable(function):
            raise TypeError(f"{entry.value} is no function")
        app.command(entry.name, context_settings=_SETTINGS)(function)
        return typer.main.get_command(app)
    except Exception as error:  # noqa: BLE001 - whatever a package does must not take the other commands away
        owner = entry.dist.name if entry.dist is not None else entry.value
        problem = f"{owner} cannot be loaded: {type(error).__name__}: {error}"

    broken = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

    @broken.command(
        entry.name, help=f"Broken: {problem}", context_settings={**_SETTINGS, "ignore_unknown_options": True}
    )
    def _say(arguments: list[str] = typer.Argument(None, hidden=True)) -> None:  # noqa: B008
        typer.echo(f"error: {problem}\n  hint: reinstall the package, or remove it", err=True)
        raise typer.Exit(1)

    return typer.main.get_command(broken)
