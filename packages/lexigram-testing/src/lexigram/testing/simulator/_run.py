"""What ``lex simulate`` does: a table of addresses, a line of counts, and an orderly end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lexigram.contracts.errors import LexigramError
from lexigram.testing.simulator._app import Server, Simulator
from lexigram.testing.simulator._chance import Distribution, Faults, Fixed, Latency, LogNormal
from lexigram.testing.simulator._limits import RateLimits
from lexigram.testing.simulator._script_file import read_script

__all__ = ["Settings", "run"]

_FAILED: Final = 1
_MISUSED: Final = 2
_INTERRUPTED: Final = 130
_KEPT: Final = 1000


@dataclass(frozen=True, slots=True)
class Settings:
    """The command's options."""

    host: str
    port: int
    keys: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    script: Path | None
    seed: int
    models: tuple[str, ...] | None
    latency: float
    token_latency: float
    faults: float


def run(settings: Settings) -> int:
    """Serve until interrupted; return the exit code."""
    out, err = _console(stderr=False), _console(stderr=True)
    try:
        simulator = _simulator(settings)
    except ValueError as error:
        err.print(Text.assemble(("error: ", "bold red"), str(error)))
        return _MISUSED
    try:
        asyncio.run(_serve(simulator, settings, out))
    except KeyboardInterrupt:
        out.print(Text(counts(simulator)))
        return _INTERRUPTED
    except (LexigramError, OSError) as error:
        err.print(Text.assemble(("error: ", "bold red"), str(error)))
        return _FAILED
    return 0


def counts(simulator: Simulator) -> str:
    """Return one line about what was asked so far."""
    journal = simulator.journal
    outcomes = journal.outcomes
    parts = [f"{outcomes.get('done', 0):,} answered"]
    for number, word in (
        (journal.limited, "over a limit"),
        (outcomes.get("refused", 0) - journal.limited, "refused"),
        (outcomes.get("cancelled", 0), "left early"),
        (outcomes.get("fault", 0), "gone wrong"),
        (simulator.in_flight, "in flight"),
    ):
        if number:
            parts.append(f"{number:,} {word}")
    parts.append(f"{journal.input_tokens:,} tokens in, {journal.output_tokens:,} out")
    return " · ".join(parts)


def _simulator(settings: Settings) -> Simulator:
    limits = None
    if settings.requests_per_minute is not None or settings.tokens_per_minute is not None:
        limits = RateLimits(settings.requests_per_minute, settings.tokens_per_minute)
    return Simulator(
        None if settings.script is None else read_script(settings.script),
        limits=limits,
        latency=Latency(_about(settings.latency), _about(settings.token_latency)),
        faults=Faults(settings.faults) if settings.faults else None,
        seed=settings.seed,
        keys=settings.keys,
        models=settings.models,
        keep=_KEPT,
    )


def _about(median: float) -> Distribution:
    return LogNormal(median) if median else Fixed()


async def _serve(simulator: Simulator, settings: Settings, out: Console) -> None:
    async with simulator.serve(settings.host, settings.port) as server:
        _introduce(server, settings, out)
        if not out.is_terminal:
            await asyncio.Event().wait()
        with Live(_line(simulator), console=out, refresh_per_second=4, transient=True) as live:
            while True:
                await asyncio.sleep(0.25)
                live.update(_line(simulator))


def _introduce(server: Server, settings: Settings, out: Console) -> None:
    if not out.is_terminal:
        for vendor, url in server.base_urls.items():
            out.print(Text(f"{vendor} {url}"), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("vendor")
    table.add_column("base URL of its SDK", style="cyan", no_wrap=True)
    table.add_column("api_base of Lexigram")
    for vendor, url in server.base_urls.items():
        more = server.api_bases[vendor].removeprefix(url)
        table.add_row(vendor, url, f"with {more}" if more else "the same")
    out.print(table)
    keys = "any key is accepted" if settings.keys is None else f"{len(settings.keys)} key(s) accepted"
    out.print(Text(f"\n{keys}; Ctrl-C ends it\n", "dim"))


def _line(simulator: Simulator) -> Text:
    return Text(counts(simulator), "bold" if simulator.in_flight else "")


def _console(*, stderr: bool) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
