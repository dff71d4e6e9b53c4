"""From the command line to a client: which settings count, and which exit code a failure has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from typing import Any, Final

import typer
from pydantic import SecretStr

from lexigram.ai.llm.cli._console import Screen
from lexigram.ai.llm.factory import SERVER_GROUP
from lexigram.ai.llm.module import LLMModule, read_config
from lexigram.ai.llm.registry import ProviderRegistry
from lexigram.ai.llm.routing.config import LLMSettings
from lexigram.app import Application
from lexigram.config import Loaded, environment
from lexigram.contracts.ai.errors import InvalidRequestError, LLMConfigurationError, LLMError
from lexigram.contracts.ai.protocols import LLMClientProtocol
from lexigram.contracts.errors import LexigramError
from lexigram.contracts.wire import Vendor

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "MISUSED",
    "exit_code",
    "explicit_settings",
    "finish",
    "open_client",
    "report",
    "served_here",
]

FAILED: Final = 1
MISUSED: Final = 2
INTERRUPTED: Final = 130

KEYLESS: Final = "or:   --provider llamacpp runs a model on this machine and needs no key"


@asynccontextmanager
async def open_client(settings: Mapping[str, Any]) -> AsyncGenerator[LLMClientProtocol, None]:
    """Boot an application for these settings and give its client.

    Raises:
        LexigramError: for whatever is missing or wrong.
    """
    async with Application(modules=[LLMModule.configure(settings)], name="lex") as app:
        yield await app.container.resolve(LLMClientProtocol)


def finish(screen: Screen, work: Coroutine[Any, Any, int]) -> None:
    """Run a command to its end, say what failed, and leave with its exit code."""
    try:
        code = asyncio.run(work)
    except LexigramError as error:
        code = report(screen, error)
    except KeyboardInterrupt:
        code = INTERRUPTED
    raise typer.Exit(code)


def report(screen: Screen, error: LexigramError) -> int:
    """Say what failed; return the exit code."""
    lacking = isinstance(error, LLMConfigurationError) and error.provider not in (None, "llamacpp")
    screen.fail(error, advice=KEYLESS if lacking else None)
    return exit_code(error)


def exit_code(error: LexigramError) -> int:
    """Return 2 where the command line or the settings are to blame, 1 where the provider is."""
    if isinstance(error, LLMConfigurationError) or not isinstance(error, LLMError):
        return MISUSED
    refused_here = isinstance(error, InvalidRequestError) and error.status is None
    return MISUSED if refused_here else FAILED


def explicit_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the command line makes.

    A provider that is named there is not given the key, model and address that are configured for another one.

    Raises:
        LexigramError: the configured settings cannot be read, or do not fit the provider that is named.
    """
    settings = {name: value for name, value in given.items() if value is not None}
    registry = ProviderRegistry()
    name = settings.get("provider")
    if name is None or name not in registry or registry.factory(name) is not None:
        return settings
    vendor = registry.get(name)
    loaded = read_config(None, registry)
    configured = loaded.value.provider
    if configured in registry and registry.factory(configured) is None and registry.get(configured).name == vendor.name:
        return settings
    for field, empty in (("api_base", None), ("api", None), ("extra", {})):
        settings.setdefault(field, empty)
    if "model" not in settings and loaded.sources["model"] != "default":
        settings["model"] = _own_model(vendor, loaded)
    if loaded.sources["provider"] != "default" and _is_general(loaded.sources["api_key"]):
        settings["api_key"] = _own_key(vendor, registry, loaded)
    return settings


def served_here(vendor: Vendor) -> bool:
    """Return whether the application runs the vendor's server itself."""
    return bool(metadata.entry_points(group=SERVER_GROUP, name=vendor.name))


def _is_general(source: str) -> bool:
    return source.startswith("env LEX_") or source.endswith((".yaml", ".yml"))


def _own_model(vendor: Vendor, loaded: Loaded[LLMSettings]) -> str:
    model = vendor.default_model or ("tiny" if served_here(vendor) else None)
    if model is None:
        raise LLMConfigurationError(
            f"the configured model {loaded.value.model!r} ({loaded.sources['model']}) is meant for "
            f"{loaded.value.provider}",
            provider=vendor.name,
            hint="name the model: --model …",
        )
    return model


def _own_key(vendor: Vendor, registry: ProviderRegistry, loaded: Loaded[LLMSettings]) -> SecretStr:
    bare = {name: value for name, value in environment().items() if not name.upper().startswith("LEX_")}
    own = read_config({"provider": vendor.name}, registry, env=bare)
    if own.value.api_key is not None and not _is_general(own.sources["api_key"]):
        return own.value.api_key
    if not vendor.key_required:
        return SecretStr("none")
    raise LLMConfigurationError(
        f"the configured key ({loaded.sources['api_key']}) is meant for {loaded.value.provider} and is not sent to "
        f"{vendor.name}",
        provider=vendor.name,
        hint=f"set {' or '.join(vendor.key_env)}, or put the key into ~/.lexigram/keys/{vendor.name}",
    )
