"""``python -m benchmarks``: every client side by side, in one run.

Each repeat runs every client once, in changing order, in its own process; ratios are taken within a repeat, against
the floor, and their median is what counts. Client and server get a core each where the system allows it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import select
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks.adapters import CLIENTS
from benchmarks.budget import plain_environment
from benchmarks.picture import draw
from benchmarks.report import write

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent / ".nox" / "bench-clients"
PATIENCE = 180.0
QUIET = {
    "PYTHONWARNINGS": "ignore",
    "PYTHONPATH": str(HERE),
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OTEL_SDK_DISABLED": "true",
}


class Scenario(NamedTuple):
    """What the worker does, what the server answers, and how often at most."""

    name: str
    path: str
    options: Mapping[str, Any] = MappingProxyType({})
    repeats: int = 99
    fresh: bool = False


SCENARIOS = {
    "call": Scenario("calls", "call"),
    "stream": Scenario("streams", "stream-5000", {"count": 1, "chunks": 5000}),
    "streams100": Scenario("streams", "stream-200", {"count": 100, "chunks": 200}, 3),
    "paced": Scenario("streams", "paced-50", {"count": 40, "chunks": 50}, 3),
    "first": Scenario("first", "stream-10"),
    "concurrent64": Scenario("concurrent", "call", {"count": 64, "total": 3000}, 3),
    "concurrent1000": Scenario("concurrent", "call", {"count": 1000, "total": 5000}, 3),
    "cold": Scenario("cold", "call", fresh=True),
    "soak": Scenario("soak", "call", {"total": 10_000}, 1, fresh=True),
}


def cores() -> tuple[list[int], list[int]]:
    """Return the core of the clients and the one of the server, or all for both."""
    if not hasattr(os, "sched_getaffinity"):
        return [], []
    free = sorted(os.sched_getaffinity(0))
    return ([free[0]], [free[1]]) if len(free) > 1 else (free, free)


def pinned(command: Sequence[str], core: list[int], **more: Any) -> subprocess.Popen[str]:
    """Start a process on a core."""
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, cwd=HERE, **more)
    if core:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(process.pid, core)
    return process


def environment_of(client: str) -> tuple[str, list[str]]:
    """Return the name of a client's environment, and what is installed into it."""
    wanted = CLIENTS[client].installs
    if wanted:
        return wanted.partition("[")[0], [wanted]
    ours = ["lexigram-contracts", "lexigram", "lexigram-http", "lexigram-ai-openai", "lexigram-ai-llm[openai]"]
    ours.append("lexigram-resilience")
    return "workspace", [part for name in ours for part in ("--editable", f"{HERE.parent}/packages/{name}")]


def python_of(client: str) -> str:
    """Return the interpreter of a client's environment, made if it is not there."""
    name, wanted = environment_of(client)
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "--quiet", f"--python={sys.executable}", str(ENVIRONMENTS / name)], check=True)
        subprocess.run(["uv", "pip", "install", "--quiet", f"--python={python}", *wanted], check=True)
    return str(python)


def version_of(client: str) -> str:
    """Return the client's version."""
    name = environment_of(client)[0]
    if name == "workspace":
        return ""
    code = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([python_of(client), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


class Worker:
    """A client's process."""

    def __init__(self, client: str, core: list[int], *arguments: str) -> None:
        self.process = pinned(
            [python_of(client), str(HERE / "worker.py"), client, *arguments],
            core,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**plain_environment(), **QUIET},
        )

    def ask(self, command: dict[str, Any] | None) -> Any:
        """Return the worker's answer to a command, or to none."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if command is not None:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        if select.select([self.process.stdout], [], [], PATIENCE)[0]:
            line = self.process.stdout.readline()
            return json.loads(line) if line else {"error": "the process ended"}
        self.process.kill()
        return {"error": f"no answer within {PATIENCE:.0f} s"}

    def end(self) -> None:
        """End the process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def server(core: list[int]) -> Iterator[str]:
    """Run the mock provider and give its address."""
    process = pinned([sys.executable, str(HERE / "server.py")], core)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def run(clients: Sequence[str], scenarios: Sequence[str], repeats: int) -> dict[str, Any]:
    """Return for each scenario and client the answers, one for each repeat."""
    mine, other = cores()
    answers: dict[str, dict[str, list[Any]]] = {s: {c: [] for c in clients} for s in scenarios}
    alive: dict[str, Worker] = {}
    with server(other) as address:
        try:
            for name in scenarios:
                scenario = SCENARIOS[name]
                base = f"{address}/{scenario.path}/v1"
                command = {"scenario": scenario.name, "base": base, "options": dict(scenario.options)}
                for _ in range(min(repeats, scenario.repeats)):
                    for client in random.sample(clients, len(clients)):
                        if scenario.fresh:
                            cold = scenario.name == "cold"
                            worker = Worker(client, mine, *([base] if cold else []))
                            answers[name][client].append(worker.ask(None if cold else command))
                            worker.end()
                            continue
                        if client not in alive or alive[client].process.poll() is not None:
                            alive[client] = Worker(client, mine)
                        answers[name][client].append(alive[client].ask(command))
                print(f"{name}: done", file=sys.stderr, flush=True)
        finally:
            for worker in alive.values():
                worker.end()
    return answers


def summary(answers: dict[str, dict[str, list[Any]]]) -> dict[str, Any]:
    """Return the medians of every number, and of its ratio to the floor within a repeat."""
    out: dict[str, Any] = {}
    for scenario, by_client in answers.items():
        floor = by_client.get("floor", [])
        out[scenario] = {}
        for client, found in by_client.items():
            good = [a for a in found if a and "error" not in a]
            if not good:
                out[scenario][client] = found[0] if found else None
                continue
            numbers = {k: statistics.median([a[k] for a in good]) for k in good[0]}
            if lost := [a for a in found if a and "error" in a]:
                numbers["lost"] = len(lost)
            for key in ("cpu_us", "wall_us"):
                pairs = zip(found, floor, strict=False)
                ratios = [a[key] / b[key] for a, b in pairs if a and b and a.get(key) and b.get(key)]
                if ratios:
                    numbers[f"{key}_ratio"] = statistics.median(ratios)
            out[scenario][client] = {k: round(v, 2) for k, v in numbers.items()}
    return out


def main() -> None:
    """Measure, or draw again what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--clients", default=",".join(CLIENTS), help="names, joined by commas")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="names, joined by commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="the JSON file; else what is measured is only printed")
    parser.add_argument("--docs", action="store_true", help="write results.md, and the table and picture of the docs")
    parser.add_argument("--draw", type=Path, help="measure nothing: write them from this JSON file")
    chosen = parser.parse_args()
    if chosen.draw:
        results = json.loads(chosen.draw.read_text())
    else:
        clients, scenarios = chosen.clients.split(","), chosen.scenarios.split(",")
        answers = run(clients, scenarios, chosen.repeats)
        results = {
            "python": platform.python_version(),
            "system": platform.system(),
            "cores": os.cpu_count(),
            "repeats": chosen.repeats,
            "versions": {c: version_of(c) for c in clients},
            "scenarios": summary(answers),
        }
    if chosen.out:
        chosen.out.write_text(json.dumps(results, indent=1) + "\n")
    if chosen.docs or chosen.draw:
        write(results, HERE / "results.md", HERE.parent / "docs" / "performance.md")
        (HERE.parent / "docs" / "performance.svg").write_text(draw(results))
    elif not chosen.out:
        print(json.dumps(results["scenarios"], indent=1))


if __name__ == "__main__":
    main()
