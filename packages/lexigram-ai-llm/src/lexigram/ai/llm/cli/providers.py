"""``lex providers``: the registry's rows, and where the key of each was found. A key itself is never shown."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from lexigram.ai.llm.cli._console import Screen
from lexigram.ai.llm.cli._session import served_here
from lexigram.ai.llm.module import read_config
from lexigram.ai.llm.registry import DISTRIBUTION, ProviderRegistry
from lexigram.ai.llm.routing.config import LLMSettings
from lexigram.config import ConfigError, Loaded, read_env, read_key_file
from lexigram.contracts.wire import Vendor

__all__ = ["Row", "providers", "rows"]

_PROVIDER_EXTRA: Final = re.compile(r"lexigram-ai-.*extra\s*==\s*['\"]([^'\"]+)")
_ROOMY: Final = 100
_WIDE: Final = 140
_KEY_WIDTH: Final = 32
_LEAST_WIDTH: Final = 12
_GAP: Final = 3


@dataclass(frozen=True, slots=True)
class Row:
    """What there is to say of one provider.

    Attributes:
        key: ``env NAME``, ``file PATH``, ``not needed``, ``missing``, or what is wrong with the key's file.
        key_env: the variables in which its key is looked for.
        install: the command that installs what is missing, or ``""``.
    """

    provider: str
    apis: tuple[str, ...]
    installed: bool
    key: str
    key_env: tuple[str, ...]
    base_url: str
    docs_url: str
    install: str = ""
    configured: bool = False


def providers(*, as_json: bool) -> None:
    """Print the table: JSON, tab-separated text in a pipe, else as wide as the terminal."""
    screen = Screen()
    registry = ProviderRegistry()
    loaded: Loaded[LLMSettings] | None = None
    try:
        loaded = read_config(None, registry)
    except ConfigError as error:
        screen.fail(error)
    found = list(rows(registry, loaded))
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in found], indent=2))
    elif screen.out.is_terminal:
        _draw(screen, found)
    else:
        lines = [("provider", "apis", "installed", "key", "base_url", "docs_url")]
        lines += [
            (r.provider, ",".join(r.apis), "yes" if r.installed else "no", r.key, r.base_url, r.docs_url) for r in found
        ]
        sys.stdout.write("".join("\t".join(line) + "\n" for line in lines))


def rows(registry: ProviderRegistry, loaded: Loaded[LLMSettings] | None) -> Iterator[Row]:
    """Yield a row for each provider, those that an extra would install after the installed ones."""
    configured = _configured(registry, loaded)
    for vendor in registry:
        key = _key(vendor)
        mine = loaded if vendor.name == configured else None
        if mine is not None and mine.sources["api_key"] != "default":
            key = mine.sources["api_key"]
        lacks_server = served_here(vendor) and find_spec("xllamacpp") is None
        yield Row(
            vendor.name,
            tuple(vendor.dialects),
            not lacks_server,
            key,
            vendor.key_env,
            (mine.value.api_base if mine is not None else None) or vendor.base_url or "",
            vendor.docs_url,
            _pip(vendor.extra) if lacks_server else "",
            mine is not None,
        )
    for extra in sorted(_provider_extras() - {vendor.extra for vendor in registry}):
        if extra not in registry:
            yield Row(extra, (), False, "missing", (), "", "", _pip(extra))


def _configured(registry: ProviderRegistry, loaded: Loaded[LLMSettings] | None) -> str | None:
    if loaded is None or set(loaded.sources.values()) == {"default"}:
        return None
    name = loaded.value.provider
    return registry.get(name).name if name in registry and registry.factory(name) is None else None


def _key(vendor: Vendor) -> str:
    name = next((name for name in vendor.key_env if read_env(name)), None)
    if name is not None:
        return f"env {name}"
    try:
        if read_key_file(vendor.name) is not None:
            return f"file ~/.lexigram/keys/{vendor.name}"
    except ConfigError as error:
        return error.message.replace(str(Path.home()), "~")
    return "missing" if vendor.key_required else "not needed"


def _provider_extras() -> set[str]:
    required = (_PROVIDER_EXTRA.search(line) for line in metadata.requires(DISTRIBUTION) or ())
    return {found.group(1) for found in required if found is not None}


def _pip(extra: str) -> str:
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def _draw(screen: Screen, found: list[Row]) -> None:
    width = screen.out.width
    roomy, wide = width >= _ROOMY, width >= _WIDE
    names = [
        Text(row.provider, "bold" if row.configured else "") + Text(" ←" * row.configured, "cyan") for row in found
    ]
    apis = [Text(",".join(row.apis)) for row in found]
    here = [Text("yes" if row.installed else "no", "" if row.installed else "yellow") for row in found]
    keys = [_key_cell(row, name_variable=roomy) for row in found]
    urls = [
        Text(row.base_url.removeprefix("https://") or ("set api_base" if row.installed else row.install))
        for row in found
    ]
    docs = [Text(row.docs_url.removeprefix("https://")) for row in found]
    columns = [("provider", names), ("apis", apis), ("installed", here), ("key", keys)]
    widths = [_width(title, cells) for title, cells in columns]
    widths[-1] = min(widths[-1], _KEY_WIDTH)
    left = width - sum(widths) - _GAP * len(widths)
    for title, cells in [("base URL", urls), *([("docs", docs)] if wide else [])]:
        if left >= _LEAST_WIDTH:
            columns.append((title, cells))
            widths.append(min(_width(title, cells), left // 2 if wide and title != "docs" else left))
            left -= widths[-1] + _GAP
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for (title, _), size in zip(columns, widths, strict=True):
        style = "dim" if title in ("base URL", "docs") else ""
        overflow: Literal["fold", "ellipsis"] = "fold" if title == "key" else "ellipsis"
        table.add_column(title, width=size, no_wrap=title != "key", overflow=overflow, style=style)
    for line in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*line)
    screen.out.print(table)
    count = sum(row.installed for row in found)
    usable = sum(row.installed and row.key.startswith(("env ", "file ", "not needed")) for row in found)
    mark = "; ← is the one that is configured" if any(row.configured for row in found) else ""
    screen.out.print()
    screen.out.print(Text(f"{count} installed, {usable} with a key or without need of one{mark}", "dim"))


def _key_cell(row: Row, *, name_variable: bool) -> Text:
    if row.key.startswith(("env ", "file ")):
        return Text(row.key, "green")
    if row.key == "missing":
        return Text(f"missing: {row.key_env[0]}" if row.key_env and name_variable else "missing", "dim")
    return Text(row.key) if row.key == "not needed" else Text(row.key, "yellow")


def _width(title: str, cells: list[Text]) -> int:
    return max(len(title), *map(len, cells)) if cells else len(title)
