"""From settings and a vendor's row to a client, every mistake found before the first call."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from string import Formatter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from lexigram.ai.llm.client import ClientDefaults, LLMClient
from lexigram.ai.llm.config import ClientConfig
from lexigram.ai.llm.transport import Limits, Transport, make_sender
from lexigram.ai.llm.transport.signing import SigningSender
from lexigram.contracts.ai.errors import LLMConfigurationError
from lexigram.contracts.values import Secret
from lexigram.contracts.wire import Endpoint, Vendor

if TYPE_CHECKING:
    from lexigram.ai.llm.local import LocalServer

__all__ = ["OWN_SPELLING", "Spelling", "build_client", "client_of_row", "find_server", "key_of", "model_of"]

SERVER_GROUP: Final = "lexigram.llm_servers"
_SETTING: Final = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the settings of a client are spelt where its user writes them.

    Attributes:
        env: what the names of its environment variables begin with.
        base_url: the name of the setting for its address.
    """

    env: str = "LEX_AI_LLM__"
    base_url: str = "api_base"


OWN_SPELLING: Final = Spelling()


def build_client(
    config: ClientConfig,
    vendor: Vendor,
    *,
    server: LocalServer | None = None,
    transport: Transport | None = None,
    limits: Limits | None = None,
    read_limits: bool = False,
    spelling: Spelling = OWN_SPELLING,
) -> LLMClient:
    """Return a client of the vendor.

    Args:
        config: the settings, read from all their sources.
        vendor: the row of ``config.provider``.
        server: the vendor's server where this application runs it itself, started.
        transport: instead of httpx's own.
        limits: instead of the defaults.
        read_limits: whether answers carry the provider's rate limits; see :class:`LLMClient`.
        spelling: how errors name the settings.

    Raises:
        LLMConfigurationError: for a setting that is missing or wrong, naming it.
    """
    if config.enable_cache:
        raise LLMConfigurationError(
            "enable_cache needs a cache, and this version has none", hint="leave enable_cache off"
        )
    if config.api is not None and config.api not in vendor.dialects:
        allowed = ", ".join(vendor.dialects)
        raise LLMConfigurationError(
            f"{vendor.name} has no api {config.api!r}; allowed: {allowed}", provider=vendor.name
        )
    key: Secret | None
    if server is not None:
        base_url, key, model = server.base_url, server.api_key, server.model_name
    else:
        base_url, key = _base_url(config, vendor, spelling), key_of(config)
        model = model_of(config, vendor, spelling)
        if key is None and vendor.signer is None and vendor.key_required:
            raise _no_key(vendor, spelling)
        _check_url(base_url, vendor, spelling, has_key=key is not None or vendor.signer is not None)
    params = {name: str(value) for name, value in config.extra.items()} if server is None else {}
    sender = make_sender(transport, base_url, limits=limits)
    if key is None and vendor.signer is not None and server is None:
        sender = SigningSender(sender, vendor.signer(params))
        vendor = replace(vendor, key_required=False)
    return LLMClient(
        vendor,
        Endpoint(vendor.name, base_url, vendor.quirks, params),
        sender,
        key=key,
        defaults=ClientDefaults(
            model=model,
            api=config.api,
            temperature=config.temperature,
            max_tokens=config.max_tokens,
            thinking=config.thinking,
            timeouts=config.deadlines,
        ),
        limits=limits,
        check_server=server.ensure_running if server is not None else None,
        read_limits=read_limits,
    )


def client_of_row(
    vendor: Vendor,
    *,
    base_url: str,
    key: str,
    model: str,
    api: str | None = None,
    params: Mapping[str, str] | None = None,
) -> LLMClient:
    """Return a client of a row, with nothing from the environment. The entry point that conformance kits ask.

    Args:
        vendor: the row, of a package that is installed or of none.
        base_url: where it answers.
        key: the API key.
        model: the model when a call names none.
        api: which of the row's dialects; None for the first.
        params: the vendor's own settings.
    """
    return LLMClient(
        vendor,
        Endpoint(vendor.name, base_url, vendor.quirks, params or {}),
        make_sender(None, base_url),
        key=Secret(key),
        defaults=ClientDefaults(model=model, api=api),
    )


