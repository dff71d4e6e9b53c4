"""What ``lex doctor`` looks at."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from lexigram.ai.llm.cli._session import open_client
from lexigram.ai.llm.cli.demo import SETTINGS
from lexigram.ai.llm.module import read_config
from lexigram.ai.llm.registry import DISTRIBUTION, ProviderRegistry
from lexigram.ai.llm.routing.config import LLMSettings
from lexigram.ai.llm.tokens import vocabulary_file
from lexigram.config import ConfigError, Loaded, read_env
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.health import HealthStatus

__all__ = ["Check", "Verdict", "all_checks"]

Verdict: TypeAlias = Literal["ok", "warn", "fail"]

_LEAST_PYTHON: Final = (3, 11)
_VOCABULARIES: Final = ("o200k_base", "cl100k_base")
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_HEALTH_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what was seen, and what to do about it."""

    verdict: Verdict
    name: str
    said: str
    todo: str = ""


async def all_checks() -> tuple[list[Check], str]:
    """Return every check, and the table of the settings with secrets masked (empty if they cannot be read)."""
    registry = ProviderRegistry()
    checks = [_python(), *_packages(), *_extras()]
    loaded: Loaded[LLMSettings] | None = None
    try:
        loaded = read_config(None, registry)
        checks.append(_settings(loaded))
    except ConfigError as error:
        checks.append(Check("fail", "settings", error.message, error.hint or ""))
    checks += [_tokens(), await _embedded(), *_proxies()]
    if loaded is not None:
        checks.append(await _provider(loaded))
    return checks, loaded.explain() if loaded is not None else ""


def _python() -> Check:
    said = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _LEAST_PYTHON:
        return Check("fail", "Python", said, "Python 3.11 or newer is needed")
    return Check("ok", "Python", said)


def _packages() -> Iterator[Check]:
    """Other people's packages have the same names on the public index: only files and repositories are trusted."""
    wanted = metadata.version(DISTRIBUTION)
    found = {
        d.metadata["Name"]: d for d in metadata.distributions() if (d.metadata["Name"] or "").startswith("lexigram")
    }
    good: list[str] = []
    for name, distribution in sorted(found.items()):
        origin = _origin(distribution)
        if distribution.version != wanted:
            todo = "install all lexigram packages from one checkout of the repository"
            yield Check("fail", name, f"version {distribution.version}, where {wanted} is wanted", todo)
        elif origin is None:
            todo = "packages of these names on the public index are not ours: install from the repository"
            yield Check("warn", name, f"version {distribution.version} came from a package index", todo)
        else:
            good.append(f"{name} ({origin})")
    if good:
        origins = {text.rpartition("(")[2].rstrip(")") for text in good}
        names = ", ".join(text.partition(" ")[0] for text in good)
        yield Check("ok", "packages", f"{names}: {wanted}, from {' and '.join(sorted(origins))}")


def _origin(distribution: metadata.Distribution) -> str | None:
    text = distribution.read_text("direct_url.json")
    if text is None:
        return None
    said: dict[str, Any] = json.loads(text)
    if said.get("dir_info", {}).get("editable"):
        return "this workspace"
    return "a repository" if "vcs_info" in said else "a file or folder"


def _extras() -> Iterator[Check]:
    needs: dict[str, list[str]] = {}
    for line in metadata.requires(DISTRIBUTION) or ():
        found = re.match(r"([A-Za-z0-9._-]+).*extra\s*==\s*['\"]([^'\"]+)", line)
        if found is not None:
            needs.setdefault(found.group(2), []).append(found.group(1))
    missing = [extra for extra, names in sorted(needs.items()) if not all(map(_is_installed, names))]
    here = [extra for extra in sorted(needs) if extra not in missing]
    said = f"installed: {', '.join(here) or 'none'}"
    if missing:
        yield Check("ok", "extras", said, f'optional: pip install "{DISTRIBUTION}[{",".join(missing)}]"')
    else:
        yield Check("ok", "extras", said)


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _settings(loaded: Loaded[LLMSettings]) -> Check:
    given = {source for source in loaded.sources.values() if source != "default"}
    if not given:
        return Check("ok", "settings", "nothing is set; all are defaults")
    return Check("ok", "settings", f"from {', '.join(sorted(given))}")


def _tokens() -> Check:
    if find_spec("tiktoken") is None:
        todo = f'pip install "{DISTRIBUTION}[openai]"'
        return Check("ok", "token counts", "estimated: tiktoken is not installed", todo)
    missing = [name for name in _VOCABULARIES if not vocabulary_file(name).is_file()]
    if not missing:
        return Check("ok", "token counts", f"tiktoken has {' and '.join(_VOCABULARIES)}")
    todo = f"to fetch it once: python -c \"import tiktoken; tiktoken.get_encoding('{missing[0]}')\""
    return Check("warn", "token counts", f"estimated for OpenAI's models: tiktoken lacks {' and '.join(missing)}", todo)


async def _embedded() -> Check:
    if find_spec("xllamacpp") is None:
        todo = f'optional: pip install "{DISTRIBUTION}[local]"'
        return Check("ok", "embedded server", "xllamacpp is not installed", todo)
    began = time.monotonic()
    try:
        async with open_client(SETTINGS) as client:
            health = await client.health_check(_HEALTH_SECONDS)
    except LexigramError as error:
        # Settings of the configured client that are wrong are another check's row.
        if isinstance(error, ConfigError):
            return Check("warn", "embedded server", "not tried, because the settings are wrong")
        return Check("fail", "embedded server", error.message, error.hint or "")
    if not health.healthy:
        return Check("fail", "embedded server", health.message or health.status, "look for what ends child processes")
    return Check("ok", "embedded server", f"llama.cpp answers {time.monotonic() - began:.1f} s after its start began")


def _proxies() -> Iterator[Check]:
    for name in _PROXIES:
        for spelt in (name, name.lower()):
            value = read_env(spelt)
            if value is not None:
                parts = urlsplit(value if "//" in value else f"//{value}")
                yield Check("ok", "proxy", f"{spelt}: {_host(parts.netloc)}; not for loopback addresses and NO_PROXY")


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2] or "no address"


async def _provider(loaded: Loaded[LLMSettings]) -> Check:
    config = loaded.value
    own = all(loaded.sources[name] == "default" for name in ("provider", "model", "api_key", "api_base"))
    if own and not config.providers:
        todo = "set LEX_AI_LLM__PROVIDER and a key, or use --provider llamacpp, which needs none"
        return Check("ok", "provider", "none is configured", todo)
    try:
        async with open_client({}) as client:
            health = await client.health_check(_HEALTH_SECONDS)
    except LexigramError as error:
        asked = ", ".join(config.providers) or config.provider
        return Check("fail", "provider", f"{asked}: {error.message}", error.hint or "")
    if not health.healthy:
        todo = "check the key, the address and the network"
        verdict: Verdict = "warn" if health.status is HealthStatus.DEGRADED else "fail"
        return Check(verdict, "provider", f"{health.component}: {health.message or health.status}", todo)
    took = f" in {health.duration_ms:.0f} ms" if health.duration_ms is not None else ""
    return Check("ok", "provider", f"{health.component} answers{took}")
