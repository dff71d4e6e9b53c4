"""``python -m benchmarks.limits``: how much of an allowed rate is used, and how often the provider refuses.

``alone`` asks 2,000 prompts at once of a provider that allows 6,000 a minute and one second of burst: ours told the
limit, ours learning it from the headers, lm-deluge told. ``shared`` has four processes share 600 requests and 100,000
tokens a minute over Redis for three minutes, against a provider that lets no minute see more; one of the four is killed
on the way. ``quick`` is the same in ten seconds at higher rates. Ends with 1 where ours misses.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.__main__ import python_of, version_of
from benchmarks.budget import plain_environment

HERE = Path(__file__).parent
PROMPTS = 2000
BURSTY = {"requests": 6000, "burst_seconds": 1.0, "latency": 0.1}
WORKERS = 4

Log = list[tuple[float, int, bool]]


class Shared(NamedTuple):
    """A drill of several processes: the provider, the limits they are told, and for how long.

    Attributes:
        warm_up: seconds that are left out of the share and of the refusals.
        kill: after how many seconds a worker is killed.
        least: the share that ours must reach.
    """

    provider: dict[str, Any]
    limiter: dict[str, Any]
    seconds: float
    warm_up: float
    kill: float
    least: float


SHARED = Shared(
    {"requests": 600, "tokens": 100_000, "latency": 1.5},
    {"requests_per_minute": 600, "tokens_per_minute": 100_000, "burst_seconds": 6.0, "concurrency": 40},
    seconds=182.0,
    warm_up=60.0,
    kill=90.0,
    least=0.97,
)
QUICK = Shared(
    {"requests": 1800, "burst_seconds": 1.0, "latency": 0.5},
    {"requests_per_minute": 1800, "burst_seconds": 1.0, "concurrency": 40},
    seconds=10.0,
    warm_up=2.0,
    kill=4.0,
    least=0.9,
)


class Provider:
    """A provider in a process of its own.

    Attributes:
        base_url: where it answers.
    """

    def __init__(self, about: dict[str, Any]) -> None:
        command = [sys.executable, str(HERE / "limits_server.py"), json.dumps(about)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()

    def log(self) -> Log:
        """End it, and return every request that it saw."""
        return json.loads(self._process.communicate(timeout=60)[0])

    def __enter__(self) -> Provider:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """Start a Redis and give its address."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise SystemExit("redis-server is not installed (Debian: apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def start(python: str, job: dict[str, Any]) -> subprocess.Popen[str]:
    """Start a client's process."""
    command = [python, str(HERE / "limits_worker.py"), json.dumps(job)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=plain_environment()
    )


def answer_of(process: subprocess.Popen[str], patience: float) -> dict[str, Any]:
    """Return what a client's process says at its end."""
    out = process.communicate(timeout=patience)[0]
    return json.loads(out) if out else {"done": 0, "lost": PROMPTS, "cpu": 0.0, "why": ["the process ended"]}


# -- one process


def alone(repeats: int) -> bool:
    """Measure each client by itself, print the table, and return whether ours is within its targets."""
    told = {"limiter": {"requests_per_minute": BURSTY["requests"], "burst_seconds": BURSTY["burst_seconds"]}}
    rivals: dict[str, tuple[str, dict[str, Any]]] = {
        "lexigram, told the limit": (sys.executable, {"who": "lexigram", "resilience": told}),
        "lexigram, learning it": (sys.executable, {"who": "lexigram"}),
        f"lm-deluge {version_of('lm-deluge')}, told": (
            python_of("lm-deluge"),
            {"who": "lm-deluge", "requests": BURSTY["requests"]},
        ),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, (python, job) in rivals.items():
            with Provider(BURSTY) as provider:
                answer = answer_of(start(python, {**job, "prompts": PROMPTS, "base": provider.base_url}), 300)
                log = provider.log()
            accepted = [when for when, _, ok in log if ok]
            allowed = BURSTY["requests"] / 60 * (BURSTY["burst_seconds"] + accepted[-1] - accepted[0])
            refused = len(log) - len(accepted)
            cpu = answer["cpu"] / PROMPTS * 1e3
            found[name].append([len(accepted) / allowed, refused, answer["lost"], cpu])
    print("| client | share of the allowed rate | 429s | prompts lost | CPU per prompt |\n|---|---|---|---|---|")
    good = True
    for name, rows in found.items():
        share, refused, lost, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {name} | {share:.1%} | {refused:,.0f} | {lost:,.0f} | {cpu:.2f} ms |")
        if name.startswith("lexigram"):
            most = 0 if "told" in name else PROMPTS * 0.05
            good &= share >= 0.98 and refused <= most and lost == 0
    return good


# -- several processes


def most_within(log: Log, span: float) -> tuple[int, int]:
    """Return the most requests and tokens that the provider let in within any ``span`` seconds."""
    inside: deque[tuple[float, int]] = deque()
    requests = tokens = used = 0
    for when, cost, accepted in log:
        while inside and inside[0][0] + span <= when:
            used -= inside.popleft()[1]
        if accepted:
            inside.append((when, cost))
            used += cost
            requests, tokens = max(requests, len(inside)), max(tokens, used)
    return requests, tokens


def freed_after(url: str, victim: subprocess.Popen[str]) -> tuple[int, float]:
    """Kill a worker; return how many leases it held, and the seconds until nobody holds them."""
    from redis import Redis

    client: Any = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]
    key = None
    while key is None:
        key = next((k for k in client.scan_iter("*:leases")), None)
    victim.kill()
    victim.wait()
    killed = time.monotonic()
    held = set(client.zrange(key, 0, -1))
    time.sleep(1.0)  # the living have given theirs back by now
    dead = held & set(client.zrange(key, 0, -1))
    while dead & set(client.zrange(key, 0, -1)) and time.monotonic() < killed + 60:
        time.sleep(0.05)
    client.close()
    return len(dead), time.monotonic() - killed


def shared(drill: Shared) -> bool:
    """Run a drill of several processes, print what the provider's log says, and return whether it is well."""
    limits = {unit: drill.provider[unit] for unit in ("requests", "tokens") if unit in drill.provider}
    with redis() as url, Provider(drill.provider) as provider:
        limiter = {**drill.limiter, "workers": WORKERS, "redis": {"url": url, "lease_seconds": 3.0}}
        job = {
            "who": "lexigram",
            "base": provider.base_url,
            "resilience": {"limiter": limiter},
            "seconds": drill.seconds,
            "tasks": 10,
        }
        workers = [start(sys.executable, job) for _ in range(WORKERS)]
        time.sleep(drill.kill)
        held, freed = freed_after(url, workers.pop())
        answers = [answer_of(worker, drill.seconds + 60) for worker in workers]
        log = provider.log()
    begin = log[0][0] + drill.warm_up
    minutes = 2.0 if drill.seconds > 60 else (log[-1][0] - begin) / 60
    steady = [entry for entry in log if begin <= entry[0] < begin + minutes * 60]
    refused = sum(not accepted for _, _, accepted in steady)
    let_in = {"requests": sum(ok for *_, ok in steady), "tokens": sum(cost for _, cost, ok in steady if ok)}
    shares = {unit: let_in[unit] / (limit * minutes) for unit, limit in limits.items()}
    highest = dict(zip(("requests", "tokens"), most_within(log, 60.0), strict=True))
    lost = [why for answer in answers for why in answer.get("why", [])]
    print("| measured at the provider | |\n|---|---|")
    for unit, limit in limits.items():
        print(f"| share of the allowed {unit} after the warm-up | {shares[unit]:.1%} |")
        print(f"| most {unit} within any 60 seconds | {highest[unit]:,} of {limit:,} |")
    print(f"| 429s after the warm-up, and before | {refused}, {sum(not ok for *_, ok in log) - refused} |")
    print(f"| leases of the killed worker, free after | {held}, {freed:.1f} s |")
    print(f"| calls that failed in the others | {len(lost)} |")
    print(*lost, sep="\n", file=sys.stderr)
    below = all(highest[unit] <= limit for unit, limit in limits.items()) or drill.seconds <= 60
    return max(shares.values()) >= drill.least and refused == 0 and below and not lost


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("which", nargs="*", choices=["alone", "shared", "quick"], default=["alone", "shared"])
    parser.add_argument("--repeats", type=int, default=3, help="of each client alone")
    chosen = parser.parse_args()
    good = True
    for which in chosen.which:
        print(f"\n{which}\n")
        good &= alone(chosen.repeats) if which == "alone" else shared(SHARED if which == "shared" else QUICK)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