def find_server(config: ClientConfig, vendor: Vendor) -> LocalServer | None:
    """Return the vendor's own server, not started, if this application is to run it: when no ``api_base`` is set."""
    if config.api_base is not None or not vendor.local:
        return None
    for entry in metadata.entry_points(group=SERVER_GROUP, name=vendor.name):
        model = config.model if "model" in config.model_fields_set else None
        made: LocalServer = entry.load().from_config(model, config.extra)
        return made
    return None


def key_of(config: ClientConfig) -> Secret | None:
    """Return the configured key, or None."""
    return Secret(config.api_key.get_secret_value()) if config.api_key is not None else None


def model_of(config: ClientConfig, vendor: Vendor, spelling: Spelling = OWN_SPELLING) -> str:
    """Return the model that calls use: the configured one, else the vendor's default.

    Raises:
        LLMConfigurationError: when there is neither.
    """
    if "model" in config.model_fields_set:
        return config.model
    if vendor.default_model is not None:
        return vendor.default_model
    raise LLMConfigurationError(
        f"{vendor.name} has no default model", provider=vendor.name, hint=f"set model=… or {spelling.env}MODEL"
    )


def _base_url(config: ClientConfig, vendor: Vendor, spelling: Spelling) -> str:
    base_url = vendor.base_url
    for condition, other in vendor.base_url_where.items():
        name, _, value = condition.partition("=")
        if config.extra.get(name) == value:
            base_url = other
    needed = _placeholders(base_url or "")
    conditions = {condition.partition("=")[0] for condition in vendor.base_url_where}
    allowed = {*needed, *_placeholders(vendor.base_url or ""), *conditions, *vendor.settings}
    for name in config.extra:
        if name not in allowed:
            said = f"allowed: {', '.join(sorted(allowed))}" if allowed else "it has none"
            raise LLMConfigurationError(
                f"{vendor.name} knows no setting {name!r} in extra; {said}", provider=vendor.name
            )
    if config.api_base is not None:
        return config.api_base
    if base_url is None:
        setting = spelling.base_url
        hint = f"set {setting}=… or {spelling.env}{setting.upper()}, e.g. http://127.0.0.1:8000/v1"
        raise LLMConfigurationError(f"{vendor.name} needs the address of its server", provider=vendor.name, hint=hint)
    return base_url.format_map({name: _setting(name, config.extra, vendor, spelling) for name in needed}).rstrip("/")


def _placeholders(base_url: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(base_url) if name]


def _setting(name: str, extra: Mapping[str, Any], vendor: Vendor, spelling: Spelling) -> str:
    value = extra.get(name)
    if value is None:
        hint = f"set extra={{{name!r}: …}} or {spelling.env}EXTRA__{name.upper()}"
        raise LLMConfigurationError(f"{vendor.name} needs the setting {name!r}", provider=vendor.name, hint=hint)
    if not _SETTING.fullmatch(str(value)):
        raise LLMConfigurationError(
            f"extra.{name}: {value!r} may hold letters, digits, '.', '_' and '-' only", provider=vendor.name
        )
    return str(value)


def _no_key(vendor: Vendor, spelling: Spelling) -> LLMConfigurationError:
    own = f", {' or '.join(vendor.key_env)}" if vendor.key_env else ""
    return LLMConfigurationError(
        f"{vendor.name} needs an API key and none was found",
        provider=vendor.name,
        hint=f"set {spelling.env}API_KEY{own}, pass api_key=…, or put it into ~/.lexigram/keys/{vendor.name}",
    )


def _check_url(url: str, vendor: Vendor, spelling: Spelling, *, has_key: bool) -> None:
    parts, name = urlsplit(url), spelling.base_url
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise LLMConfigurationError(f"{name}: {url!r} is not an http or https address", provider=vendor.name)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise LLMConfigurationError(f"{name}: may hold no user, password, query or fragment", provider=vendor.name)
    if parts.scheme == "http" and has_key and not vendor.local and not _loopback(parts.hostname):
        raise LLMConfigurationError(
            f"{name}: plain http would send the key of {vendor.name} in clear to {parts.hostname}",
            provider=vendor.name,
            hint="use https, or a provider that runs on your own machines (vllm, lmstudio …)",
        )


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
