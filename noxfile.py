"""The project's checks. ``nox`` runs the default ones; ``nox -l`` lists all."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "arch", "types", "docs", "wheels", "tests", "load", "budget"]

ROOT = Path(__file__).parent
PACKAGES = sorted(p.parent.name for p in ROOT.glob("packages/*/pyproject.toml"))
SOURCES = [f"packages/{name}/src" for name in PACKAGES]
MUTATION_SCORE = 0.85


def sync(session: nox.Session, *groups: str) -> None:
    """Install the workspace and the groups, as the lock file says."""
    session.run_install(
        "uv",
        "sync",
        "--frozen",
        "--quiet",
        "--all-packages",
        *(f"--group={g}" for g in groups),
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location},
        external=True,
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting and lint rules, the ban of imports outside their room among them."""
    session.run_install(
        "uv", "sync", "--frozen", "--quiet", "--only-group=lint",
        env={"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}, external=True,
    )  # fmt: skip
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")


@nox.session
def arch(session: nox.Session) -> None:
    """The arrows between the rooms."""
    sync(session, "lint")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy strict and pyright, over the sources and the typed tests of the public API."""
    sync(session, "types", "test")
    session.run("mypy", *SOURCES, "tests/typing")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")


@nox.session
def docs(session: nox.Session) -> None:
    """The site builds without a warning. (Snippets run in ``tests``.)"""
    sync(session, "docs")
    session.run("mkdocs", "build", "--strict", "--quiet", "--site-dir", session.create_tmp())


@nox.session
def wheels(session: nox.Session) -> None:
    """Each wheel, installed alone with what it declares, imports every module it holds."""
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for name in PACKAGES:
        session.run("uv", "build", "--quiet", "--wheel", f"--package={name}", f"--out-dir={dist}", external=True)
    for name in PACKAGES:
        with tempfile.TemporaryDirectory() as folder:
            python = f"{folder}/venv/bin/python"
            session.run("uv", "venv", "--quiet", f"--python={sys.executable}", f"{folder}/venv", external=True)
            session.run("uv", "pip", "install", "--quiet", f"--python={python}", *_closure(name, dist), external=True)
            session.run(python, "tests/import_all.py", name, external=True)


def _closure(name: str, dist: Path) -> list[str]:
    """Return the wheel and those of the siblings it needs: by path, so that none comes from an index."""
    project = nox.project.load_toml(ROOT / "packages" / name / "pyproject.toml")["project"]
    siblings = [d.partition("==")[0] for d in project["dependencies"] if d.startswith("lexigram")]
    wheel = next(dist.glob(f"{name.replace('-', '_')}-*.whl"))
    return [str(wheel), *dict.fromkeys(w for s in siblings for w in _closure(s, dist))]


@nox.session
def mutants(session: nox.Session) -> None:
    """Change retry, limiter and breaker one operator at a time: the tests notice 85 % at least. Arguments go to mutmut.

    Takes a quarter of an hour on one core (``-- --max-children 1``).
    """
    sync(session, "test", "mutants")
    session.chdir("packages/lexigram-resilience")
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut would keep the verdicts of tests that have changed
    session.run("mutmut", "run", *session.posargs)
    session.run("mutmut", "results")
    session.run("mutmut", "export-cicd-stats", silent=True)
    found = json.loads(Path("mutants/mutmut-cicd-stats.json").read_text())
    tried = {k: found[k] for k in ("killed", "timeout", "survived", "suspicious", "no_tests", "segfault")}
    score = (found["killed"] + found["timeout"]) / sum(tried.values())
    session.log(f"mutation score {score:.1%} of {sum(tried.values())}: {tried}")
    if score < MUTATION_SCORE:
        session.error(f"the mutation score is {score:.1%}, below {MUTATION_SCORE:.0%}: kill survivors with tests")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, in parallel. Arguments go to pytest."""
    sync(session, "test")
    session.run("pytest", *(session.posargs or ["-n", "auto", "-q"]))


@nox.session(python="3.11")
def fuzz(session: nox.Session) -> None:
    """The readers of SSE, NDJSON and HTTP under atheris, a minute each. Arguments go to libFuzzer."""
    sync(session, "test")
    session.install("atheris>=2.3")
    for reader in ("sse", "ndjson", "http"):
        options = session.posargs or ["-max_total_time=60", "-max_len=4096"]
        session.run("python", "tests/fuzz/readers.py", reader, *options)


@nox.session
def load(session: nox.Session) -> None:
    """A thousand streams at once with faults in ten ways: typed outcomes, nothing left. ``-- --write`` writes docs."""
    sync(session, "test")
    session.run("python", "tests/faults/load.py", *session.posargs)


@nox.session
def budget(session: nox.Session) -> None:
    """Counts that no machine changes, against ``benchmarks/budget.json``. ``-- --update`` rewrites it."""
    sync(session)
    session.run("python", "-m", "benchmarks.budget", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Every client side by side; writes the results, the table and the picture unless told what to measure."""
    record = ["--out", "benchmarks/results.json", "--docs"]
    session.run("python", "-m", "benchmarks", *(session.posargs or record), external=True)


@nox.session
def drill(session: nox.Session) -> None:
    """How much of an allowed rate is used, alone beside lm-deluge and by four processes over Redis; takes minutes."""
    sync(session, "test")
    session.run("python", "-m", "benchmarks.limits", *session.posargs)
