"""Runs every Python snippet of the README and the documentation."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, SkipParser

SNIPPET_KEY = "sk-..."  # what the documentation writes where a key stands


class AsyncPython(CodeBlockParser):
    """Python blocks, with ``await`` allowed outside functions. All blocks of a page share one event loop."""

    language = "python"

    def evaluate(self, example: Example) -> str | None:
        if example.parsed.startswith("# acme_llm/"):
            return None  # the files of a package: tests/docs/test_extending.py builds and calls it
        namespace = example.namespace
        runner: asyncio.Runner = namespace["_runner"]
        source = "\n" * (example.line + example.parsed.line_offset) + example.parsed
        code = compile(source, example.path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        outcome = eval(code, namespace)
        if inspect.iscoroutine(outcome):
            runner.run(outcome)
        return None


@pytest.fixture(scope="module")
def snippet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real llama.cpp, where the snippets' provider would be; its key is the one that they write."""
    from lexigram.ai.llm.local import LlamaServer
    from lexigram.contracts.values import Secret

    server = LlamaServer(slots=2)
    server._api_key = Secret(SNIPPET_KEY)
    with asyncio.Runner() as runner:
        runner.run(server.start())
        yield server.base_url
        runner.run(server.stop())


@pytest.fixture(scope="module")
def snippet_environment(snippet_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("LEX_") or name.endswith("_API_KEY"):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CACHE_HOME", os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")))
        patch.setenv("HOME", str(home))
        patch.chdir(home)
        patch.setenv("OPENAI_API_KEY", SNIPPET_KEY)
        patch.setenv("LEXIGRAM_SNIPPET_SERVER", snippet_server)
        yield


def setup(namespace: dict[str, Any]) -> None:
    namespace["_runner"] = asyncio.Runner()
    namespace["__name__"] = "snippet"


def teardown(namespace: dict[str, Any]) -> None:
    namespace["_runner"].close()


pytest_collect_file = Sybil(
    parsers=[AsyncPython(), SkipParser()],
    patterns=["README.md", "docs/*.md", "packages/*/README.md"],
    setup=setup,
    teardown=teardown,
    fixtures=["snippet_environment"],
).pytest()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread tests one by one, but keep the snippets of a page together: they build on each other."""
    from xdist.scheduler import LoadScopeScheduling

    class KeepPages(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0] if ".md::" in nodeid else nodeid

    return KeepPages(config, log)
